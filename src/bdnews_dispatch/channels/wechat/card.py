"""A card on its way to one WeChat user. Made by dispatch/ of what digests/ composed; taken by channel.py."""

from collections.abc import Mapping
from dataclasses import dataclass

from bdnews_dispatch.channels.wechat.modes import Chances


@dataclass(frozen=True, slots=True)
class OutgoingCard:
    """One short card; its link leads to the reader's own digest page.

    Attributes:
        delivery_id: the row of the ledger; for logs only.
        openid: the user.
        title: of the article, for a 客服 message.
        description: under the title.
        url: the reader's own page.
        picture_url: for a 客服 message; may be empty.
        fields: what fills a template: title, number, date, sections, summary.
        chances: by which modes it may go, as far as the ledger knows.
        client_msg_id: at most 32 bytes, the same at every retry, so the platform drops a repeat.
    """

    delivery_id: int
    openid: str
    title: str
    description: str
    url: str
    picture_url: str
    fields: Mapping[str, str]
    chances: Chances
    client_msg_id: str
