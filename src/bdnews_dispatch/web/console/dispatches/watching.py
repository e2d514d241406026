"""The dispatches, and one of them: how far it is by channel and domain, what went wrong, what can be done now.

Without a script the page loads itself again every few seconds; with one, numbers come as server-sent events
(progress.py), and the tables as a part of the page.
"""

from aiohttp import web
from sqlmodel import col, select

from bdnews_dispatch.dispatch import control, words
from bdnews_dispatch.dispatch.drafts import approved_by, was_called_back
from bdnews_dispatch.dispatch.models import Dispatch, DispatchKind
from bdnews_dispatch.dispatch.states import DISPATCH_TRANSITIONS, REACHED, DispatchState
from bdnews_dispatch.dispatch.titles import titles
from bdnews_dispatch.errors import BdnewsError
from bdnews_dispatch.web.console.desk import number, page
from bdnews_dispatch.web.console.guests import WHO
from bdnews_dispatch.web.keys import CLOCK, DATABASE
from bdnews_dispatch.web.progress import told
from bdnews_dispatch.web.standing import again_soon, stands

_MOST = 30
_OVER = (DispatchState.FINISHED, DispatchState.CANCELLED)


async def index(request: web.Request) -> web.Response:
    """The latest ones."""
    app = request.app
    now = app[CLOCK]()
    async with app[DATABASE].read() as session:
        newest = select(Dispatch).order_by(col(Dispatch.id).desc()).limit(_MOST)
        if mine := request[WHO].publications:
            newest = newest.where(col(Dispatch.publication).in_(mine))
        rows = (await session.exec(newest)).all()
        named = await titles(session, [row.id for row in rows if row.id is not None])
        found = await stands(request, session, rows)
    shown_ = [(row, found[row.id]) for row in rows if row.id is not None]
    oldest = min((one for one in found.values() if one.at), key=lambda one: one.at or now, default=None)
    response = page(request, "dispatches.html", found=shown_, titles=named, oldest=oldest)
    return again_soon(response, found)


async def show(request: web.Request) -> web.Response:
    """One of them."""
    return await shown(request, number(request.match_info["id"]))


async def tables(request: web.Request) -> web.Response:
    """The part of the page that its script fetches again."""
    return await shown(request, number(request.match_info["id"]), template="dispatch_tables.html")


async def shown(
    request: web.Request,
    dispatch_id: int,
    *,
    template: str = "dispatch.html",
    problem: BdnewsError | None = None,
) -> web.Response:
    """The page of a dispatch. Args: problem: why what was asked for was not done."""
    app = request.app
    async with app[DATABASE].read() as session:
        dispatch = await control.find_dispatch(session, dispatch_id)
        named = await titles(session, [dispatch_id])
        found = await stands(request, session, [dispatch], domains=True)
        called_back = await was_called_back(session, dispatch)
        approved = await approved_by(session, dispatch, request[WHO].actor)
    stand = found[dispatch_id]
    state = control.described(dispatch, stand.standing)
    waits = dispatch.state is DispatchState.SCHEDULED
    seconds = max(0, round((dispatch.due_at - app[CLOCK]()).total_seconds())) if waits else 0
    over = dispatch.state in _OVER
    response = page(
        request,
        template,
        status=409 if problem else 200,
        dispatch=dispatch,
        title=named[dispatch_id],
        told=told(stand.progress, None),
        stand=stand,
        state=state,
        reached={
            channel: sum(counts[name] for name in REACHED) for channel, counts in state["channels"].items()
        },
        domains=stand.standing.domains,
        reasons=[
            (words.reason_words(code), code, number_)
            for code, number_ in sorted(state["reasons"].items(), key=lambda item: -item[1])
        ],
        modes=[(words.mode(code), number_) for code, number_ in state["modes"].items()],
        seconds=seconds,
        over=over,
        approved=approved,
        can={
            "undo": waits and seconds > 0,
            "pause": DispatchState.PAUSED in DISPATCH_TRANSITIONS[dispatch.state] and not (waits and seconds),
            "resume": dispatch.state is DispatchState.PAUSED,
            "cancel": not over and not (waits and seconds),
            "retry": over and dispatch.kind is not DispatchKind.PERIOD and not called_back,
            "decide": stand.uncertain > 0,
        },
        problem=problem,
    )
    return again_soon(response, found) if over else response
