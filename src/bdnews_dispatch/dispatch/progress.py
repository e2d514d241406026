"""How far a dispatch is: what a page shows while it runs, wherever it runs.

In: a dispatch's id; two looks at the ledger. Out: `Progress`. Callers: web/progress.py, later the console and the API.
The rows are the truth on every machine; nothing is told from worker to page.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.dispatch.control import find_dispatch
from bdnews_dispatch.dispatch.models import Delivery, Dispatch, counts_template
from bdnews_dispatch.dispatch.states import OPEN, REACHED, DeliveryState, DispatchState

#: The rate is over so many seconds: long enough to be calm, short enough to show that something has happened.
RATE_SECONDS = 20.0
#: Less than this says nothing about how long it will take.
LEAST_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Progress:
    """One look.

    Attributes:
        total: deliveries; grows while it is being planned.
        done: those that nothing more will be tried for.
        planning: whether there may be more.
        counts: by state, each of them.
        note: what holds it up, in words.
    """

    dispatch_id: int
    state: DispatchState
    at: datetime
    total: int
    done: int
    planning: bool
    counts: dict[str, int]
    note: str

    @property
    def reached(self) -> int:
        """Accepted by the other side."""
        return sum(self.counts[state] for state in REACHED)

    @property
    def over(self) -> bool:
        """Whether nothing changes any more."""
        return self.state in (DispatchState.FINISHED, DispatchState.CANCELLED)


async def read_progress(session: AsyncSession, dispatch_id: int, now: datetime) -> Progress:
    """Raises: NotFoundError: there is no such dispatch."""
    dispatch = await find_dispatch(session, dispatch_id)
    rows = await session.exec(
        select(Delivery.state, func.count())
        .where(Delivery.dispatch_id == dispatch_id)
        .group_by(col(Delivery.state))
    )
    counts = counts_template()
    for state, number in rows:
        counts[DeliveryState(state).value] = number
    return progress_of(dispatch, counts, now)


def progress_of(dispatch: Dispatch, counts: Mapping[str, int], now: datetime) -> Progress:
    """Args: counts: by state, each of them, as they were at `now`."""
    assert dispatch.id is not None  # noqa: S101  # read from the database
    total = sum(counts.values())
    left = sum(counts[state] for state in (*OPEN, DeliveryState.UNCERTAIN))
    return Progress(
        dispatch_id=dispatch.id,
        state=dispatch.state,
        at=now,
        total=total,
        done=total - left,
        planning=dispatch.planned_at is None and dispatch.state is not DispatchState.CANCELLED,
        counts=dict(counts),
        note=dispatch.note,
    )


class Pace:
    """How fast it goes, from the looks of the last seconds."""

    def __init__(self) -> None:
        self._looks: deque[tuple[datetime, int]] = deque()

    def look(self, progress: Progress) -> float | None:
        """Deliveries a second that are done with; None: not known yet."""
        self._looks.append((progress.at, progress.done))
        while len(self._looks) > 2 and (progress.at - self._looks[0][0]).total_seconds() > RATE_SECONDS:
            self._looks.popleft()
        began, done = self._looks[0]
        seconds = (progress.at - began).total_seconds()
        if seconds < LEAST_SECONDS:
            return None
        return max(0.0, (progress.done - done) / seconds)


def seconds_left(progress: Progress, rate: float | None) -> float | None:
    """How long yet at this rate; None where nobody can tell."""
    if progress.over or progress.planning or not rate:
        return None
    return (progress.total - progress.done) / rate
