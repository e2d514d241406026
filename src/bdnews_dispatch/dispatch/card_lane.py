"""A card lane: sends one card after the other to the WeChat platform.

In: parcels from the stock of its way. Out: outcomes, told to `Endings`. Caller: sending.
"""

import logging
from time import perf_counter

from sqlalchemy.exc import SQLAlchemyError

from bdnews_dispatch.channels.outcome import Outcome, OutcomeKind
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.dispatch.composing import not_composed
from bdnews_dispatch.dispatch.endings import Endings
from bdnews_dispatch.dispatch.ledger import Ledger
from bdnews_dispatch.dispatch.ledger_store import Claim
from bdnews_dispatch.dispatch.ways import CardWay
from bdnews_dispatch.errors import StorageError
from bdnews_dispatch.subscribers.followers import take_from_window
from bdnews_dispatch.telemetry import logs, metrics

logger = logging.getLogger(__name__)


class CardLane:
    """One card at a time."""

    def __init__(
        self, way: CardWay, ledger: Ledger, endings: Endings, database: Database, clock: Clock
    ) -> None:
        self._way = way
        self._ledger = ledger
        self._endings = endings
        self._database = database
        self._clock = clock

    async def run(self) -> None:
        """Until the stock is closed: one card after the other."""
        way = self._way
        while (parcel := await way.stock.take()) is not None:
            claim = parcel.claim
            logs.carry(claim)
            began = perf_counter()

            async def gate(claim: Claim = claim) -> bool:
                return await self._ledger.gate(claim)

            try:
                card = parcel.composer.card(claim, parcel.person, window_open=parcel.window_open)
                outcome = await way.channel.send(card, gate)
            except StorageError as error:
                outcome = Outcome(OutcomeKind.UNAVAILABLE, "ledger.unavailable", str(error), retry_after=1.0)
            except Exception as error:  # noqa: BLE001  # each kind has its outcome
                outcome = not_composed(claim, error)
            metrics.wechat_seconds(perf_counter() - began)
            self._endings.finished(
                way, parcel, outcome
            )  # first: what is known to be out must not wait for a count
            if outcome.mode == "custom" and outcome.kind is OutcomeKind.ACCEPTED:
                await self._count_against_window(parcel.target)

    async def _count_against_window(self, openid: str) -> None:
        try:
            async with self._database.write() as session:
                await take_from_window(session, self._clock, openid)
        except SQLAlchemyError as error:  # the card is out; the platform keeps count as well
            logger.warning("wechat.window_not_counted", extra={"error": type(error).__name__})
