"""How fast a dispatch is read: hour by hour since the send, beside earlier ones of its kind.

In: a dispatch. Out: what part of its tracked people had opened and clicked within so many hours, and the median of that
part over the earlier dispatches. Caller: web/console. Read from roll-ups; who opens later than within a week, or when
nobody knows, is in the totals alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from statistics import median

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.dispatch.control import find_dispatch
from bdnews_dispatch.dispatch.models import Dispatch
from bdnews_dispatch.reports.models import CountedDispatch, Dimension, Rollup
from bdnews_dispatch.reports.reading import Figures, comparable, figures_of

#: Three days: of a weekly, nearly all that happens.
HOURS = 72


@dataclass(frozen=True, slots=True)
class Within:
    """What was so after a number of hours.

    Attributes:
        opened, clicked: people, all that did so by then.
        open_rate, click_rate: of tracked people; None: that hour is yet to come, or there is nobody.
        usual_open_rate, usual_click_rate: medians of earlier dispatches; None: there are none.
    """

    hours: int
    opened: int
    clicked: int
    open_rate: float | None
    click_rate: float | None
    usual_open_rate: float | None
    usual_click_rate: float | None


async def pace(session: AsyncSession, dispatch_id: int) -> Sequence[Within]:
    """The first three days, an hour each; empty where nothing was opened yet and nothing can be compared.

    Raises:
        NotFoundError: there is no such dispatch.
    """
    dispatch = await find_dispatch(session, dispatch_id)
    earlier = await comparable(session, dispatch)
    ids = [dispatch_id, *earlier]
    statement = select(Rollup).where(
        col(Rollup.dispatch_id).in_(ids), col(Rollup.dimension).in_([Dimension.HOUR, Dimension.ALL])
    )
    opened = {one: [0] * HOURS for one in ids}
    clicked = {one: [0] * HOURS for one in ids}
    total = Figures()
    for row in await session.exec(statement):
        if row.dimension is Dimension.HOUR and int(row.value) < HOURS:
            opened[row.dispatch_id][int(row.value)] = row.opened
            clicked[row.dispatch_id][int(row.value)] = row.clicked
        elif row.dimension is Dimension.ALL and row.dispatch_id == dispatch_id:
            total = figures_of(row)
    own_opened, own_clicked = list(accumulate(opened[dispatch_id])), list(accumulate(clicked[dispatch_id]))
    usual_opened, usual_clicked = _usual(opened, earlier), _usual(clicked, earlier)
    if not total.tracked or not (own_opened[-1] or usual_opened):
        return []
    counted = await session.get(CountedDispatch, dispatch_id)
    over = _hours_over(dispatch, counted.counted_at if counted else None)
    last = max((hour for hour in range(HOURS) if opened[dispatch_id][hour]), default=-1) + 1
    shown = max(over, last)
    return [
        Within(
            hour + 1,
            own_opened[hour],
            own_clicked[hour],
            own_opened[hour] / total.tracked if hour < shown else None,
            own_clicked[hour] / total.tracked if hour < shown else None,
            usual_opened[hour] if usual_opened else None,
            usual_clicked[hour] if usual_clicked else None,
        )
        for hour in range(HOURS)
    ]


def _usual(of_hours: Mapping[int, Sequence[int]], earlier: Mapping[int, Figures]) -> Sequence[float]:
    """The median part at each hour."""
    parts = [
        [people / figures.tracked for people in accumulate(of_hours[one])]
        for one, figures in earlier.items()
        if figures.tracked
    ]
    return [median(hour) for hour in zip(*parts, strict=True)]


def _hours_over(dispatch: Dispatch, counted_at: datetime | None) -> int:
    """Whole hours that had passed when it was counted."""
    if counted_at is None:
        return 0
    began = max(dispatch.due_at, dispatch.created_at)
    return max(0, int((counted_at - began).total_seconds() // 3600))
