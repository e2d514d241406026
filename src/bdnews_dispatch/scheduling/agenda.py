"""What is on each day: runs of the timetable, dispatches, bulletins that have a time, issues that were published.

In: the timetable, rows, what the one who looks may see. Out: items in the order of their time, and days in Beijing with
their holidays; what falls on a holiday and has not begun says so. Callers: the console's calendar, the calendar file
for other programs. Only what may be seen is read.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.bulletins.models import BulletinDraft, DraftState
from bdnews_dispatch.clock import BEIJING, beijing, midnight, whole_day
from bdnews_dispatch.dispatch.models import Dispatch
from bdnews_dispatch.dispatch.starting import period_cause
from bdnews_dispatch.dispatch.states import DispatchState
from bdnews_dispatch.dispatch.titles import titles
from bdnews_dispatch.issues.models import Issue, IssueState
from bdnews_dispatch.issues.publications import Publications
from bdnews_dispatch.scheduling.holidays import Mark, mark_of
from bdnews_dispatch.scheduling.timetable import Entry
from bdnews_dispatch.subscribers.models import Cadence

#: Rows of one kind in one answer, the latest ones: what is to come. A year of two bulletins a day is less.
MOST = 1_000
_MOMENT = timedelta(microseconds=1)
#: The timetable has no row that says since when it is what it is.
_EVER = datetime(2000, 1, 1, tzinfo=UTC)
_UNSENT = (DraftState.DRAFT, DraftState.WAITING)
_NOT_BEGUN = {DispatchState.SCHEDULED, DispatchState.PAUSED}


class Kind(StrEnum):
    """What an item is."""

    RUN = "run"
    DISPATCH = "dispatch"
    DRAFT = "draft"
    ISSUE = "issue"


@dataclass(frozen=True, slots=True)
class Item:
    """Something that happens, or has happened, at a moment.

    Attributes:
        key: names it for ever. A run and the dispatch that it makes have the same one.
        id: of its row; 0: a run has none.
        title: of an issue with its number, of a bulletin; "" of a run.
        state: of a dispatch or a draft.
        cadence: of a run.
        ends: when a dispatch was over.
        changed: when it became what it is here, as far as its row says.
        on_holiday: the name of the holiday that it falls on, while it can still be moved.
    """

    kind: Kind
    key: str
    at: datetime
    changed: datetime
    publication: str
    id: int = 0
    title: str = ""
    state: DispatchState | DraftState | None = None
    cadence: Cadence | None = None
    ends: datetime | None = None
    on_holiday: str = ""


@dataclass(frozen=True, slots=True)
class Day:
    """A day in Beijing."""

    date: date
    mark: Mark | None
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Agenda:
    """Items by their time. Attributes: more: there may be earlier ones: of a kind there are `MOST`."""

    items: tuple[Item, ...]
    more: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """From a moment on, and before another one. Aware UTC."""

    start: datetime
    end: datetime

    @classmethod
    def of_days(cls, first: date, last: date) -> "Span":
        """Whole days in Beijing, both included."""
        return cls(midnight(first, BEIJING), whole_day(last, BEIJING)[1])


async def read_agenda(
    session: AsyncSession,
    span: Span,
    now: datetime,
    *,
    timetable: Sequence[Entry],
    publications: Publications,
    may: Callable[[Right], bool],
    only: Collection[str] = (),
) -> Agenda:
    """Everything in the span.

    Args:
        publications: each has the timetable; runs of those that have never published anything are left out.
        may: whether the one who looks holds a right.
        only: of these publications alone; none: of all.
    """
    found: list[Item] = []
    if may(Right.DISPATCHES_READ):
        in_use = [key for key in await _in_use(session, publications) if not only or key in only]
        found += runs(span, now, timetable, in_use)
        found += await _dispatches(session, span, now, only)
    if may(Right.BULLETINS_READ):
        found += await _drafts(session, span, now, only)
    if may(Right.ISSUES_READ):
        found += await _issues(session, span, only)
    of_kind = [sum(item.kind is kind for item in found) for kind in Kind]
    return Agenda(tuple(sorted(found, key=lambda item: (item.at, item.key))), more=MOST in of_kind)


def runs(
    span: Span, now: datetime, timetable: Sequence[Entry], publications: Sequence[str]
) -> Iterator[Item]:
    """The timetable's runs that are still to come; what came of an earlier one is a dispatch, or nothing was sent."""
    after, until = max(span.start - _MOMENT, now), span.end - _MOMENT
    for entry in timetable:
        for due, _ in entry.due_between(after, until):
            for key in publications:
                yield Item(
                    Kind.RUN,
                    period_cause(key, entry.cadence, due),
                    at=due,
                    changed=_EVER,
                    publication=key,
                    cadence=entry.cadence,
                    on_holiday=_holiday(due),
                )


def days(items: Iterable[Item], first: date, last: date) -> tuple[Day, ...]:
    """Each day from the first to the last one, with what is on it; what is outside is left out."""
    by_day: dict[date, list[Item]] = {}
    for item in items:
        by_day.setdefault(beijing(item.at).date(), []).append(item)
    number = (last - first).days + 1
    return tuple(
        Day(day, mark_of(day), tuple(by_day.get(day, ())))
        for day in (first + timedelta(days=ahead) for ahead in range(number))
    )


async def _in_use(session: AsyncSession, publications: Publications) -> list[str]:
    """Those that have published an issue; before the first one: the default publication."""
    published = select(Issue.publication).where(Issue.state == IssueState.PUBLISHED).distinct()
    found = set(await session.exec(published)) or {publications.default_key}
    return [key for key in publications if key in found]


async def _dispatches(session: AsyncSession, span: Span, now: datetime, only: Collection[str]) -> list[Item]:
    statement = (
        select(Dispatch)
        .where(col(Dispatch.due_at) >= span.start, col(Dispatch.due_at) < span.end)
        .order_by(col(Dispatch.due_at).desc())
        .limit(MOST)
    )
    if only:
        statement = statement.where(col(Dispatch.publication).in_(only))
    rows = {row.id: row for row in await session.exec(statement) if row.id is not None}
    named: Mapping[int, str] = await titles(session, list(rows))
    return [
        Item(
            Kind.DISPATCH,
            row.cause,
            at=row.due_at,
            changed=row.finished_at or row.created_at,
            publication=row.publication,
            id=id_,
            title=named.get(id_, ""),
            state=row.state,
            ends=row.finished_at,
            on_holiday=_holiday(row.due_at) if row.state in _NOT_BEGUN and row.due_at > now else "",
        )
        for id_, row in rows.items()
    ]


async def _drafts(session: AsyncSession, span: Span, now: datetime, only: Collection[str]) -> list[Item]:
    statement = (
        select(BulletinDraft)
        .where(
            col(BulletinDraft.state).in_(_UNSENT),
            col(BulletinDraft.at) >= span.start,
            col(BulletinDraft.at) < span.end,
        )
        .order_by(col(BulletinDraft.at).desc())
        .limit(MOST)
    )
    if only:
        statement = statement.where(col(BulletinDraft.publication).in_(only))
    return [
        Item(
            Kind.DRAFT,
            f"draft:{row.id}",
            at=row.at,
            changed=row.changed_at,
            publication=row.publication,
            id=row.id or 0,
            title=row.title,
            state=row.state,
            on_holiday=_holiday(row.at) if row.at > now else "",
        )
        for row in await session.exec(statement)
        if row.at is not None
    ]


async def _issues(session: AsyncSession, span: Span, only: Collection[str]) -> list[Item]:
    statement = (
        select(Issue)
        .where(
            Issue.state == IssueState.PUBLISHED,
            col(Issue.published_at) >= span.start,
            col(Issue.published_at) < span.end,
        )
        .order_by(col(Issue.published_at).desc())
        .limit(MOST)
    )
    if only:
        statement = statement.where(col(Issue.publication).in_(only))
    return [
        Item(
            Kind.ISSUE,
            f"published:{row.id}",
            at=row.published_at,
            changed=row.published_at,
            publication=row.publication,
            id=row.id or 0,
            title=f"总第{row.total_number}期《{row.title}》",
        )
        for row in await session.exec(statement)
        if row.published_at is not None
    ]


def _holiday(at: datetime) -> str:
    mark = mark_of(beijing(at).date())
    return mark.holiday if mark is not None and mark.off else ""
