"""Stocking up: claim a batch of a dispatch, and put each delivery with all that sending it needs into its way's stock.

In: a dispatch's id. Out: parcels in stock; skipped is who has nowhere to be written to. Caller: sending.
"""

import logging
from collections import OrderedDict
from collections.abc import Mapping

from sqlalchemy.exc import SQLAlchemyError

from bdnews_dispatch.channels.outcome import Outcome, OutcomeKind
from bdnews_dispatch.channels.wechat import Chances
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.digests.dkim import DkimSigner
from bdnews_dispatch.dispatch.chances import narrowed
from bdnews_dispatch.dispatch.composing import Composer
from bdnews_dispatch.dispatch.contents import load_contents
from bdnews_dispatch.dispatch.endings import Endings
from bdnews_dispatch.dispatch.ledger import Ledger, Result
from bdnews_dispatch.dispatch.ledger_store import Claim
from bdnews_dispatch.dispatch.models import Dispatch
from bdnews_dispatch.dispatch.reach import Reach
from bdnews_dispatch.dispatch.stock import Parcel
from bdnews_dispatch.dispatch.ways import CardWay, Way, Ways
from bdnews_dispatch.issues.publications import Publications
from bdnews_dispatch.links import Links
from bdnews_dispatch.official_account.standing import chances_of
from bdnews_dispatch.settings import Settings
from bdnews_dispatch.subscribers.audience import Person
from bdnews_dispatch.subscribers.models import Channel
from bdnews_dispatch.telemetry import metrics, traces

logger = logging.getLogger(__name__)

#: Dispatches whose variants are kept in memory; a variant is some 100 KB, a dispatch has at most a few dozen.
COMPOSERS_KEPT = 8

_NOT_READ = Outcome(OutcomeKind.UNAVAILABLE, "ledger.unavailable", retry_after=1.0)
STOPPING = Outcome(OutcomeKind.UNAVAILABLE, "stopping")


class Stocking:
    """Fills the stocks of one worker."""

    def __init__(
        self,
        *,
        settings: Settings,
        database: Database,
        clock: Clock,
        publications: Publications,
        links: Links,
        ledger: Ledger,
        endings: Endings,
        reach: Reach,
        ways: Ways,
        dkim: DkimSigner | None,
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._publications = publications
        self._links = links
        self._ledger = ledger
        self._endings = endings
        self._reach = reach
        self._ways = ways
        self._dkim = dkim
        self._composers: OrderedDict[int, Composer] = OrderedDict()
        self._closed = False

    def close(self) -> None:
        """Claim nothing more."""
        self._closed = True

    async def claim_batch(self, dispatch_id: int, urgency: int) -> int:
        """Claim the next batch of the dispatch for each channel that has room, and put it into stock.

        Returns:
            How many deliveries were claimed; 0: nothing is due now, or there is enough in stock.
        """
        claimed = 0
        for channel in Channel:
            ways = [way for (kind, _), way in self._ways.items() if kind is channel]
            limit = self._batch(dispatch_id, ways)
            if self._closed or not limit:
                continue
            composer = await self._composer(dispatch_id)
            claims, found = await traces.within(
                "claim",
                self._ledger.claim(dispatch_id, channel, limit, publication=composer.publication_key),
                dispatch=dispatch_id,
                channel=channel,
            )
            claimed += len(claims)
            chances: Mapping[int, Chances] = {}
            if channel is Channel.WECHAT and claims:
                chances = await self._chances(claims, found)
            for claim in claims:
                self._stock_up(claim, found.get(claim.subscriber_id), composer, urgency, chances)
        return claimed

    async def _chances(self, claims: list[Claim], found: Mapping[int, Person]) -> Mapping[int, Chances]:
        """By which modes each of these may go."""
        openids: dict[CardWay, list[str]] = {}
        for person in found.values():
            way = (
                self._ways.get((Channel.WECHAT, self._reach.allows(person.openid))) if person.openid else None
            )
            if isinstance(way, CardWay) and person.openid is not None:
                openids.setdefault(way, []).append(person.openid)
        try:
            async with self._database.read() as session:
                of_openid: dict[str, Chances] = {}
                for way, theirs in openids.items():
                    of_openid |= await chances_of(session, self._clock, way.account, theirs)
                return await narrowed(session, claims, found, of_openid, self._clock())
        except SQLAlchemyError as error:  # given back by the gate or by their lease
            logger.warning("wechat.chances_not_read", extra={"error": type(error).__name__})
            return {}

    def has_enough(self, dispatch_id: int) -> bool:
        """Is so much of the dispatch in stock that it will be told of when it runs low?"""
        low = self._settings.delivery.batch // 2
        return any(way.stock.number_of(dispatch_id) > low for way in self._ways.values())

    def _batch(self, dispatch_id: int, ways: list[Way]) -> int:
        """How many may be claimed: none while there is enough, one to try a channel that was broken."""
        if not any(way.breaker.lets_through() for way in ways):
            return 0
        batch = self._settings.delivery.batch
        if sum(way.stock.number_of(dispatch_id) for way in ways) >= batch:
            return 0
        return 1 if any(way.breaker.is_tried() for way in ways) else batch

    def _stock_up(
        self,
        claim: Claim,
        person: Person | None,
        composer: Composer,
        urgency: int,
        chances: Mapping[int, Chances],
    ) -> None:
        target = _target(claim, person)
        way = self._ways.get((claim.channel, self._reach.allows(target)))
        if person is None or not target:
            self._not_tried(claim, OutcomeKind.SKIPPED, "no_address")
            return
        if claim.channel in person.suppressed:  # since planning: a bounce, a complaint
            self._not_tried(claim, OutcomeKind.SKIPPED, "suppressed")
            return
        if way is None:  # ours to mend, so it has failed
            self._not_tried(claim, OutcomeKind.REFUSED, f"{claim.channel}.not_configured")
            return
        domain = target.rpartition("@")[2].lower() if claim.channel is Channel.EMAIL else ""
        parcel = Parcel(claim, person, composer, target, urgency, domain)
        if claim.channel is Channel.WECHAT:
            if claim.delivery_id not in chances:
                self._endings.give_back([parcel], _NOT_READ)
                return
            parcel.chances = chances[claim.delivery_id]
        if self._closed:
            self._endings.give_back([parcel], STOPPING)
        elif wait := way.breaker.closed_for():
            self._endings.give_back([parcel], Outcome(OutcomeKind.UNAVAILABLE, "breaker", retry_after=wait))
        else:
            way.stock.put(parcel)

    def _not_tried(self, claim: Claim, kind: OutcomeKind, reason: str) -> None:
        self._ledger.record(Result(claim, Outcome(kind, code=reason), ""))
        metrics.finished(claim.channel, kind, "", reason)

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
