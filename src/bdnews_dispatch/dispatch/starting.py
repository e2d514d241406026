"""Starting a dispatch: a cause becomes a row, once. Callers: pipeline.py (events), scheduling, cli/.

Starting the same issue again never sends to anybody twice: it reaches those who have no delivery of it yet, and where
there are none it answers with the dispatch that is there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import exists, or_
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.bulletins.models import Bulletin
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.dispatch.models import Delivery, Dispatch, DispatchKind
from bdnews_dispatch.dispatch.states import DeliveryState, DispatchState
from bdnews_dispatch.errors import NotFoundError, Phrase, StateError
from bdnews_dispatch.issues.models import Issue, IssueState
from bdnews_dispatch.messaging.outbox import record
from bdnews_dispatch.subscribers.models import Cadence, Subscriber, Subscription
from bdnews_dispatch.subscribers.targeting import EVERYBODY, Target

#: A delivery in one of these says that its reader has not been, and will not be, reached by it.
UNREACHED = (DeliveryState.SKIPPED, DeliveryState.CANCELLED, DeliveryState.FAILED)


@dataclass(frozen=True, slots=True)
class Started:
    """`fresh` is false where the dispatch was there already."""

    dispatch: Dispatch
    fresh: bool


def told(dispatch: Dispatch) -> dict[str, Any]:
    """For the audit log: what has begun."""
    return {"due_at": dispatch.due_at.isoformat(), "lists": dispatch.lists, "kind": dispatch.kind.value}


async def start_issue(
    session: AsyncSession,
    clock: Clock,
    issue: Issue,
    *,
    target: Target = EVERYBODY,
    at: datetime | None = None,
    again: bool = False,
) -> Started:
    """Send an issue to those who read every issue.

    Args:
        again: those whose delivery failed or was cancelled are a reason to begin once more.

    Raises:
        StateError: the issue is not published.
    """
    if issue.state is not IssueState.PUBLISHED:
        raise StateError(
            Phrase("总第%(total)s期尚未发布（%(state)s）", total=issue.total_number, state=issue.state),
            hint=Phrase(
                "请先在“各期”里发布；命令行：bdnews issues publish %(total)s。", total=issue.total_number
            ),
        )
    earlier = await dispatches_of(session, issue)
    cause = _issue_cause(issue)
    if target.name:
        cause = f"{cause}:{target.name}"
    same = [
        dispatch for dispatch in earlier if dispatch.cause == cause or dispatch.cause.startswith(f"{cause}#")
    ]
    for dispatch in same:
        if dispatch.state not in (DispatchState.FINISHED, DispatchState.CANCELLED):
            return Started(dispatch, fresh=False)
    if same:
        left = await _somebody_left(session, earlier) if again else False
        if not left and not await _somebody_unreached(session, issue.publication, earlier, target, clock()):
            return Started(same[-1], fresh=False)
        cause = f"{cause}#{len(same) + 1}"
    return await _begin(session, clock, issue_dispatch(clock, issue, target, cause=cause, at=at))


def issue_dispatch(
    clock: Clock, issue: Issue, target: Target, *, cause: str = "", at: datetime | None = None
) -> Dispatch:
    """A dispatch of the issue, not in the database yet."""
    assert issue.id is not None  # noqa: S101  # read from the database
    return Dispatch(
        cause=cause,
        kind=DispatchKind.ISSUE,
        publication=issue.publication,
        issues=[{"id": issue.id, "revision": issue.revision}],
        cadence=Cadence.ISSUE,
        **target.columns(),
        due_at=at or clock(),
        created_at=clock(),
    )


def period_cause(publication: str, cadence: Cadence, due_at: datetime) -> str:
    """Names a run of the timetable, and the dispatch that it makes. Args: due_at: aware UTC."""
    return f"{cadence}:{publication}:{due_at.isoformat()}"


async def start_period(
    session: AsyncSession,
    clock: Clock,
    publication: str,
    cadence: Cadence,
    *,
    since: datetime,
    until: datetime,
) -> Started | None:
    """Send what was published in [since, until) to those who read weekly or monthly.

    Returns:
        None where nothing was published.
    """
    issues = (
        await session.exec(
            select(Issue)
            .where(Issue.publication == publication, Issue.state == IssueState.PUBLISHED)
            .where(col(Issue.published_at) >= since, col(Issue.published_at) < until)
            .order_by(col(Issue.total_number))
        )
    ).all()
    if not issues:
        return None
    return await _begin(
        session,
        clock,
        Dispatch(
            cause=period_cause(publication, cadence, until),
            kind=DispatchKind.PERIOD,
            publication=publication,
            issues=[{"id": issue.id, "revision": issue.revision} for issue in issues if issue.id is not None],
            cadence=cadence,
            due_at=clock(),
            created_at=clock(),
        ),
    )


async def start_bulletin(
    session: AsyncSession,
    clock: Clock,
    bulletin: Bulletin,
    *,
    sections: Sequence[str] = (),
    target: Target = EVERYBODY,
    at: datetime | None = None,
) -> Started:
    """Send a bulletin to everybody whose sections it concerns, whatever their cadence.

    Args:
        sections: keys; empty means everybody.
    """
    return await _begin(session, clock, bulletin_dispatch(clock, bulletin, target, sections, at=at))


def bulletin_dispatch(
    clock: Clock,
    bulletin: Bulletin,
    target: Target,
    sections: Sequence[str] = (),
    *,
    cause: str = "",
    at: datetime | None = None,
) -> Dispatch:
    """A dispatch of the bulletin, not in the database yet."""
    return Dispatch(
        cause=cause or f"bulletin:{bulletin.id}",
        kind=DispatchKind.BULLETIN,
        publication=bulletin.publication,
        bulletin_id=bulletin.id,
        **target.columns(),
        sections=sorted(sections),
        urgent=bulletin.urgent,
        due_at=at or clock(),
        created_at=clock(),
    )


async def start_again(
    session: AsyncSession, clock: Clock, dispatch: Dispatch, *, at: datetime | None = None
) -> Started:
    """Send what a dispatch that is over did not bring: to those of its target who have no delivery of it that
    arrived or may have; nobody gets it twice.

    Raises:
        StateError: it is not over, or a period's, whose time is over.
        NotFoundError: its issue or its bulletin is gone.
    """
    if dispatch.state not in (DispatchState.FINISHED, DispatchState.CANCELLED):
        raise StateError("这个发送任务还没有结束", hint="等它结束，或先取消，再重试。")
    if dispatch.kind is DispatchKind.PERIOD:
        raise StateError("周期的发送不能重试", hint="漏收的读者可在网页上看往期；要告知他们，请发一则快讯。")
    if dispatch.bulletin_id is None:
        issue = await session.get(Issue, dispatch.issues[0]["id"])
        if issue is None:
            raise NotFoundError("这一期已不在")
        return await start_issue(session, clock, issue, target=target_of(dispatch), at=at, again=True)
    bulletin = await session.get(Bulletin, dispatch.bulletin_id)
    if bulletin is None:
        raise NotFoundError("这则快讯已不在")
    earlier = await dispatches_of_bulletin(session, dispatch.bulletin_id)
    for other in earlier:
        if other.state not in (DispatchState.FINISHED, DispatchState.CANCELLED):
            return Started(other, fresh=False)
    if not await _somebody_left(session, earlier):
        return Started(earlier[-1], fresh=False)
    cause = f"bulletin:{bulletin.id}#{len(earlier) + 1}"
    again = bulletin_dispatch(clock, bulletin, target_of(dispatch), dispatch.sections, cause=cause, at=at)
    return await _begin(session, clock, again)


async def _begin(session: AsyncSession, clock: Clock, dispatch: Dispatch) -> Started:
    found = (await session.exec(select(Dispatch).where(Dispatch.cause == dispatch.cause))).first()
    if found is not None:
        return Started(found, fresh=False)
    session.add(dispatch)
    await session.flush()
    key = f"dispatch.created:{dispatch.id}"
    await record(session, clock, "dispatch.created", key, dispatch_id=dispatch.id)
    return Started(dispatch, fresh=True)


async def dispatches_of(session: AsyncSession, issue: Issue) -> list[Dispatch]:
    """The dispatches of this issue as an issue (no periods), oldest first."""
    # By what made them, not by the issues in them: each slice of planning asks, and would read hundreds of others.
    cause, made_by = _issue_cause(issue), col(Dispatch.cause)
    rows = await session.exec(
        select(Dispatch)
        .where(Dispatch.kind == DispatchKind.ISSUE, Dispatch.publication == issue.publication)
        .where(or_(made_by == cause, made_by.startswith(f"{cause}:"), made_by.startswith(f"{cause}#")))
        .order_by(col(Dispatch.id))
    )
    return list(rows)


def _issue_cause(issue: Issue) -> str:
    """Of the first dispatch of an issue to everybody; one to some has their names behind a colon, a later one #2."""
    return f"issue:{issue.id}"


async def latest_dispatches(session: AsyncSession, issues: Sequence[Issue]) -> dict[int, Dispatch]:
    """By issue, the last dispatch that sent it as an issue."""
    named = {issue.publication for issue in issues}
    sent = await session.exec(
        select(Dispatch.id, Dispatch.issues)
        .where(Dispatch.kind == DispatchKind.ISSUE, col(Dispatch.publication).in_(named))
        .order_by(col(Dispatch.id))
    )
    latest = {entry["id"]: id_ for id_, entries in sent for entry in entries}
    asked = {issue.id: latest[issue.id] for issue in issues if issue.id in latest}
    # Whole rows of these alone: a page has fifty issues, the years behind it have hundreds.
    found = await session.exec(select(Dispatch).where(col(Dispatch.id).in_(asked.values())))
    by_id = {row.id: row for row in found}
    return {issue_id: by_id[id_] for issue_id, id_ in asked.items() if issue_id is not None}


async def dispatches_of_bulletin(session: AsyncSession, bulletin_id: int) -> list[Dispatch]:
    """The dispatches of this bulletin, oldest first."""
    rows = await session.exec(
        select(Dispatch).where(Dispatch.bulletin_id == bulletin_id).order_by(col(Dispatch.id))
    )
    return list(rows)


def target_of(dispatch: Dispatch) -> Target:
    """Whom it is meant for."""
    return Target(dispatch.lists, dispatch.segments, dispatch.excluded_lists, dispatch.excluded_segments)


async def _somebody_unreached(
    session: AsyncSession, publication: str, earlier: Sequence[Dispatch], target: Target, now: datetime
) -> bool:
    reached = exists().where(
        col(Delivery.subscriber_id) == col(Subscription.subscriber_id),
        col(Delivery.dispatch_id).in_([dispatch.id for dispatch in earlier]),
    )
    statement = (
        select(Subscription.id)
        .join(Subscriber, col(Subscriber.id) == col(Subscription.subscriber_id))
        .where(target.condition(now))
        .where(Subscription.publication == publication, col(Subscription.ended_at).is_(None))
        .where(Subscription.cadence == Cadence.ISSUE, ~reached)
        .limit(1)
    )
    return (await session.exec(statement)).first() is not None


async def _somebody_left(session: AsyncSession, earlier: Sequence[Dispatch]) -> bool:
    """Whether a delivery failed or was cancelled, and none by the same way has brought it since, or may have."""
    ids = [dispatch.id for dispatch in earlier]
    other = aliased(Delivery)
    brought = exists().where(
        col(other.subscriber_id) == col(Delivery.subscriber_id),
        col(other.channel) == col(Delivery.channel),
        col(other.dispatch_id).in_(ids),
        col(other.state).not_in(UNREACHED),
    )
    lost = (DeliveryState.FAILED, DeliveryState.CANCELLED)
    statement = (
        select(Delivery.id)
        .where(col(Delivery.dispatch_id).in_(ids), col(Delivery.state).in_(lost), ~brought)
        .limit(1)
    )
    return (await session.exec(statement)).first() is not None
