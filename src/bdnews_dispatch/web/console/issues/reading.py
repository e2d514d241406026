"""The issues, and one of them: its warnings beside the lines that they speak of, its articles, its contents page.

In: rows of issues, the file as it came. Out: pages. The corrections that its forms send are taken by changing.py.
"""

import asyncio
from typing import Any

from aiohttp import web
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.accounts.models import User
from bdnews_dispatch.dispatch.starting import dispatches_of, latest_dispatches
from bdnews_dispatch.errors import BdnewsError, NotFoundError
from bdnews_dispatch.issues.correcting import edits_of, holding, text_as_it_came
from bdnews_dispatch.issues.document import IssueDocument
from bdnews_dispatch.issues.editing import edited, standing_of
from bdnews_dispatch.issues.models import Issue, IssueEdit
from bdnews_dispatch.issues.parsing.comparing import Source, compare, read_source
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.issues.publishing import list_issues
from bdnews_dispatch.web.console.desk import number, page
from bdnews_dispatch.web.console.guests import WHO
from bdnews_dispatch.web.keys import DATABASE, PUBLICATIONS, SETTINGS
from bdnews_dispatch.web.standing import stands

ROOM = "/console/issues"
#: Of the source, on one page.
LINES = 2_000
#: Beside a warning, on both sides.
_AROUND = 2
_MOST_DISPATCHES = 5


async def index(request: web.Request) -> web.Response:
    """The newest ones."""
    app = request.app
    async with app[DATABASE].read() as session:
        rows = await list_issues(session, request[WHO].publications)
        latest = await latest_dispatches(session, rows)
    found = [(issue, latest.get(issue.id or 0)) for issue in rows]
    return page(
        request,
        "issues.html",
        found=found,
        publications=app[PUBLICATIONS],
        folder=str(app[SETTINGS].issues.folder),
    )


async def show(request: web.Request) -> web.Response:
    """One of them."""
    return await shown(request, number(request.match_info["id"]))


async def shown(request: web.Request, issue_id: int, *, problem: BdnewsError | None = None) -> web.Response:
    """The page of an issue. Args: problem: why what was asked for was not done."""
    app = request.app
    async with app[DATABASE].read() as session:
        issue = await session.get(Issue, issue_id)
        if issue is None:
            raise NotFoundError("没有这一期")
        base = await text_as_it_came(session, issue)
        edits = await edits_of(session, issue)
        names = await _names(session, edits)
        sent = (await dispatches_of(session, issue))[-_MOST_DISPATCHES:]
        found = await stands(request, session, sent)
    dispatches = [(one, found[one.id]) for one in sent if one.id is not None]
    publication = app[PUBLICATIONS].named(issue.publication)
    came = IssueDocument.model_validate(base.document)
    held = holding(edits, base.revision)
    document = edited(came, held, publication)
    source = await asyncio.to_thread(read_source, base.source, publication)
    first = _first_line(request, len(source.lines))
    return page(
        request,
        "issue.html",
        status=409 if problem else 200,
        issue=issue,
        base=base,
        publication=publication,
        document=document,
        shelves=_shelves(came, held, publication),
        warnings=[(one, _around(source, one.line)) for one in document.warnings],
        warned={one.line for one in document.warnings},
        compared=compare(source.contents, document) if source.contents is not None else None,
        lines=list(enumerate(source.lines[first - 1 : first - 1 + LINES], first)),
        all_lines=len(source.lines),
        first=first,
        per_page=LINES,
        edits=list(reversed(edits)),
        held={edit.id for edit in held},
        names=names,
        dispatches=dispatches,
        problem=problem,
    )


def _shelves(
    came: IssueDocument, held: list[IssueEdit], publication: Publication
) -> list[tuple[str, str, list[Any]]]:
    """Key, name and articles of every section, those without any included: something may be moved there."""
    standing, _ = standing_of(came, held)
    names = {section.key: section.name for section in came.sections}
    keys = list(names)
    for section in publication.sections:
        if section.key not in names:
            keys.append(section.key)
            names[section.key] = section.name
    return [(key, names[key], [one for one in standing if one.section == key]) for key in keys]


def _around(source: Source, line: int) -> list[tuple[int, str]]:
    if not 0 < line <= len(source.lines):
        return []
    first = max(1, line - _AROUND)
    return list(enumerate(source.lines[first - 1 : line + _AROUND], first))


def _first_line(request: web.Request, lines: int) -> int:
    wanted = request.query.get("from", "")
    at = int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 8 else 1
    return max(1, min(at, max(1, lines)))


async def _names(session: AsyncSession, edits: Any) -> dict[str, str]:
    """Who made them, by the word of the audit log."""
    found = {}
    for actor in {one for edit in edits for one in (edit.actor, edit.undone_by) if one}:
        kind, _, number_ = actor.partition(":")
        user = await session.get(User, int(number_)) if kind == "user" and number_.isdecimal() else None
        found[actor] = (user.name or user.email) if user else actor
    return found
