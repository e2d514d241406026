"""Feeds that issues come from: added, read now, switched, taken away; what came of each entry."""

from aiohttp import web

from bdnews_dispatch.errors import BdnewsError
from bdnews_dispatch.watched_feeds import rooms
from bdnews_dispatch.web.console.desk import back, field, note, number, page
from bdnews_dispatch.web.console.guests import FORM, WHO
from bdnews_dispatch.web.console.reach import publications_of
from bdnews_dispatch.web.keys import CLOCK, DATABASE, PUBLICATIONS, SETTINGS

_ROOM = "/console/sources"


async def index(request: web.Request) -> web.Response:
    """The feeds of the publications that the one who looks reaches."""
    return await _page(request)


async def show(request: web.Request) -> web.Response:
    """What came of the entries of one."""
    number_ = number(request.match_info["id"])
    async with request.app[DATABASE].read() as session:
        feed = await rooms.find(session, number_)
        entries = await rooms.entries_of(session, number_)
    return page(request, "source.html", feed=feed, entries=entries)


async def add(request: web.Request) -> web.StreamResponse:
    """A new one."""
    app, form = request.app, request[FORM]
    try:
        async with app[DATABASE].write() as session:
            feed = await rooms.add(
                session,
                app[CLOCK],
                app[PUBLICATIONS],
                field(request, "url", 501),
                publication=field(request, "publication", 40) or None,
                publish="publish" in form,
                backlog="backlog" in form,
                inside=app[SETTINGS].feeds.inside,
            )
            await note(request, session, "feed.add", f"feed:{feed.id}", {"publish": feed.publish})
    except BdnewsError as error:
        return await _page(request, problem=error)
    raise back(_ROOM, "added")


async def act(request: web.Request) -> web.StreamResponse:
    """Read now, switch on or off, remove."""
    app, number_, what = request.app, number(request.match_info["id"]), field(request, "do")
    async with app[DATABASE].write() as session:
        if what == "read":
            await rooms.ask_soon(session, app[CLOCK], number_)
        elif what in {"enable", "disable"}:
            await rooms.switch(session, app[CLOCK], number_, on=what == "enable")
        elif what == "remove":
            await rooms.remove(session, number_)
        else:
            raise web.HTTPBadRequest
        await note(request, session, f"feed.{what}", f"feed:{number_}")
    raise back(_ROOM, {"remove": "removed", "read": "asked"}.get(what, "changed"))


async def _page(request: web.Request, *, problem: BdnewsError | None = None) -> web.Response:
    async with request.app[DATABASE].read() as session:
        found = await rooms.feeds(session, request[WHO].publications)
    typed = (
        {name: field(request, name, 501) for name in ("url", "publication", "publish", "backlog")}
        if problem
        else {"url": "", "publication": "", "publish": "", "backlog": ""}
    )
    return page(
        request,
        "sources.html",
        status=422 if problem else 200,
        found=found,
        problem=problem,
        typed=typed,
        publications=publications_of(request),
    )
