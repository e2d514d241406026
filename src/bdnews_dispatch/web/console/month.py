"""The calendar: a month in Beijing with what was sent, what is to be sent, holidays, what is left of the quotas; below
it the address for calendar programs.

In: `?month=2026-11`; none: this month. Out: a page; each item leads to where something can be done. Only what the one
who looks may see is read.
"""

import calendar
import re
from datetime import date, timedelta

from aiohttp import web

from bdnews_dispatch.accounts import calendar_addresses
from bdnews_dispatch.clock import beijing
from bdnews_dispatch.errors import BdnewsError
from bdnews_dispatch.scheduling.agenda import MOST, Day, Kind, Span, days, read_agenda
from bdnews_dispatch.scheduling.holidays import is_known
from bdnews_dispatch.scheduling.timetable import read_timetable
from bdnews_dispatch.web.calendar_feed import path_of
from bdnews_dispatch.web.console.desk import back, field, note, page
from bdnews_dispatch.web.console.guests import WHO
from bdnews_dispatch.web.console.quotas import quotas
from bdnews_dispatch.web.keys import CLOCK, DATABASE, LINKS, PUBLICATIONS, SETTINGS

_PATH = "/console/calendar"
_MONTH = re.compile(r"(20[0-9]{2})-(0[1-9]|1[0-2])", re.ASCII)
_DAYS_A_WEEK = 7


async def show(request: web.Request) -> web.Response:
    """A month. Raises: BdnewsError: the address names none."""
    app, who = request.app, request[WHO]
    settings, publications, now = app[SETTINGS], app[PUBLICATIONS], app[CLOCK]()
    today = beijing(now).date()
    first = _first_of(request.query.get("month"), today)
    last = first.replace(day=calendar.monthrange(first.year, first.month)[1])
    async with app[DATABASE].read() as session:
        agenda = await read_agenda(
            session,
            Span.of_days(first, last),
            now,
            timetable=read_timetable(settings.schedule, settings.service.timezone),
            publications=publications,
            may=who.may,
            only=who.publications,
        )
        this_month = first == today.replace(day=1)
        left = await quotas(request, session) if this_month else []
        key = await calendar_addresses.address_of(session, who.user_id)
    shown = days(agenda.items, first, last)
    return page(
        request,
        "calendar.html",
        first=first,
        weeks=_weeks(shown),
        today=today,
        before=_month_before(first),
        after=_month_after(last),
        this_month=this_month,
        moved=[item for item in agenda.items if item.on_holiday],
        empty=not agenda.items,
        most=MOST if agenda.more else 0,
        # In December the arrangement for the next year decides about the days before New Year.
        unknown=sorted(
            {year for year in (first.year, (last + timedelta(days=1)).year) if not is_known(year)}
        ),
        several=len({item.publication for item in agenda.items if item.kind is Kind.RUN}) > 1,
        publications=publications,
        path_of=path_of,
        clock=lambda at: f"{beijing(at):%H:%M}",
        quotas=left,
        address=app[LINKS].calendar(key) if key is not None else "",
    )


async def change_address(request: web.Request) -> web.Response:
    """`do=renew`: another address for one's calendar program; `do=end`: none."""
    app, who, ends = request.app, request[WHO], field(request, "do") == "end"
    async with app[DATABASE].write() as session:
        if ends:
            await calendar_addresses.end(session, who.user_id)
        else:
            await calendar_addresses.renew(session, app[CLOCK], who.user_id)
        await note(request, session, f"calendar.{'ended' if ends else 'renewed'}", f"user:{who.user_id}")
    raise back(_PATH, "address_ended" if ends else "address_made")


def _first_of(text: str | None, today: date) -> date:
    if text is None:
        return today.replace(day=1)
    found = _MONTH.fullmatch(text)
    if found is None:
        raise BdnewsError("没有看懂这个月份", hint="应写成 2026-11 这样的形式，从 2000-01 到 2099-12。")
    return date(int(found[1]), int(found[2]), 1)


def _month_before(first: date) -> str:
    return _named(first - timedelta(days=1))


def _month_after(last: date) -> str:
    return _named(last + timedelta(days=1))


def _named(day: date) -> str:
    """As addresses have it; "" beyond what they may name."""
    text = f"{day:%Y-%m}"
    return text if _MONTH.fullmatch(text) else ""


def _weeks(month: tuple[Day, ...]) -> list[list[Day | None]]:
    """Rows of seven from Monday on; None stands for a day of another month."""
    cells: list[Day | None] = [*[None] * month[0].date.weekday(), *month]
    cells += [None] * (-len(cells) % _DAYS_A_WEEK)
    return [cells[start : start + _DAYS_A_WEEK] for start in range(0, len(cells), _DAYS_A_WEEK)]
