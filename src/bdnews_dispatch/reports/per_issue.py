"""Issues beside each other: all dispatches of one issue together.

In: a publication, days. Out: figures by issue, the earliest first. Callers: sections.py, pages. An issue may go out in
several dispatches (to one list, then to another; again to who had not got it): nobody gets it twice by one channel, so
their figures add up. What goes out weekly or monthly holds several issues and is in none of these.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.dispatch.models import Dispatch, DispatchKind
from bdnews_dispatch.issues.models import Issue
from bdnews_dispatch.reports.models import Dimension, Rollup
from bdnews_dispatch.reports.reading import Figures, figures_of, within


@dataclass(frozen=True, slots=True)
class Edition:
    """An issue that was sent. Attributes: day: on which its first dispatch within the time asked for began."""

    total_number: int
    title: str
    day: date


@dataclass(frozen=True, slots=True)
class EditionFigures:
    """What came of it."""

    edition: Edition
    figures: Figures


async def editions(
    session: AsyncSession, publication: str, first: date, last: date, zone: ZoneInfo
) -> Mapping[int, Edition]:
    """By dispatch, in the order in which the dispatches began."""
    statement = (
        select(Dispatch)
        .where(*within(publication, first, last, zone), Dispatch.kind == DispatchKind.ISSUE)
        .order_by(col(Dispatch.created_at), col(Dispatch.id))
    )
    dispatches = (await session.exec(statement)).all()
    wanted = {entry["id"] for dispatch in dispatches for entry in dispatch.issues}
    issues = {row.id: row for row in await session.exec(select(Issue).where(col(Issue.id).in_(wanted)))}
    known: dict[int, Edition] = {}
    found: dict[int, Edition] = {}
    for dispatch in dispatches:
        issue = issues.get(dispatch.issues[0]["id"]) if dispatch.issues else None
        if issue is not None and issue.id is not None and dispatch.id is not None:
            day = dispatch.created_at.astimezone(zone).date()
            found[dispatch.id] = known.setdefault(issue.id, Edition(issue.total_number, issue.title, day))
    return found


async def by_issue(
    session: AsyncSession, publication: str, first: date, last: date, zone: ZoneInfo
) -> Sequence[EditionFigures]:
    """Issues that were counted and that somebody has got, the earliest first."""
    of_dispatch = await editions(session, publication, first, last, zone)
    statement = select(Rollup).where(
        col(Rollup.dimension) == Dimension.ALL, col(Rollup.dispatch_id).in_(of_dispatch)
    )
    totals = {row.dispatch_id: figures_of(row) for row in await session.exec(statement)}
    gathered: dict[Edition, list[Figures]] = {}
    for dispatch_id, edition in of_dispatch.items():
        gathered.setdefault(edition, []).append(totals.get(dispatch_id, Figures()))
    summed = [EditionFigures(edition, Figures.sum(parts)) for edition, parts in gathered.items()]
    return [one for one in summed if one.figures.people]
