"""What everybody may read: publications, their published issues, each article whole, its pictures and QR code.

In: addresses. Out: pages, pictures. Only what is published is shown; what was withdrawn says so.
"""

from dataclasses import dataclass

from aiohttp import web
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.digests.qr import qr_png
from bdnews_dispatch.errors import NotFoundError
from bdnews_dispatch.issues.document import Article, IssueDocument, Section
from bdnews_dispatch.issues.intake import current_revision
from bdnews_dispatch.issues.models import Issue, IssueState, Picture
from bdnews_dispatch.issues.pictures import digests_of, facts_of
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.web.article_text import parts_of, spans
from bdnews_dispatch.web.faults import GoneError
from bdnews_dispatch.web.keys import DATABASE, DEMO, LINKS, PAGES, PUBLICATIONS
from bdnews_dispatch.web.pages import SHORT, facts

_ON_HOME = 5
_ON_A_PAGE = 50
_MOST_DIGITS = 9
_PICTURE_MAX_AGE = "public, max-age=31536000, immutable"
_PNG_MAX_AGE = "public, max-age=86400"


@dataclass(frozen=True, slots=True)
class Placed:
    """An article at its place in the issue."""

    place: int
    section: Section
    article: Article


async def home(request: web.Request) -> web.Response:
    """The publications and their newest issues."""
    if request.app[DEMO]:
        raise web.HTTPFound("/demo")
    async with request.app[DATABASE].read() as session:
        shelves = [
            (publication, await _newest(session, publication, _ON_HOME))
            for publication in request.app[PUBLICATIONS].values()
        ]
    filled = [shelf for shelf in shelves if shelf[1]] or shelves[:1]
    return request.app[PAGES].response(request, "home.html", cache=SHORT, shelves=filled)


async def issues(request: web.Request) -> web.Response:
    """All issues of a publication, newest first."""
    publication = _publication(request)
    before = _number(request.query.get("before", "9" * _MOST_DIGITS))
    async with request.app[DATABASE].read() as session:
        found = await _newest(session, publication, _ON_A_PAGE + 1, before=before)
    return request.app[PAGES].response(
        request,
        "issues.html",
        cache=SHORT,
        publication=publication,
        issues=found[:_ON_A_PAGE],
        more=found[_ON_A_PAGE - 1].total_number if len(found) > _ON_A_PAGE else None,
    )


async def issue(request: web.Request) -> web.Response:
    """An issue: what is in it."""
    publication = _publication(request)
    document = await _document(request, publication)
    return request.app[PAGES].response(
        request,
        "issue.html",
        cache=SHORT,
        publication=publication,
        document=document,
        sections=_by_section(document),
        preface=[part for part in parts_of(document.preface) if part.kind != "image"],
        facts=facts(document),
    )


async def article(request: web.Request) -> web.Response:
    """An article, whole."""
    publication = _publication(request)
    document = await _document(request, publication)
    placed = [Placed(*entry) for entry in document.articles()]
    place = _number(request.match_info["place"])
    at = next((at for at, one in enumerate(placed) if one.place == place), None)
    if at is None:
        raise NotFoundError("没有这篇文章")
    shown = placed[at]
    assert document.total_number is not None  # noqa: S101  # intake takes no issue without one
    async with request.app[DATABASE].read() as session:
        pictures = await facts_of(session, digests_of(shown.article.body))
    return request.app[PAGES].response(
        request,
        "article.html",
        cache=SHORT,
        publication=publication,
        document=document,
        placed=shown,
        note=[spans(line) for line in shown.article.editor_note.splitlines() if line.strip()],
        body=parts_of(shown.article.body, pictures),
        previous=placed[at - 1] if at > 0 else None,
        following=placed[at + 1] if at + 1 < len(placed) else None,
        address=request.app[LINKS].article(publication.key, document.total_number, place),
    )


async def qr(request: web.Request) -> web.Response:
    """The QR code to an article, as a picture for mails."""
    publication = _publication(request)
    document = await _document(request, publication)
    place = _number(request.match_info["place"])
    if place not in [one for one, _, _ in document.articles()]:
        raise NotFoundError("没有这篇文章")
    total = _number(request.match_info["total"])
    png = qr_png(request.app[LINKS].article(publication.key, total, place))
    return web.Response(body=png, content_type="image/png", headers={"Cache-Control": _PNG_MAX_AGE})


async def picture(request: web.Request) -> web.Response:
    """A picture of an issue, by the hash of what came: what it is never changes."""
    async with request.app[DATABASE].read() as session:
        found = await session.get(Picture, request.match_info["digest"])
    if found is None:
        raise NotFoundError("没有这张图片")
    return web.Response(
        body=found.content, content_type=found.mime, headers={"Cache-Control": _PICTURE_MAX_AGE}
    )


def _by_section(document: IssueDocument) -> list[tuple[Section, list[Placed]]]:
    found: list[tuple[Section, list[Placed]]] = []
    for entry in document.articles():
        placed = Placed(*entry)
        if not found or found[-1][0] is not placed.section:
            found.append((placed.section, []))
        found[-1][1].append(placed)
    return found


async def _document(request: web.Request, publication: Publication) -> IssueDocument:
    total = _number(request.match_info["total"])
    async with request.app[DATABASE].read() as session:
        found = (
            await session.exec(
                select(Issue).where(Issue.publication == publication.key, Issue.total_number == total)
            )
        ).first()
        if found is None or found.state is IssueState.REVIEW:
            raise NotFoundError("没有这一期")
        if found.state is IssueState.WITHDRAWN:
            raise GoneError("本期已撤回")
        revision = await current_revision(session, found)
    return IssueDocument.model_validate(revision.document)


async def _newest(
    session: AsyncSession, publication: Publication, limit: int, *, before: int | None = None
) -> list[Issue]:
    statement = (
        select(Issue)
        .where(Issue.publication == publication.key, Issue.state == IssueState.PUBLISHED)
        .order_by(col(Issue.total_number).desc())
        .limit(limit)
    )
    if before is not None:
        statement = statement.where(Issue.total_number < before)
    return list((await session.exec(statement)).all())


def _publication(request: web.Request) -> Publication:
    return request.app[PUBLICATIONS].named(request.match_info["publication"])


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise NotFoundError("没有这一期")
    return int(text)
