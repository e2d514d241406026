"""For those who run the service: the dispatches, and how far one is while it runs, on whatever machine it runs.

In: rows of the ledger; hints that something has happened. Out: pages, and server-sent events. On the operations
listener, because it tells how much is sent, and behind the console's door. Without scripts the page is as fresh as its
last load.
"""

import json
from contextlib import suppress
from time import monotonic
from typing import Any

from aiohttp import web
from sqlmodel import col, select

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.dispatch.models import Dispatch
from bdnews_dispatch.dispatch.progress import Pace, Progress, read_progress, seconds_left
from bdnews_dispatch.errors import NotFoundError
from bdnews_dispatch.web.console.guests import is_still_in
from bdnews_dispatch.web.keys import CLOCK, DATABASE, NEWS, PAGES, STOPPING

#: Between two looks at the ledger, at least; and as many times as long as the look itself took, so that somebody who
#: watches a million deliveries costs the database a tenth of its time at most.
LOOK_SECONDS = 1.0
LOOKS_SHARE = 10
#: Between two looks at the session of who listens, at most.
SESSION_SECONDS = 15.0
_MOST_DISPATCHES = 30


async def dispatches(request: web.Request) -> web.Response:
    """The latest dispatches, each with how far it is."""
    database, clock = request.app[DATABASE], request.app[CLOCK]
    async with database.read() as session:
        newest = select(Dispatch).order_by(col(Dispatch.id).desc()).limit(_MOST_DISPATCHES)
        rows = (await session.exec(newest)).all()
        found = [(row, await read_progress(session, row.id, clock())) for row in rows if row.id is not None]
    return request.app[PAGES].response(request, "dispatches.html", found=found)


async def dispatch(request: web.Request) -> web.Response:
    """One dispatch; the script on the page keeps it up to date."""
    progress = await _look(request.app[DATABASE], request.app[CLOCK], _id(request))
    return request.app[PAGES].response(request, "progress.html", told=told(progress, None))


async def follow(request: web.Request) -> web.StreamResponse:
    """Server-sent events: a line of JSON for every look that found something new, until it is over.

    A stream ends with the session that it belongs to, and says so: the page then leads to the sign-in.
    """
    app, dispatch_id = request.app, _id(request)
    began = monotonic()
    progress = await _look(app[DATABASE], app[CLOCK], dispatch_id)
    took = monotonic() - began
    response = web.StreamResponse(
        headers={
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-store",
            "X-Accel-Buffering": "no",  # nginx would keep the lines until it has some kilobytes
        }
    )
    await response.prepare(request)
    pace, before = Pace(), None
    with suppress(ConnectionError):
        while not app[STOPPING].is_set():
            now = told(progress, pace.look(progress))
            if now != before:
                await response.write(f"data: {json.dumps(now, ensure_ascii=False)}\n\n".encode())
            else:
                await response.write(b":\n\n")  # no event: it finds out whether somebody still listens
            before = now
            if progress.over:
                break
            if not await _waited(request, max(LOOK_SECONDS, LOOKS_SHARE * took)):
                await response.write(b"event: ended\ndata: {}\n\n")
                break
            began = monotonic()
            progress = await _look(app[DATABASE], app[CLOCK], dispatch_id)
            took = monotonic() - began
    return response


async def _waited(request: web.Request, seconds: float) -> bool:
    """Until the next hint, `seconds` at most. Returns: whether who listens still may."""
    app, until = request.app, monotonic() + seconds
    while True:
        told = await app[NEWS].wait(max(0.0, min(until - monotonic(), SESSION_SECONDS)))
        if not await is_still_in(request):
            return False
        if told or app[STOPPING].is_set() or monotonic() >= until:
            return True


async def _look(database: Database, clock: Clock, dispatch_id: int) -> Progress:
    async with database.read() as session:
        return await read_progress(session, dispatch_id, clock())


def told(progress: Progress, rate: float | None) -> dict[str, Any]:
    """What the script on the page shows. Args: rate: deliveries a second, where it is known."""
    left = seconds_left(progress, rate)
    return {
        "id": progress.dispatch_id,
        "state": progress.state.value,
        "total": progress.total,
        "done": progress.done,
        "reached": progress.reached,
        "planning": progress.planning,
        "counts": progress.counts,
        "note": progress.note,
        "rate": round(rate, 1) if rate is not None else None,
        "seconds_left": round(left) if left is not None else None,
    }


def _id(request: web.Request) -> int:
    text = request.match_info["id"]
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise NotFoundError("没有这个发送任务")
    return int(text)
