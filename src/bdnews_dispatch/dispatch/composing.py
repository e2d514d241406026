"""Composing: a claimed delivery and its person become an outgoing mail or card.

What two subscribers share (the sections, the language, tracking or none) is a variant: rendered and encoded once a
dispatch, then kept. Callers: stocking, the lanes.
"""

import logging
from collections.abc import Callable
from datetime import datetime

from bdnews_dispatch.channels.email import OutgoingMail
from bdnews_dispatch.channels.outcome import Outcome, OutcomeKind, Remedy
from bdnews_dispatch.channels.wechat import OutgoingCard
from bdnews_dispatch.channels.wechat.modes import Chances
from bdnews_dispatch.digests.card import CardText, card_for
from bdnews_dispatch.digests.dkim import DkimSigner
from bdnews_dispatch.digests.message import Headers, Slots, Variant
from bdnews_dispatch.digests.rendering import render_digest
from bdnews_dispatch.dispatch.contents import Contents, digest_of
from bdnews_dispatch.dispatch.ledger_store import Claim
from bdnews_dispatch.dispatch.models import Dispatch
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.links import DeliveryLinks, Links
from bdnews_dispatch.settings import Settings
from bdnews_dispatch.subscribers.audience import Person

logger = logging.getLogger(__name__)


class Composer:
    """Composes the messages of one dispatch."""

    def __init__(
        self,
        settings: Settings,
        links: Links,
        publication: Publication,
        dispatch: Dispatch,
        contents: Contents,
        dkim: DkimSigner | None = None,
    ) -> None:
        self._dkim = dkim
        self._settings = settings
        self._links = links
        self._publication = publication
        self._dispatch = dispatch
        self._contents = contents
        self._variants: dict[tuple[tuple[str, ...], str, bool], Variant] = {}
        self._domain = settings.bounce_domain
        self._mailto = settings.email.unsubscribe_mailbox
        self._cards: dict[tuple[tuple[str, ...], str], CardText] = {}

    @property
    def publication_key(self) -> str:
        return self._publication.key

    def mail(self, claim: Claim, person: Person) -> OutgoingMail:
        """The mail of an email delivery. The person has an address."""
        assert person.email is not None  # noqa: S101  # sending has looked
        variant = self.variant(claim.sections, person.language, untracked=person.no_tracking)
        links = self._links.of_delivery(claim.key)
        slots = self._slots(claim, person, person.email, links)
        return OutgoingMail(
            delivery_id=claim.delivery_id,
            sender=f"{links.verp}@{self._domain}",
            recipient=person.email,
            content=_content(variant, slots),
        )

    def card(self, claim: Claim, person: Person, *, chances: Chances) -> OutgoingCard:
        """The card of a WeChat delivery. The person has an openid."""
        assert person.openid is not None  # noqa: S101  # sending has looked
        name = (claim.sections, person.language)
        if name not in self._cards:
            self._cards[name] = card_for(
                digest_of(self._publication, self._contents, claim.sections, person.language)
            )
        text = self._cards[name]
        return OutgoingCard(
            delivery_id=claim.delivery_id,
            openid=person.openid,
            title=text.title,
            description=text.description,
            url=self._links.web_copy(claim.key),
            picture_url="",
            fields=text.fields,
            chances=chances,
            client_msg_id=claim.key,
        )

    def variant(self, sections: tuple[str, ...], language: str, *, untracked: bool) -> Variant:
        """What all readers of these sections share."""
        name = (sections, language, untracked)
        variant = self._variants.get(name)
        if variant is None:
            digest = digest_of(self._publication, self._contents, sections, language)
            variant = render_digest(digest, self._headers(), track=not untracked, dkim=self._dkim)
            self._variants[name] = variant
        return variant

    def _headers(self) -> Headers:
        email = self._settings.email
        domain = email.from_address.rpartition("@")[2]
        publication = self._publication
        first = self._contents.editions[0] if self._contents.editions else None
        return Headers(
            from_name=email.from_name or publication.name,
            from_address=email.from_address,
            reply_to=publication.email,
            list_id=f"{publication.key}.{domain}",
            list_name=publication.name,
            archived_at=first.url if first is not None and len(self._contents.editions) == 1 else "",
            list_archive=self._links.archive(publication.key),
            feedback_id=f"{self._dispatch.id}:{publication.key}:{self._dispatch.kind}:{domain}",
            date=self._date(),
        )

    def _date(self) -> datetime:
        """The same on every try, as a repeated message should be."""
        return max(self._dispatch.due_at, self._dispatch.created_at)

    def _slots(self, claim: Claim, person: Person, address: str, links: DeliveryLinks) -> Slots:
        key, domain = claim.key, self._domain
        language = "" if person.language == "zh" else f"?lang={person.language}"
        return Slots(
            recipient_name=person.name,
            recipient_address=address,
            message_id=f"{key}.{claim.dispatch_id}@{domain}",
            click_url=links.click,
            pixel_url="" if person.no_tracking else links.pixel,
            web_url=links.web_copy + language,
            preferences_url=links.preferences + language,
            unsubscribe_url=links.unsubscribe + language,
            one_click_url=links.unsubscribe,
            unsubscribe_mailto=self._mailto or f"{links.leave}@{domain}",
            delivery_reference=key,
        )


def _content(variant: Variant, slots: Slots) -> Callable[[bool], bytes]:
    return lambda eight_bit: variant.on_the_wire(slots, eight_bit=eight_bit)


def not_composed(claim: Claim, error: Exception) -> Outcome:
    """What it means that a message could not be made."""
    if isinstance(error, ValueError):  # a value that can't stand in a mail: this one fails, the others go on
        logger.warning("delivery.content_invalid", extra={"delivery": claim.delivery_id, "error": str(error)})
        return Outcome(OutcomeKind.REFUSED, code="content.invalid", text=str(error))
    # A template or a program is at fault: every message would fail, so a person looks.
    logger.error("delivery.compose_failed", extra={"delivery": claim.delivery_id}, exc_info=error)
    words = f"无法生成内容（{type(error).__name__}），详情见日志。"
    return Outcome(OutcomeKind.UNAVAILABLE, "compose.failed", words, remedy=Remedy.STOP_CHANNEL)
