"""Pictures of issues in the database: stored under the hash of what came, found again by it.

In: pictures that parsing made fit. Out: rows of picture, and what a page or a mail needs of them. Callers: intake.py
stores; dispatch/contents.py, dispatch/mass/ and web/ find.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.db.statements import insert_new
from bdnews_dispatch.issues.document import Block, BlockType, IssueDocument, referenced
from bdnews_dispatch.issues.models import Picture
from bdnews_dispatch.issues.parsing.pictures import PreparedPicture


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """What a page or a mail needs of a stored picture."""

    digest: str
    width: int
    height: int


async def store(session: AsyncSession, pictures: Iterable[PreparedPicture], at: datetime) -> None:
    """Keep those that are not there yet."""
    for one in pictures:
        await session.execute(
            insert_new(session, Picture).values(
                digest=one.digest,
                mime=one.mime,
                width=one.width,
                height=one.height,
                content=one.content,
                stored_at=at,
            )
        )


def blocks_of(document: IssueDocument) -> Iterator[Block]:
    """Every block, of the preface and of the articles."""
    yield from document.preface
    for _, _, article in document.articles():
        yield from article.body


def digests_of(blocks: Iterable[Block]) -> set[str]:
    """The stored pictures that they show."""
    return {digest for block in blocks if block.type is BlockType.IMAGE and (digest := referenced(block.url))}


async def facts_of(session: AsyncSession, digests: Collection[str]) -> dict[str, PictureFacts]:
    """Those that are stored, without their octets."""
    if not digests:
        return {}
    rows = await session.exec(
        select(Picture.digest, Picture.width, Picture.height).where(col(Picture.digest).in_(digests))
    )
    return {digest: PictureFacts(digest, width, height) for digest, width, height in rows}
