"""The ledger: who has which delivery, and what came of it. Nothing lost, nothing twice.

planned → claimed (worker, epoch, lease) → in_flight (the gate) → what the other side said. The gate and the results go
through group commits. Callers: the worker, and the reconciler for what a dead worker left.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    case,
    exists,
    func,
    insert,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from bdnews_dispatch.channels.outcome import Outcome, OutcomeKind, Remedy
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.db.types import UtcDateTime, metadata
from bdnews_dispatch.dispatch.models import Attempt, Delivery, Dispatch
from bdnews_dispatch.dispatch.retry import next_try
from bdnews_dispatch.dispatch.states import CLAIMABLE, DeliveryState, DispatchState
from bdnews_dispatch.settings import DeliverySettings
from bdnews_dispatch.subscribers.models import Channel, ChannelChoice, Subscription, Suppression

#: A dispatch in one of these may send.
SENDING = (DispatchState.PLANNING, DispatchState.SENDING)


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that this worker holds until its lease ends."""

    delivery_id: int
    epoch: int
    dispatch_id: int
    subscriber_id: int
    channel: Channel
    key: str
    sections: tuple[str, ...]
    attempts: int
    first_tried_at: datetime | None


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a claim. `target`: the address or openid that was tried, for suppression."""

    claim: Claim
    outcome: Outcome
    target: str


class Ledger:
    """Claims, gates and results of one worker."""

    def __init__(self, database: Database, clock: Clock, settings: DeliverySettings, worker: str) -> None:
        """Args: worker: unique to this process and start."""
        self._database = database
        self._clock = clock
        self._settings = settings
        self._lease = timedelta(seconds=settings.lease_seconds)
        self.worker = worker

    async def claim(self, dispatch_id: int, channels: Sequence[Channel], limit: int) -> list[Claim]:
        """Take the next deliveries that are due, oldest first."""
        now = self._clock()
        due = (
            select(col(Delivery.id))
            .where(col(Delivery.dispatch_id) == dispatch_id, col(Delivery.state).in_(CLAIMABLE))
            .where(col(Delivery.due_at) <= now, col(Delivery.channel).in_(channels))
            .where(exists().where(col(Dispatch.id) == dispatch_id, col(Dispatch.state).in_(SENDING)))
            .order_by(col(Delivery.id))
            .limit(limit)
        )
        statement = (
            update(Delivery)
            .where(col(Delivery.id).in_(due))
            .values(
                state=DeliveryState.CLAIMED,
                worker=self.worker,
                epoch=col(Delivery.epoch) + 1,
                lease_until=now + self._lease,
                updated_at=now,
            )
            .returning(
                col(Delivery.id),
                col(Delivery.epoch),
                col(Delivery.dispatch_id),
                col(Delivery.subscriber_id),
                col(Delivery.channel),
                col(Delivery.key),
                col(Delivery.sections),
                col(Delivery.attempts),
                col(Delivery.first_tried_at),
            )
        )
        async with self._database.write() as session:
            rows = (await session.execute(statement)).all()
        claims = [
            Claim(id_, epoch, dispatch, subscriber, channel, key, tuple(sections), attempts, first_tried_at)
            for id_, epoch, dispatch, subscriber, channel, key, sections, attempts, first_tried_at in rows
        ]
        return sorted(claims, key=lambda claim: claim.delivery_id)

    async def apply_gates(self, connection: AsyncConnection, claims: Sequence[Claim]) -> list[bool]:
        """For GroupCommit: claimed → in_flight where the claim still holds and the reader still wants it."""
        now = self._clock()
        held = [(claim.delivery_id, claim.epoch) for claim in claims]
        rows = await connection.execute(
            _GATE, {"held": held, "held_by": self.worker, "now": now, "lease": now + self._lease}
        )
        passed = set(rows.scalars())
        return [claim.delivery_id in passed for claim in claims]

    async def apply_results(self, connection: AsyncConnection, results: Sequence[Result]) -> list[None]:
        """For GroupCommit: store what came of each claim; of one that no longer holds, only the attempt."""
        now = self._clock()
        told, given_back, attempts = [], [], []
        for result in sorted(results, key=lambda result: result.claim.delivery_id):
            state, due_at, counted = self._after(result)
            row = {
                "delivery": result.claim.delivery_id,
                "held_epoch": result.claim.epoch,
                "held_by": self.worker,
                "because": _reason(result.outcome, state),
                "due": due_at,
                "now": now,
            }
            if state is None:
                given_back.append(row)
            else:
                sent = state is DeliveryState.SENT
                row |= {
                    "then": state,
                    "tries": result.claim.attempts + 1,
                    "first_try": result.claim.first_tried_at or now,
                    "sent": now if sent else None,
                    "went_by": result.outcome.mode if sent else "",
                }
                told.append(row)
            if counted:
                attempts.append(self._attempt(result))
            if result.outcome.remedy is Remedy.SUPPRESS:
                await self._suppress(connection, result)
        for statement, rows in ((_RESULT, told), (_GIVE_BACK, given_back), (_ATTEMPT, attempts)):
            if rows:
                await connection.execute(statement, rows)
        return [None] * len(results)

    def _after(self, result: Result) -> tuple[DeliveryState | None, datetime | None, bool]:
        """The state that follows (None: back to where it may be claimed), when it is due, and whether it was a try."""
        now = self._clock()
        outcome = result.outcome
        match outcome.kind:
            case OutcomeKind.ACCEPTED:
                return DeliveryState.SENT, None, True
            case OutcomeKind.REFUSED:
                return DeliveryState.FAILED, None, True
            case OutcomeKind.UNCERTAIN:
                return self._uncertain(), now, True
            case OutcomeKind.DEFERRED:
                first = result.claim.first_tried_at or now
                if now - first >= timedelta(hours=self._settings.retry_limit_hours):
                    return DeliveryState.FAILED, None, True
                due = next_try(
                    now,
                    result.claim.attempts + 1,
                    first_seconds=self._settings.retry_first_seconds,
                    asked_seconds=outcome.retry_after,
                )
                return DeliveryState.DEFERRED, due, True
            case OutcomeKind.UNAVAILABLE:
                return None, now + timedelta(seconds=outcome.retry_after or 0), False
            case OutcomeKind.GATE_CLOSED:
                return None, now, False

    def _uncertain(self) -> DeliveryState:
        return {
            "hold": DeliveryState.UNCERTAIN,
            "resend": DeliveryState.PLANNED,
            "assume_sent": DeliveryState.SENT,
        }[self._settings.uncertain]

    def _attempt(self, result: Result) -> dict[str, object]:
        outcome = result.outcome
        return {
            "delivery_id": result.claim.delivery_id,
            "at": self._clock(),
            "outcome": outcome.kind,
            "code": outcome.code[:64],
            "text": outcome.text[:500],
            "mode": outcome.mode,
            "reference": outcome.reference[:100],
        }

    async def _suppress(self, connection: AsyncConnection, result: Result) -> None:
        channel = result.claim.channel
        target = result.target.casefold() if channel is Channel.EMAIL else result.target
        known = select(col(Suppression.id)).where(
            col(Suppression.channel) == channel, col(Suppression.target) == target
        )
        if (await connection.execute(known)).first() is None:
            reason = f"{result.outcome.mode or channel}:{result.outcome.code}"[:100]
            await connection.execute(
                insert(Suppression).values(
                    channel=channel, target=target, reason=reason, created_at=self._clock()
                )
            )

    async def renew(self, claims: Sequence[Claim]) -> None:
        """Say that these are still held; only what is in this process's memory is ever renewed."""
        if not claims:
            return
        async with self._database.write() as session:
            await session.execute(
                update(Delivery)
                .where(_held(claims), col(Delivery.worker) == self.worker)
                .where(col(Delivery.state).in_((DeliveryState.CLAIMED, DeliveryState.IN_FLIGHT)))
                .values(lease_until=self._clock() + self._lease)
            )

    async def recover(self) -> tuple[int, int]:
        """Take back what a dead worker held: a claim was certainly not delivered, what was in flight may have been.

        Returns:
            How many were given back, and how many became uncertain.
        """
        now = self._clock()
        over = col(Delivery.lease_until) < now
        free = {"worker": None, "lease_until": None, "updated_at": now}
        async with self._database.write() as session:
            back = await session.execute(
                update(Delivery)
                .where(col(Delivery.state) == DeliveryState.CLAIMED, over)
                .values(state=_given_back(), **free)
                .returning(col(Delivery.id))
            )
            unsure = await session.execute(
                update(Delivery)
                .where(col(Delivery.state) == DeliveryState.IN_FLIGHT, over)
                .values(state=self._uncertain(), reason="lease_ended", **free)
                .returning(col(Delivery.id))
            )
            return len(back.all()), len(unsure.all())


def _held(claims: Sequence[Claim]) -> ColumnElement[bool]:
    return tuple_(col(Delivery.id), col(Delivery.epoch)).in_([(c.delivery_id, c.epoch) for c in claims])


def _current_subscription() -> Select[int | None]:
    wanted = case(
        (col(Delivery.channel) == Channel.EMAIL, col(Subscription.channel) != ChannelChoice.WECHAT),
        else_=col(Subscription.channel) != ChannelChoice.EMAIL,
    )
    return (
        select(col(Subscription.id))
        .join(Dispatch, col(Dispatch.publication) == col(Subscription.publication))
        .where(col(Dispatch.id) == col(Delivery.dispatch_id))
        .where(col(Subscription.subscriber_id) == col(Delivery.subscriber_id))
        .where(col(Subscription.ended_at).is_(None), wanted)
        .correlate(Delivery)
    )


def _still_wanted() -> ColumnElement[bool]:
    sending = exists().where(col(Dispatch.id) == col(Delivery.dispatch_id), col(Dispatch.state).in_(SENDING))
    return and_(_current_subscription().exists(), sending)


def _given_back() -> object:
    """Where a delivery goes whose claim ended without a try: it may be claimed again, or it is over."""
    cancelled = exists().where(
        col(Dispatch.id) == col(Delivery.dispatch_id), col(Dispatch.state) == DispatchState.CANCELLED
    )
    return case(
        (or_(cancelled, ~_current_subscription().exists()), DeliveryState.CANCELLED.value),
        else_=DeliveryState.PLANNED.value,
    )


def _reason(outcome: Outcome, state: DeliveryState | None) -> str:
    kinds: dict[OutcomeKind, Literal["", "not_wanted", "lost_answer"]] = {
        OutcomeKind.ACCEPTED: "",
        OutcomeKind.GATE_CLOSED: "not_wanted",
        OutcomeKind.UNCERTAIN: "lost_answer",
    }
    reason = kinds.get(outcome.kind)
    if reason is not None:
        return reason
    limit = "retry_limit:" if outcome.kind is OutcomeKind.DEFERRED and state is DeliveryState.FAILED else ""
    return f"{limit}{outcome.code}"[:100]


# The hot path's statements, built once: building and caching one for each group would cost more than running it.
_table: Any = metadata.tables["delivery"]

_GATE = (
    update(_table)
    .where(tuple_(_table.c.id, _table.c.epoch).in_(bindparam("held", expanding=True)))
    .where(_table.c.state == DeliveryState.CLAIMED, _table.c.worker == bindparam("held_by"), _still_wanted())
    .values(state=DeliveryState.IN_FLIGHT, lease_until=bindparam("lease"), updated_at=bindparam("now"))
    .returning(_table.c.id)
)
_THIS_CLAIM = and_(
    _table.c.id == bindparam("delivery"),
    _table.c.epoch == bindparam("held_epoch"),
    _table.c.worker == bindparam("held_by"),
    or_(*(_table.c.state == state for state in (DeliveryState.CLAIMED, DeliveryState.IN_FLIGHT))),
)
_FREE: dict[str, Any] = {
    "reason": bindparam("because"),
    "worker": None,
    "lease_until": None,
    "updated_at": bindparam("now"),
    "due_at": func.coalesce(bindparam("due", type_=UtcDateTime), _table.c.due_at),
}
_RESULT = (
    update(_table)
    .where(_THIS_CLAIM)
    .values(
        state=bindparam("then"),
        attempts=bindparam("tries"),
        first_tried_at=bindparam("first_try"),
        sent_at=bindparam("sent"),
        mode=bindparam("went_by"),
        **_FREE,
    )
)
_GIVE_BACK = update(_table).where(_THIS_CLAIM).values(state=_given_back(), **_FREE)
_ATTEMPT = insert(Attempt)
