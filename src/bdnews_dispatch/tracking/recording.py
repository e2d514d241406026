"""Recording what readers and their machines do with deliveries.

In: a delivery's key (from a verified token) and what was touched, inside the caller's transaction. Out: a `Hit` as it
came; of a person's first open or click an event; an uncertain delivery that a person has before them becomes sent.
Caller: web, through a group commit. What comes in is hostile: it is classified, bounded, and triggers nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import event, func, insert, literal_column, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.dispatch.models import Delivery
from bdnews_dispatch.dispatch.states import DeliveryState, check_delivery
from bdnews_dispatch.messaging.outbox import record
from bdnews_dispatch.subscribers.models import Subscriber
from bdnews_dispatch.telemetry import metrics
from bdnews_dispatch.tracking.machines import machine_of
from bdnews_dispatch.tracking.models import Hit, HitKind

#: Hits kept of one delivery; a loop at somebody's end must not fill the disk.
MOST_HITS = 500
_LONGEST_AGENT = 200
_EVENTS = {
    HitKind.OPEN: "delivery.opened",
    HitKind.PAGE_VIEW: "delivery.opened",
    HitKind.CLICK: "delivery.clicked",
}


@dataclass(frozen=True, slots=True)
class Touch:
    """What a request touched.

    Attributes:
        key: of the delivery, as the token names it.
        link: of a click, its number.
        user_agent: as the request has it.
        machine: a rule that the caller knows it by (`head`, `prefetch`); empty: the rules are asked.
    """

    key: str
    kind: HitKind
    link: int | None = None
    user_agent: str = ""
    machine: str = ""


@dataclass(slots=True)
class _Touched:
    """What is known of a delivery while its touches are recorded. `told`: the events that it has had."""

    id: int
    dispatch_id: int
    state: DeliveryState
    sent_at: datetime | None
    no_tracking: bool
    hits: int
    told: set[str]
    evidence: HitKind | None = None


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
    """Keep one hit; the arguments are a `Touch`'s.

    Returns:
        The delivery; None: there is none with this key, and nothing was written.
    """
    known = await record_hits(session, clock, [Touch(delivery_key, kind, link, user_agent, machine)])
    if not known[0]:
        return None
    delivery = await find_delivery(session, delivery_key)
    if delivery is not None:
        await session.refresh(delivery)
    return delivery


async def record_hits(session: AsyncSession, clock: Clock, touches: Sequence[Touch]) -> list[bool]:
    """Keep hits, many in a few statements.

    Returns:
        For each touch, in their order: whether there is such a delivery.
    """
    found = await _touched(session, {touch.key for touch in touches})
    now = clock()
    rows: list[dict[str, Any]] = []
    events: list[tuple[str, _Touched]] = []
    for touch in touches:
        delivery = found.get(touch.key)
        if delivery is None:
            continue
        machine = _machine(touch, delivery, now)
        if not machine:
            delivery.evidence = touch.kind
        unwanted = delivery.no_tracking and touch.kind is not HitKind.UNSUBSCRIBE
        if unwanted or delivery.hits >= MOST_HITS:
            continue
        delivery.hits += 1
        rows.append(_row(touch, delivery, machine, now))
        name = _EVENTS.get(touch.kind)
        if name and not machine and name not in delivery.told:
            delivery.told.add(name)
            events.append((name, delivery))
    if rows:
        await (await session.connection()).execute(insert(Hit), rows)
        kinds = [(row["kind"], row["machine"]) for row in rows]
        event.listen(session.sync_session, "after_commit", lambda _: metrics.hits_stored(kinds), once=True)
    for name, delivery in events:
        key = f"{name}:{delivery.id}"
        await record(session, clock, name, key, delivery_id=delivery.id, dispatch_id=delivery.dispatch_id)
    for delivery in found.values():
        if delivery.evidence is not None and delivery.state is DeliveryState.UNCERTAIN:
            await _settle(session, delivery, delivery.evidence, now)
    return [touch.key in found for touch in touches]


def _machine(touch: Touch, delivery: _Touched, now: datetime) -> str:
    if touch.kind is HitKind.UNSUBSCRIBE:
        return ""  # mail programs post one-click for their users: that is a person's wish
    since = (now - delivery.sent_at).total_seconds() if delivery.sent_at is not None else None
    return touch.machine or machine_of(touch.user_agent, seconds_after_send=since)


def _row(touch: Touch, delivery: _Touched, machine: str, now: datetime) -> dict[str, Any]:
    return {
        "delivery_id": delivery.id,
        "kind": touch.kind,
        "link": touch.link,
        "machine": machine[:40],
        "user_agent": _clean(touch.user_agent),
        "at": now,
    }


async def _touched(session: AsyncSession, keys: set[str]) -> Mapping[str, _Touched]:
    deliveries = (
        select(
            col(Delivery.key),
            col(Delivery.id),
            col(Delivery.dispatch_id),
            col(Delivery.state),
            col(Delivery.sent_at),
            col(Subscriber.no_tracking),
        )  # type: ignore[call-overload]  # SQLModel types at most four columns
        .join(Subscriber, col(Subscriber.id) == col(Delivery.subscriber_id))
        .where(col(Delivery.key).in_(keys))
    )
    found = {
        row.key: _Touched(row.id, row.dispatch_id, row.state, row.sent_at, row.no_tracking, 0, set())
        for row in (await session.execute(deliveries)).all()
    }
    by_id = {delivery.id: delivery for delivery in found.values()}
    by_a_person = (col(Hit.machine) == literal_column("''")).label(
        "by_a_person"
    )  # one expression, not two values
    earlier = (
        select(col(Hit.delivery_id), col(Hit.kind), by_a_person, func.count())
        .where(col(Hit.delivery_id).in_(list(by_id)))
        .group_by(col(Hit.delivery_id), col(Hit.kind), by_a_person)
    )
    for delivery_id, kind, by_person, count in (await session.execute(earlier)).all():
        by_id[delivery_id].hits += count
        if by_person and kind in _EVENTS:
            by_id[delivery_id].told.add(_EVENTS[kind])
    return found


async def _settle(session: AsyncSession, delivery: _Touched, kind: HitKind, now: datetime) -> None:
    """Who opens it has it: evidence for a delivery whose answer was lost."""
    check_delivery(delivery.state, DeliveryState.SENT)
    await session.execute(
        update(Delivery)
        .where(col(Delivery.id) == delivery.id, col(Delivery.state) == DeliveryState.UNCERTAIN)
        .values(
            state=DeliveryState.SENT,
            reason=f"evidence.{kind}",
            sent_at=delivery.sent_at or now,
            updated_at=now,
        )
        .execution_options(synchronize_session=False)
    )


def _clean(user_agent: str) -> str:
    printable = "".join(character if character.isprintable() else "·" for character in user_agent)
    return printable.encode("utf-8", "replace").decode()[:_LONGEST_AGENT]
