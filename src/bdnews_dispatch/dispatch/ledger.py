"""The ledger: who has which delivery, and what came of it. Nothing lost, nothing twice.

planned → claimed (worker, epoch, lease) → in_flight (the gate) → what the other side said. Gates and results go through
one writer in group commits, ordered by id: whatever is asked or told while a commit runs shares the next one. Callers:
sending, and the reconciler for what a dead worker left.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import NamedTuple, Self

from bdnews_dispatch.channels.outcome import Outcome, OutcomeKind, Remedy
from bdnews_dispatch.channels.wechat.channel import MASS_ASIDE
from bdnews_dispatch.channels.wechat.outcomes import SAME_KEY
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.dispatch.ledger_store import (
    CardGate,
    Claim,
    GivenBack,
    Group,
    LedgerStore,
    PassedOn,
    Settled,
    Skipped,
    Suppressed,
)
from bdnews_dispatch.dispatch.retry import next_try
from bdnews_dispatch.dispatch.states import DeliveryState, DispatchState
from bdnews_dispatch.errors import StorageError
from bdnews_dispatch.links import random_key
from bdnews_dispatch.official_account.takings import Taking
from bdnews_dispatch.settings import DeliverySettings
from bdnews_dispatch.subscribers.audience import Person
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
#: What could not be written is tried again each second: a failure older than this is over.
UNWRITABLE_SECONDS = 10.0


#: What gates and results are ordered by; nothing behind it need be comparable.
_CLAIM = itemgetter(0)

#: By the setting `delivery.uncertain`: what becomes of a delivery whose answer was lost.
UNANSWERED = {
    "hold": DeliveryState.UNCERTAIN,
    "resend": DeliveryState.PLANNED,
    "assume_sent": DeliveryState.SENT,
}


class Result(NamedTuple):
    """What came of a claim.

    Attributes:
        target: the address or openid that was tried, for suppression.
        freed: what had been taken for it at the gate, where it was certainly not used.
    """

    claim: Claim
    outcome: Outcome
    target: str
    freed: Taking | None = None


class Ledger:
    """Claims, gates and results of one worker. Used as `async with`.

    Attributes:
        on_idle: set it to be told when everything that was claimed is recorded.
    """

    def __init__(self, store: LedgerStore, clock: Clock, settings: DeliverySettings, *, lanes: int) -> None:
        """Args: lanes: how many may stand at the gate at the same time."""
        self._store = store
        self._clock = clock
        self._settings = settings
        self._lease = timedelta(seconds=settings.lease_seconds)
        self.on_idle: Callable[[], None] = lambda: None
        self._held: dict[int, Claim] = {}
        self._gates: list[tuple[Claim, asyncio.Future[bool]]] = []
        self._cards: dict[int, CardGate] = {}
        self._results: list[Result] = []
        self._something = asyncio.Event()
        self._enough = asyncio.Event()
        self._company = max(1, round(lanes * COMPANY))
        self._all_stored = asyncio.Event()
        self._all_stored.set()
        self._tasks: list[asyncio.Task[None]] = []
        self._failure: tuple[float, StorageError] | None = None

    async def __aenter__(self) -> Self:
        await self._store.__aenter__()
        self._tasks = [
            asyncio.create_task(self._commit_groups(), name="ledger-commits"),
            asyncio.create_task(self._renew_leases(), name="ledger-leases"),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self._all_stored.wait()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._store.__aexit__()

    @property
    def lease_seconds(self) -> float:
        """How long a claim lasts without a sign of life."""
        return self._settings.lease_seconds

    @property
    def unwritable(self) -> StorageError | None:
        """Why nothing can be written just now; None: as far as is known, it can."""
        if self._failure is None or time.monotonic() - self._failure[0] > UNWRITABLE_SECONDS:
            return None
        return self._failure[1]

    def _failed(self, error: StorageError) -> None:
        self._failure = time.monotonic(), error

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
        try:
            claims, people = await self._store.claim(
                dispatch_id,
                channel,
                limit,
                publication=publication,
                moment=now,
                lease_until=now + self._lease,
            )
        except StorageError as error:
            self._failed(error)
            raise
        self._held.update((claim.delivery_id, claim) for claim in claims)
        return claims, people

    async def gate(self, claim: Claim, card: CardGate | None = None) -> bool:
        """Claimed → in_flight, where the claim still holds, the dispatch may send and the reader still wants it.

        Args:
            card: what else is needed where it is a card.

        Returns:
            Whether the last step may be made. True is on disk.

        Raises:
            StorageError: it could not be written: the last step must not be made.
        """
        if card is not None:
            self._cards[claim.delivery_id] = card
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
            gates, self._gates = sorted(self._gates[:ROWS_AT_ONCE], key=_CLAIM), self._gates[ROWS_AT_ONCE:]
            results = sorted(self._results[:ROWS_AT_ONCE], key=_CLAIM)
            began = time.perf_counter()
            try:
                group = self._group([claim for claim, _ in gates], results)
                work = self._store.write(group)
                passed = await traces.within("commit", work, gates=len(gates), results=len(results))
            except Exception as error:  # noqa: BLE001  # told to who asked; what is known is kept
                for _, answer in gates:
                    if not answer.done():
                        answer.set_exception(error)
                if isinstance(error, StorageError):
                    self._failed(error)
                log = logger.warning if isinstance(error, StorageError) else logger.exception
                log("ledger.commit_failed", extra={"error": str(error), "kept": len(self._results)})
                self._something.set()
                await asyncio.sleep(STORE_AGAIN_SECONDS)
                continue
            self._failure = None
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

    def _group(self, gates: Sequence[Claim], results: Sequence[Result]) -> Group:
        now = self._clock()
        cards: dict[int, CardGate] = {}
        if self._cards:
            waiting = (claim.delivery_id for claim in gates)
            cards = {id_: self._cards.pop(id_) for id_ in waiting if id_ in self._cards}
        if not results:
            return Group(now, gates, cards=cards)
        accepted, settled, back, skipped, suppressed, passed_on = [], [], [], [], [], []
        freed: dict[int, Taking] = {}
        for claim, outcome, target, given_back in results:
            if given_back is not None:
                freed[claim.delivery_id] = given_back
            if outcome.kind is OutcomeKind.ACCEPTED:
                accepted.append((claim, outcome))
            elif outcome.kind in (OutcomeKind.UNAVAILABLE, OutcomeKind.GATE_CLOSED):
                reason = (
                    "" if outcome.kind is OutcomeKind.GATE_CLOSED else outcome.code
                )  # the store knows why
                due = now + timedelta(seconds=outcome.retry_after or 0)
                back.append(GivenBack(claim, reason, due, _kept(outcome)))
            elif outcome.kind is OutcomeKind.SKIPPED:
                skipped.append(Skipped(claim, outcome.code))
            elif outcome.remedy is Remedy.OTHER_CHANNEL:
                passed_on.append(PassedOn(claim, outcome, random_key(now)))
            else:
                settled.append(self._settled(claim, outcome, now))
                if outcome.remedy is Remedy.SUPPRESS:
                    folded = target.casefold() if claim.channel is Channel.EMAIL else target
                    reason = f"{outcome.mode or claim.channel.value}:{outcome.code}"
                    suppressed.append(Suppressed(claim.channel, folded, reason))
        return Group(
            now, gates, accepted, settled, back, skipped, suppressed, passed_on, cards=cards, freed=freed
        )

    def _settled(self, claim: Claim, outcome: Outcome, now: datetime) -> Settled:
        """What follows from an outcome that is neither an acceptance nor a return unsent."""
        if outcome.kind is OutcomeKind.UNCERTAIN:
            then = UNANSWERED[self._settings.uncertain]
            mode = outcome.mode if then is DeliveryState.SENT else ""
            return Settled(claim, outcome, then, "lost_answer", now, mode)
        if outcome.kind is OutcomeKind.REFUSED:
            return Settled(claim, outcome, DeliveryState.FAILED, outcome.code[:100], None)
        first = claim.first_tried_at or now
        limit = timedelta(hours=self._settings.retry_limit_hours)
        if now - first >= limit and outcome.code != MASS_ASIDE:
            return Settled(claim, outcome, DeliveryState.FAILED, f"retry_limit:{outcome.code}"[:100], None)
        due = next_try(
            now,
            claim.attempts + 1,
            first_seconds=self._settings.retry_first_seconds,
            asked_seconds=outcome.retry_after,
        )
        return Settled(claim, outcome, DeliveryState.DEFERRED, outcome.code[:100], due, _kept(outcome))

    async def _renew_leases(self) -> None:
        """Say that these are still held; only what is in this process's memory is ever renewed."""
        while True:
            await asyncio.sleep(self._settings.lease_seconds / 3)
            lease_until = self._clock() + self._lease
            held = sorted(self._held.values())
            try:
                for start in range(0, len(held), ROWS_AT_ONCE):
                    await self._store.renew(held[start : start + ROWS_AT_ONCE], lease_until)
            except StorageError as error:
                logger.warning("ledger.renew_failed", extra={"error": str(error)})
            except Exception:
                logger.exception("ledger.renew_failed")

    async def recover(self) -> tuple[int, int]:
        """Take back what a dead worker held: a claim was certainly not delivered, what was in flight may have been.

        Of this worker's own only what it does not know of: a claim that was committed, but whose answer was lost.

        Returns:
            How many were given back, and how many were in flight.
        """
        return await self._store.recover(
            self._clock(), UNANSWERED[self._settings.uncertain], self._held.keys()
        )


def _kept(outcome: Outcome) -> str:
    """The mode of a call that must be made again just so; of all else none."""
    return outcome.mode if outcome.rule == SAME_KEY else ""
