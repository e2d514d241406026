"""Sending: stocks of what is claimed, lanes that take from them, one worker's worth of both.

In: a dispatch's id. Out: outcomes in the ledger. Caller: the worker. stocking.py claims and fills the stocks;
mail_lane.py and card_lane.py empty them; endings.py deals with what came of it.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from bdnews_dispatch.channels.email.limits import Limits
from bdnews_dispatch.channels.outcome import Outcome, OutcomeKind
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.digests.dkim import DkimSigner
from bdnews_dispatch.dispatch.breaker import Breaker
from bdnews_dispatch.dispatch.budgets import Budgets
from bdnews_dispatch.dispatch.card_lane import CardLane
from bdnews_dispatch.dispatch.endings import Endings
from bdnews_dispatch.dispatch.ledger import Ledger
from bdnews_dispatch.dispatch.mail_lane import MailLane
from bdnews_dispatch.dispatch.pacing import Pace
from bdnews_dispatch.dispatch.stock import Parcel, Stock
from bdnews_dispatch.dispatch.stocking import STOPPING, Stocking
from bdnews_dispatch.dispatch.ways import CardWay, Channels, MailWay, Way
from bdnews_dispatch.errors import StorageError
from bdnews_dispatch.issues.publications import Publications
from bdnews_dispatch.links import Links
from bdnews_dispatch.settings import Settings
from bdnews_dispatch.subscribers.models import Channel
from bdnews_dispatch.telemetry import metrics


class Sender:
    """Sends the deliveries of dispatches, batch by batch. Used as `async with`.

    Attributes:
        on_hungry: set it to be told of a dispatch of which more could be claimed now.
        on_idle: set it to be told when nothing is held any more.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        database: Database,
        clock: Clock,
        publications: Publications,
        links: Links,
        ledger: Ledger,
        channels: Channels,
        dkim: DkimSigner | None = None,
        budgets: Budgets | None = None,
    ) -> None:
        """Args: budgets: what all workers share of the relay and the providers; None: this worker is alone."""
        self._budgets = budgets
        self._settings = settings
        self._database = database
        self._clock = clock
        self._ledger = ledger
        self._channels = channels
        self._endings = Endings(database, ledger)
        self._ways: dict[tuple[Channel, bool], Way] = {}
        self._stocking = Stocking(
            settings=settings,
            database=database,
            clock=clock,
            publications=publications,
            links=links,
            ledger=ledger,
            endings=self._endings,
            reach=channels.reach,
            ways=self._ways,
            dkim=dkim,
        )
        self._running = AsyncExitStack()
        self.on_hungry: Callable[[int], None] = lambda _dispatch: None
        self.on_idle: Callable[[], None] = lambda: None
        ledger.on_idle = self._tell_idle

    async def __aenter__(self) -> Self:
        await self._running.enter_async_context(self._ledger)
        self._running.push_async_callback(self._endings.all_said)
        if self._budgets is not None:
            await self._running.enter_async_context(self._budgets)
        metrics.know_providers(self._channels.limits.names)
        # A lane that fails takes the worker with it: a service manager starts it again, and its leases end.
        lanes = await self._running.enter_async_context(asyncio.TaskGroup())
        channels = self._channels
        real = self._stock(channels.limits, self._budgets)
        self._ways |= {
            (Channel.EMAIL, True): MailWay("email", channels.email, real, self._breaker()),
            (Channel.EMAIL, False): MailWay(
                "email.sandbox", channels.sandbox_email, self._stock(), self._breaker()
            ),
            (Channel.WECHAT, False): CardWay(
                "wechat.sandbox",
                channels.sandbox_wechat,
                self._stock(),
                self._breaker(),
                channels.sandbox_account,
            ),
        }
        if channels.wechat is not None:
            self._ways[Channel.WECHAT, True] = CardWay(
                "wechat", channels.wechat, self._stock(), self._breaker(), channels.account
            )
        for way in self._ways.values():
            group = self._settings.email if isinstance(way, MailWay) else self._settings.wechat
            for n in range(group.connections):
                lanes.create_task(self._lane(way).run(), name=f"lane-{way.name}-{n}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        await self._running.__aexit__(kind, error, traceback)

    def stop(self) -> None:
        """Begin nothing more: what is claimed and not begun is given back, what is on the wire is finished."""
        self._stocking.close()
        for way in self._ways.values():
            self._endings.give_back(way.stock.close(), STOPPING)

    def breakers(self) -> dict[str, bool]:
        """Of each way out, whether its breaker has opened and nothing has got through since."""
        return {way.name: way.breaker.is_tried() for way in self._ways.values()}

    @property
    def unwritable(self) -> StorageError | None:
        """Why the ledger can't be written just now; None: it can."""
        return self._ledger.unwritable

    async def send_batch(self, dispatch_id: int, urgency: int = 0) -> int:
        """As `Stocking.claim_batch`."""
        return await self._stocking.claim_batch(dispatch_id, urgency)

    def has_enough(self, dispatch_id: int) -> bool:
        """As `Stocking.has_enough`."""
        return self._stocking.has_enough(dispatch_id)

    def _lane(self, way: Way) -> MailLane | CardLane:
        if isinstance(way, MailWay):
            return MailLane(way, self._ledger, self._endings)
        return CardLane(way, self._ledger, self._endings, self._database, self._clock)

    def _breaker(self) -> Breaker:
        return Breaker(self._settings.delivery.breaker_after)

    def _stock(self, limits: Limits | None = None, budgets: Budgets | None = None) -> Stock:
        def put_back(parcel: Parcel, seconds: float) -> None:
            self._endings.give_back([parcel], Outcome(OutcomeKind.UNAVAILABLE, "paced", retry_after=seconds))

        stock = Stock(
            limits or Limits(),
            low=self._settings.delivery.batch // 2,
            on_low=self._tell_hungry,
            put_back=put_back,
            pace_of=budgets.pace_of if budgets is not None else Pace,
        )
        if budgets is not None:
            budgets.tell(stock.look)
        return stock

    def _tell_idle(self) -> None:
        self.on_idle()

    def _tell_hungry(self, dispatch_id: int) -> None:
        self.on_hungry(dispatch_id)
