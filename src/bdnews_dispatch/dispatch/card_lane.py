"""A card lane: sends one card after the other to the WeChat platform.

In: parcels from the stock of its way. Out: outcomes, told to `Endings`. Caller: sending.
"""

import logging
from collections.abc import Sequence
from time import perf_counter

from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.channels.outcome import Outcome, OutcomeKind
from bdnews_dispatch.channels.wechat.modes import Mode, ModeClosed, Plan
from bdnews_dispatch.channels.wechat.outcomes import REPEATABLE, SAME_KEY
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.dispatch.composing import not_composed
from bdnews_dispatch.dispatch.endings import Endings
from bdnews_dispatch.dispatch.ledger import Ledger
from bdnews_dispatch.dispatch.ledger_store import CardGate
from bdnews_dispatch.dispatch.models import Delivery
from bdnews_dispatch.dispatch.states import DeliveryState
from bdnews_dispatch.dispatch.stock import Parcel
from bdnews_dispatch.dispatch.ways import CardWay
from bdnews_dispatch.errors import StorageError
from bdnews_dispatch.official_account.takings import Act, Taking, for_session, taking_of
from bdnews_dispatch.telemetry import logs, metrics

logger = logging.getLogger(__name__)

#: The platform says that there is none left, whatever our ledger says: window closed, window used up, no consent.
_NONE_LEFT = {"45015", "45047", "43101"}
#: Certainly not sent: what was taken is given back.
_NOT_SENT = {OutcomeKind.DEFERRED, OutcomeKind.REFUSED, OutcomeKind.UNAVAILABLE}


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
            logs.carry(parcel.claim)
            began = perf_counter()
            held = _Held(self, parcel)
            try:
                card = parcel.composer.card(parcel.claim, parcel.person, chances=parcel.chances)
                held.plan = way.channel.plan(card)
                outcome = await way.channel.send(card, held.gate, held.switch)
            except StorageError as error:
                outcome = Outcome(OutcomeKind.UNAVAILABLE, "ledger.unavailable", str(error), retry_after=1.0)
            except Exception as error:  # noqa: BLE001  # each kind has its outcome
                outcome = not_composed(parcel.claim, error)
            metrics.wechat_seconds(perf_counter() - began)
            certainly = outcome.kind in _NOT_SENT and outcome.rule != SAME_KEY
            self._endings.finished(way, parcel, outcome, held.taking if certainly else None)

    async def pass_gate(self, parcel: Parcel, mode: Mode, taking: Taking | None) -> bool:
        """The ledger's gate, with what the mode needs."""
        return await self._ledger.gate(parcel.claim, CardGate(mode, taking))

    async def now_by(self, parcel: Parcel, mode: Mode, *acts: tuple[Taking, Act]) -> bool:
        """The row of a card in flight gets its next mode, with what that uses up.

        Returns:
            Whether it may go so: there is one left, and the row is still ours.

        Raises:
            StorageError: it could not be written: the call must not be made.
        """
        claim, now = parcel.claim, self._clock()
        row = (
            update(Delivery)
            .where(
                col(Delivery.id) == claim.delivery_id,
                col(Delivery.epoch) == claim.epoch,
                col(Delivery.state) == DeliveryState.IN_FLIGHT,
            )
            .values(mode=mode, called_at=now if mode == REPEATABLE else None)
        )
        try:
            async with self._database.write_beside() as session:
                if not await self._change(session, acts):
                    return False
                if not (await session.execute(row)).rowcount:  # type: ignore[attr-defined]  # of a cursor
                    await session.rollback()
                    return False
        except SQLAlchemyError as error:
            raise StorageError(f"账本写不进去：{type(error).__name__}", hint="未发出的都已保留。") from error
        return True

    def taking_of(self, mode: Mode, openid: str) -> Taking | None:
        """What a message by this mode uses up."""
        return taking_of(mode, openid, self._way.account, self._clock())

    async def give_up(self, *acts: tuple[Taking, Act]) -> None:
        """Behind the last mode."""
        try:
            async with self._database.write_beside() as session:
                await self._change(session, acts)
        except SQLAlchemyError as error:  # the platform keeps count as well
            logger.warning("wechat.not_counted", extra={"error": type(error).__name__})

    async def _change(self, session: AsyncSession, acts: Sequence[tuple[Taking, Act]]) -> bool:
        """In everybody's order. Returns: whether all that was to be taken was there."""
        may = True
        for taking, act in sorted(acts):
            found = await session.execute(*for_session(taking, act, self._clock()))
            may &= act != "take" or found.rowcount > 0  # type: ignore[attr-defined]  # of a cursor
        return may


class _Held:
    """What one card has taken."""

    def __init__(self, lane: CardLane, parcel: Parcel) -> None:
        self._lane = lane
        self._parcel = parcel
        self.plan: Plan | None = None
        self.taking: Taking | None = None

    async def gate(self) -> bool:
        """For the first mode of the plan."""
        assert self.plan is not None  # noqa: S101  # the channel asks with a plan
        first = self.plan.single[0]
        again = self._parcel.chances.only  # the first call has taken it, and the platform counts it once
        taking = None if again else self._lane.taking_of(first, self._parcel.target)
        if not await self._lane.pass_gate(self._parcel, first, taking):
            return False
        self.taking = taking
        return True

    async def switch(self, closed: ModeClosed, then: Mode | None) -> bool:
        """Behind a mode that was closed; see `Switch`."""
        acts: list[tuple[Taking, Act]] = []
        if self.taking is not None:
            acts.append((self.taking, "spend" if closed.code in _NONE_LEFT else "give_back"))
            self.taking = None
        if then is None:
            await self._lane.give_up(*acts)
            return False
        wanted = self._lane.taking_of(then, self._parcel.target)
        if wanted is not None:
            acts.append((wanted, "take"))
        if not await self._lane.now_by(self._parcel, then, *acts):
            return False
        self.taking = wanted
        return True
