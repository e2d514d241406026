"""Reports: every dispatch of a year beside the others; one by channel, section, article, domain, list, hour; growth.

In: days, a dispatch. Out: pages that print well, and the same as CSV and XLSX. What people did and what machines did
stand apart; readers who are not to be counted are in no rate.
"""

from datetime import date, timedelta

from aiohttp import web

from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.reports import reading, tables
from bdnews_dispatch.reports.models import Dimension
from bdnews_dispatch.reports.reading import DispatchReport, Figures
from bdnews_dispatch.reports.words import DIMENSIONS, label_of
from bdnews_dispatch.web.console.desk import number, page
from bdnews_dispatch.web.console.reach import publication_named, publications_of
from bdnews_dispatch.web.keys import CLOCK, DATABASE, PUBLICATIONS, SETTINGS

ROOM = "/console/reports"
_DAYS = 365
_TYPES = {
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
#: Shown on the page; the files hold all figures.
_SHOWN = 20


async def index(request: web.Request) -> web.Response:
    """Dispatches over time, and who joined and left meanwhile."""
    app = request.app
    publication = publication_named(request, request.query.get("publication", ""))
    first, last = _days(request)
    zone = app[SETTINGS].service.timezone
    async with app[DATABASE].read() as session:
        found = await reading.over_time(session, publication.key, first, last, zone)
        sections = await reading.summed(session, publication.key, Dimension.SECTION, first, last, zone)
        moved = await reading.growth(session, publication.key, first, last, zone, app[CLOCK]())
    names = {section.key: section.name for section in publication.sections}
    return page(
        request,
        "reports.html",
        publications=publications_of(request),
        publication=publication,
        first=first,
        last=last,
        found=found,
        sections=[(names.get(line.value, line.value), line.figures) for line in sections],
        growth=[(names.get(one.section, one.section), one) for one in moved],
    )


async def show(request: web.Request) -> web.Response:
    """One dispatch."""
    report, publication = await _report(request)
    return page(
        request,
        "report.html",
        report=report,
        figures=report.headline.figures,
        publication=publication,
        lines={
            dimension.value: [
                (label_of(dimension, line, publication), line.figures)
                for line in report.lines[dimension][:_SHOWN]
            ]
            for dimension in DIMENSIONS
        },
        more={dimension.value: max(0, len(report.lines[dimension]) - _SHOWN) for dimension in DIMENSIONS},
    )


async def export(request: web.Request) -> web.Response:
    """One dispatch as a file: `…/reports/7/report.csv`."""
    kind = request.match_info["file"].rpartition(".")[2]
    if request.match_info["file"] not in {f"report.{kind}" for kind in _TYPES}:
        raise web.HTTPNotFound
    report, publication = await _report(request)
    rows: list[tuple[list[tables.Cell], Figures]] = [(["全部", ""], report.headline.figures)]
    rows += [
        ([words, label_of(dimension, line, publication)], line.figures)
        for dimension, words in DIMENSIONS.items()
        for line in report.lines[dimension]
    ]
    cells = tables.table(["按", "值"], rows)
    body = tables.csv_of(cells).encode("utf-8-sig") if kind == "csv" else tables.xlsx_of(cells)
    name = f"report-{report.headline.dispatch_id}.{kind}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return web.Response(body=body, content_type=_TYPES[kind], headers=headers)


async def _report(request: web.Request) -> tuple[DispatchReport, Publication]:
    async with request.app[DATABASE].read() as session:
        report = await reading.report(session, number(request.match_info["id"]))
    return report, request.app[PUBLICATIONS].named(report.publication)


def _days(request: web.Request) -> tuple[date, date]:
    """What the address says; a year up to today where it says nothing that can be read."""
    zone = request.app[SETTINGS].service.timezone
    today = request.app[CLOCK]().astimezone(zone).date()
    last = _day(request.query.get("until", "")) or today
    first = _day(request.query.get("since", "")) or last - timedelta(days=_DAYS)
    return min(first, last), max(first, last)


def _day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if 2000 <= day.year <= 2100 else None
