"""The charts of the reports, each at its own address, for those who may see the page that it stands on.

In: the page's own query. Out: SVG by charts.py, drawn beside the loop. The pages show the same rows as tables.
"""

import asyncio
from collections.abc import Sequence
from urllib.parse import urlencode

from aiohttp import web

from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.reports.pace import Within
from bdnews_dispatch.reports.pace import pace as read_pace
from bdnews_dispatch.reports.per_issue import EditionFigures, by_issue
from bdnews_dispatch.reports.readership import MonthOfGrowth, growth_by_month
from bdnews_dispatch.reports.sections import Point, SectionYear, together
from bdnews_dispatch.web import charts
from bdnews_dispatch.web.charts import Chart, Look, Series, Size, Unit
from bdnews_dispatch.web.console.desk import number
from bdnews_dispatch.web.console.report_queries import Days, Year, days_asked, publication_asked, year_asked
from bdnews_dispatch.web.keys import CLOCK, DATABASE, PAGES, SETTINGS
from bdnews_dispatch.web.language import language_of
from bdnews_dispatch.web.pages import PRIVATE, section_name

#: Issues beside each other on one chart.
LATEST = 20


async def of_days(request: web.Request) -> web.Response:
    """`charts/rates.svg`: the latest issues; `charts/growth.svg`: who came and went in each month."""
    publication, days = publication_asked(request), days_asked(request)
    match request.match_info["file"]:
        case "rates.svg":
            return await _drawn(
                request, _rates(request, (await latest_issues(request, publication, days))[0])
            )
        case "growth.svg":
            return await _drawn(request, _growth(request, await months_of_growth(request, publication, days)))
        case _:
            raise web.HTTPNotFound


async def pace(request: web.Request) -> web.Response:
    """`7/chart.svg`: how fast a dispatch is read, beside earlier ones."""
    async with request.app[DATABASE].read() as session:
        hours = await read_pace(session, number(request.match_info["id"]))
    if not hours:
        raise web.HTTPNotFound
    return await _drawn(request, _pace(request, hours))


async def of_section(request: web.Request) -> web.Response:
    """`sections/policy/interest.svg`, `sections/policy/readers.svg`."""
    asked = await year_asked(request)
    key, file = request.match_info["section"], request.match_info["file"]
    year = next((one for one in asked.years if one.section == key), None)
    if year is None or file not in {"interest.svg", "readers.svg"}:
        raise web.HTTPNotFound
    chart = _interest if file == "interest.svg" else _readers
    return await _drawn(request, chart(request, asked, year))


async def latest_issues(
    request: web.Request, publication: Publication, days: Days
) -> tuple[Sequence[EditionFigures], bool]:
    """The latest of these days, the earliest of them first.

    One that was sent today is not read yet: beside others it would look like a failure. It comes tomorrow, unless it
    is the first of all.

    Returns:
        Those to compare; whether one waits for tomorrow.
    """
    app = request.app
    zone = app[SETTINGS].service.timezone
    today = app[CLOCK]().astimezone(zone).date()
    async with app[DATABASE].read() as session:
        found = await by_issue(session, publication.key, days.first, days.last, zone)
    compared = [one for one in found if one.edition.day < today] or found
    return compared[-LATEST:], len(compared) < len(found)


async def months_of_growth(
    request: web.Request, publication: Publication, days: Days
) -> Sequence[MonthOfGrowth]:
    """Of these days."""
    app = request.app
    zone = app[SETTINGS].service.timezone
    async with app[DATABASE].read() as session:
        return await growth_by_month(session, publication.key, days.first, days.last, zone, app[CLOCK]())


def query(request: web.Request, **asked: object) -> str:
    """Behind the question mark of a chart's or a file's address; more may follow behind `&`."""
    # A language that the address doesn't name is the user's own, also in the picture.
    words = {**asked, "lang": request.query.get("lang", "")}
    return urlencode({name: value for name, value in words.items() if value not in {None, ""}})


def _rates(request: web.Request, found: Sequence[EditionFigures]) -> Chart:
    _ = request.app[PAGES].words(request)
    opened = [one.figures.open_rate for one in found]
    clicked = [one.figures.click_rate for one in found]
    return Chart(
        _("各期的打开率与点击率"),
        [str(one.edition.total_number) for one in found],
        [
            Series(_ending(_("打开"), opened), opened),
            Series(_ending(_("点击"), clicked), clicked, Look.SECOND),
        ],
        Unit.RATE,
    )


def _growth(request: web.Request, found: Sequence[MonthOfGrowth]) -> Chart:
    _ = request.app[PAGES].words(request)
    return Chart(
        _("订阅者的增减，按月"),
        [str(one.month) for one in found],
        [
            Series(_("新增"), [one.joined for one in found]),
            Series(_("离开"), [-one.gone for one in found], Look.SECOND),
        ],
        Unit.PEOPLE,
        bars=True,
    )


def _pace(request: web.Request, hours: Sequence[Within]) -> Chart:
    _ = request.app[PAGES].words(request)
    opened, clicked = [one.open_rate for one in hours], [one.click_rate for one in hours]
    series = [
        Series(_ending(_("打开"), opened), opened),
        Series(_ending(_("点击"), clicked), clicked, Look.SECOND),
    ]
    if hours[0].usual_open_rate is not None:
        usual = [one.usual_open_rate for one in hours]
        usual_clicked = [one.usual_click_rate for one in hours]
        series += [
            Series(_("此前打开"), usual, Look.USUAL),
            Series(_("此前点击"), usual_clicked, Look.SECOND_USUAL),
        ]
    labels = [str(one.hours) for one in hours[:-1]] + [_("%(hours)s 小时") % {"hours": hours[-1].hours}]
    return Chart(_("发出后几小时内打开、点击的人"), labels, series, Unit.RATE)


def _interest(request: web.Request, asked: Year, year: SectionYear) -> Chart:
    _ = request.app[PAGES].words(request)
    name = section_name(asked.publication, year.section, "", language_of(request))
    own = [point.rate for point in year.points]
    highest = max((point.rate or 0 for one in asked.years for point in one.points), default=0)
    return Chart(
        f"{name} · {_('点击率')}",
        _labels(year.points),
        [
            Series(_("全部栏目"), together(asked.years), Look.SECOND_USUAL),
            Series(_ending(_("本栏目"), own), own),
        ],
        Unit.RATE,
        highest=highest,
    )


def _readers(request: web.Request, asked: Year, year: SectionYear) -> Chart:
    _ = request.app[PAGES].words(request)
    name = section_name(asked.publication, year.section, "", language_of(request))
    highest = max((point.readers for one in asked.years for point in one.points), default=0)
    readers = [point.readers for point in year.points]
    ending = f"{readers[-1]:,}" if readers else ""
    return Chart(
        f"{name} · {_('读者')}", _labels(year.points), [Series(ending, readers)], Unit.PEOPLE, highest=highest
    )


def _labels(points: Sequence[Point]) -> Sequence[str]:
    return [point.name for point in points]


def _ending(name: str, rates: Sequence[float | None]) -> str:
    """A line's name with the number where it ends."""
    last = next((rate for rate in reversed(rates) if rate is not None), None)
    return name if last is None else f"{name} {last:.1%}".replace("%", " %")


async def _drawn(request: web.Request, chart: Chart) -> web.Response:
    asked = request.query.get("size", "")
    size = Size(asked) if asked in set(Size) else Size.WIDE
    body = await asyncio.to_thread(charts.draw, chart, size)
    headers = {"Cache-Control": PRIVATE, "Content-Security-Policy": charts.POLICY}
    return web.Response(body=body, content_type="image/svg+xml", headers=headers)
