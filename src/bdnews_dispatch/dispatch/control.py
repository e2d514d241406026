"""Steering a dispatch and seeing how it stands. Callers: cli/, sending, later the console and the API."""

from typing import Any

from sqlalchemy import ColumnElement, Select, exists, or_, text, update
from sqlalchemy import select as sa_select
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.dispatch.models import DUE, HELD, IN_DOUBT, Delivery, Dispatch
from bdnews_dispatch.dispatch.standing import Standing, rows_of
from bdnews_dispatch.dispatch.states import (
    CLAIMABLE,
    OPEN,
    DeliveryState,
    DispatchState,
    check_dispatch,
)
from bdnews_dispatch.errors import NotFoundError, Phrase
from bdnews_dispatch.messaging.outbox import record


async def find_dispatch(session: AsyncSession, dispatch_id: int) -> Dispatch:
    """Raises: NotFoundError: there is no such dispatch."""
    found = await session.get(Dispatch, dispatch_id)
    if found is None:
        raise NotFoundError(
            Phrase("没有编号为 %(id)s 的发送任务", id=dispatch_id),
            hint="见“发送”；命令行：bdnews dispatch list。",
        )
    return found


async def pause(session: AsyncSession, dispatch_id: int, *, note: str = "") -> Dispatch:
    """Begin no further delivery; what is on the wire is finished.

    Raises:
        StateError: it is over, or paused already.
    """
    dispatch = await find_dispatch(session, dispatch_id)
    _move(dispatch, DispatchState.PAUSED)
    dispatch.note = note
    session.add(dispatch)
    return dispatch


async def resume(session: AsyncSession, dispatch_id: int) -> Dispatch:
    """Go on where it was.

    Raises:
        StateError: it is not paused.
    """
    dispatch = await find_dispatch(session, dispatch_id)
    if dispatch.planned_at is not None:
        then = DispatchState.SENDING
    elif dispatch.planned_through:
        then = DispatchState.PLANNING
    else:
        then = DispatchState.SCHEDULED
    if dispatch.state is not DispatchState.PAUSED:
        check_dispatch(dispatch.state, DispatchState.SCHEDULED)  # only what is paused may go back
    _move(dispatch, then)
    dispatch.note = ""
    session.add(dispatch)
    return dispatch


async def cancel(session: AsyncSession, clock: Clock, dispatch_id: int, *, note: str = "") -> Dispatch:
    """End it: what has not gone out never will; what is on the wire is finished.

    Raises:
        StateError: it is over.
    """
    dispatch = await find_dispatch(session, dispatch_id)
    _move(dispatch, DispatchState.CANCELLED)
    dispatch.note, dispatch.finished_at = note, clock()
    session.add(dispatch)
    await cancel_deliveries(session, clock, dispatch_id)
    return dispatch


async def cancel_deliveries(session: AsyncSession, clock: Clock, dispatch_id: int) -> None:
    """Cancel what could still be claimed of a cancelled dispatch."""
    claimable = col(Delivery.dispatch_id) == dispatch_id, col(Delivery.state).in_(CLAIMABLE)
    await session.exec(
        update(Delivery)
        .where(*claimable, col(Delivery.id).in_(in_order(*claimable)))
        .values(state=DeliveryState.CANCELLED, reason="dispatch_cancelled", updated_at=clock())
    )


async def cancelled_with_deliveries(session: AsyncSession) -> list[int]:
    """Cancelled dispatches to which a worker gave a delivery back at the moment when they were cancelled.

    It would count as reached, and its reader would be left out when the issue is sent again.
    """
    left = exists().where(col(Delivery.dispatch_id) == col(Dispatch.id), text(f"delivery.{DUE}"))
    found = await session.exec(
        select(Dispatch.id).where(col(Dispatch.state) == DispatchState.CANCELLED, left)
    )
    return [dispatch_id for dispatch_id in found if dispatch_id is not None]


async def anybody_sends(session: AsyncSession, clock: Clock) -> bool:
    """Does a worker hold deliveries at this moment?"""
    held = select(Delivery.id).where(text(HELD), col(Delivery.lease_until) > clock()).limit(1)
    return (await session.exec(held)).first() is not None


def _move(dispatch: Dispatch, then: DispatchState) -> None:
    check_dispatch(dispatch.state, then)
    dispatch.state = then


def in_order(*which: ColumnElement[bool]) -> Select[Any]:
    """The ids of deliveries, locked in the order in which the ledger locks them: nobody waits for each other."""
    locked = sa_select(col(Delivery.id)).where(*which).order_by(col(Delivery.id)).with_for_update().subquery()
    return sa_select(locked.c.id)


async def note(database: Database, dispatch_id: int, words: str) -> None:
    """Say on the dispatch what holds it up; "" when nothing does."""
    async with database.write() as session:
        await session.exec(update(Dispatch).where(col(Dispatch.id) == dispatch_id).values(note=words))


async def is_settled(session: AsyncSession, dispatch_id: int) -> bool:
    """Is every delivery of the dispatch in a final state?

    One statement sees one moment: a delivery that goes from one state to another between two would be in neither.
    """
    left = [  # each has its own small index
        exists().where(col(Delivery.dispatch_id) == dispatch_id, text(unsettled))
        for unsettled in (DUE, HELD, IN_DOUBT)
    ]
    return not (await session.exec(select(or_(*left)))).one()


async def finish_if_done(session: AsyncSession, clock: Clock, dispatch: Dispatch) -> bool:
    """Finished means that every delivery is in a final state; an uncertain one is not."""
    if dispatch.state is not DispatchState.SENDING or dispatch.planned_at is None or dispatch.id is None:
        return False
    if not await is_settled(session, dispatch.id):
        return False
    _move(dispatch, DispatchState.FINISHED)
    dispatch.finished_at, dispatch.note = clock(), ""
    session.add(dispatch)
    key = f"dispatch.finished:{dispatch.id}"
    await record(session, clock, "dispatch.finished", key, dispatch_id=dispatch.id)
    return True


async def show(session: AsyncSession, dispatch_id: int) -> dict[str, Any]:
    """How the dispatch stands, counted from the ledger: by state, by channel and state, by reason. JSON-able."""
    dispatch = await find_dispatch(session, dispatch_id)
    rows = (await rows_of(session, [dispatch_id])).get(dispatch_id, [])
    return described(dispatch, Standing.read({"rows": rows}))


def described(dispatch: Dispatch, standing: Standing) -> dict[str, Any]:
    """The dispatch with its counts. JSON-able."""
    return {
        "id": dispatch.id,
        "state": str(dispatch.state),
        "kind": str(dispatch.kind),
        "publication": dispatch.publication,
        "issues": dispatch.issues,
        "bulletin": dispatch.bulletin_id,
        "lists": dispatch.lists,
        "segments": [segment["name"] for segment in dispatch.segments],
        "excluded_lists": dispatch.excluded_lists,
        "excluded_segments": [segment["name"] for segment in dispatch.excluded_segments],
        "sections": dispatch.sections,
        "urgent": dispatch.urgent,
        "note": dispatch.note,
        "due_at": dispatch.due_at.isoformat(),
        "created_at": dispatch.created_at.isoformat(),
        "planned_at": dispatch.planned_at.isoformat() if dispatch.planned_at else None,
        "finished_at": dispatch.finished_at.isoformat() if dispatch.finished_at else None,
        "deliveries": sum(standing.counts.values()),
        "counts": standing.counts,
        "channels": standing.channels,
        "reasons": standing.reasons,
        "modes": standing.modes,
    }


async def leave_untracked(session: AsyncSession, subscriber_id: int, *, untracked: bool) -> None:
    """What has not gone out to a reader yet goes by their new wish; what has, stays as it was sent."""
    await session.execute(
        update(Delivery)
        .where(col(Delivery.subscriber_id) == subscriber_id, col(Delivery.state).in_(OPEN))
        .values(untracked=untracked)
        .execution_options(synchronize_session=False)
    )
