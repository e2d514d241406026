"""What a dispatch sends: its issues as they were at the start, or its bulletin. Callers: planning, composing, web."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.bulletins.models import Bulletin
from bdnews_dispatch.digests.composition import IssueEdition, all_links, compose, compose_bulletin
from bdnews_dispatch.digests.digest import Digest, DigestPicture, Link
from bdnews_dispatch.dispatch.models import Dispatch
from bdnews_dispatch.issues.document import IssueDocument
from bdnews_dispatch.issues.models import IssueRevision
from bdnews_dispatch.issues.pictures import blocks_of, digests_of, facts_of
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.links import Links


@dataclass(frozen=True, slots=True)
class Contents:
    """Either editions or a bulletin."""

    publication_key: str
    editions: tuple[IssueEdition, ...]
    bulletin: Bulletin | None


async def load_contents(session: AsyncSession, dispatch: Dispatch, links: Links) -> Contents:
    """Read what the dispatch sends; the same revision for its whole life, whatever was corrected since."""
    editions = []
    for entry in dispatch.issues:
        revision = (
            await session.exec(
                select(IssueRevision).where(
                    IssueRevision.issue_id == entry["id"], IssueRevision.revision == entry["revision"]
                )
            )
        ).one()
        document = IssueDocument.model_validate(revision.document)
        assert document.total_number is not None  # noqa: S101  # intake takes no issue without one
        url = links.issue(document.publication, document.total_number)
        editions.append(
            IssueEdition(
                issue_id=entry["id"],
                document=document,
                url=url,
                pictures=await _pictures(session, document, links),
            )
        )
    bulletin = await session.get(Bulletin, dispatch.bulletin_id) if dispatch.bulletin_id is not None else None
    return Contents(dispatch.publication, tuple(editions), bulletin)


async def _pictures(session: AsyncSession, document: IssueDocument, links: Links) -> dict[str, DigestPicture]:
    found = await facts_of(session, digests_of(blocks_of(document)))
    return {
        digest: DigestPicture(digest, links.picture(digest), one.width, one.height)
        for digest, one in found.items()
    }


def article_url(edition: IssueEdition, place: int) -> str:
    """The public page of an article of the edition."""
    return f"{edition.url}/{place}"


def digest_of(
    publication: Publication, contents: Contents, sections: Collection[str], language: str = "zh"
) -> Digest:
    """The digest that a reader of these sections gets."""
    if contents.bulletin is not None:
        return compose_bulletin(
            publication,
            title=contents.bulletin.title,
            body_markdown=contents.bulletin.body,
            urgent=contents.bulletin.urgent,
            ad=contents.bulletin.ad,
            published=contents.bulletin.created_at,
            language=language,
        )
    return compose(
        publication, contents.editions, frozenset(sections), article_url=article_url, language=language
    )


def links_of(publication: Publication, contents: Contents) -> tuple[Link, ...]:
    """Every link that any reader of the dispatch may get."""
    if contents.bulletin is not None:
        return digest_of(publication, contents, ()).links
    return all_links(publication, contents.editions, article_url)
