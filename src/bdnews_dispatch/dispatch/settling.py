"""Looking at single deliveries, and deciding those that nobody can know of: did the mail arrive?

In: filters; keys and a decision. Out: rows for people, and the ledger as decided. Callers: cli/, later the console and
the API. Only an uncertain delivery can be decided; evidence (an open, a click) decides by itself (tracking/).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, text
from sqlalchemy.orm import aliased
from sqlmodel import col, or_, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.dispatch.changes import mark_changed
from bdnews_dispatch.dispatch.control import find_dispatch, in_order
from bdnews_dispatch.dispatch.models import APART, IN_DOUBT, Attempt, Delivery, Dispatch
from bdnews_dispatch.dispatch.states import DeliveryState, DispatchState
from bdnews_dispatch.errors import NotFoundError, Phrase, StateError
from bdnews_dispatch.subscribers.models import Channel, Subscriber

_APART = f"delivery.{APART}"
#: Of a row's number that the databases' 64 bits hold in any case.
_DIGITS = 18
#: States whose deliveries an index holds, with its condition.
_BY_AN_INDEX = {
    DeliveryState.UNCERTAIN: f"delivery.{IN_DOUBT}",
    DeliveryState.FAILED: _APART,
    DeliveryState.DEFERRED: _APART,
    DeliveryState.DELIVERED: _APART,
}
#: What an operator may decide of an uncertain delivery.
DECISIONS = {"sent": DeliveryState.SENT, "resend": DeliveryState.PLANNED, "failed": DeliveryState.FAILED}


@dataclass(frozen=True, slots=True)
class Seen:
    """A delivery as an operator looks at it.

    Attributes:
        target: the address or openid; personal.
        message_id: what the relay's log has it by, without <>.
        mode: how it went out, or is going.
        tried_at, code, text, reference: of the last try.
    """

    id: int
    key: str
    dispatch: int
    channel: str
    state: str
    reason: str
    target: str
    message_id: str
    attempts: int
    mode: str
    tried_at: datetime | None
    code: str
    text: str
    reference: str
    updated_at: datetime


async def look(
    session: AsyncSession,
    *,
    mail_domain: str,
    dispatch_id: int | None = None,
    states: Collection[str] = (),
    reason: str = "",
    limit: int = 50,
) -> list[Seen]:
    """Deliveries, the latest change first.

    Args:
        mail_domain: of our Message-IDs.
        reason: what the reason begins with.
    """
    which = []
    if dispatch_id is not None:
        which.append(col(Delivery.dispatch_id) == dispatch_id)
    if states:
        which.append(col(Delivery.state).in_([DeliveryState(state) for state in states]))
    if reason:
        which.append(col(Delivery.reason).startswith(reason, autoescape=True))
    return await _seen_by(
        session, mail_domain, which, (col(Delivery.updated_at).desc(), col(Delivery.id)), limit
    )


async def look_at_one_state(
    session: AsyncSession, *, mail_domain: str, dispatch_id: int, state: DeliveryState, limit: int
) -> list[Seen]:
    """Of a dispatch of any size, those in one state: the latest change first where an index has them so (what failed,
    waits or is in doubt); of those that went out, who has the lowest numbers.
    """
    which = [col(Delivery.dispatch_id) == dispatch_id, col(Delivery.state) == state]
    order: tuple[Any, ...] = (col(Delivery.subscriber_id), col(Delivery.channel))
    if state in _BY_AN_INDEX:
        which.append(text(_BY_AN_INDEX[state]))  # type: ignore[arg-type]  # a condition in words
        order = (col(Delivery.updated_at).desc(), col(Delivery.id).desc())  # as the index lies, from its end
    return await _seen_by(session, mail_domain, which, order, limit)


async def _seen_by(
    session: AsyncSession,
    mail_domain: str,
    which: Sequence[ColumnElement[bool]],
    order: Sequence[Any],
    limit: int,
) -> list[Seen]:
    tried = aliased(Attempt)
    last = (
        select(func.max(col(tried.id)))
        .where(col(tried.delivery_id) == col(Delivery.id))
        .correlate(Delivery)
        .scalar_subquery()
    )
    statement = (
        select(Delivery, Subscriber, Attempt)
        .join(Subscriber, col(Subscriber.id) == col(Delivery.subscriber_id))
        .outerjoin(Attempt, col(Attempt.id) == last)
        .where(*which)
        .order_by(*order)
        .limit(limit)
    )
    return [
        _seen(delivery, person, attempt, mail_domain)
        for delivery, person, attempt in (await session.execute(statement)).all()
    ]


async def tries_of(session: AsyncSession, name: str) -> tuple[Delivery, list[Attempt]]:
    """One delivery and all its tries, the first one first.

    Args:
        name: its key or id.

    Raises:
        NotFoundError: there is none by this name.
    """
    by_id = [col(Delivery.id) == int(name)] if name.isascii() and name.isdecimal() and len(name) < 19 else []
    found = (await session.exec(select(Delivery).where(or_(col(Delivery.key) == name, *by_id)))).first()
    if found is None:
        raise NotFoundError(
            Phrase("没有这份投递：%(name)s", name=name),
            hint="请刷新这一页再选；命令行：bdnews deliveries list。",
        )
    tries = await session.exec(
        select(Attempt).where(col(Attempt.delivery_id) == found.id).order_by(col(Attempt.id))
    )
    return found, list(tries)


async def resolve(
    session: AsyncSession, clock: Clock, names: Sequence[str], decision: str, *, of: int | None = None
) -> int:
    """Decide uncertain deliveries.

    Args:
        names: keys or ids.
        of: the dispatch that they must be of; None: of any.
        decision: one of DECISIONS.

    Returns:
        How many were decided: all of them, or none.

    Raises:
        NotFoundError: no delivery by one of the names.
        StateError: one of them is not uncertain.
    """
    ids = {int(name) for name in names if name.isascii() and name.isdecimal() and len(name) <= _DIGITS}
    named = select(Delivery).where(or_(col(Delivery.key).in_(names), col(Delivery.id).in_(ids)))
    if of is not None:
        named = named.where(Delivery.dispatch_id == of)
    found = (await session.exec(named)).all()
    known = {delivery.key for delivery in found} | {str(delivery.id) for delivery in found}
    if missing := [name for name in names if name not in known]:
        raise NotFoundError(
            Phrase("没有这些投递：%(names)s", names=missing[:5]),
            hint="请刷新这一页再选；命令行：bdnews deliveries list。",
        )
    if wrong := [
        Phrase("%(key)s（%(state)s）", key=delivery.key, state=delivery.state)
        for delivery in found
        if delivery.state is not DeliveryState.UNCERTAIN
    ]:
        raise StateError(
            Phrase("只能决定处于 uncertain 的投递，这些不是：%(names)s", names=wrong[:5]),
            hint="没有作任何改动。请刷新这一页，再看待决定的；命令行：bdnews deliveries list --state uncertain。",
        )
    which = col(Delivery.id).in_([delivery.id for delivery in found])
    return await _decide(session, clock, which, decision)


async def resolve_all(session: AsyncSession, clock: Clock, dispatch_id: int, decision: str) -> int:
    """Decide all uncertain deliveries of a dispatch. Returns: how many."""
    await find_dispatch(session, dispatch_id)
    return await _decide(session, clock, col(Delivery.dispatch_id) == dispatch_id, decision)


async def _decide(session: AsyncSession, clock: Clock, which: ColumnElement[bool], decision: str) -> int:
    then, now = DECISIONS[decision], clock()
    if then is DeliveryState.PLANNED:
        await _check_may_send(session, which)
    changes: dict[str, object] = {
        "state": then,
        "reason": f"decided:{decision}",
        "due_at": now,
        "updated_at": now,
    }
    if then is DeliveryState.SENT:
        changes["sent_at"] = now
    else:
        changes |= {"mode": "", "called_at": None}
    rows = await session.execute(
        update(Delivery)
        .where(col(Delivery.id).in_(in_order(which, col(Delivery.state) == DeliveryState.UNCERTAIN)))
        .values(**changes)
        .returning(col(Delivery.dispatch_id))
    )
    dispatches = rows.scalars().all()
    await mark_changed(session, set(dispatches))
    return len(dispatches)


async def _check_may_send(session: AsyncSession, which: ColumnElement[bool]) -> None:
    """Raises: StateError: one of them is of a dispatch that is cancelled, and would never go out."""
    cancelled = await session.exec(
        select(Dispatch.id)
        .join(Delivery, col(Delivery.dispatch_id) == col(Dispatch.id))
        .where(
            which,
            col(Delivery.state) == DeliveryState.UNCERTAIN,
            col(Dispatch.state) == DispatchState.CANCELLED,
        )
        .limit(1)
    )
    if (dispatch_id := cancelled.first()) is not None:
        raise StateError(
            Phrase("发送任务 %(id)s 已取消，其中的投递不能重发", id=dispatch_id),
            hint="没有作任何改动。可视为已发（sent）或失败（failed）；要让他们收到，请重新分发这一期。",
        )


def _seen(delivery: Delivery, person: Subscriber, attempt: Attempt | None, mail_domain: str) -> Seen:
    assert delivery.id is not None  # noqa: S101  # read from the database
    return Seen(
        id=delivery.id,
        key=delivery.key,
        dispatch=delivery.dispatch_id,
        channel=delivery.channel,
        state=delivery.state,
        reason=delivery.reason,
        target=(person.email if delivery.channel is Channel.EMAIL else person.openid) or "",
        message_id=f"{delivery.key}.{delivery.dispatch_id}@{mail_domain}",
        attempts=delivery.attempts,
        mode=delivery.mode,
        tried_at=attempt.at if attempt else None,
        code=attempt.code if attempt else "",
        text=attempt.text if attempt else "",
        reference=attempt.reference if attempt else "",
        updated_at=delivery.updated_at,
    )
