"""How many read what, day by day, and who came and went in each month: from the days of growth that were counted.

In: a publication, days. Out: numbers of people. Callers: sections.py, pages. The days since the first one add up to
exactly those who have an agreement (keeping.py sees to it); today is counted from the agreements as far as it has come.
"""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.reports.growth import WHOLE, count_day
from bdnews_dispatch.reports.models import Growth
from bdnews_dispatch.reports.periods import Month, months_of


@dataclass(frozen=True, slots=True)
class MonthOfGrowth:
    """Who came and who went in one month. Attributes: readers: people with an agreement, at its end or by now."""

    month: Month
    joined: int
    gone: int
    readers: int


@dataclass(frozen=True, slots=True)
class Readers:
    """How many read what at the end of a day. Attributes: by_section: readers of the whole issue are in each."""

    everybody: int
    whole: int
    by_section: Mapping[str, int]

    def of(self, section: str) -> int:
        return self.by_section.get(section, 0) + self.whole


class _Moved(NamedTuple):
    """A row of `Growth`; a year has thousands."""

    day: date
    section: str
    joined: int
    gone: int


async def readers_at(
    session: AsyncSession, publication: str, days: Sequence[date], zone: ZoneInfo, now: datetime
) -> Sequence[Readers]:
    """At the end of each of these days, in their order; of a day that is yet to come as of now."""
    if not days:
        return []
    today = now.astimezone(zone).date()
    asked = [min(day, today) for day in days]
    first, last = min(asked), max(asked)
    before = (
        select(col(Growth.section), func.sum(col(Growth.joined) - col(Growth.gone)))
        .where(col(Growth.publication) == publication, col(Growth.day) < first)
        .group_by(col(Growth.section))
    )
    held = Counter({section: int(net) for section, net in (await session.exec(before)).all()})
    moved = deque(await _moved(session, publication, first, last, zone, now))
    found: dict[date, Readers] = {}
    for day in sorted(set(asked)):
        while moved and moved[0].day <= day:
            held[moved[0].section] += moved[0].joined - moved[0].gone
            moved.popleft()
        chosen = {section: number for section, number in held.items() if section not in {"", WHOLE}}
        found[day] = Readers(held[""], held[WHOLE], chosen)
    return [found[day] for day in asked]


async def growth_by_month(
    session: AsyncSession, publication: str, first: date, last: date, zone: ZoneInfo, now: datetime
) -> Sequence[MonthOfGrowth]:
    """Every month between these days, both included; none that is yet to come."""
    last = min(last, now.astimezone(zone).date())
    if last < first:
        return []
    months = months_of(first, last)
    joined: Counter[Month] = Counter()
    gone: Counter[Month] = Counter()
    for row in await _moved(session, publication, first, last, zone, now):
        if row.section == "":
            joined[Month.of(row.day)] += row.joined
            gone[Month.of(row.day)] += row.gone
    ends = [min(month.last, last) for month in months]
    readers = await readers_at(session, publication, ends, zone, now)
    return [
        MonthOfGrowth(month, joined[month], gone[month], at_its_end.everybody)
        for month, at_its_end in zip(months, readers, strict=True)
    ]


async def _moved(
    session: AsyncSession, publication: str, first: date, last: date, zone: ZoneInfo, now: datetime
) -> Sequence[_Moved]:
    """Between these days, both included, the earliest first."""
    statement = (
        select(col(Growth.day), col(Growth.section), col(Growth.joined), col(Growth.gone))
        .where(col(Growth.publication) == publication, col(Growth.day).between(first, last))
        .order_by(col(Growth.day), col(Growth.section))
    )
    rows = [_Moved(*row) for row in (await session.exec(statement)).all()]
    today = now.astimezone(zone).date()
    if first <= today <= last:
        rows += [
            _Moved(today, section, joined, gone)
            for section, (joined, gone) in (await count_day(session, publication, today, zone)).items()
        ]
    return rows
