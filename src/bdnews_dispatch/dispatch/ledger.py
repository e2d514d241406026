"""The ledger: who has which delivery, and what came of it. Nothing lost, nothing twice.

planned → claimed (worker, epoch, lease) → in_flight (the gate) → what the other side said. Gates and results go through
one writer in group commits, ordered by id: whatever is asked or told while a commit runs shares the next one. Callers:
sending, and the reconciler for what a dead worker left.
"""

import asyncio
import json
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from types import TracebackType
from typing import Any, NamedTuple, Self

from bdnews_dispatch.channels.outcome import Outcome, OutcomeKind, Remedy
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.direct import DirectWriter, read_moment, stored
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.dispatch import ledger_sql as sql
from bdnews_dispatch.dispatch.retry import next_try
from bdnews_dispatch.dispatch.states import DeliveryState, DispatchState
from bdnews_dispatch.errors import StorageError
from bdnews_dispatch.settings import DeliverySettings
from bdnews_dispatch.subscribers.audience import Person, people_by
from bdnews_dispatch.subscribers.models import Channel
from bdnews_dispatch.telemetry import metrics, traces

logger = logging.getLogger(__name__)

#: A dispatch in one of these may send.
SENDING = (DispatchState.PLANNING, DispatchState.SENDING)
#: Between two tries to write an outcome that is known; it is written until it is stored.
STORE_AGAIN_SECONDS = 1.0
#: Rows in one transaction, so that none holds the writer's lock for long.
ROWS_AT_ONCE = 500
#: A commit costs as much for one gate as for ten: it waits for this share of the lanes, but never longer than this.
#: Measured with 10 lanes: up to a tenth more mails a second than without; the share itself hardly matters.
COMPANY = 0.8
COMPANY_SECONDS = 0.001


class Claim(NamedTuple):
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


class Result(NamedTuple):
    """What came of a claim. `target`: the address or openid that was tried, for suppression."""

    claim: Claim
    outcome: Outcome
    target: str


@dataclass(frozen=True, slots=True)
class _After:
    """The row that follows from an outcome."""

    state: DeliveryState
    reason: str
    due_at: datetime | None


class Ledger:
    """Claims, gates and results of one worker. Used as `async with`.

    Attributes:
        on_idle: set it to be told when everything that was claimed is recorded.
    """

    def __init__(
        self, database: Database, clock: Clock, settings: DeliverySettings, worker: str, *, lanes: int
    ) -> None:
        """Args:
        worker: unique to this process and start.
        lanes: how many may stand at the gate at the same time.
        """
        self.worker = worker
        self._clock = clock
        self._settings = settings
        self._lease = timedelta(seconds=settings.lease_seconds)
        self.on_idle: Callable[[], None] = lambda: None
        self._writer = DirectWriter(database)
        self._held: dict[int, Claim] = {}
        self._gates: list[tuple[Claim, asyncio.Future[bool]]] = []
        self._results: list[Result] = []
        self._something = asyncio.Event()
        self._enough = asyncio.Event()
        self._company = max(1, round(lanes * COMPANY))
        self._all_stored = asyncio.Event()
        self._all_stored.set()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self._writer.__aenter__()
        self._tasks = [
            asyncio.create_task(self._commit_groups(), name="ledger-commits"),
            asyncio.create_task(self._renew_leases(), name="ledger-leases"),
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._all_stored.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._writer.__aexit__(kind, error, traceback)

    async def claim(
        self, dispatch_id: int, channel: Channel, limit: int, *, publication: str
    ) -> tuple[list[Claim], dict[int, Person]]:
        """Take the next deliveries of a channel that are due, oldest first.

        Returns:
            The claims, and the people they are for, by subscriber id, as they are at this moment.

        Raises:
            StorageError: the database can't be written; nothing is claimed.
        """
        now = self._clock()
        values = {
            "dispatch": dispatch_id,
            "channel": channel.value,
            "now": stored(now),
            "lease": stored(now + self._lease),
            "worker": self.worker,
            "limit": limit,
        }

        def work(cursor: sqlite3.Cursor) -> tuple[list[Any], dict[int, Person]]:
            rows = cursor.execute(sql.CLAIM, values).fetchall()
            return rows, people_by(cursor, [row[2] for row in rows], publication=publication) if rows else {}

        rows, people = await self._writer.run(work)
        claims = sorted(
            Claim(
                id_,
                epoch,
                dispatch_id,
                subscriber,
                channel,
                key,
                _sections(sections),
                attempts,
                read_moment(tried),
            )
            for id_, epoch, subscriber, key, sections, attempts, tried in rows
        )
        self._held.update((claim.delivery_id, claim) for claim in claims)
        return claims, people

    async def gate(self, claim: Claim) -> bool:
        """Claimed → in_flight, where the claim still holds, the dispatch may send and the reader still wants it.

        Returns:
            Whether the last step may be made. True is on disk.

        Raises:
            StorageError: it could not be written: the last step must not be made.
        """
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._gates.append((claim, answer))
        self._something.set()
        if len(self._gates) >= self._company:
            self._enough.set()
        return await answer

    def record(self, result: Result) -> None:
        """Store what came of a claim; it is kept in memory and tried again until it is stored."""
        self._results.append(result)
        self._all_stored.clear()
        self._something.set()

    async def _commit_groups(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            await self._all_who_come_now()
            gates, self._gates = sorted(self._gates[:ROWS_AT_ONCE]), self._gates[ROWS_AT_ONCE:]
            results = sorted(self._results[:ROWS_AT_ONCE])
            began = time.perf_counter()
            try:
                work = self._writer.run(lambda cursor: self._apply(cursor, results, gates))  # noqa: B023  # run now
                passed = await traces.within("commit", work, gates=len(gates), results=len(results))
            except Exception as error:  # noqa: BLE001  # told to who asked; what is known is kept
                for _, answer in gates:
                    if not answer.done():
                        answer.set_exception(error)
                log = logger.warning if isinstance(error, StorageError) else logger.exception
                log("ledger.commit_failed", extra={"error": str(error), "kept": len(self._results)})
                self._something.set()
                await asyncio.sleep(STORE_AGAIN_SECONDS)
                continue
            metrics.commit_group(time.perf_counter() - began, len(gates) + len(results))
            for (_, answer), may in zip(gates, passed, strict=True):
                if not answer.done():
                    answer.set_result(may)
            if results:
                del self._results[: len(results)]
                for result in results:
                    self._held.pop(result.claim.delivery_id, None)
            if self._results or self._gates:
                self._something.set()
            if not self._results:
                self._all_stored.set()
            if results and not self._held:
                self.on_idle()

    async def _all_who_come_now(self) -> None:
        """Wait a moment for company."""
        if len(self._gates) >= self._company:
            return
        self._enough.clear()
        timer = asyncio.get_running_loop().call_later(COMPANY_SECONDS, self._enough.set)
        await self._enough.wait()
        timer.cancel()

    def _apply(
        self,
        cursor: sqlite3.Cursor,
        results: Sequence[Result],
        gates: Sequence[tuple[Claim, asyncio.Future[bool]]],
    ) -> list[bool]:
        now = self._clock()
        moment = stored(now)
        if results:
            self._write_results(cursor, results, now)
        passed = []
        for claim, _ in gates:
            cursor.execute(
                sql.GATES[claim.channel],
                (moment, claim.delivery_id, claim.epoch, self.worker),
            )
            passed.append(cursor.rowcount == 1)
        return passed

    def _write_results(self, cursor: sqlite3.Cursor, results: Sequence[Result], now: datetime) -> None:
        moment = stored(now)
        accepted, other, given_back, attempts = [], [], [], []
        for claim, outcome, target in results:
            if outcome.kind is OutcomeKind.ACCEPTED:
                accepted.append(
                    (outcome.mode, moment, moment, moment, claim.delivery_id, claim.epoch, self.worker)
                )
                attempts.append(_attempt(claim, outcome, moment))
                continue
            held = {"id": claim.delivery_id, "epoch": claim.epoch, "worker": self.worker, "now": moment}
            if outcome.kind in (OutcomeKind.UNAVAILABLE, OutcomeKind.GATE_CLOSED):
                due = now + timedelta(seconds=outcome.retry_after or 0)
                reason = "not_wanted" if outcome.kind is OutcomeKind.GATE_CLOSED else outcome.code[:100]
                given_back.append(held | {"reason": reason, "due": stored(due)})
                continue
            after = self._after(claim, outcome, now)
            other.append(
                held
                | {
                    "state": after.state.value,
                    "reason": after.reason,
                    "due": stored(after.due_at),
                    "mode": outcome.mode if after.state is DeliveryState.SENT else "",
                    "sent": moment if after.state is DeliveryState.SENT else None,
                }
            )
            attempts.append(_attempt(claim, outcome, moment))
            if outcome.remedy is Remedy.SUPPRESS:
                reason = f"{outcome.mode or claim.channel.value}:{outcome.code}"[:100]
                folded = target.casefold() if claim.channel is Channel.EMAIL else target
                cursor.execute(sql.SUPPRESS, (claim.channel.value, folded, _storable(reason), moment))
        for statement, rows in (
            (sql.ACCEPTED, accepted),
            (sql.OTHER_RESULT, other),
            (sql.GIVE_BACK, given_back),
            (sql.ATTEMPT, attempts),
        ):
            if rows:
                cursor.executemany(statement, rows)

    def _after(self, claim: Claim, outcome: Outcome, now: datetime) -> _After:
        """What follows from an outcome that is neither an acceptance nor a return unsent."""
        if outcome.kind is OutcomeKind.UNCERTAIN:
            state = {
                "hold": DeliveryState.UNCERTAIN,
                "resend": DeliveryState.PLANNED,
                "assume_sent": DeliveryState.SENT,
            }[self._settings.uncertain]
            return _After(state, "lost_answer", now)
        if outcome.kind is OutcomeKind.REFUSED:
            return _After(DeliveryState.FAILED, outcome.code[:100], None)
        first = claim.first_tried_at or now
        if now - first >= timedelta(hours=self._settings.retry_limit_hours):
            return _After(DeliveryState.FAILED, f"retry_limit:{outcome.code}"[:100], None)
        due = next_try(
            now,
            claim.attempts + 1,
            first_seconds=self._settings.retry_first_seconds,
            asked_seconds=outcome.retry_after,
        )
        return _After(DeliveryState.DEFERRED, outcome.code[:100], due)

    async def _renew_leases(self) -> None:
        """Say that these are still held; only what is in this process's memory is ever renewed."""
        while True:
            await asyncio.sleep(self._settings.lease_seconds / 3)
            lease = stored(self._clock() + self._lease)
            rows = [
                (lease, claim.delivery_id, claim.epoch, self.worker) for claim in sorted(self._held.values())
            ]
            try:
                for start in range(0, len(rows), ROWS_AT_ONCE):
                    part = rows[start : start + ROWS_AT_ONCE]
                    await self._writer.run(lambda cursor: cursor.executemany(sql.RENEW, part))  # noqa: B023  # run now
            except StorageError as error:
                logger.warning("ledger.renew_failed", extra={"error": str(error)})

    async def recover(self) -> tuple[int, int]:
        """Take back what a dead worker held: a claim was certainly not delivered, what was in flight may have been.

        Returns:
            How many were given back, and how many were in flight.
        """
        values = {"now": stored(self._clock()), "worker": self.worker}
        in_flight = {
            "hold": sql.RECOVER_HOLD,
            "resend": sql.RECOVER_RESEND,
            "assume_sent": sql.RECOVER_ASSUME_SENT,
        }[self._settings.uncertain]

        def work(cursor: sqlite3.Cursor) -> tuple[int, int]:
            return cursor.execute(sql.RECOVER_CLAIMED, values).rowcount, cursor.execute(
                in_flight, values
            ).rowcount

        return await self._writer.run(work)


def _attempt(claim: Claim, outcome: Outcome, moment: str | None) -> tuple[object, ...]:
    return (
        claim.delivery_id,
        moment,
        outcome.kind.value,
        _storable(outcome.code[:64]),
        _storable(outcome.text[:500]),
        outcome.mode,
        _storable(outcome.reference[:100]),
    )


def _storable(text: str) -> str:
    """Somebody else's words: a lone surrogate in them must not hold up the whole group."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


@lru_cache(maxsize=1024)
def _sections(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))
