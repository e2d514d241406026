"""Sending: claim a batch, compose, give each message to its channel, record what came of it.

In: a dispatch's id. Out: outcomes in the ledger. Caller: the worker. Compose → gate → channel → record is the hot path.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Self

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from bdnews_dispatch.channels.email import EmailChannel
from bdnews_dispatch.channels.outcome import Outcome, OutcomeKind, Remedy
from bdnews_dispatch.channels.wechat import WeChatChannel
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.db.group_commit import GroupCommit
from bdnews_dispatch.dispatch.breaker import Breaker
from bdnews_dispatch.dispatch.composing import Composer
from bdnews_dispatch.dispatch.contents import load_contents
from bdnews_dispatch.dispatch.control import note, pause
from bdnews_dispatch.dispatch.ledger import Claim, Ledger, Result
from bdnews_dispatch.dispatch.models import Dispatch
from bdnews_dispatch.dispatch.reach import Reach
from bdnews_dispatch.errors import StateError
from bdnews_dispatch.issues.publications import Publications
from bdnews_dispatch.links import Links
from bdnews_dispatch.settings import Settings
from bdnews_dispatch.subscribers.audience import Person, people
from bdnews_dispatch.subscribers.followers import open_windows, take_from_window
from bdnews_dispatch.subscribers.models import Channel

logger = logging.getLogger(__name__)

#: Dispatches whose variants are kept in memory; a variant is some 100 KB, a dispatch has at most a few dozen.
COMPOSERS_KEPT = 8
#: Between two tries to write an outcome that is known; it is written until it is stored.
STORE_AGAIN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Channels:
    """The ways out. The sandbox's stand in for the real ones for everybody whom `reach` does not allow.

    Attributes:
        wechat: None where the account is not configured.
    """

    reach: Reach
    email: EmailChannel
    sandbox_email: EmailChannel
    wechat: WeChatChannel | None
    sandbox_wechat: WeChatChannel

    def to(self, channel: Channel, target: str) -> EmailChannel | WeChatChannel | None:
        """The way to this address or openid; None where the channel is not configured."""
        real = self.reach.allows(target)
        if channel is Channel.EMAIL:
            return self.email if real else self.sandbox_email
        return self.wechat if real else self.sandbox_wechat


class Sender:
    """Sends the deliveries of dispatches, batch by batch. Used as `async with`."""

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
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._publications = publications
        self._links = links
        self._ledger = ledger
        self._channels = channels
        self._composers: OrderedDict[int, Composer] = OrderedDict()
        self._gates: GroupCommit[AsyncConnection, Claim, bool] = GroupCommit(
            database.write_rows, ledger.apply_gates
        )
        self._results: GroupCommit[AsyncConnection, Result, None] = GroupCommit(
            database.write_rows, ledger.apply_results
        )
        self._breakers = {channel: Breaker(clock, settings.delivery.breaker_after) for channel in Channel}
        #: One more message than there are connections is composed while the others are on the wire.
        self._at_once = asyncio.Semaphore(settings.email.connections + 1)
        self._stopping = False

    async def __aenter__(self) -> Self:
        await self._gates.__aenter__()
        await self._results.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._gates.__aexit__()
        await self._results.__aexit__()

    def stop(self) -> None:
        """Begin nothing more: what is claimed and not begun is given back, what is on the wire is finished."""
        self._stopping = True

    async def send_batch(self, dispatch_id: int) -> int:
        """Send the next batch of the dispatch.

        Returns:
            How many deliveries were claimed; 0: nothing is due now.
        """
        channels = [channel for channel, breaker in self._breakers.items() if breaker.lets_through()]
        if self._stopping or not channels:
            return 0
        claims = await self._ledger.claim(dispatch_id, channels, self._settings.delivery.batch)
        if not claims:
            return 0
        composer = await self._composer(dispatch_id)
        async with self._database.read() as session:
            found = await people(
                session, [claim.subscriber_id for claim in claims], publication=composer.publication_key
            )
            openids = [p.openid for p in found.values() if p.openid is not None]
            windows = await open_windows(session, self._clock, openids)
        async with self._holding(claims) as held, asyncio.TaskGroup() as group:
            for claim in claims:
                person = found.get(claim.subscriber_id)
                has_window = person is not None and person.openid in windows
                group.create_task(self._deliver(claim, person, composer, held, window_open=has_window))
        return len(claims)

    @asynccontextmanager
    async def _holding(self, claims: Sequence[Claim]) -> AsyncIterator[set[Claim]]:
        """Renew the leases of what is held in memory and not recorded yet."""
        held = set(claims)

        async def renew() -> None:
            while True:
                await asyncio.sleep(self._settings.delivery.lease_seconds / 3)
                try:
                    await self._ledger.renew(sorted(held, key=lambda claim: claim.delivery_id))
                except SQLAlchemyError as error:
                    logger.warning("ledger.renew_failed", extra={"error": type(error).__name__})

        renewing = asyncio.create_task(renew(), name="renew-leases")
        try:
            yield held
        finally:
            renewing.cancel()
            with suppress(asyncio.CancelledError):
                await renewing

    async def _deliver(
        self, claim: Claim, person: Person | None, composer: Composer, held: set[Claim], *, window_open: bool
    ) -> None:
        async with self._at_once:
            if self._stopping or not self._breakers[claim.channel].lets_through():
                outcome = Outcome(OutcomeKind.UNAVAILABLE)
                target = ""
            else:
                outcome, target = await self._attempt(claim, person, composer, window_open=window_open)
                outcome = await self._weigh(claim, outcome)
            await self._record(Result(claim, outcome, target))
            held.discard(claim)

    async def _attempt(
        self, claim: Claim, person: Person | None, composer: Composer, *, window_open: bool
    ) -> tuple[Outcome, str]:
        target = _target(claim, person)
        channel = self._channels.to(claim.channel, target)
        if person is None or not target:
            return Outcome(OutcomeKind.REFUSED, code="no_address"), target
        if channel is None:
            return Outcome(OutcomeKind.REFUSED, code="wechat.not_configured"), target

        async def gate() -> bool:
            return await self._gates.submit(claim)

        try:
            if isinstance(channel, EmailChannel):
                return await channel.send(composer.mail(claim, person), gate), target
            outcome = await channel.send(composer.card(claim, person, window_open=window_open), gate)
        except ValueError as error:  # a value that can't stand in a mail: this one fails, the others go on
            logger.warning(
                "delivery.content_invalid", extra={"delivery": claim.delivery_id, "error": str(error)}
            )
            return Outcome(OutcomeKind.REFUSED, code="content.invalid", text=str(error)), target
        except SQLAlchemyError as error:  # the gate could not be written (a full disk): nothing was sent
            logger.warning(
                "ledger.gate_failed", extra={"delivery": claim.delivery_id, "error": type(error).__name__}
            )
            return Outcome(
                OutcomeKind.UNAVAILABLE, code="ledger.unavailable", text="数据库暂时无法写入。"
            ), target
        except (
            Exception
        ) as error:  # a template or a program is at fault: every message would fail, so a person looks
            logger.exception("delivery.compose_failed", extra={"delivery": claim.delivery_id})
            words = f"无法生成内容（{type(error).__name__}），详情见日志。"
            return (
                Outcome(OutcomeKind.UNAVAILABLE, "compose.failed", words, remedy=Remedy.STOP_CHANNEL),
                target,
            )
        if outcome.mode == "custom" and outcome.kind is OutcomeKind.ACCEPTED:
            await self._count_against_window(target)
        return outcome, target

    async def _count_against_window(self, openid: str) -> None:
        try:
            async with self._database.write() as session:
                await take_from_window(session, self._clock, openid)
        except SQLAlchemyError as error:  # the card is out; the platform keeps count as well
            logger.warning("wechat.window_not_counted", extra={"error": type(error).__name__})

    async def _weigh(self, claim: Claim, outcome: Outcome) -> Outcome:
        """Let the breaker see the outcome; a channel that can't work is tried again later, with the reason in view."""
        breaker = self._breakers[claim.channel]
        if outcome.kind is not OutcomeKind.UNAVAILABLE:
            if outcome.kind is not OutcomeKind.GATE_CLOSED and breaker.mended():
                await note(self._database, claim.dispatch_id, "")
            return outcome
        if outcome.remedy is Remedy.STOP_CHANNEL:
            await self._pause(claim, f"{claim.channel}：{outcome.text}")
            return outcome
        wait = breaker.failed()
        if wait is None:
            return Outcome(
                OutcomeKind.UNAVAILABLE, outcome.code, outcome.text, retry_after=outcome.retry_after or 1.0
            )
        words = f"{claim.channel} 通道暂不可用：{outcome.text} 未发出的都已保留，{wait:.0f} 秒后自动再试。"
        logger.warning(
            "channel.breaker_open", extra={"channel": claim.channel, "code": outcome.code, "wait": wait}
        )
        await note(self._database, claim.dispatch_id, words[:500])
        return Outcome(OutcomeKind.UNAVAILABLE, outcome.code, outcome.text, retry_after=wait)

    async def _pause(self, claim: Claim, words: str) -> None:
        with suppress(StateError):  # another message has said it already
            async with self._database.write() as session:
                await pause(session, claim.dispatch_id, note=words[:500])
        logger.error("dispatch.paused", extra={"dispatch": claim.dispatch_id, "channel": claim.channel})

    async def _record(self, result: Result) -> None:
        while True:
            try:
                await self._results.submit(result)
            except SQLAlchemyError as error:
                logger.exception(
                    "ledger.record_failed",
                    extra={"delivery": result.claim.delivery_id, "error": type(error).__name__},
                )
                await asyncio.sleep(STORE_AGAIN_SECONDS)
            else:
                return

    async def _composer(self, dispatch_id: int) -> Composer:
        if dispatch_id not in self._composers:
            async with self._database.read() as session:
                dispatch = await session.get(Dispatch, dispatch_id)
                assert dispatch is not None  # noqa: S101  # its deliveries were just claimed
                contents = await load_contents(session, dispatch, self._links)
            publication = self._publications.named(contents.publication_key)
            self._composers[dispatch_id] = Composer(
                self._settings, self._links, publication, dispatch, contents
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
