"""What an address of the reports asks for: a publication, days, a year. Callers: the pages, their files, their charts.

What can't be read is taken for what is shown without it: an address that somebody has shortened still leads somewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from aiohttp import web

from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.reports.periods import days_of
from bdnews_dispatch.reports.sections import By, SectionYear, first_year, section_years
from bdnews_dispatch.web.console.reach import publication_named
from bdnews_dispatch.web.keys import CLOCK, DATABASE, SETTINGS

_DAYS = 365


@dataclass(frozen=True, slots=True)
class Days:
    """Both included."""

    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Year:
    """Sections over a year.

    Attributes:
        year: None: the last twelve months.
        choices: years in which something was sent, the latest first.
    """

    publication: Publication
    year: int | None
    by: By
    choices: Sequence[int]
    years: Sequence[SectionYear]


def publication_asked(request: web.Request) -> Publication:
    """Else the first that they reach. Raises: web.HTTPForbidden: they don't reach it."""
    return publication_named(request, request.query.get("publication", ""))


def days_asked(request: web.Request) -> Days:
    """A year up to today where the address says nothing that can be read."""
    last = _day(request.query.get("until", "")) or _today(request)
    first = _day(request.query.get("since", "")) or last - timedelta(days=_DAYS)
    return Days(min(first, last), max(first, last))


async def year_asked(request: web.Request) -> Year:
    """The last twelve months by month where the address says nothing that can be read."""
    app, today = request.app, _today(request)
    publication, zone = publication_asked(request), app[SETTINGS].service.timezone
    written = request.query.get("year", "")
    year = int(written) if written.isascii() and written.isdigit() and len(written) == 4 else None
    year = year if year is not None and 2000 <= year <= 2100 else None
    wanted = request.query.get("by", "")
    by = By(wanted) if wanted in set(By) else By.MONTH
    first, last = days_of(year, today)
    async with app[DATABASE].read() as session:
        began = await first_year(session, publication.key, zone)
        years = await section_years(session, publication, by, first, last, zone, app[CLOCK]())
    choices = range(today.year, min(began or today.year, today.year) - 1, -1)
    return Year(publication, year, by, choices, years)


def _today(request: web.Request) -> date:
    return request.app[CLOCK]().astimezone(request.app[SETTINGS].service.timezone).date()


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if 2000 <= day.year <= 2100 else None
