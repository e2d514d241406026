"""Recording what readers and their machines do with a delivery.

In: a delivery's key (from a verified token) and what was touched, inside the caller's transaction. Out: a `Hit` as it
came; of a person's first open or click an event; an uncertain delivery that a person has before them becomes sent.
Caller: web, through a group commit. What comes in is hostile: it is classified, bounded, and triggers nothing else.
"""

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.dispatch.models import Delivery
from bdnews_dispatch.dispatch.states import DeliveryState, check_delivery
from bdnews_dispatch.messaging.outbox import record
from bdnews_dispatch.subscribers.models import Subscriber
from bdnews_dispatch.tracking.machines import machine_of
from bdnews_dispatch.tracking.models import Hit, HitKind

#: Hits kept of one delivery; a loop at somebody's end must not fill the disk.
MOST_HITS = 500
_LONGEST_AGENT = 200
_EVENTS = {
    HitKind.OPEN: "delivery.opened",
    HitKind.CLICK: "delivery.clicked",
    HitKind.PAGE_VIEW: "delivery.opened",
}


async def find_delivery(session: AsyncSession, delivery_key: str) -> Delivery | None:
    """The delivery with this random key."""
    return (await session.exec(select(Delivery).where(Delivery.key == delivery_key))).first()


async def record_hit(
    session: AsyncSession,
    clock: Clock,
    delivery_key: str,
    kind: HitKind,
    *,
    link: int | None = None,
    user_agent: str = "",
    machine: str = "",
) -> Delivery | None:
    """Keep a hit.

    Args:
        delivery_key: what the token names.
        link: of a click, its number.
        user_agent: as the request has it.
        machine: a rule that the caller knows it by (`head`, `prefetch`); else the rules are asked.

    Returns:
        The delivery; None: there is none with this key, and nothing was written.
    """
    delivery = await find_delivery(session, delivery_key)
    if delivery is None or delivery.id is None:
        return None
    since = (clock() - delivery.sent_at).total_seconds() if delivery.sent_at is not None else None
    reason = machine or machine_of(user_agent, seconds_after_send=since)
    if kind is HitKind.UNSUBSCRIBE:
        reason = ""  # mail programs post one-click for their users: that is a person's wish
    if not reason:
        _settle(clock, delivery, kind)
    reader = await session.get(Subscriber, delivery.subscriber_id)
    unwanted = reader is not None and reader.no_tracking and kind is not HitKind.UNSUBSCRIBE
    kept = select(func.count()).where(col(Hit.delivery_id) == delivery.id)
    if unwanted or (await session.exec(kept)).one() >= MOST_HITS:
        return delivery
    session.add(
        Hit(
            delivery_id=delivery.id,
            kind=kind,
            link=link,
            machine=reason[:40],
            user_agent=_clean(user_agent),
            at=clock(),
        )
    )
    await session.flush()
    name = _EVENTS.get(kind)
    if name and not reason:
        await record(
            session,
            clock,
            name,
            f"{name}:{delivery.id}",
            delivery_id=delivery.id,
            dispatch_id=delivery.dispatch_id,
        )
    return delivery


def _settle(clock: Clock, delivery: Delivery, kind: HitKind) -> None:
    """Who opens it has it: evidence for a delivery whose answer was lost."""
    if delivery.state is not DeliveryState.UNCERTAIN:
        return
    check_delivery(delivery.state, DeliveryState.SENT)
    delivery.state = DeliveryState.SENT
    delivery.reason = f"evidence.{kind}"
    delivery.sent_at = delivery.sent_at or clock()
    delivery.updated_at = clock()


def _clean(user_agent: str) -> str:
    printable = "".join(character if character.isprintable() else "·" for character in user_agent)
    return printable.encode("utf-8", "replace").decode()[:_LONGEST_AGENT]
