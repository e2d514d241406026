"""A bulletin is put before a second person, approved or given back; sent; thrown away."""

from datetime import datetime, timedelta

from aiohttp import web

from bdnews_dispatch.bulletins import drafting
from bdnews_dispatch.dispatch.drafts import send_draft
from bdnews_dispatch.errors import BdnewsError
from bdnews_dispatch.web.console.bulletins.writing import ROOM, shown
from bdnews_dispatch.web.console.desk import back, field, note, number
from bdnews_dispatch.web.console.dispatches.starting import note_start
from bdnews_dispatch.web.console.guests import WHO
from bdnews_dispatch.web.keys import CLOCK, DATABASE, SETTINGS, WAKE


async def ask(request: web.Request) -> web.StreamResponse:
    """Put it before a second person."""
    app, draft_id = request.app, number(request.match_info["id"])
    try:
        async with app[DATABASE].write() as session:
            await drafting.ask(session, app[CLOCK], draft_id)
            await note(request, session, "bulletin.ask", f"draft:{draft_id}")
    except BdnewsError as error:
        return await shown(request, problem=error)
    raise back(f"{ROOM}/{draft_id}", "asked_second")


async def approve(request: web.Request) -> web.StreamResponse:
    """Yes: it is sent, at its time."""
    app, draft_id = request.app, number(request.match_info["id"])
    try:
        async with app[DATABASE].write() as session:
            draft = await drafting.approve(
                session,
                app[CLOCK],
                draft_id,
                request[WHO].actor,
                version=number(field(request, "version", 9)),
            )
            await note(request, session, "bulletin.approve", f"draft:{draft_id}", {"version": draft.version})
            started = await send_draft(session, app[CLOCK], draft, soonest=_soonest(request))
            await note_start(request, session, started.dispatch, fresh=started.fresh)
    except BdnewsError as error:
        return await shown(request, problem=error)
    app[WAKE]()
    raise back(f"/console/dispatches/{started.dispatch.id}", "begun")


async def send(request: web.Request) -> web.StreamResponse:
    """Send one that needs no second person."""
    app, draft_id = request.app, number(request.match_info["id"])
    try:
        async with app[DATABASE].write() as session:
            draft = await drafting.find(session, draft_id)
            started = await send_draft(session, app[CLOCK], draft, soonest=_soonest(request))
            await note(request, session, "bulletin.send", f"draft:{draft_id}", {"version": draft.version})
            await note_start(request, session, started.dispatch, fresh=started.fresh)
    except BdnewsError as error:
        return await shown(request, problem=error)
    app[WAKE]()
    raise back(f"/console/dispatches/{started.dispatch.id}", "begun" if started.fresh else "there")


async def give_back(request: web.Request) -> web.StreamResponse:
    """No, and why."""
    app, draft_id, words = request.app, number(request.match_info["id"]), field(request, "words", 300)
    try:
        async with app[DATABASE].write() as session:
            await drafting.give_back(session, app[CLOCK], draft_id, request[WHO].actor, words)
            await note(request, session, "bulletin.give_back", f"draft:{draft_id}", {"words": words})
    except BdnewsError as error:
        return await shown(request, problem=error)
    raise back(f"{ROOM}/{draft_id}", "given_back")


async def discard(request: web.Request) -> web.StreamResponse:
    """Throw it away; nobody gets it."""
    app, draft_id = request.app, number(request.match_info["id"])
    try:
        async with app[DATABASE].write() as session:
            await drafting.discard(session, app[CLOCK], draft_id)
            await note(request, session, "bulletin.discard", f"draft:{draft_id}")
    except BdnewsError as error:
        return await shown(request, problem=error)
    raise back(ROOM, "discarded")


def _soonest(request: web.Request) -> datetime:
    """What begins now can be taken back until then."""
    seconds = request.app[SETTINGS].console.undo_seconds
    return request.app[CLOCK]() + timedelta(seconds=seconds)
