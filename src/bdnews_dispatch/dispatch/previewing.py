"""What a reader of given sections would get, before it is sent: the very mail and card, with addresses of nobody.

In: contents, sections, a language. Out: `Preview`. Callers: the console's previews and test sends. It is made by the
same composer as a dispatch's, so that what is looked at is what goes out.
"""

from collections.abc import Collection
from dataclasses import dataclass

from bdnews_dispatch.digests.card import CardText, card_for
from bdnews_dispatch.digests.message import Slots
from bdnews_dispatch.dispatch.composing import Composer
from bdnews_dispatch.dispatch.contents import Contents, digest_of
from bdnews_dispatch.dispatch.models import Dispatch
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.links import Links
from bdnews_dispatch.settings import Settings

#: Gmail hides what is behind this, with the unsubscribe link at the end.
CLIPPED_AT = 102 * 1024
#: Longer than any real one, so that the size is rather too much than too little.
_KEY = "preview0preview0preview0"


@dataclass(frozen=True, slots=True)
class Preview:
    """A mail and a card.

    Attributes:
        octets: of the HTML, which is what Gmail measures.
        message_octets: of the whole message as it goes out.
        urls: every link of the content once, in order.
    """

    subject: str
    html: str
    text: str
    card: CardText
    octets: int
    message_octets: int
    urls: tuple[str, ...]

    @property
    def clipped(self) -> bool:
        """Whether Gmail would hide its end."""
        return self.octets > CLIPPED_AT


def preview(
    settings: Settings,
    links: Links,
    publication: Publication,
    dispatch: Dispatch,
    contents: Contents,
    *,
    sections: Collection[str],
    language: str = "zh",
    name: str = "",
    address: str = "reader@example.com",
) -> Preview:
    """As the composer makes it.

    Args:
        dispatch: not in the database.
        sections: keys, as `match` gives them.
        name, address: of the reader.
    """
    chosen = tuple(sorted(sections))
    composer = Composer(settings, links, publication, dispatch, contents)
    variant = composer.variant(chosen, language, untracked=True)
    archive, subscribe = links.archive(publication.key), links.subscribe(publication.key)
    slots = Slots(
        recipient_name=name,
        recipient_address=address,
        message_id=f"{_KEY}.0@{settings.bounce_domain}",
        click_url=archive,
        pixel_url="",
        web_url=archive,
        preferences_url=subscribe,
        unsubscribe_url=subscribe,
        one_click_url=subscribe,
        unsubscribe_mailto=f"unsubscribe@{settings.bounce_domain}",
        delivery_reference=_KEY,
    )
    subject, html, text = variant.preview(slots)
    digest = digest_of(publication, contents, chosen, language)
    return Preview(
        subject=subject,
        html=html,
        text=text,
        card=card_for(digest),
        octets=len(html.encode()),
        message_octets=len(variant.assemble(slots, eight_bit=True)),
        urls=tuple(dict.fromkeys(link.url for link in digest.links)),
    )
