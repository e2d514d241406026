"""Endings: what follows from what came of a parcel, for it, for its way out, and for its dispatch.

In: outcomes from the lanes, parcels that go back untried. Out: results in the ledger; pauses and words on the dispatch.
Callers: the lanes, stocking, sending.
"""

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import select

from bdnews_dispatch.channels.outcome import Outcome, OutcomeKind, Remedy
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.dispatch.control import note, pause
from bdnews_dispatch.dispatch.ledger import SENDING, Ledger, Result
from bdnews_dispatch.dispatch.ledger_store import Claim
from bdnews_dispatch.dispatch.models import Dispatch
from bdnews_dispatch.dispatch.stock import Parcel
from bdnews_dispatch.dispatch.ways import Way
from bdnews_dispatch.errors import StateError
from bdnews_dispatch.official_account.takings import Taking
from bdnews_dispatch.telemetry import metrics

logger = logging.getLogger(__name__)

#: A dispatch that should be paused and could not be: the database was away.
NOT_PAUSED_SECONDS = 30.0

_DISPATCH_STOPPED = Outcome(OutcomeKind.UNAVAILABLE, "dispatch_stopped")


class Endings:
    """Of all parcels of one worker."""

    def __init__(self, database: Database, ledger: Ledger) -> None:
        self._database = database
        self._ledger = ledger
        self._asides: set[asyncio.Task[None]] = set()
        self._noted: set[int] = set()

    def finished(self, way: Way, parcel: Parcel, outcome: Outcome, freed: Taking | None = None) -> None:
        """What became of a parcel that was taken out of the stock.

        Args:
            freed: what a card had taken and has not used.
        """
        way.stock.done(parcel, outcome)
        provider = parcel.pace.limit.name if parcel.pace is not None else ""
        metrics.finished(parcel.claim.channel, outcome.kind, provider, outcome.code)
        if outcome.kind is OutcomeKind.UNAVAILABLE and outcome.remedy is Remedy.STOP_CHANNEL:
            held = way.stock.withdraw(parcel.claim.dispatch_id)
            self._aside(self._stop_channel(parcel, outcome, held, freed))
            return
        if outcome.kind is OutcomeKind.UNAVAILABLE:
            outcome = self._weigh(way, parcel.claim, outcome)
        elif outcome.kind is OutcomeKind.GATE_CLOSED:
            self._aside(self._withdraw_if_stopped(way, parcel.claim.dispatch_id))
        else:
            way.breaker.mended()
            if parcel.claim.dispatch_id in self._noted:
                self._say(parcel.claim.dispatch_id, "")
        self._ledger.record(Result(parcel.claim, outcome, parcel.target, freed))

    def _weigh(self, way: Way, claim: Claim, outcome: Outcome) -> Outcome:
        """Let the breaker see the outcome; a channel that can't work is tried again later, with the reason in view."""
        if outcome.code == "ledger.unavailable":  # not the channel's fault
            if claim.dispatch_id not in self._noted:
                self._say(claim.dispatch_id, f"{outcome.text} 未发出的都已保留，恢复后自动继续。")
            return outcome
        wait = way.breaker.failed()
        if wait is None:
            wait = way.breaker.closed_for() or 1.0
            return outcome._replace(retry_after=outcome.retry_after or wait)
        words = f"{claim.channel} 通道暂不可用：{outcome.text} 未发出的都已保留，{wait:.0f} 秒后自动再试。"
        logger.warning(
            "channel.breaker_open", extra={"channel": way.name, "code": outcome.code, "wait": wait}
        )
        self._say(claim.dispatch_id, words)
        later = outcome._replace(retry_after=wait)
        self.give_back(way.stock.withdraw(), later)
        return later

    def give_back(self, parcels: Iterable[Parcel], outcome: Outcome) -> None:
        """Untried parcels go back to the ledger. Args: outcome: why, and for how long nobody claims them."""
        for parcel in parcels:
            metrics.given_back(parcel.claim.channel, outcome.code)
            self._ledger.record(Result(parcel.claim, outcome, parcel.target))

    def _say(self, dispatch_id: int, words: str) -> None:
        """What holds the dispatch up; "" when nothing does."""
        (self._noted.add if words else self._noted.discard)(dispatch_id)
        self._aside(note(self._database, dispatch_id, words[:500]))

    def _aside(self, work: Coroutine[Any, Any, None]) -> None:
        """Words on the dispatch, written beside the lanes."""

        async def written() -> None:
            try:
                await work
            except SQLAlchemyError as error:
                logger.warning("dispatch.note_failed", extra={"error": type(error).__name__})

        task = asyncio.create_task(written())
        self._asides.add(task)
        task.add_done_callback(self._asides.discard)

    async def all_said(self) -> None:
        """Wait until everything that was begun beside the lanes is done."""
        while self._asides:
            await asyncio.gather(*self._asides)

    async def _withdraw_if_stopped(self, way: Way, dispatch_id: int) -> None:
        """Perhaps one reader has left; where the dispatch was paused or cancelled, no other gate opens either."""
        async with self._database.read() as session:
            state = (await session.exec(select(Dispatch.state).where(Dispatch.id == dispatch_id))).one()
        if state not in SENDING:
            self.give_back(way.stock.withdraw(dispatch_id), _DISPATCH_STOPPED)

    async def _stop_channel(
        self, parcel: Parcel, outcome: Outcome, held: list[Parcel], freed: Taking | None
    ) -> None:
        """Pause the dispatch until a person has mended the configuration; only then give back what is held, so that
        nobody tries again before.
        """
        claim, later = parcel.claim, outcome._replace(remedy=Remedy.NONE, retry_after=None)
        try:
            with suppress(StateError):  # another message has said it already
                async with self._database.write() as session:
                    await pause(session, claim.dispatch_id, note=f"{claim.channel}：{outcome.text}"[:500])
            logger.error("dispatch.paused", extra={"dispatch": claim.dispatch_id, "channel": claim.channel})
        except SQLAlchemyError:
            later = later._replace(retry_after=NOT_PAUSED_SECONDS)
            raise
        finally:
            self._ledger.record(Result(claim, later, parcel.target, freed))
            self.give_back(held, later)
