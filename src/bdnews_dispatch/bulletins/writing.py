"""Writing a bulletin: a title and a text in Markdown become a row. Callers: cli/, web/api/, drafting.py."""

import hashlib

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.bulletins.models import Bulletin
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.errors import BdnewsError, Phrase

#: A bulletin is one message; what is longer is an issue.
MOST_CHARACTERS = 20_000
LONGEST_TITLE = 100


def check_words(title: str, body: str) -> None:
    """Whether they could be sent. Raises: BdnewsError: there is no title or text, or too much of them."""
    if not title.strip() or not body.strip():
        raise BdnewsError(
            "快讯要有标题和正文", hint="两样都写上再保存；命令行：--title 标题，--body Markdown 文件。"
        )
    if len(title) > LONGEST_TITLE or len(body) > MOST_CHARACTERS:
        raise BdnewsError(
            Phrase(
                "快讯标题不超过 %(title)s 字，正文不超过 %(body)s 字",
                title=LONGEST_TITLE,
                body=MOST_CHARACTERS,
            )
        )


async def write_bulletin(
    session: AsyncSession,
    clock: Clock,
    *,
    publication: str,
    title: str,
    body: str,
    urgent: bool = False,
    ad: bool = False,
    audience: str = "",
) -> Bulletin:
    """Store a bulletin; the same one again is the one that is there.

    Args:
        body: Markdown.
        ad: commercial content: 广告 goes in front of the subject.
        audience: to whom and when, as text: the same words to others are another bulletin.

    Raises:
        BdnewsError: there is no title or text, or too much of them.
    """
    title = " ".join(title.split())
    check_words(title, body)
    mark = hashlib.sha256(
        "\0".join((publication, title, body, f"{urgent}{ad}", audience)).encode()
    ).hexdigest()
    found = (await session.exec(select(Bulletin).where(Bulletin.fingerprint == mark))).first()
    if found is not None:
        return found
    bulletin = Bulletin(
        publication=publication,
        fingerprint=mark,
        title=title,
        body=body,
        urgent=urgent,
        ad=ad,
        created_at=clock(),
    )
    session.add(bulletin)
    await session.flush()
    return bulletin
