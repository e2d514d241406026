"""`/reports`: what came of dispatches, sections over a year, growth."""

from datetime import date, datetime, timedelta

from pydantic import Field

from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.dispatch.models import DispatchKind
from bdnews_dispatch.dispatch.states import DispatchState
from bdnews_dispatch.reports import reading
from bdnews_dispatch.reports.models import Dimension
from bdnews_dispatch.reports.periods import days_of
from bdnews_dispatch.reports.sections import By, section_years
from bdnews_dispatch.web.api.calls import Call, Endpoint
from bdnews_dispatch.web.api.models import Answer, Asked, Day, Numbered, Text
from bdnews_dispatch.web.keys import CLOCK, PUBLICATIONS, SETTINGS


class Figures(Answer):
    """Deliveries (`planned` to `complained`), people (`people` to `machine_clicked`), rates between 0 and 1."""

    planned: int
    skipped: int
    cancelled: int
    failed: int
    uncertain: int
    sent: int
    delivered: int
    bounced: int
    complained: int
    people: int
    untracked: int
    opened: int
    clicked: int
    unsubscribed: int
    machine_opened: int
    machine_clicked: int
    delivery_rate: float | None
    open_rate: float | None
    click_rate: float | None
    unsubscribe_rate: float | None
    bounce_rate: float | None
    complaint_rate: float | None


class Line(Answer):
    """One value of a dimension. `label`: of an article its address."""

    value: str
    label: str
    figures: Figures


class Headline(Answer):
    """A dispatch. `counted_at`: null where it was not counted yet."""

    dispatch_id: int
    title: str
    kind: DispatchKind
    created_at: datetime
    counted_at: datetime | None
    figures: Figures


class Report(Answer):
    """A dispatch, by every dimension, with the medians of earlier ones of its kind."""

    headline: Headline
    publication: str
    state: DispatchState
    lines: dict[Dimension, list[Line]]
    earlier: dict[str, float | None]
    compared: int


class Headlines(Answer):
    """Dispatches, the latest first."""

    items: list[Headline]


class Movement(Answer):
    """Of a section; "" counts everybody, "*" readers of the whole issue."""

    section: str
    joined: int
    gone: int


class Growth(Answer):
    """Who joined and who left."""

    items: list[Movement]


class SectionPoint(Answer):
    """A section in a month, or in an issue.

    `name`: `2026-11`, or the issue's total number. `rate`: `clicked` of `got`, null where nobody has got it. `readers`:
    at the end of `day`, readers of the whole issue included.
    """

    name: str
    day: date
    got: int
    clicked: int
    rate: float | None
    readers: int


class SectionYear(Answer):
    """A section with its points, the earliest first; `got`, `clicked` and `rate` are of all of them."""

    section: str
    got: int
    clicked: int
    rate: float | None
    points: list[SectionPoint]


class SectionYears(Answer):
    """All sections of the publication, each with the same points."""

    items: list[SectionYear]


class YearQuery(Asked):
    """Which year; left out: the last twelve months."""

    publication: Text | None = Field(default=None, max_length=40)
    year: int | None = Field(default=None, ge=2000, le=2100)
    by: By = By.MONTH


class Days(Asked):
    """Which days, both included; left out: the last 365."""

    publication: Text | None = Field(default=None, max_length=40)
    since: Day | None = None
    until: Day | None = None


async def of_dispatch(call: Call) -> Report:
    """一次发送的结果。机器的打开与点击另列；不愿被统计的读者不计入比率。"""
    return Report.model_validate(await reading.report(call.session, call.path.id))


async def index(call: Call) -> Headlines:
    """一段时间里的各次发送，最近的在前。"""
    key, first, last = _asked(call)
    zone = call.request.app[SETTINGS].service.timezone
    found = await reading.over_time(call.session, key, first, last, zone)
    return Headlines(items=[Headline.model_validate(one) for one in found])


async def growth(call: Call) -> Growth:
    """订阅者的增减：全部、整期读者、各栏目。"""
    key, first, last = _asked(call)
    app = call.request.app
    zone = app[SETTINGS].service.timezone
    found = await reading.growth(call.session, key, first, last, zone, app[CLOCK]())
    return Growth(items=[Movement.model_validate(one) for one in found])


async def sections(call: Call) -> SectionYears:
    """各栏目的一年：收到的人里多少人点击，按月或按期；有多少读者。"""
    app, asked = call.request.app, call.query
    zone, now = app[SETTINGS].service.timezone, app[CLOCK]()
    first, last = days_of(asked.year, now.astimezone(zone).date())
    publication = app[PUBLICATIONS].named(asked.publication)
    found = await section_years(call.session, publication, asked.by, first, last, zone, now)
    return SectionYears(items=[SectionYear.model_validate(one) for one in found])


def _asked(call: Call) -> tuple[str, date, date]:
    app, query = call.request.app, call.query
    last = query.until or app[CLOCK]().astimezone(app[SETTINGS].service.timezone).date()
    first = query.since or max(last, date.min + timedelta(days=366)) - timedelta(days=365)
    return app[PUBLICATIONS].named(query.publication).key, first, last


_READ = Right.REPORTS_READ
ENDPOINTS = (
    Endpoint("GET", "/reports/dispatches", _READ, index, Headlines, query=Days, faults=frozenset({404})),
    Endpoint("GET", "/reports/dispatches/{id}", _READ, of_dispatch, Report, path_model=Numbered),
    Endpoint(
        "GET", "/reports/sections", _READ, sections, SectionYears, query=YearQuery, faults=frozenset({404})
    ),
    Endpoint("GET", "/reports/growth", _READ, growth, Growth, query=Days, faults=frozenset({404})),
)
