"""Recording what readers and their machines do with deliveries.

In: a delivery's key (from a verified token) and what was touched, inside the caller's transaction. Out: a `Hit` as it
came; of a person's first open or click an event; an uncertain delivery that a person has before them becomes sent.
Caller: web, through a group commit. What comes in is hostile: it is classified, bounded, and triggers nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import event, func, insert, literal_column, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.dispatch.changes import mark_changed
from bdnews_dispatch.dispatch.models import Delivery
from bdnews_dispatch.dispatch.states import DeliveryState, check_delivery
from bdnews_dispatch.messaging.outbox import record
from bdnews_dispatch.subscribers.models import Subscriber
from bdnews_dispatch.telemetry import metrics
from bdnews_dispatch.tracking.machines import Trace, family_of, the_machines
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
        user_agent, method, announced, network: of the request; see `machines.Trace`.
    """

    key: str
    kind: HitKind
    link: int | None = None
    user_agent: str = ""
    method: str = "GET"
    announced: bool = False
    network: str = ""

    def trace(self, sent_at: datetime | None, now: datetime) -> Trace:
        """What it tells of who made it."""
        seconds = (now - sent_at).total_seconds() if sent_at is not None else None
        agent = clean_agent(self.user_agent)
        return Trace(self.kind, agent, self.method[:8], self.announced, self.network, seconds)


@dataclass(slots=True)
class _Touched:
    """What is known of a delivery while its touches are recorded. `told`: the events that it has had."""

    id: int
    dispatch_id: int
    subscriber_id: int
    state: DeliveryState
    sent_at: datetime | None
    no_tracking: bool
    hits: int
    told: set[str]
    evidence: HitKind | None = None


async def find_delivery(session: AsyncSession, delivery_key: str) -> Delivery | None:
    """The delivery with this random key."""
    return (await session.exec(select(Delivery).where(Delivery.key == delivery_key))).first()


class Stored(StrEnum):
    """What became of a touch."""

    #: There is no such delivery.
    UNKNOWN = "unknown"
    KEPT = "kept"
    #: As kept, and an event tells of it.
    TOLD = "told"


async def record_hits(session: AsyncSession, clock: Clock, touches: Sequence[Touch]) -> list[Stored]:
    """Keep hits, many in a few statements.

    Returns:
        What became of each, in their order.
    """
    found = await _touched(session, {touch.key for touch in touches})
    now = clock()
    rows: list[dict[str, Any]] = []
    events: list[tuple[str, _Touched]] = []
    stored: list[Stored] = []
    for touch in touches:
        delivery = found.get(touch.key)
        stored.append(Stored.UNKNOWN if delivery is None else Stored.KEPT)
        if delivery is None:
            continue
        trace = touch.trace(delivery.sent_at, now)
        # Mail programs post one-click for their users: that is a person's wish.
        machine = "" if touch.kind is HitKind.UNSUBSCRIBE else the_machines().reason(trace)
        if not machine:
            delivery.evidence = touch.kind
        unwanted = delivery.no_tracking and touch.kind is not HitKind.UNSUBSCRIBE
        if unwanted or delivery.hits >= MOST_HITS:
            continue
        delivery.hits += 1
        rows.append(_row(touch, trace, delivery, machine, now))
        name = _EVENTS.get(touch.kind)
        if name and not machine and name not in delivery.told:
            delivery.told.add(name)
            events.append((name, delivery))
            stored[-1] = Stored.TOLD
    if rows:
        await (await session.connection()).execute(insert(Hit), rows)
        kinds = [(row["kind"], row["machine"]) for row in rows]
        event.listen(session.sync_session, "after_commit", lambda _: metrics.hits_stored(kinds), once=True)
    if events:
        await session.execute(
            update(Subscriber)
            .where(col(Subscriber.id).in_(sorted({delivery.subscriber_id for _, delivery in events})))
            .values(last_opened_at=now)
            .execution_options(synchronize_session=False)
        )
    for name, delivery in events:
        key = f"{name}:{delivery.id}"
        await record(session, clock, name, key, delivery_id=delivery.id, dispatch_id=delivery.dispatch_id)
    for delivery in found.values():
        if delivery.evidence is not None and delivery.state is DeliveryState.UNCERTAIN:
            await _settle(session, delivery, delivery.evidence, now)
    await mark_changed(session, {delivery.dispatch_id for delivery in found.values()})
    return stored


def _row(touch: Touch, trace: Trace, delivery: _Touched, machine: str, now: datetime) -> dict[str, Any]:
    return {
        "delivery_id": delivery.id,
        "kind": touch.kind,
        "link": touch.link,
        "machine": machine,
        "user_agent": trace.agent,
        "family": family_of(trace.agent),
        "method": trace.method,
        "announced": trace.announced,
        "network": trace.network,
        "seconds": trace.seconds,
        "at": now,
    }


async def _touched(session: AsyncSession, keys: set[str]) -> Mapping[str, _Touched]:
    deliveries = (
        select(
            col(Delivery.key),
            col(Delivery.id),
            col(Delivery.dispatch_id),
            col(Delivery.subscriber_id),
            col(Delivery.state),
            col(Delivery.sent_at),
            col(Subscriber.no_tracking),
        )  # type: ignore[call-overload]  # SQLModel types at most four columns
        .join(Subscriber, col(Subscriber.id) == col(Delivery.subscriber_id))
        .where(col(Delivery.key).in_(keys))
    )
    found = {
        row.key: _Touched(
            row.id, row.dispatch_id, row.subscriber_id, row.state, row.sent_at, row.no_tracking, 0, set()
        )
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


def clean_agent(user_agent: str) -> str:
    """As it is kept: printable, of bounded length."""
    printable = "".join(character if character.isprintable() else "·" for character in user_agent)
    return printable.encode("utf-8", "replace").decode()[:_LONGEST_AGENT]
