"""What is done to a dispatch: paused, gone on with, cancelled, taken back, tried again; its doubts decided."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from aiohttp import web
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.dispatch import control, words
from bdnews_dispatch.dispatch.drafts import check_again
from bdnews_dispatch.dispatch.settling import DECISIONS, look_at_one_state, resolve, resolve_all
from bdnews_dispatch.dispatch.starting import start_again
from bdnews_dispatch.dispatch.states import DeliveryState, DispatchState
from bdnews_dispatch.errors import BdnewsError, StateError
from bdnews_dispatch.web.access import Handler
from bdnews_dispatch.web.console.desk import ROWS, back, field, note, number, page
from bdnews_dispatch.web.console.dispatches.starting import ROOM, note_start
from bdnews_dispatch.web.console.dispatches.watching import shown
from bdnews_dispatch.web.console.guests import WHO
from bdnews_dispatch.web.keys import CLOCK, DATABASE, SETTINGS, WAKE
from bdnews_dispatch.web.standing import stands

#: What the page of deliveries can be narrowed down to.
_STATES = {
    "uncertain": DeliveryState.UNCERTAIN,
    "failed": DeliveryState.FAILED,
    "deferred": DeliveryState.DEFERRED,
    "sent": DeliveryState.SENT,
    "delivered": DeliveryState.DELIVERED,
}


async def _pause(request: web.Request, session: AsyncSession, dispatch_id: int) -> str:
    await control.pause(session, dispatch_id, note=f"由{_who(request)}暂停")
    return "paused"


async def _resume(_: web.Request, session: AsyncSession, dispatch_id: int) -> str:
    await control.resume(session, dispatch_id)
    return "resumed"


async def _cancel(request: web.Request, session: AsyncSession, dispatch_id: int) -> str:
    note_ = f"由{_who(request)}取消"
    await control.cancel(session, request.app[CLOCK], dispatch_id, note=note_)
    return "ended"


async def take_back(request: web.Request, session: AsyncSession, dispatch_id: int) -> str:
    """Only what has not begun: then nobody has got anything."""
    dispatch = await control.find_dispatch(session, dispatch_id)
    if dispatch.state is not DispatchState.SCHEDULED:
        raise StateError("已经开始，不能撤回了", hint="可以暂停，或取消还没有发出的。")
    note_ = f"由{_who(request)}在开始前撤回"
    await control.cancel(session, request.app[CLOCK], dispatch_id, note=note_)
    return "undone"


#: What each button does, and the word that the page then says.
ACTIONS: dict[str, Callable[[web.Request, AsyncSession, int], Awaitable[str]]] = {
    "pause": _pause,
    "resume": _resume,
    "cancel": _cancel,
    "undo": take_back,
}


def acting(action: str) -> Handler:
    """The handler of a button."""

    async def act(request: web.Request) -> web.StreamResponse:
        dispatch_id = number(request.match_info["id"])
        try:
            async with request.app[DATABASE].write() as session:
                done = await ACTIONS[action](request, session, dispatch_id)
                await note(request, session, f"dispatch.{action}", f"dispatch:{dispatch_id}")
        except BdnewsError as error:
            return await shown(request, dispatch_id, problem=error)
        request.app[WAKE]()
        raise back(f"{ROOM}/{dispatch_id}", done)

    return act


async def retry(request: web.Request) -> web.StreamResponse:
    """To those whom it did not reach."""
    app, dispatch_id = request.app, number(request.match_info["id"])
    at = app[CLOCK]() + timedelta(seconds=app[SETTINGS].console.undo_seconds)
    try:
        async with app[DATABASE].write() as session:
            dispatch = await control.find_dispatch(session, dispatch_id)
            await check_again(session, dispatch)
            started = await start_again(session, app[CLOCK], dispatch, at=at)
            await note_start(request, session, started.dispatch, fresh=started.fresh)
    except BdnewsError as error:
        return await shown(request, dispatch_id, problem=error)
    app[WAKE]()
    if started.dispatch.id == dispatch_id:
        raise back(f"{ROOM}/{dispatch_id}", "nobody_left")
    raise back(f"{ROOM}/{started.dispatch.id}", "begun" if started.fresh else "there")


async def deliveries(request: web.Request) -> web.Response:
    """Those that nobody knows of, that failed, that wait or went out, each with the way it took and why the ways before
    were not possible; addresses only for who may see people.
    """
    return await _deliveries(request, number(request.match_info["id"]))


async def decide(request: web.Request) -> web.StreamResponse:
    """One of them, or all that are uncertain."""
    app, dispatch_id = request.app, number(request.match_info["id"])
    decision, name = field(request, "decision"), field(request, "delivery")
    if decision not in DECISIONS:
        raise web.HTTPNotFound
    try:
        async with app[DATABASE].write() as session:
            if name:
                decided = await resolve(session, app[CLOCK], [name], decision, of=dispatch_id)
            else:
                decided = await resolve_all(session, app[CLOCK], dispatch_id, decision)
            what = {"decision": decision, "deliveries": decided}
            await note(request, session, "dispatch.decide", f"dispatch:{dispatch_id}", what)
    except BdnewsError as error:
        return await _deliveries(request, dispatch_id, problem=error)
    app[WAKE]()
    raise back(f"{ROOM}/{dispatch_id}/deliveries", "decided")


async def _deliveries(
    request: web.Request, dispatch_id: int, *, problem: BdnewsError | None = None
) -> web.Response:
    app = request.app
    wanted = request.query.get("state", "uncertain")
    state = _STATES.get(wanted, DeliveryState.UNCERTAIN)
    async with app[DATABASE].read() as session:
        found_stands = await stands(request, session, [await control.find_dispatch(session, dispatch_id)])
        stand = found_stands[dispatch_id]
        found = await look_at_one_state(
            session,
            mail_domain=app[SETTINGS].bounce_domain,
            dispatch_id=dispatch_id,
            state=state,
            limit=ROWS,
        )
    return page(
        request,
        "deliveries.html",
        status=409 if problem else 200,
        dispatch_id=dispatch_id,
        state=state.value,
        states=[value.value for value in _STATES.values()],
        counts={**stand.standing.counts, "uncertain": stand.uncertain},
        stand=stand,
        found=[(one, words.reason_words(one.reason), words.mode(one.mode)) for one in found],
        sees_people=request[WHO].may(Right.SUBSCRIBERS_READ),
        rows=ROWS,
        problem=problem,
    )


def _who(request: web.Request) -> str:
    return request[WHO].name or request[WHO].email
