"""A section's year: of those who got it, who clicked one of its articles; and how many read it.

In: a publication, days, by month or by issue. Out: for each section a row of points. Callers: web/console, web/api,
cli/. Read from roll-ups and growth: no hit is looked at. A person counts once in each dispatch; who is not to be
counted is in neither number. Bulletins have no articles, so they are left out; what goes out weekly or monthly counts
in its month, and in no single issue.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.dispatch.models import Dispatch, DispatchKind
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.reports.models import Dimension, Rollup
from bdnews_dispatch.reports.per_issue import editions
from bdnews_dispatch.reports.periods import Month, months_of
from bdnews_dispatch.reports.readership import readers_at
from bdnews_dispatch.reports.reading import within
from bdnews_dispatch.reports.tables import Cell


class By(StrEnum):
    """What one point stands for."""

    MONTH = "month"
    ISSUE = "issue"


@dataclass(frozen=True, slots=True)
class Point:
    """A section in a month, or in an issue.

    Attributes:
        name: `2026-11`, or the issue's total number.
        day: the last of the month, or the one on which the issue went out.
        got: people who got the section and may be counted.
        clicked: people who clicked one of its articles.
        readers: who read it at the end of that day, readers of the whole issue included.
    """

    name: str
    day: date
    got: int
    clicked: int
    readers: int

    @property
    def rate(self) -> float | None:
        """Who clicked of those who got it; None: nobody has got it."""
        return self.clicked / self.got if self.got else None


@dataclass(frozen=True, slots=True)
class SectionYear:
    """One section. `got`, `clicked`: of all points."""

    section: str
    points: Sequence[Point]

    @property
    def got(self) -> int:
        return sum(point.got for point in self.points)

    @property
    def clicked(self) -> int:
        return sum(point.clicked for point in self.points)

    @property
    def rate(self) -> float | None:
        return self.clicked / self.got if self.got else None


@dataclass(frozen=True, slots=True)
class _Stretch:
    name: str
    day: date


async def section_years(
    session: AsyncSession,
    publication: Publication,
    by: By,
    first: date,
    last: date,
    zone: ZoneInfo,
    now: datetime,
) -> Sequence[SectionYear]:
    """Every section of the publication in its order, with the same points, the earliest first; no month to come."""
    last = min(last, now.astimezone(zone).date())
    stretches: Sequence[_Stretch] = []
    of_dispatch: Mapping[int, _Stretch] = {}
    if first <= last and by is By.MONTH:
        by_month = {month: _Stretch(str(month), min(month.last, last)) for month in months_of(first, last)}
        stretches = list(by_month.values())
        of_dispatch = {
            dispatch_id: by_month[month]
            for dispatch_id, month in (await _months(session, publication.key, first, last, zone)).items()
        }
    elif first <= last:
        found = await editions(session, publication.key, first, last, zone)
        of_dispatch = {
            dispatch_id: _Stretch(str(edition.total_number), edition.day)
            for dispatch_id, edition in found.items()
        }
        stretches = list(dict.fromkeys(of_dispatch.values()))
    got: Counter[tuple[str, _Stretch]] = Counter()
    clicked: Counter[tuple[str, _Stretch]] = Counter()
    statement = select(
        col(Rollup.dispatch_id),
        col(Rollup.value),
        col(Rollup.people) - col(Rollup.untracked),
        col(Rollup.clicked),
    ).where(col(Rollup.dimension) == Dimension.SECTION, col(Rollup.dispatch_id).in_(of_dispatch))
    for dispatch_id, section, people, clickers in await session.exec(statement):
        place = (section, of_dispatch[dispatch_id])
        got[place] += people
        clicked[place] += clickers
    readers = await readers_at(session, publication.key, [one.day for one in stretches], zone, now)
    return [
        SectionYear(
            section,
            [
                Point(
                    stretch.name,
                    stretch.day,
                    got[section, stretch],
                    clicked[section, stretch],
                    at_its_end.of(section),
                )
                for stretch, at_its_end in zip(stretches, readers, strict=True)
            ],
        )
        for section in publication.section_keys
    ]


def together(years: Sequence[SectionYear]) -> Sequence[float | None]:
    """The rate of all sections at each point: what is usual there."""
    columns = zip(*(year.points for year in years), strict=True)
    found: list[float | None] = []
    for points in columns:
        got = sum(point.got for point in points)
        found.append(sum(point.clicked for point in points) / got if got else None)
    return found


def as_table(years: Sequence[SectionYear], names: Mapping[str, str], by: By) -> list[list[Cell]]:
    """For a file: a heading, and a row for each point of each section."""
    what: Cell = "月份" if by is By.MONTH else "总第几期"
    cells: list[list[Cell]] = [["栏目", what, "收到（人次）", "点击（人次）", "点击率", "读者"]]
    for year in years:
        name = names.get(year.section, year.section)
        cells += [
            [name, point.name, point.got, point.clicked, point.rate, point.readers] for point in year.points
        ]
    return cells


async def first_year(session: AsyncSession, publication: str, zone: ZoneInfo) -> int | None:
    """In which its first dispatch began; None: there is none."""
    statement = select(func.min(col(Dispatch.created_at))).where(col(Dispatch.publication) == publication)
    first: datetime | None = (await session.exec(statement)).one()
    return first.astimezone(zone).year if first is not None else None


async def _months(
    session: AsyncSession, publication: str, first: date, last: date, zone: ZoneInfo
) -> Mapping[int, Month]:
    statement = select(col(Dispatch.id), col(Dispatch.created_at)).where(
        *within(publication, first, last, zone), col(Dispatch.kind) != DispatchKind.BULLETIN
    )
    rows = (await session.exec(statement)).all()
    return {
        dispatch_id: Month.of(at.astimezone(zone).date())
        for dispatch_id, at in rows
        if dispatch_id is not None
    }
