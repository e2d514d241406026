"""How dispatches stand, as fast as a page wants to know.

In: dispatches. Out: their counts: of a few deliveries as they are at this moment, of many as they were counted last,
with when that was. What a person decides by, the uncertain ones, is always of this moment. Callers: the rooms.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from aiohttp import web
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import beijing
from bdnews_dispatch.dispatch.breakdown import by_domain
from bdnews_dispatch.dispatch.models import Dispatch
from bdnews_dispatch.dispatch.progress import Progress, progress_of
from bdnews_dispatch.dispatch.standing import Standing, count, in_doubt, large_ones, rows_of
from bdnews_dispatch.dispatch.states import DeliveryState, DispatchState
from bdnews_dispatch.reports.tallies import Wanted
from bdnews_dispatch.web.keys import CLOCK, TALLIES

_OVER = (DispatchState.FINISHED, DispatchState.CANCELLED)
#: While it is sent; while it stands still; on the day when most comes back; from then on.
_MOVING, _STILL = timedelta(seconds=2), timedelta(seconds=10)
_FRESH, _OLD = timedelta(minutes=1), timedelta(hours=1)
_RETURNING = timedelta(days=2)
#: Until a page that has no counts yet is loaded again, in seconds.
SOON = "2"


@dataclass(frozen=True, slots=True)
class Stand:
    """Of one dispatch.

    Attributes:
        uncertain: of this moment.
        at: when the rest was counted; None: at this moment.
        known: false until it has been counted for the first time.
    """

    standing: Standing
    progress: Progress
    uncertain: int
    at: datetime | None = None
    known: bool = True

    @property
    def counted_at(self) -> str:
        """To the second, in Beijing; "": at this moment."""
        return f"{beijing(self.at):%Y-%m-%d %H:%M:%S}" if self.at else ""


async def stands(
    request: web.Request, session: AsyncSession, dispatches: Sequence[Dispatch], *, domains: bool = False
) -> dict[int, Stand]:
    """By id. Args: domains: those of small dispatches too, one statement each."""
    now = request.app[CLOCK]()
    rows = {row.id: row for row in dispatches if row.id is not None}
    if not rows:
        return {}
    large = await large_ones(session, rows)
    small = await rows_of(session, rows.keys() - large)
    wanted = {id_: _wanted(rows[id_], now) for id_ in sorted(large, reverse=True)}
    last = await request.app[TALLIES].last(session, wanted.values())
    doubts: Mapping[int, int] = await in_doubt(session, large) if large else {}
    found = {}
    for id_, dispatch in rows.items():
        if id_ not in large:
            at_domains = await by_domain(session, id_) if domains else ()
            standing = Standing.read({"rows": small.get(id_, [])}, at_domains)
            progress = progress_of(dispatch, standing.counts, now)
            found[id_] = Stand(standing, progress, standing.counts[DeliveryState.UNCERTAIN])
        elif (told := last.get(wanted[id_].name)) is not None:
            standing = Standing.read(told.value)
            progress = progress_of(dispatch, standing.counts, told.at)
            found[id_] = Stand(standing, progress, doubts.get(id_, 0), told.at)
        else:
            standing = Standing.read({"rows": []})
            progress = progress_of(dispatch, standing.counts, now)
            found[id_] = Stand(standing, progress, doubts.get(id_, 0), known=False)
    return found


def again_soon(response: web.Response, found: Mapping[int, Stand]) -> web.Response:
    """The page loads itself again where something has not been counted yet."""
    if not all(one.known for one in found.values()):
        response.headers["Refresh"] = SOON
    return response


def _wanted(dispatch: Dispatch, now: datetime) -> Wanted:
    lasts, since = _MOVING, None
    if dispatch.state in _OVER:
        ended = dispatch.finished_at or dispatch.created_at
        lasts, since = (_FRESH if now - ended < _RETURNING else _OLD), ended
    elif dispatch.state is DispatchState.PAUSED:
        lasts = _STILL
    assert dispatch.id is not None  # noqa: S101  # read from the database
    return Wanted(f"dispatch:{dispatch.id}", partial(count, dispatch_id=dispatch.id), lasts, since)
