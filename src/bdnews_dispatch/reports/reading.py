"""Reports, read from what was counted: a dispatch, many over time, growth.

In: a dispatch, or a publication and days. Out: figures with their rates. Callers: cli/, later the console and the API.
Nothing is counted here but today's growth, so that a year with 50,000,000 hits is some thousand rows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from statistics import median
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, func
from sqlalchemy import select as sa_select
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import midnight, whole_day
from bdnews_dispatch.dispatch.control import find_dispatch
from bdnews_dispatch.dispatch.models import Dispatch, DispatchKind, DispatchLink
from bdnews_dispatch.dispatch.states import DispatchState
from bdnews_dispatch.dispatch.titles import titles
from bdnews_dispatch.reports.counting import FIGURES
from bdnews_dispatch.reports.growth import count_day
from bdnews_dispatch.reports.models import CountedDispatch, Dimension, Growth, Rollup

#: Earlier dispatches whose medians stand beside a dispatch: two months of a weekly.
EARLIER = 8
RATES = ("delivery_rate", "open_rate", "click_rate", "unsubscribe_rate", "bounce_rate", "complaint_rate")


@dataclass(frozen=True, slots=True)
class Figures:
    """As `Rollup`, with rates between 0 and 1; None where there is nothing to divide by."""

    planned: int = 0
    skipped: int = 0
    cancelled: int = 0
    failed: int = 0
    uncertain: int = 0
    sent: int = 0
    delivered: int = 0
    bounced: int = 0
    complained: int = 0
    people: int = 0
    untracked: int = 0
    opened: int = 0
    clicked: int = 0
    unsubscribed: int = 0
    machine_opened: int = 0
    machine_clicked: int = 0

    @property
    def tracked(self) -> int:
        """People of whom it is known whether they opened it."""
        return self.people - self.untracked

    @property
    def delivery_rate(self) -> float | None:
        """Of what the other side took: what has not come back."""
        return _part(self.delivered, self.sent)

    @property
    def open_rate(self) -> float | None:
        """Of tracked people."""
        return _part(self.opened, self.tracked)

    @property
    def click_rate(self) -> float | None:
        """Of tracked people."""
        return _part(self.clicked, self.tracked)

    @property
    def unsubscribe_rate(self) -> float | None:
        """Of people: who leaves is known whoever they are."""
        return _part(self.unsubscribed, self.people)

    @property
    def bounce_rate(self) -> float | None:
        """Of what the other side took."""
        return _part(self.bounced, self.sent)

    @property
    def complaint_rate(self) -> float | None:
        """Of what was delivered."""
        return _part(self.complained, self.delivered)

    @classmethod
    def sum(cls, parts: "Iterable[Figures]") -> "Figures":
        """Of dispatches that have nobody in common."""
        rows = [[getattr(part, name) for name in FIGURES] for part in parts]
        return cls(*(sum(column) for column in zip(*rows, strict=True)))

    def rates(self) -> dict[str, float | None]:
        """All of them by name."""
        return {name: getattr(self, name) for name in RATES}


@dataclass(frozen=True, slots=True)
class Headline:
    """A dispatch in a list."""

    dispatch_id: int
    title: str
    kind: DispatchKind
    created_at: datetime
    counted_at: datetime | None
    figures: Figures


@dataclass(frozen=True, slots=True)
class Line:
    """One value of a dimension. Attributes: label: of an article its address."""

    value: str
    label: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class DispatchReport:
    """One dispatch.

    Attributes:
        counted_at: what became known later is not in it; None: it was not counted yet, everything is zero.
        lines: by dimension, the largest first; hours and articles in their order.
        earlier: medians of the rates of earlier dispatches of its kind; empty where there are none.
        compared: how many these are.
    """

    headline: Headline
    publication: str
    state: DispatchState
    lines: Mapping[Dimension, Sequence[Line]]
    earlier: Mapping[str, float | None]
    compared: int


@dataclass(frozen=True, slots=True)
class Movement:
    """Of a section, or of everybody (""), or of readers of the whole issue ("*")."""

    section: str
    joined: int
    gone: int


async def report(session: AsyncSession, dispatch_id: int) -> DispatchReport:
    """Everything about a dispatch.

    Raises:
        NotFoundError: there is none.
    """
    dispatch = await find_dispatch(session, dispatch_id)
    rows = (await session.exec(select(Rollup).where(Rollup.dispatch_id == dispatch_id))).all()
    counted = await session.get(CountedDispatch, dispatch_id)
    addresses = await session.exec(
        select(DispatchLink.number, DispatchLink.url).where(DispatchLink.dispatch_id == dispatch_id)
    )
    labels = {str(number): url for number, url in addresses.all()}
    lines: dict[Dimension, list[Line]] = {
        dimension: [] for dimension in Dimension if dimension is not Dimension.ALL
    }
    total = Figures()
    for row in rows:
        if row.dimension is Dimension.ALL:
            total = figures_of(row)
        else:
            label = labels.get(row.value, "") if row.dimension is Dimension.ARTICLE else ""
            lines[row.dimension].append(Line(row.value, label, figures_of(row)))
    for dimension, found in lines.items():
        if dimension is Dimension.HOUR:
            found.sort(key=lambda line: line.value)
        elif dimension is Dimension.ARTICLE:
            found.sort(key=lambda line: (-line.figures.clicked, int(line.value)))
        else:
            found.sort(key=lambda line: (-line.figures.planned, line.value))
    earlier = await comparable(session, dispatch)
    named = await titles(session, [dispatch_id])
    return DispatchReport(
        Headline(
            dispatch_id,
            named.get(dispatch_id, ""),
            dispatch.kind,
            dispatch.created_at,
            counted.counted_at if counted else None,
            total,
        ),
        dispatch.publication,
        dispatch.state,
        lines,
        medians(list(earlier.values())),
        len(earlier),
    )


async def over_time(
    session: AsyncSession, publication: str, first: date, last: date, zone: ZoneInfo
) -> list[Headline]:
    """Every dispatch of a publication that began on these days, both included; the latest first."""
    statement = (
        sa_select(Dispatch, Rollup, CountedDispatch)
        .outerjoin(Rollup, _total())
        .outerjoin(CountedDispatch, col(CountedDispatch.dispatch_id) == col(Dispatch.id))
        .where(*within(publication, first, last, zone))
        .order_by(col(Dispatch.created_at).desc(), col(Dispatch.id).desc())
    )
    rows = (await session.execute(statement)).all()
    named = await titles(session, [dispatch.id for dispatch, _, _ in rows if dispatch.id is not None])
    return [
        Headline(
            dispatch.id or 0,
            named.get(dispatch.id or 0, ""),
            dispatch.kind,
            dispatch.created_at,
            counted.counted_at if counted is not None else None,
            figures_of(row) if row is not None else Figures(),
        )
        for dispatch, row, counted in rows
    ]


async def summed(
    session: AsyncSession, publication: str, dimension: Dimension, first: date, last: date, zone: ZoneInfo
) -> list[Line]:
    """A dimension over all dispatches of these days. A person counts once in each dispatch."""
    sums = [func.coalesce(func.sum(getattr(Rollup, name)), 0) for name in FIGURES]
    statement = (
        select(Rollup.value, *sums)
        .join(Dispatch, col(Dispatch.id) == col(Rollup.dispatch_id))
        .where(col(Rollup.dimension) == dimension, *within(publication, first, last, zone))
        .group_by(col(Rollup.value))
    )
    rows = (await session.execute(statement)).all()
    lines = [Line(row[0], "", Figures(*(int(value) for value in row[1:]))) for row in rows]
    return sorted(lines, key=lambda line: (-line.figures.planned, line.value))


async def growth(
    session: AsyncSession, publication: str, first: date, last: date, zone: ZoneInfo, now: datetime
) -> list[Movement]:
    """Who joined and who left on these days, both included; today as far as it has come."""
    statement = (
        select(col(Growth.section), func.sum(col(Growth.joined)), func.sum(col(Growth.gone)))
        .where(col(Growth.publication) == publication, col(Growth.day).between(first, last))
        .group_by(col(Growth.section))
    )
    sums = {
        section: (int(joined), int(gone)) for section, joined, gone in (await session.exec(statement)).all()
    }
    today = now.astimezone(zone).date()
    if first <= today <= last:
        for section, (joined, gone) in (await count_day(session, publication, today, zone)).items():
            before = sums.get(section, (0, 0))
            sums[section] = (before[0] + joined, before[1] + gone)
    return [Movement(section, *sums[section]) for section in sorted(sums)]


def medians(earlier: Sequence[Figures]) -> dict[str, float | None]:
    """The median of each rate, of those that have it."""
    found: dict[str, float | None] = {}
    for name in RATES if earlier else ():
        known = [rate for figures in earlier if (rate := getattr(figures, name)) is not None]
        found[name] = median(known) if known else None
    return found


async def comparable(session: AsyncSession, dispatch: Dispatch) -> Mapping[int, Figures]:
    """Earlier dispatches that one can be compared with, by number: of its kind, of its cadence, the latest ones."""
    statement = (
        select(Rollup)
        .join(Dispatch, col(Dispatch.id) == col(Rollup.dispatch_id))
        .where(Rollup.dimension == Dimension.ALL, Dispatch.publication == dispatch.publication)
        .where(Dispatch.kind == dispatch.kind, Dispatch.state == DispatchState.FINISHED)
        .where(
            col(Dispatch.created_at) < dispatch.created_at,
            col(Dispatch.cadence).is_not_distinct_from(dispatch.cadence),
        )
        .where(Rollup.sent > 0)
        .order_by(col(Dispatch.created_at).desc())
        .limit(EARLIER)
    )
    return {row.dispatch_id: figures_of(row) for row in (await session.exec(statement)).all()}


def _total() -> ColumnElement[bool]:
    return (col(Rollup.dispatch_id) == col(Dispatch.id)) & (col(Rollup.dimension) == Dimension.ALL)


def within(publication: str, first: date, last: date, zone: ZoneInfo) -> tuple[ColumnElement[bool], ...]:
    """Dispatches of a publication that began on these days, both included."""
    return (
        col(Dispatch.publication) == publication,
        col(Dispatch.created_at) >= midnight(first, zone),
        col(Dispatch.created_at) < whole_day(last, zone)[1],
    )


def figures_of(row: Rollup) -> Figures:
    """What is in a row."""
    return Figures(*(getattr(row, name) for name in FIGURES))


def _part(some: int, whole: int) -> float | None:
    return some / whole if whole else None


assert tuple(Figures.__dataclass_fields__) == FIGURES  # noqa: S101  # one order of names
