"""Sending: claim a batch, put it into the stock of its way out; lanes take, compose, send and record.

In: a dispatch's id. Out: outcomes in the ledger. Caller: the worker. Compose → gate → channel → record is the hot path:
a mail lane is one connection to the relay, and the dot of a mail travels with the envelope of the next.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from time import perf_counter
from types import TracebackType
from typing import Any, Self

from sqlalchemy.exc import SQLAlchemyError

from bdnews_dispatch.channels.email import EmailChannel, Line, Ready, RelayError, StaleLineError, unavailable
from bdnews_dispatch.channels.email.limits import Limits
from bdnews_dispatch.channels.outcome import Outcome, OutcomeKind, Remedy
from bdnews_dispatch.channels.wechat import WeChatChannel
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.digests.dkim import DkimSigner
from bdnews_dispatch.dispatch.breaker import Breaker
from bdnews_dispatch.dispatch.budgets import Budgets
from bdnews_dispatch.dispatch.composing import Composer
from bdnews_dispatch.dispatch.contents import load_contents
from bdnews_dispatch.dispatch.control import note, pause
from bdnews_dispatch.dispatch.ledger import Ledger, Result
from bdnews_dispatch.dispatch.ledger_store import Claim
from bdnews_dispatch.dispatch.models import Dispatch
from bdnews_dispatch.dispatch.pacing import Pace
from bdnews_dispatch.dispatch.reach import Reach
from bdnews_dispatch.dispatch.stock import Parcel, Stock
from bdnews_dispatch.errors import StateError, StorageError
from bdnews_dispatch.issues.publications import Publications
from bdnews_dispatch.links import Links
from bdnews_dispatch.settings import Settings
from bdnews_dispatch.subscribers.audience import Person
from bdnews_dispatch.subscribers.followers import open_windows, take_from_window
from bdnews_dispatch.subscribers.models import Channel
from bdnews_dispatch.telemetry import logs, metrics, traces

logger = logging.getLogger(__name__)

#: Dispatches whose variants are kept in memory; a variant is some 100 KB, a dispatch has at most a few dozen.
COMPOSERS_KEPT = 8
#: Cards on their way to the WeChat platform at once.
CARDS_AT_ONCE = 4

#: A dispatch that should be paused and could not be: the database was away.
NOT_PAUSED_SECONDS = 30.0

_GATE_CLOSED = Outcome(OutcomeKind.GATE_CLOSED, "gate.closed", "", "smtp")
_STOPPING = Outcome(OutcomeKind.UNAVAILABLE)


@dataclass(frozen=True, slots=True)
class Channels:
    """The ways out. The sandbox's stand in for the real ones for everybody whom `reach` does not allow.

    Attributes:
        wechat: None where the account is not configured.
        limits: of the real relay and of recipients' providers; the sandbox has none.
    """

    reach: Reach
    email: EmailChannel
    sandbox_email: EmailChannel
    wechat: WeChatChannel | None
    sandbox_wechat: WeChatChannel
    limits: Limits


@dataclass(frozen=True, slots=True, eq=False)
class _Way:
    """One relay or account, with what waits for it."""

    name: str
    channel: EmailChannel | WeChatChannel
    stock: Stock
    breaker: Breaker


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
        self._dkim = dkim
        self._budgets = budgets
        self._settings = settings
        self._database = database
        self._clock = clock
        self._publications = publications
        self._links = links
        self._ledger = ledger
        self._channels = channels
        self._composers: OrderedDict[int, Composer] = OrderedDict()
        self._ways: dict[tuple[Channel, bool], _Way] = {}
        self._running = AsyncExitStack()
        self._asides: set[asyncio.Task[None]] = set()
        self._noted: set[int] = set()
        self._stopping = False
        self.on_hungry: Callable[[int], None] = lambda _dispatch: None
        self.on_idle: Callable[[], None] = lambda: None
        ledger.on_idle = self._tell_idle

    async def __aenter__(self) -> Self:
        await self._running.enter_async_context(self._ledger)
        self._running.push_async_callback(self._all_said)
        if self._budgets is not None:
            await self._running.enter_async_context(self._budgets)
        metrics.know_providers(self._channels.limits.names)
        # A lane that fails takes the worker with it: a service manager starts it again, and its leases end.
        lanes = await self._running.enter_async_context(asyncio.TaskGroup())
        channels = self._channels
        self._ways = {
            (Channel.EMAIL, True): self._way("email", channels.email, channels.limits, self._budgets),
            (Channel.EMAIL, False): self._way("email.sandbox", channels.sandbox_email, Limits()),
            (Channel.WECHAT, False): self._way("wechat.sandbox", channels.sandbox_wechat, Limits()),
        }
        if channels.wechat is not None:
            self._ways[Channel.WECHAT, True] = self._way("wechat", channels.wechat, Limits())
        for way in self._ways.values():
            number = (
                self._settings.email.connections if isinstance(way.channel, EmailChannel) else CARDS_AT_ONCE
            )
            lane = self._mail_lane if isinstance(way.channel, EmailChannel) else self._card_lane
            for n in range(number):
                lanes.create_task(lane(way), name=f"lane-{way.name}-{n}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        await self._running.__aexit__(kind, error, traceback)

    def stop(self) -> None:
        """Begin nothing more: what is claimed and not begun is given back, what is on the wire is finished."""
        self._stopping = True
        for way in self._ways.values():
            self._give_back(way.stock.close(), _STOPPING)

    def breakers(self) -> dict[str, bool]:
        """Of each way out, whether its breaker has opened and nothing has got through since."""
        return {way.name: way.breaker.is_tried() for way in self._ways.values()}

    @property
    def unwritable(self) -> StorageError | None:
        """Why the ledger can't be written just now; None: it can."""
        return self._ledger.unwritable

    async def send_batch(self, dispatch_id: int, urgency: int = 0) -> int:
        """Claim the next batch of the dispatch for each channel that has room, and put it into stock.

        Returns:
            How many deliveries were claimed; 0: nothing is due now, or there is enough in stock.
        """
        claimed = 0
        for channel in Channel:
            ways = [way for (kind, _), way in self._ways.items() if kind is channel]
            limit = self._batch(dispatch_id, ways)
            if self._stopping or not limit:
                continue
            composer = await self._composer(dispatch_id)
            claims, found = await traces.within(
                "claim",
                self._ledger.claim(dispatch_id, channel, limit, publication=composer.publication_key),
                dispatch=dispatch_id,
                channel=channel,
            )
            claimed += len(claims)
            windows: frozenset[str] = frozenset()
            if channel is Channel.WECHAT and claims:
                windows = await self._windows(found)
            for claim in claims:
                self._stock_up(claim, found.get(claim.subscriber_id), composer, urgency, windows)
        return claimed

    async def _windows(self, found: Mapping[int, Person]) -> frozenset[str]:
        openids = [person.openid for person in found.values() if person.openid is not None]
        try:
            async with self._database.read() as session:
                return await open_windows(session, self._clock, openids)
        except SQLAlchemyError as error:  # then by template
            logger.warning("wechat.windows_not_read", extra={"error": type(error).__name__})
            return frozenset()

    def has_enough(self, dispatch_id: int) -> bool:
        """Is so much of the dispatch in stock that it will be told of when it runs low?"""
        low = self._settings.delivery.batch // 2
        return any(way.stock.number_of(dispatch_id) > low for way in self._ways.values())

    def _batch(self, dispatch_id: int, ways: list[_Way]) -> int:
        """How many may be claimed: none while there is enough, one to try a channel that was broken."""
        if not any(way.breaker.lets_through() for way in ways):
            return 0
        batch = self._settings.delivery.batch
        if sum(way.stock.number_of(dispatch_id) for way in ways) >= batch:
            return 0
        return 1 if any(way.breaker.is_tried() for way in ways) else batch

    def _stock_up(
        self, claim: Claim, person: Person | None, composer: Composer, urgency: int, windows: frozenset[str]
    ) -> None:
        target = _target(claim, person)
        way = self._ways.get((claim.channel, self._channels.reach.allows(target)))
        reason = _no_way(claim, person, target, way)
        if person is None or way is None or reason:
            self._ledger.record(Result(claim, Outcome(OutcomeKind.REFUSED, code=reason), target))
            metrics.finished(claim.channel, OutcomeKind.REFUSED, "", reason)
            return
        domain = target.rpartition("@")[2].lower() if claim.channel is Channel.EMAIL else ""
        parcel = Parcel(claim, person, composer, target, urgency, domain, target in windows)
        if self._stopping:
            self._give_back([parcel], _STOPPING)
        elif wait := way.breaker.closed_for():
            self._give_back([parcel], Outcome(OutcomeKind.UNAVAILABLE, "breaker", retry_after=wait))
        else:
            way.stock.put(parcel)

    def _way(
        self,
        name: str,
        channel: EmailChannel | WeChatChannel,
        limits: Limits,
        budgets: Budgets | None = None,
    ) -> _Way:
        def put_back(parcel: Parcel, seconds: float) -> None:
            self._give_back([parcel], Outcome(OutcomeKind.UNAVAILABLE, "paced", retry_after=seconds))

        stock = Stock(
            limits,
            low=self._settings.delivery.batch // 2,
            on_low=self._tell_hungry,
            put_back=put_back,
            pace_of=budgets.pace_of if budgets is not None else Pace,
        )
        if budgets is not None:
            budgets.tell(stock.look)
        return _Way(name, channel, stock, Breaker(self._clock, self._settings.delivery.breaker_after))

    def _tell_idle(self) -> None:
        self.on_idle()

    def _tell_hungry(self, dispatch_id: int) -> None:
        self.on_hungry(dispatch_id)

    # Lanes.

    async def _mail_lane(self, way: _Way) -> None:
        """One connection's worth of mails, one line after the other."""
        assert isinstance(way.channel, EmailChannel)  # noqa: S101  # see `__aenter__`
        parcel = await way.stock.take()
        while parcel is not None:
            to_send, parcel = parcel, None
            try:
                async with way.channel.line() as line:
                    parcel = await self._over(way, line, to_send)
            except RelayError as error:  # no line was to be had
                self._finished(way, to_send, unavailable(error))
            if parcel is None:
                parcel = await way.stock.take()

    async def _over(self, way: _Way, line: Line, first: Parcel) -> Parcel | None:
        """Mails over this line, until there are none or it is spent.

        Returns:
            A parcel that has to go over another line.
        """
        assert isinstance(way.channel, EmailChannel)  # noqa: S101  # see `_mail_lane`
        waiting: tuple[Parcel, Ready] | None = self._prepared(way, line, first) or self._next(way, line)
        while waiting is not None:
            (parcel, ready), waiting = waiting, None
            in_doubt = False
            logs.carry(parcel.claim)
            began = perf_counter()
            other_seconds = 0.0
            try:
                outcome = await line.offer(ready)
                if outcome is None:
                    asked = perf_counter()
                    may = await self._ledger.gate(parcel.claim)
                    other_seconds = perf_counter() - asked
                    metrics.gate_seconds(other_seconds)
                    if may:
                        in_doubt = True
                        if not way.channel.is_spent(line):
                            waiting = self._next(way, line)
                            logs.carry(parcel.claim)
                        other_seconds = perf_counter() - asked
                        outcome = await line.finish(waiting[1] if waiting else None)
                    else:
                        line.drop()
                        outcome = _GATE_CLOSED
            except StaleLineError:
                return parcel
            except StorageError as error:  # the gate could not be written (a full disk): nothing was sent
                line.drop()
                outcome = Outcome(OutcomeKind.UNAVAILABLE, "ledger.unavailable", str(error), retry_after=1.0)
            except Exception as error:
                logger.exception("lane.failed", extra={"delivery": parcel.claim.delivery_id})
                line.drop()
                kind = OutcomeKind.UNCERTAIN if in_doubt else OutcomeKind.UNAVAILABLE
                outcome = Outcome(kind, "lane.failed", type(error).__name__, "smtp", retry_after=5.0)
            seconds = perf_counter() - began
            metrics.smtp_seconds(seconds - other_seconds)
            traces.mail(parcel.claim.dispatch_id, parcel.claim.delivery_id, seconds, outcome.kind)
            self._finished(way, parcel, outcome)
            # One that waits has its envelope out already: it is offered on this line.
            if waiting is None and not way.channel.is_spent(line):
                waiting = self._next(way, line)
        return None

    def _next(self, way: _Way, line: Line) -> tuple[Parcel, Ready] | None:
        """The next mail for this line, composed."""
        while (parcel := way.stock.take_now()) is not None:
            if (made := self._prepared(way, line, parcel)) is not None:
                return made
        return None

    def _prepared(self, way: _Way, line: Line, parcel: Parcel) -> tuple[Parcel, Ready] | None:
        """The parcel's mail for this line; None: it can't go out, which is recorded."""
        logs.carry(parcel.claim)
        began = perf_counter()
        try:
            ready = line.prepare(parcel.composer.mail(parcel.claim, parcel.person))
            metrics.compose_seconds(perf_counter() - began)
        except Exception as error:  # noqa: BLE001  # each kind has its outcome
            ready = _not_composed(parcel.claim, error)
        if isinstance(ready, Outcome):
            self._finished(way, parcel, ready)
            return None
        if parcel.pace is not None and (most := parcel.pace.limit.messages_per_connection):
            line.served[parcel.pace.limit.name] = served = line.served.get(parcel.pace.limit.name, 0) + 1
            line.retired = line.retired or served >= most
        return parcel, ready

    async def _card_lane(self, way: _Way) -> None:
        assert isinstance(way.channel, WeChatChannel)  # noqa: S101  # see `__aenter__`
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
                outcome = _not_composed(claim, error)
            if outcome.mode == "custom" and outcome.kind is OutcomeKind.ACCEPTED:
                await self._count_against_window(parcel.target)
            metrics.wechat_seconds(perf_counter() - began)
            self._finished(way, parcel, outcome)

    async def _count_against_window(self, openid: str) -> None:
        try:
            async with self._database.write() as session:
                await take_from_window(session, self._clock, openid)
        except SQLAlchemyError as error:  # the card is out; the platform keeps count as well
            logger.warning("wechat.window_not_counted", extra={"error": type(error).__name__})

    # What came of it.

    def _finished(self, way: _Way, parcel: Parcel, outcome: Outcome) -> None:
        way.stock.done(parcel, outcome)
        provider = parcel.pace.limit.name if parcel.pace is not None else ""
        metrics.finished(parcel.claim.channel, outcome.kind, provider, outcome.code)
        if outcome.kind is OutcomeKind.UNAVAILABLE and outcome.remedy is Remedy.STOP_CHANNEL:
            held = [parcel, *way.stock.withdraw(parcel.claim.dispatch_id)]
            self._aside(self._stop_channel(parcel.claim, outcome, held))
            return
        if outcome.kind is OutcomeKind.UNAVAILABLE:
            outcome = self._weigh(way, parcel.claim, outcome)
        elif outcome.kind is OutcomeKind.GATE_CLOSED:
            # Perhaps one reader has left, perhaps the dispatch was paused: then no other gate opens either.
            self._give_back(way.stock.withdraw(parcel.claim.dispatch_id), Outcome(OutcomeKind.UNAVAILABLE))
        else:
            way.breaker.mended()
            if parcel.claim.dispatch_id in self._noted:
                self._say(parcel.claim.dispatch_id, "")
        self._ledger.record(Result(parcel.claim, outcome, parcel.target))

    def _weigh(self, way: _Way, claim: Claim, outcome: Outcome) -> Outcome:
        """Let the breaker see the outcome; a channel that can't work is tried again later, with the reason in view."""
        if outcome.code == "ledger.unavailable":  # not the channel's fault
            if claim.dispatch_id not in self._noted:
                self._say(claim.dispatch_id, f"{outcome.text} 未发出的都已保留，恢复后自动继续。")
            return outcome
        wait = way.breaker.failed()
        if wait is None:
            wait = way.breaker.closed_for() or 1.0
            return Outcome(
                OutcomeKind.UNAVAILABLE, outcome.code, outcome.text, retry_after=outcome.retry_after or wait
            )
        words = f"{claim.channel} 通道暂不可用：{outcome.text} 未发出的都已保留，{wait:.0f} 秒后自动再试。"
        logger.warning(
            "channel.breaker_open", extra={"channel": way.name, "code": outcome.code, "wait": wait}
        )
        self._say(claim.dispatch_id, words)
        later = Outcome(OutcomeKind.UNAVAILABLE, outcome.code, outcome.text, retry_after=wait)
        self._give_back(way.stock.withdraw(), later)
        return later

    def _give_back(self, parcels: list[Parcel], outcome: Outcome) -> None:
        for parcel in parcels:
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

    async def _all_said(self) -> None:
        while self._asides:
            await asyncio.gather(*self._asides)

    async def _stop_channel(self, claim: Claim, outcome: Outcome, held: list[Parcel]) -> None:
        """Pause the dispatch until a person has mended the configuration; only then give back what is held, so that
        nobody tries again before.
        """
        later = Outcome(OutcomeKind.UNAVAILABLE, outcome.code, outcome.text)
        try:
            with suppress(StateError):  # another message has said it already
                async with self._database.write() as session:
                    await pause(session, claim.dispatch_id, note=f"{claim.channel}：{outcome.text}"[:500])
            logger.error("dispatch.paused", extra={"dispatch": claim.dispatch_id, "channel": claim.channel})
        except SQLAlchemyError:
            later = later._replace(retry_after=NOT_PAUSED_SECONDS)
            raise
        finally:
            self._give_back(held, later)

    async def _composer(self, dispatch_id: int) -> Composer:
        if dispatch_id not in self._composers:
            async with self._database.read() as session:
                dispatch = await session.get(Dispatch, dispatch_id)
                assert dispatch is not None  # noqa: S101  # its deliveries were just claimed
                contents = await load_contents(session, dispatch, self._links)
            publication = self._publications.named(contents.publication_key)
            self._composers[dispatch_id] = Composer(
                self._settings, self._links, publication, dispatch, contents, self._dkim
            )
        self._composers.move_to_end(dispatch_id)
        while len(self._composers) > COMPOSERS_KEPT:
            self._composers.popitem(last=False)
        return self._composers[dispatch_id]


def _target(claim: Claim, person: Person | None) -> str:
    """The address or openid of the delivery; "" where there is none any more."""
    if person is None:
        return ""
    return (person.email if claim.channel is Channel.EMAIL else person.openid) or ""


def _no_way(claim: Claim, person: Person | None, target: str, way: _Way | None) -> str:
    """Why a claimed delivery can't go out at all; "" where it can."""
    if person is None or not target:
        return "no_address"
    if claim.channel in person.suppressed:  # since planning: a bounce, a complaint
        return "suppressed"
    return "" if way is not None else f"{claim.channel}.not_configured"


def _not_composed(claim: Claim, error: Exception) -> Outcome:
    """What it means that a message could not be made."""
    if isinstance(error, ValueError):  # a value that can't stand in a mail: this one fails, the others go on
        logger.warning("delivery.content_invalid", extra={"delivery": claim.delivery_id, "error": str(error)})
        return Outcome(OutcomeKind.REFUSED, code="content.invalid", text=str(error))
    # A template or a program is at fault: every message would fail, so a person looks.
    logger.error("delivery.compose_failed", extra={"delivery": claim.delivery_id}, exc_info=error)
    words = f"无法生成内容（{type(error).__name__}），详情见日志。"
    return Outcome(OutcomeKind.UNAVAILABLE, "compose.failed", words, remedy=Remedy.STOP_CHANNEL)
