"""What WeChat users do and say: they follow, leave, write a keyword; a template message reached its end.

In: events `wechat.pushed`, recorded by the callback. Out: followers and their windows, subscriptions, deliveries that
are delivered or failed. Caller: the outbox, through pipeline.py. Every step may run twice and does no harm.
"""

from collections.abc import Collection
from dataclasses import replace

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.dispatch.changes import mark_changed
from bdnews_dispatch.dispatch.mass.reports import take_report
from bdnews_dispatch.dispatch.models import Attempt, Delivery
from bdnews_dispatch.dispatch.states import DELIVERY_TRANSITIONS, DeliveryState
from bdnews_dispatch.issues.publications import Publications
from bdnews_dispatch.messaging.models import Event
from bdnews_dispatch.official_account.binding import carry_out, let_go
from bdnews_dispatch.official_account.credits import grant, withdraw
from bdnews_dispatch.official_account.keywords import Keyword, keyword_of
from bdnews_dispatch.subscribers import agreements, followers, people
from bdnews_dispatch.subscribers.agreements import Agreement, Proof
from bdnews_dispatch.subscribers.models import Channel, ChannelChoice
from bdnews_dispatch.subscribers.suppressions import lift, suppress, suppressed_by

PUSHED_EVENT = "wechat.pushed"
_ORIGIN = "wechat"
#: Sources of a suppression that say what the platform said: by a push, or to a card (the ledger's word for sending).
_BY_PLATFORM = frozenset({"wechat", "smtp"})


class WeChatPushes:
    """Handles `wechat.pushed`. Its payload: kind, openid, text, event_key, scene, msg_id, status, counts, consents."""

    def __init__(
        self, clock: Clock, publications: Publications, long_term: Collection[str] = frozenset()
    ) -> None:
        """Args: long_term: templates of 订阅通知 to which a consent lasts."""
        self._clock = clock
        self._publications = publications
        self._long_term = frozenset(long_term)

    async def on_pushed(self, session: AsyncSession, event: Event) -> None:
        """Handler for the outbox."""
        payload = event.payload
        openid = str(payload["openid"])
        match payload["kind"]:
            case "subscribe":
                await followers.follow(session, self._clock, openid)
                await self._back(session, openid)
                await self._scanned(session, openid, str(payload.get("scene", "")))
            case "unsubscribe":
                await followers.unfollow(session, self._clock, openid)
            case "scan":
                await followers.touched(session, self._clock, openid, text=False)
                await self._scanned(session, openid, str(payload.get("scene", "")))
            case "click":
                await followers.touched(session, self._clock, openid, text=False)
                await self._answer(session, openid, str(payload.get("event_key", "")))
            case "text" | "message":
                await followers.touched(session, self._clock, openid, text=True)
                await self._answer(session, openid, str(payload.get("text", "")))
            case "template_finished":
                await self._finish(
                    session, openid, str(payload.get("msg_id", "")), str(payload.get("status", ""))
                )
            case "mass_finished":
                status, counts = str(event.payload.get("status", "")), event.payload.get("counts", {})
                msg_id = str(event.payload.get("msg_id", ""))
                await take_report(session, self._clock(), msg_id, status, counts)
            case "consent":
                await self._count_consents(session, event)
            case _:
                pass

    async def _back(self, session: AsyncSession, openid: str, note: str = "重新关注了公众号") -> None:
        """Who follows or subscribes again may be written to again, if it was the platform that said they could not."""
        if await suppressed_by(session, Channel.WECHAT, openid) in _BY_PLATFORM:
            await lift(session, self._clock, Channel.WECHAT, openid, note=note)

    async def _scanned(self, session: AsyncSession, openid: str, scene: str) -> None:
        if scene:
            await carry_out(session, self._clock, self._publications, openid, scene)

    async def _count_consents(self, session: AsyncSession, event: Event) -> None:
        """A push may tell of several templates: each counts once, however often the push comes."""
        openid = str(event.payload["openid"])
        for template_id, accepted in event.payload.get("consents", ()):
            key = f"{event.key.rpartition(':')[2]}:{template_id}"[:120]
            if accepted:
                lasting = template_id in self._long_term
                await grant(session, self._clock, openid, template_id, key=key, lasting=lasting)
            else:
                await withdraw(session, self._clock, openid, template_id, key=key)

    async def _answer(self, session: AsyncSession, openid: str, text: str) -> None:
        match keyword_of(text):
            case Keyword.UNSUBSCRIBE:
                await self._stop(session, openid)
            case Keyword.SUBSCRIBE:
                await self._back(session, openid, "回复了“订阅”")
                await self._start(session, openid)
            case _:
                pass

    async def _stop(self, session: AsyncSession, openid: str) -> None:
        """退订 by WeChat stops WeChat; who also reads by email goes on by email, and this WeChat is theirs no longer:
        it may be somebody else's, who has scanned a code that was not for them.
        """
        person = await people.find_by_openid(session, openid)
        if person is None or person.id is None:
            return
        theirs_alone = person.email is None
        for publication in self._publications.values():
            current = await agreements.current(session, person.id, publication.key)
            if current is None or current.channel is ChannelChoice.EMAIL:
                continue
            if current.channel is ChannelChoice.WECHAT or person.email is None:
                theirs_alone = True  # who comes back by 订阅 reads as before
                await agreements.unsubscribe(
                    session, self._clock, person.id, publication.key, reason="", origin=_ORIGIN
                )
                continue
            await agreements.agree(
                session,
                self._clock,
                person.id,
                publication,
                replace(Agreement.of(current), channel=ChannelChoice.EMAIL),
                Proof(_ORIGIN, Keyword.UNSUBSCRIBE.value),
            )
        if not theirs_alone:
            await let_go(session, person)

    async def _start(self, session: AsyncSession, openid: str) -> None:
        """订阅: who had left comes back as they were; who reads by email gets WeChat too; a new one gets it whole."""
        publication = self._publications.named(None)
        person = await people.find_by_openid(session, openid)
        proof = Proof(_ORIGIN, Keyword.SUBSCRIBE.value)
        if person is None or person.id is None:
            await people.add(
                session,
                self._clock,
                publication,
                email=None,
                name="",
                openid=openid,
                agreement=Agreement(channel=ChannelChoice.WECHAT),
                proof=proof,
            )
            return
        current = await agreements.current(session, person.id, publication.key)
        if current is None:
            again = await agreements.resubscribe(
                session, self._clock, person.id, publication.key, proof=proof
            )
            current = await agreements.current(session, person.id, publication.key) if again else None
        way = ChannelChoice.BOTH if person.email is not None else ChannelChoice.WECHAT
        if current is not None and current.channel is not ChannelChoice.EMAIL:
            return
        agreement = Agreement.of(current) if current else Agreement()
        await agreements.agree(
            session, self._clock, person.id, publication, replace(agreement, channel=way), proof
        )

    async def _finish(self, session: AsyncSession, openid: str, msg_id: str, status: str) -> None:
        """A template message reached its user, or did not. It may be told twice, late and out of order."""
        person = await people.find_by_openid(session, openid)
        if not msg_id or person is None:
            return
        statement = (
            select(Delivery)
            .join(Attempt, col(Attempt.delivery_id) == col(Delivery.id))
            .where(Attempt.reference == msg_id[:100], Attempt.mode == "template")
            .where(Delivery.subscriber_id == person.id, Delivery.channel == Channel.WECHAT)
            # The push comes soon after its message: the newest first, and none behind it is looked at.
            .order_by(col(Delivery.id).desc(), col(Attempt.id).desc())
            .limit(1)
        )
        delivery = (await session.exec(statement)).first()
        if delivery is None:
            return
        told = status.strip().lower()
        if told == "success":
            then = DeliveryState.DELIVERED
        elif told.startswith("failed"):
            then = DeliveryState.BOUNCED
        else:
            return
        if then in DELIVERY_TRANSITIONS[delivery.state]:
            delivery.state = then
            delivery.reason = "" if then is DeliveryState.DELIVERED else told[:100]
            delivery.updated_at = self._clock()
            session.add(delivery)
            await mark_changed(session, {delivery.dispatch_id})
        if "user block" in told:
            await suppress(session, self._clock, Channel.WECHAT, openid, reason=told, source="wechat")
