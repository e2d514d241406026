"""The rows of mass sends: members through the gate in one statement, results for all of them at once.

In: a session, deliveries that wait. Out: rows of `mass_send` and `delivery`, quotas taken and given back. Caller:
job.py. `Database.write` makes one worker decide at a time, so a set is never divided between two.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, exists, func, literal, or_, text, update
from sqlalchemy import insert as plain_insert
from sqlalchemy import select as sa_select
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.channels.outcome import Outcome, OutcomeKind
from bdnews_dispatch.channels.wechat.channel import MASS_ASIDE, MASS_ASIDE_SECONDS
from bdnews_dispatch.db.types import UtcDateTime
from bdnews_dispatch.dispatch.control import in_order
from bdnews_dispatch.dispatch.ledger import SENDING
from bdnews_dispatch.dispatch.mass.models import MassSend, MassState, members_of, worker_of
from bdnews_dispatch.dispatch.mass.quotas import give_back_to_members, spend_of_members, used_of
from bdnews_dispatch.dispatch.models import DUE, HELD, Attempt, Delivery, Dispatch
from bdnews_dispatch.dispatch.states import DeliveryState, DispatchState
from bdnews_dispatch.settings import WeChatSettings
from bdnews_dispatch.subscribers.models import Channel, ChannelChoice, Subscriber, Subscription, Suppression

#: Whose call is not back after this is called again by whoever finds it; more than the time-out of a call.
LEASE = timedelta(seconds=60)
#: The platform knows a clientmsgid for 24 hours (Batch_Sends_and_Originality_Checks.html); its clock may not be ours.
SAME_ID_HOLDS = timedelta(hours=23)
#: Members that wait for their set again are not due to the card lane meanwhile.
_ASIDE = timedelta(seconds=MASS_ASIDE_SECONDS)
#: Another state of a card keeps the mass message waiting: it may still need it.
_SOON = timedelta(seconds=60)


def aside(dispatch_id: int) -> ColumnElement[bool]:
    """Deliveries that wait for the mass message."""
    return and_(
        _cards(dispatch_id),
        text(f"delivery.{DUE}"),
        col(Delivery.state) == DeliveryState.DEFERRED,
        col(Delivery.reason) == MASS_ASIDE,
    )


def _cards(dispatch_id: int) -> ColumnElement[bool]:
    return and_(col(Delivery.dispatch_id) == dispatch_id, col(Delivery.channel) == Channel.WECHAT)


async def is_ready(session: AsyncSession, dispatch_id: int, now: datetime) -> bool:
    """Somebody waits, nobody else of the dispatch may still come, and the platform has not asked to wait."""
    if (await session.exec(select(Delivery.id).where(aside(dispatch_id)).limit(1))).first() is None:
        return False
    another_way = and_(col(Delivery.reason) != MASS_ASIDE, col(Delivery.due_at) <= now + _SOON)
    to_be_claimed = select(Delivery.id).where(
        _cards(dispatch_id),
        text(f"delivery.{DUE}"),
        or_(col(Delivery.state) == DeliveryState.PLANNED, another_way),
    )
    if (await session.exec(to_be_claimed.limit(1))).first() is not None:
        return False
    # Of all dispatches: what is held is little. By this one SQLite would go through all its deliveries.
    held = select(Delivery.dispatch_id).where(
        text(f"delivery.{HELD}"),
        col(Delivery.channel) == Channel.WECHAT,
        or_(col(Delivery.worker).is_(None), col(Delivery.worker).not_like("mass-%")),
    )
    if dispatch_id in (await session.exec(held)).all():
        return False
    waits = select(MassSend.id).where(
        MassSend.dispatch_id == dispatch_id, MassSend.state == MassState.REFUSED, MassSend.due_at > now
    )
    return (await session.exec(waits.limit(1))).first() is None


async def unfinished(session: AsyncSession, now: datetime) -> list[MassSend]:
    """Sends that somebody left: their worker died, or the answer was lost. While a dispatch is paused no call of it is
    made again.
    """
    goes_on = exists().where(
        col(Dispatch.id) == col(MassSend.dispatch_id), col(Dispatch.state) != DispatchState.PAUSED
    )
    found = await session.exec(
        select(MassSend).where(
            MassSend.state == MassState.READY,
            MassSend.due_at <= now,
            MassSend.lease_until <= now,
            or_(goes_on, col(MassSend.tries) == 0),
        )
    )
    return list(found)


def why_not_again(send: MassSend, dispatch: DispatchState, now: datetime) -> str:
    """Why a call whose answer was lost must not be made again; "": it may."""
    if dispatch is DispatchState.CANCELLED:
        return "发送任务已取消"
    if now - send.created_at > SAME_ID_HOLDS:
        return "平台只在 24 小时内认得这次群发"
    return ""


async def waiting_of(session: AsyncSession, dispatch: Dispatch) -> list[tuple[int, list[str], str, bool]]:
    """Who waits: delivery, sections, openid, and whether a mail can take its place."""
    suppressed = exists().where(
        col(Suppression.channel) == Channel.EMAIL, col(Suppression.target) == col(Subscriber.email_key)
    )
    takes_mail = exists().where(
        col(Subscription.subscriber_id) == col(Subscriber.id),
        col(Subscription.publication) == dispatch.publication,
        col(Subscription.ended_at).is_(None),
        col(Subscription.channel).in_((ChannelChoice.BOTH, ChannelChoice.EITHER)),
    )
    assert dispatch.id is not None  # noqa: S101  # read from the database
    has_mail = and_(col(Subscriber.email).is_not(None), takes_mail, ~suppressed)
    rows = await session.execute(
        sa_select(col(Delivery.id), col(Delivery.sections), col(Subscriber.openid), has_mail)
        .join(Subscriber, col(Subscriber.id) == col(Delivery.subscriber_id))
        .where(aside(dispatch.id), col(Subscriber.openid).is_not(None))
        .order_by(col(Delivery.id))
    )
    return [(id_, list(sections), str(openid), bool(mail)) for id_, sections, openid, mail in rows]


async def put_back(
    session: AsyncSession, now: datetime, ids: Collection[int], reason: str, due_at: datetime
) -> None:
    """To the card lane, which looks again by which modes they may go. Args: reason: of those in chances.py."""
    await session.execute(
        update(Delivery)
        .where(col(Delivery.id).in_(ids), col(Delivery.state) == DeliveryState.DEFERRED)
        .values(reason=reason, due_at=due_at, updated_at=now)
        .execution_options(synchronize_session=False)
    )


async def pass_gate(session: AsyncSession, now: datetime, send: MassSend, ids: Sequence[int]) -> int:
    """All members at once: those that still wait, whose dispatch may send, and who still want it. Returns: how many."""
    assert send.id is not None  # noqa: S101  # flushed
    wanted = exists().where(
        col(Dispatch.id) == send.dispatch_id,
        col(Dispatch.state).in_(SENDING),
        col(Subscription.publication) == col(Dispatch.publication),
        col(Subscription.subscriber_id) == col(Delivery.subscriber_id),
        col(Subscription.ended_at).is_(None),
        col(Subscription.channel) != ChannelChoice.EMAIL,
        or_(col(Subscription.paused_until).is_(None), col(Subscription.paused_until) <= now),
    )
    passed = await session.execute(
        update(Delivery)
        .where(col(Delivery.id).in_(in_order(col(Delivery.id).in_(ids), aside(send.dispatch_id), wanted)))
        .values(
            state=DeliveryState.IN_FLIGHT,
            mode="mass",
            epoch=col(Delivery.epoch) + 1,
            worker=worker_of(send.id),
            lease_until=None,
            updated_at=now,
        )
        .returning(col(Delivery.id))
        .execution_options(synchronize_session=False)
    )
    return len(passed.all())


async def leave_out(
    session: AsyncSession, account: WeChatSettings, now: datetime, send: MassSend
) -> list[int]:
    """Members who have had their messages of this month are none. Returns: their deliveries, which wait again."""
    spent = await session.execute(
        sa_select(col(Delivery.id))
        .join(Subscriber, col(Subscriber.id) == col(Delivery.subscriber_id))
        .where(*members_of(send), func.coalesce(used_of(account, now), 0) >= account.masses_a_month)
    )
    without = list(spent.scalars())
    if without:
        await _back_to_deferred(session, now, send, MASS_ASIDE, now, only=without)
    return without


async def openids_of(session: AsyncSession, send: MassSend) -> list[str]:
    """The members, as they are called now."""
    rows = await session.execute(
        sa_select(col(Subscriber.openid))
        .join(Delivery, col(Subscriber.id) == col(Delivery.subscriber_id))
        .where(*members_of(send), col(Subscriber.openid).is_not(None))
        .order_by(col(Delivery.id))
    )
    return [str(openid) for openid in rows.scalars()]


async def accept(session: AsyncSession, now: datetime, send: MassSend, outcome: Outcome) -> None:
    """The platform has it: the members are sent."""
    await _attempts(session, now, send, outcome)
    await session.execute(
        update(Delivery)
        .where(*members_of(send))
        .values(
            state=DeliveryState.SENT,
            reason="",
            worker=None,
            attempts=col(Delivery.attempts) + 1,
            first_tried_at=func.coalesce(col(Delivery.first_tried_at), now),
            sent_at=now,
            updated_at=now,
        )
        .execution_options(synchronize_session=False)
    )
    send.state, send.msg_id, send.outcome = MassState.SENT, outcome.reference or None, outcome.code
    session.add(send)


async def await_person(session: AsyncSession, now: datetime, send: MassSend, outcome: Outcome) -> None:
    """The platform sends it once an admin has confirmed, or never: its members are in doubt, and nobody sends again."""
    await _attempts(session, now, send, outcome)
    await session.execute(
        update(Delivery)
        .where(*members_of(send))
        .values(
            state=DeliveryState.UNCERTAIN,
            reason=outcome.code,
            worker=None,
            attempts=col(Delivery.attempts) + 1,
            first_tried_at=func.coalesce(col(Delivery.first_tried_at), now),
            updated_at=now,
        )
        .execution_options(synchronize_session=False)
    )
    send.state, send.outcome = MassState.AWAITED, outcome.code
    session.add(send)


async def refuse(
    session: AsyncSession,
    account: WeChatSettings,
    now: datetime,
    send: MassSend,
    outcome: Outcome,
    *,
    reason: str,
    due_at: datetime,
    spent: bool = False,
) -> None:
    """The platform has certainly not taken it: the members go back.

    Args:
        reason: of the members.
        due_at: before then no send of the dispatch is made.
        spent: the platform says that they have had their messages of this month: our ledger believes it.
    """
    await _attempts(session, now, send, outcome)
    if spent:
        await spend_of_members(session, account, send)
    else:
        await give_back_to_members(session, send)
    members_due = max(due_at, now + _ASIDE) if reason == MASS_ASIDE and not spent else due_at
    await _back_to_deferred(session, now, send, reason, members_due, tried=True)
    send.state, send.outcome, send.due_at = MassState.REFUSED, outcome.code[:100], due_at
    session.add(send)


async def take_apart(session: AsyncSession, now: datetime, send: MassSend) -> None:
    """No call was ever made: the members wait again as if they had never passed the gate."""
    await give_back_to_members(session, send)
    await _back_to_deferred(session, now, send, MASS_ASIDE, now + _ASIDE)
    send.state, send.outcome, send.due_at = MassState.REFUSED, "wechat.not_called", now
    session.add(send)


async def _back_to_deferred(
    session: AsyncSession,
    now: datetime,
    send: MassSend,
    reason: str,
    due_at: datetime,
    *,
    only: Collection[int] | None = None,
    tried: bool = False,
) -> None:
    which = [*members_of(send)] if only is None else [*members_of(send), col(Delivery.id).in_(only)]
    await session.execute(
        update(Delivery)
        .where(*which)
        .values(
            state=DeliveryState.DEFERRED,
            mode="",
            reason=reason,
            worker=None,
            due_at=due_at,
            attempts=col(Delivery.attempts) + (1 if tried else 0),
            updated_at=now,
        )
        .execution_options(synchronize_session=False)
    )


async def _attempts(session: AsyncSession, now: datetime, send: MassSend, outcome: Outcome) -> None:
    final = {OutcomeKind.ACCEPTED, OutcomeKind.UNCERTAIN}
    kind = outcome.kind if outcome.kind in final else OutcomeKind.REFUSED
    told = [kind.value, outcome.code[:64], outcome.text[:500], "mass", outcome.reference[:100]]
    rows = sa_select(
        col(Delivery.id),
        literal(now, type_=UtcDateTime()),
        *map(literal, told),
    ).where(*members_of(send))
    names = ["delivery_id", "at", "outcome", "code", "text", "mode", "reference"]
    await session.execute(plain_insert(Attempt).from_select(names, rows))
