"""A bulletin is put before a second person, approved or given back; sent; thrown away."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from aiohttp import web
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.bulletins import drafting
from bdnews_dispatch.bulletins.models import BulletinDraft
from bdnews_dispatch.dispatch.drafts import send_draft
from bdnews_dispatch.dispatch.starting import Started, dispatches_of_bulletin
from bdnews_dispatch.dispatch.states import DispatchState
from bdnews_dispatch.errors import BdnewsError, StateError
from bdnews_dispatch.web.console.bulletins.writing import ROOM, shown
from bdnews_dispatch.web.console.desk import back, field, note, number
from bdnews_dispatch.web.console.dispatches.starting import note_start
from bdnews_dispatch.web.console.dispatches.steering import take_back
from bdnews_dispatch.web.console.guests import WHO
from bdnews_dispatch.web.keys import CLOCK, DATABASE, SETTINGS, WAKE


def _or_why_not(
    act: Callable[[web.Request, int], Awaitable[web.StreamResponse]],
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Args: act: takes the draft's number; what it can't do is told on the draft's page, and nothing has changed."""

    async def handler(request: web.Request) -> web.StreamResponse:
        try:
            return await act(request, number(request.match_info["id"]))
        except BdnewsError as error:
            return await shown(request, problem=error)

    handler.__doc__ = act.__doc__
    return handler


@_or_why_not
async def ask(request: web.Request, draft_id: int) -> web.StreamResponse:
    """Put it before a second person."""
    async with request.app[DATABASE].write() as session:
        await drafting.ask(session, request.app[CLOCK], draft_id)
        await note(request, session, "bulletin.ask", f"draft:{draft_id}")
    raise back(f"{ROOM}/{draft_id}", "asked_second")


@_or_why_not
async def approve(request: web.Request, draft_id: int) -> web.StreamResponse:
    """Yes: it is sent, at its time."""
    seen = number(field(request, "version", 9))
    async with request.app[DATABASE].write() as session:
        draft = await drafting.approve(
            session, request.app[CLOCK], draft_id, request[WHO].actor, version=seen
        )
        started = await _send(request, session, draft, "bulletin.approve")
    raise _to_dispatch(request, started)


@_or_why_not
async def send(request: web.Request, draft_id: int) -> web.StreamResponse:
    """Send one that needs no second person."""
    seen = field(request, "version", 9)
    async with request.app[DATABASE].write() as session:
        draft = await drafting.find(session, draft_id)
        if seen:
            drafting.check_seen(draft, number(seen))
        started = await _send(request, session, draft, "bulletin.send")
    raise _to_dispatch(request, started)


@_or_why_not
async def give_back(request: web.Request, draft_id: int) -> web.StreamResponse:
    """No, and why."""
    words = field(request, "words", 300)
    async with request.app[DATABASE].write() as session:
        await drafting.give_back(session, request.app[CLOCK], draft_id, request[WHO].actor, words)
        await note(request, session, "bulletin.give_back", f"draft:{draft_id}", {"words": words})
    raise back(f"{ROOM}/{draft_id}", "given_back")


@_or_why_not
async def undo(request: web.Request, draft_id: int) -> web.StreamResponse:
    """Who approved it takes it back before it begins: they were told that they can, and may not steer dispatches."""
    async with request.app[DATABASE].write() as session:
        draft = await drafting.find(session, draft_id)
        if draft.decided_by != request[WHO].actor or draft.bulletin_id is None:
            raise StateError("只有批准它的人能在这里撤回", hint="请有发送权限的人在发送任务的页面上撤回。")
        sent = await dispatches_of_bulletin(session, draft.bulletin_id)
        waiting = next((one for one in sent if one.state is DispatchState.SCHEDULED), sent[-1])
        dispatch_id = waiting.id or 0
        done = await take_back(request, session, dispatch_id)
        await note(request, session, "dispatch.undo", f"dispatch:{dispatch_id}")
    request.app[WAKE]()
    raise back(f"/console/dispatches/{dispatch_id}", done)


@_or_why_not
async def discard(request: web.Request, draft_id: int) -> web.StreamResponse:
    """Throw it away; nobody gets it."""
    async with request.app[DATABASE].write() as session:
        await drafting.discard(session, request.app[CLOCK], draft_id)
        await note(request, session, "bulletin.discard", f"draft:{draft_id}")
    raise back(ROOM, "discarded")


async def _send(request: web.Request, session: AsyncSession, draft: BulletinDraft, action: str) -> Started:
    """In the caller's transaction; what begins now can be taken back for some seconds."""
    app = request.app
    soonest = app[CLOCK]() + timedelta(seconds=app[SETTINGS].console.undo_seconds)
    await note(request, session, action, f"draft:{draft.id}", {"version": draft.version})
    started = await send_draft(session, app[CLOCK], draft, soonest=soonest)
    await note_start(request, session, started.dispatch, fresh=started.fresh)
    return started


def _to_dispatch(request: web.Request, started: Started) -> web.HTTPSeeOther:
    request.app[WAKE]()
    return back(f"/console/dispatches/{started.dispatch.id}", "begun" if started.fresh else "there")
