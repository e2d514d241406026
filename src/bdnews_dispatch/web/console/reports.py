"""Reports: every dispatch of a year beside the others; one by channel, section, article, domain, list, hour; growth.

In: days, a dispatch. Out: pages that print well, and the same as CSV and XLSX. What people did and what machines did
stand apart; readers who are not to be counted are in no rate.
"""

from collections.abc import Sequence

from aiohttp import web

from bdnews_dispatch.errors import Phrase
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.reports import reading, tables
from bdnews_dispatch.reports.models import Dimension
from bdnews_dispatch.reports.pace import pace
from bdnews_dispatch.reports.reading import DispatchReport, Figures, Line, medians
from bdnews_dispatch.reports.words import DIMENSIONS, label_of
from bdnews_dispatch.web import charts
from bdnews_dispatch.web.console.desk import number, page
from bdnews_dispatch.web.console.reach import publications_of
from bdnews_dispatch.web.console.report_articles import titles_of
from bdnews_dispatch.web.console.report_charts import latest_issues, months_of_growth, query
from bdnews_dispatch.web.console.report_queries import days_asked, publication_asked
from bdnews_dispatch.web.keys import CLOCK, DATABASE, LINKS, PUBLICATIONS, SETTINGS
from bdnews_dispatch.web.language import language_of
from bdnews_dispatch.web.pages import PRIVATE, section_name

_TYPES = {
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
#: Shown on the page; the files hold all figures.
_SHOWN = 20


async def index(request: web.Request) -> web.Response:
    """Dispatches over time, and who joined and left meanwhile."""
    app = request.app
    publication, days = publication_asked(request), days_asked(request)
    first, last = days.first, days.last
    zone = app[SETTINGS].service.timezone
    editions, fresh = await latest_issues(request, publication, days)
    months = await months_of_growth(request, publication, days)
    async with app[DATABASE].read() as session:
        found = await reading.over_time(session, publication.key, first, last, zone)
        sections = await reading.summed(session, publication.key, Dimension.SECTION, first, last, zone)
        moved = await reading.growth(session, publication.key, first, last, zone, app[CLOCK]())
    names = {
        key: Phrase("%(name)s", name=section_name(publication, key, "", language_of(request)))
        for key in publication.section_keys
    }
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
        editions=editions,
        fresh=fresh,
        usual=medians([one.figures for one in editions]),
        months=months,
        query=query(request, publication=publication.key, since=first, until=last),
        sizes=charts.SIZES,
    )


async def show(request: web.Request) -> web.Response:
    """One dispatch."""
    report, publication = await _report(request)
    async with request.app[DATABASE].read() as session:
        hours = await pace(session, report.headline.dispatch_id)
        clicked = report.lines[Dimension.ARTICLE][:_SHOWN]
        titles = await titles_of(session, request.app[LINKS], publication.key, clicked)
    return page(
        request,
        "report.html",
        report=report,
        figures=report.headline.figures,
        publication=publication,
        lines={
            dimension.value: [
                (_label(request, dimension, line, publication), line.figures)
                for line in report.lines[dimension][:_SHOWN]
            ]
            for dimension in DIMENSIONS
        },
        titles=titles,
        hours=hours,
        # Where its own line ends.
        reached=next((one for one in reversed(hours) if one.open_rate is not None), None),
        query=query(request),
        sizes=charts.SIZES,
        more={dimension.value: max(0, len(report.lines[dimension]) - _SHOWN) for dimension in DIMENSIONS},
    )


def _label(request: web.Request, dimension: Dimension, line: Line, publication: Publication) -> str:
    """A line's name on the page. What people have named is never translated."""
    if dimension is Dimension.SECTION:
        name = section_name(publication, line.value, "", language_of(request))
        return Phrase("%(name)s", name=name)
    words = label_of(dimension, line, publication)
    return Phrase("%(name)s", name=words) if dimension in {Dimension.LIST, Dimension.ARTICLE} else words


async def export(request: web.Request) -> web.Response:
    """One dispatch as a file: `…/reports/7/report.csv`."""
    report, publication = await _report(request)
    rows: list[tuple[list[tables.Cell], Figures]] = [(["全部", ""], report.headline.figures)]
    rows += [
        ([words, label_of(dimension, line, publication)], line.figures)
        for dimension, words in DIMENSIONS.items()
        for line in report.lines[dimension]
    ]
    name = f"report-{report.headline.dispatch_id}"
    return as_file(request.match_info["file"], name, tables.table(["按", "值"], rows))


def as_file(asked: str, name: str, cells: Sequence[Sequence[tables.Cell]]) -> web.Response:
    """A table to keep.

    Args:
        asked: `report.csv` or `report.xlsx`.
        name: of the file, without its ending.

    Raises:
        HTTPNotFound: another file was asked for.
    """
    kind = asked.removeprefix("report.")
    if asked != f"report.{kind}" or kind not in _TYPES:
        raise web.HTTPNotFound
    body = tables.csv_of(cells).encode("utf-8-sig") if kind == "csv" else tables.xlsx_of(cells)
    headers = {"Content-Disposition": f'attachment; filename="{name}.{kind}"', "Cache-Control": PRIVATE}
    return web.Response(body=body, content_type=_TYPES[kind], headers=headers)


async def _report(request: web.Request) -> tuple[DispatchReport, Publication]:
    async with request.app[DATABASE].read() as session:
        report = await reading.report(session, number(request.match_info["id"]))
    return report, request.app[PUBLICATIONS].named(report.publication)
