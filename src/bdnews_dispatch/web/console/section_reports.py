"""A section's year: of those who got it, who clicked; how many read it.

In: a year, by month or by issue. Out: a page, and the same as CSV and XLSX.
"""

from statistics import median

from aiohttp import web

from bdnews_dispatch.reports.sections import as_table, together
from bdnews_dispatch.web import charts
from bdnews_dispatch.web.console.desk import page
from bdnews_dispatch.web.console.reach import publications_of
from bdnews_dispatch.web.console.report_charts import query
from bdnews_dispatch.web.console.report_queries import year_asked
from bdnews_dispatch.web.console.reports import as_file


async def show(request: web.Request) -> web.Response:
    """Every section, with its charts and the numbers behind them."""
    asked = await year_asked(request)
    got = sum(year.got for year in asked.years)
    known = [rate for rate in together(asked.years) if rate is not None]
    return page(
        request,
        "report_sections.html",
        publications=publications_of(request),
        asked=asked,
        usual=sum(year.clicked for year in asked.years) / got if got else None,
        median=median(known) if known else None,
        read=any(point.readers for year in asked.years for point in year.points),
        query=query(request, publication=asked.publication.key, year=asked.year, by=asked.by),
        sizes=charts.SIZES,
    )


async def export(request: web.Request) -> web.Response:
    """All of it as a file: `sections/report.csv`."""
    asked = await year_asked(request)
    names = {section.key: section.name for section in asked.publication.sections}
    name = f"sections-{asked.year or 'last-12-months'}-{asked.by}"
    return as_file(request.match_info["file"], name, as_table(asked.years, names, asked.by))
