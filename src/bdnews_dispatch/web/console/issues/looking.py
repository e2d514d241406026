"""An issue as its readers would get it: for any subscriber, or for any set of sections; sent to oneself as a test."""

from aiohttp import web

from bdnews_dispatch.dispatch.contents import Contents, load_contents
from bdnews_dispatch.dispatch.models import Dispatch
from bdnews_dispatch.dispatch.starting import issue_dispatch
from bdnews_dispatch.errors import NotFoundError
from bdnews_dispatch.issues.models import Issue
from bdnews_dispatch.subscribers.targeting import EVERYBODY
from bdnews_dispatch.web.console.desk import number
from bdnews_dispatch.web.console.guests import FORM
from bdnews_dispatch.web.console.issues.reading import ROOM
from bdnews_dispatch.web.console.previews import frame, look, send_test, whole_page
from bdnews_dispatch.web.keys import CLOCK, DATABASE, LINKS


async def preview(request: web.Request) -> web.Response:
    """With its size, its links, and the choices."""
    issue, dispatch, contents = await _loaded(request)
    shown = await look(request, dispatch, contents, request.query)
    title = f"总第{issue.total_number}期"
    return whole_page(request, shown, room=f"{ROOM}/{issue.id}", title=title, bulletin=False)


async def mail(request: web.Request) -> web.Response:
    """The mail alone, for the frame."""
    _, dispatch, contents = await _loaded(request)
    return frame(request, await look(request, dispatch, contents, request.query))


async def test(request: web.Request) -> web.StreamResponse:
    """Send it to oneself."""
    issue, dispatch, contents = await _loaded(request)
    form = request[FORM]
    shown = await look(request, dispatch, contents, form)
    raise await send_test(
        request, shown, issue.publication, room=f"{ROOM}/{issue.id}", subject=f"issue:{issue.id}"
    )


async def _loaded(request: web.Request) -> tuple[Issue, Dispatch, Contents]:
    app = request.app
    async with app[DATABASE].read() as session:
        issue = await session.get(Issue, number(request.match_info["id"]))
        if issue is None:
            raise NotFoundError("没有这一期")
        dispatch = issue_dispatch(app[CLOCK], issue, EVERYBODY)
        return issue, dispatch, await load_contents(session, dispatch, app[LINKS])
