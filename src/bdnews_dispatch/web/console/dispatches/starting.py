"""Before a dispatch: the exact audience by channel, why the others are left out; then it is started, now or later.

What is started now begins some seconds ahead (`[console] undo_seconds`), and can be taken back until then.
"""

from datetime import datetime, timedelta

from aiohttp import web
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.dispatch.models import Dispatch
from bdnews_dispatch.dispatch.moments import read_moment
from bdnews_dispatch.dispatch.starting import issue_dispatch, start_issue, told
from bdnews_dispatch.errors import BdnewsError, NotFoundError
from bdnews_dispatch.issues.models import Issue, IssueState
from bdnews_dispatch.issues.publishing import publish
from bdnews_dispatch.web.console.desk import back, field, note, number, page
from bdnews_dispatch.web.console.guests import FORM, WHO
from bdnews_dispatch.web.console.reach import check_reach
from bdnews_dispatch.web.console.whom import Whom, choices, counts_now, forecast
from bdnews_dispatch.web.keys import CLOCK, DATABASE, PUBLICATIONS, SETTINGS, WAKE

ROOM = "/console/dispatches"


async def prepare(request: web.Request) -> web.Response:
    """Whom it would reach."""
    return await _prepared(request, number(request.query.get("issue", "")), Whom.read(request.query))


async def audience(request: web.Request) -> web.Response:
    """The numbers alone, with the form that sends: the part of the page that its script asks for."""
    issue_id, whom = number(request.query.get("issue", "")), Whom.read(request.query)
    return await _prepared(request, issue_id, whom, template="dispatch_audience.html", exact=True)


async def start(request: web.Request) -> web.StreamResponse:
    """Begin; an issue that waits for review is published with it."""
    app, form = request.app, request[FORM]
    whom = Whom.read(form)
    issue_id = number(field(request, "issue"))
    try:
        at = moment(request)
        async with app[DATABASE].write() as session:
            issue = await _issue(request, session, issue_id)
            target = await whom.target(session)
            if issue.state is not IssueState.PUBLISHED:
                if not request[WHO].may(Right.ISSUES_WRITE):
                    raise web.HTTPForbidden
                await publish(session, app[CLOCK], issue)
                await note(request, session, "issue.publish", f"issue:{issue.id}")
            started = await start_issue(session, app[CLOCK], issue, target=target, at=at)
            await note_start(request, session, started.dispatch, fresh=started.fresh)
    except BdnewsError as error:
        return await _prepared(request, issue_id, whom, problem=error)
    app[WAKE]()
    raise back(f"{ROOM}/{started.dispatch.id}", "begun" if started.fresh else "there")


def moment(request: web.Request) -> datetime:
    """When the form says, and never before what was pressed can be taken back. Raises: BdnewsError: it is no time."""
    settings, now = request.app[SETTINGS], request.app[CLOCK]()
    soonest = now + timedelta(seconds=settings.console.undo_seconds)
    text = field(request, "at", 40)
    return max(read_moment(text, settings.service.timezone, now), soonest) if text else soonest


async def note_start(request: web.Request, session: AsyncSession, dispatch: Dispatch, *, fresh: bool) -> None:
    """Into the audit log, where something has begun."""
    if fresh:
        await note(request, session, "dispatch.start", f"dispatch:{dispatch.id}", told(dispatch))


async def _issue(request: web.Request, session: AsyncSession, issue_id: int) -> Issue:
    found = await session.get(Issue, issue_id)
    if found is None:
        raise NotFoundError("没有这一期")
    check_reach(request, found.publication)
    return found


async def _prepared(
    request: web.Request,
    issue_id: int,
    whom: Whom,
    *,
    problem: BdnewsError | None = None,
    template: str = "dispatch_new.html",
    exact: bool = False,
) -> web.Response:
    """Args: exact: count whom it would reach, however long that takes."""
    app = request.app
    found, later = None, False
    async with app[DATABASE].read() as session:
        issue = await _issue(request, session, issue_id)
        chosen = await choices(session)
        try:
            dispatch = issue_dispatch(app[CLOCK], issue, await whom.target(session))
            later = not exact and not await counts_now(request, session)
            found = None if later else await forecast(request, session, dispatch)
        except NotFoundError as error:  # a list that is there no more
            problem = problem or error
    return page(
        request,
        template,
        status=422 if problem else 200,
        issue=issue,
        publication=app[PUBLICATIONS].named(issue.publication),
        whom=whom.names,
        choices=chosen,
        forecast=found.as_json() if found else None,
        later=whom.query(issue=issue_id) if later else "",
        at=field(request, "at", 40) if request.method == "POST" else "",
        undo_seconds=app[SETTINGS].console.undo_seconds,
        problem=problem,
    )
