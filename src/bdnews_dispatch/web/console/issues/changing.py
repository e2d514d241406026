"""What an editor does to an issue: an article's title, source, note and place, or that it is left out; a warning
checked; an edit undone; the issue taken back, and shown again. Each by the function of its stage, with a line in the
audit log.
"""

from typing import Any

from aiohttp import web

from bdnews_dispatch.errors import BdnewsError, NotFoundError
from bdnews_dispatch.issues.correcting import correct, edits_of, holding, locked_issue, text_as_it_came, undo
from bdnews_dispatch.issues.document import IssueDocument
from bdnews_dispatch.issues.editing import Standing, standing_of
from bdnews_dispatch.issues.models import EditKind, IssueState
from bdnews_dispatch.issues.publishing import publish, withdraw
from bdnews_dispatch.web.console.desk import back, field, note, number
from bdnews_dispatch.web.console.guests import FORM, WHO
from bdnews_dispatch.web.console.issues.reading import ROOM, shown
from bdnews_dispatch.web.keys import CLOCK, DATABASE, PUBLICATIONS, WAKE

_LONGEST_NOTE = 20_000


async def article(request: web.Request) -> web.StreamResponse:
    """Keep what differs from what stands there; or leave the article out."""
    issue_id, place = number(request.match_info["id"]), number(request.match_info["place"])
    app, revision = request.app, number(field(request, "revision"))
    try:
        async with app[DATABASE].write() as session:
            issue = await locked_issue(session, issue_id)
            publication = app[PUBLICATIONS].named(issue.publication)
            base = await text_as_it_came(session, issue)
            held = holding(await edits_of(session, issue), base.revision)
            standing, _ = standing_of(IssueDocument.model_validate(base.document), held)
            one = next((one for one in standing if one.place == place), None)
            if one is None:
                raise NotFoundError("没有这篇文章")  # told on the same page
            if field(request, "do") == "omit":
                changes: list[tuple[EditKind, Any]] = [(EditKind.OMITTED, one.article.title)]
            else:
                changes = _changes(request, one)
            for kind, value in changes:
                edit = await correct(
                    session,
                    app[CLOCK],
                    publication,
                    issue,
                    revision=revision,
                    kind=kind,
                    place=place,
                    value=value,
                    actor=request[WHO].actor,
                )
                told = {"kind": kind.value, "article": place, "edit": edit.id, "then": value}
                await note(request, session, "issue.edit", f"issue:{issue_id}", told)
    except BdnewsError as error:
        return await shown(request, issue_id, problem=error)
    app[WAKE]()
    raise back(f"{ROOM}/{issue_id}", "changed" if changes else "unchanged")


def _changes(request: web.Request, one: Standing) -> list[tuple[EditKind, Any]]:
    note_text = str(request[FORM].get("note", "")).replace("\r\n", "\n").strip()[:_LONGEST_NOTE]
    changes: list[tuple[EditKind, Any]] = [
        (kind, value)
        for kind, value, now in (
            (EditKind.TITLE, field(request, "title", 300), one.article.title),
            (EditKind.SOURCE, field(request, "source", 300), one.article.source),
            (EditKind.NOTE, note_text, one.article.editor_note.strip()),
        )
        if value != now
    ]
    before = field(request, "before")
    if before != "stay" or field(request, "section") != one.section:
        where = int(before) if before.isdecimal() and len(before) < 7 else 0
        changes.append((EditKind.PLACE, {"section": field(request, "section"), "before": where}))
    return changes


async def check(request: web.Request) -> web.StreamResponse:
    """A warning that holds nothing to mend."""
    issue_id, app = number(request.match_info["id"]), request.app
    line = field(request, "line")
    value = {"line": int(line) if line.isdecimal() and len(line) < 9 else 0, "code": field(request, "code")}
    try:
        async with app[DATABASE].write() as session:
            issue = await locked_issue(session, issue_id)
            await correct(
                session,
                app[CLOCK],
                app[PUBLICATIONS].named(issue.publication),
                issue,
                revision=number(field(request, "revision")),
                kind=EditKind.CHECKED,
                place=0,
                value=value,
                actor=request[WHO].actor,
            )
            await note(request, session, "issue.check", f"issue:{issue_id}", value)
    except BdnewsError as error:
        return await shown(request, issue_id, problem=error)
    raise back(f"{ROOM}/{issue_id}", "checked")


async def take_back(request: web.Request) -> web.StreamResponse:
    """Undo one edit."""
    issue_id, app = number(request.match_info["id"]), request.app
    edit_id = number(field(request, "edit"))
    try:
        async with app[DATABASE].write() as session:
            issue = await locked_issue(session, issue_id)
            publication = app[PUBLICATIONS].named(issue.publication)
            await undo(session, app[CLOCK], publication, issue, edit_id, actor=request[WHO].actor)
            await note(request, session, "issue.undo", f"issue:{issue_id}", {"edit": edit_id})
    except BdnewsError as error:
        return await shown(request, issue_id, problem=error)
    app[WAKE]()
    raise back(f"{ROOM}/{issue_id}", "unedited")


async def show_or_hide(request: web.Request) -> web.StreamResponse:
    """Withdraw what is published; publish again what was withdrawn. The first time is the room of dispatches'."""
    issue_id, app = number(request.match_info["id"]), request.app
    try:
        async with app[DATABASE].write() as session:
            issue = await locked_issue(session, issue_id)
            if field(request, "do") == "withdraw":
                await withdraw(session, app[CLOCK], issue)
                done = "withdrawn"
            elif issue.state is IssueState.WITHDRAWN:
                await publish(session, app[CLOCK], issue)
                done = "published"
            else:
                raise web.HTTPNotFound
            await note(request, session, f"issue.{done}", f"issue:{issue_id}")
    except BdnewsError as error:
        return await shown(request, issue_id, problem=error)
    app[WAKE]()
    raise back(f"{ROOM}/{issue_id}", done)
