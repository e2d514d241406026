"""A section's year is what is in the ledger, by month and by issue, against a recount by loops; readers day by day."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlmodel import select
from tests.integration.reports.test_counting import BEIJING, SECTIONS, a_dispatch, a_keeper, recount
from tests.integration.reports.test_reading import keeper
from tests.integration.web.readers_site import Site
from tests.making import DSJ, HandClock

from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.dispatch.models import Delivery, Dispatch, DispatchKind
from bdnews_dispatch.issues.models import Issue
from bdnews_dispatch.privacy.erasing import erase
from bdnews_dispatch.reports.growth import count_held
from bdnews_dispatch.reports.models import Dimension, Growth
from bdnews_dispatch.reports.pace import HOURS, pace
from bdnews_dispatch.reports.per_issue import by_issue
from bdnews_dispatch.reports.periods import Month, days_of, months_of
from bdnews_dispatch.reports.readership import growth_by_month, readers_at
from bdnews_dispatch.reports.sections import By, as_table, section_years, together
from bdnews_dispatch.subscribers import agreements
from bdnews_dispatch.subscribers.agreements import Agreement, Proof
from bdnews_dispatch.subscribers.models import Subscriber


async def a_year(database: Database, clock: HandClock, seed: int) -> Sequence[int]:
    """Dispatches over some months: issues, one of them in two dispatches, a month's digest, a bulletin."""
    chance = random.Random(seed)
    ids = []
    for number in range(7):
        async with database.write() as session:
            dispatch_id = await a_dispatch(session, chance, clock.now, number)
            dispatch = await session.get(Dispatch, dispatch_id)
            assert dispatch is not None
            issue = Issue(
                publication="dsj", total_number=100 + number, title=f"第{number}期", created_at=clock.now
            )
            session.add(issue)
            await session.flush()
            assert issue.id is not None
            again = issue.id - 1 if number == 3 else issue.id
            dispatch.issues = [{"id": again, "revision": 1}]
            if number == 4:
                dispatch.kind = DispatchKind.BULLETIN
            if number == 5:
                dispatch.kind = DispatchKind.PERIOD
                dispatch.issues = [{"id": issue.id - one, "revision": 1} for one in range(3)]
            session.add(dispatch)
            ids.append(dispatch_id)
        clock.move(days=chance.randrange(3, 40), hours=chance.randrange(24))
    await counted(database, clock, ids)
    return ids


async def counted(database: Database, clock: HandClock, ids: Sequence[int]) -> None:
    """Counted alone: judged, all hits without a User-Agent would be machines'."""
    for dispatch_id in ids:
        await a_keeper(database, clock).count(dispatch_id)


@pytest.mark.parametrize("seed", range(4))
async def test_months_and_issues_are_what_is_in_the_ledger(
    database: Database, clock: HandClock, seed: int
) -> None:
    began = clock.now.astimezone(BEIJING).date()
    ids = await a_year(database, clock, seed)
    last = clock.now.astimezone(BEIJING).date()
    by_month: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    of_issue: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    of_all: dict[int, dict[str, int]] = {}
    async with database.read() as session:
        for number, dispatch_id in enumerate(ids):
            own = await recount(session, dispatch_id)
            dispatch = await session.get(Dispatch, dispatch_id)
            assert dispatch is not None
            total = 102 if number == 3 else 100 + number
            for section, cell in own[Dimension.SECTION].items():
                got, clicked = cell["people"] - cell["untracked"], cell["clicked"]
                month = dispatch.created_at.astimezone(BEIJING).strftime("%Y-%m")
                if number != 4:
                    by_month[section, month][0] += got
                    by_month[section, month][1] += clicked
                if number not in {4, 5}:
                    of_issue[section, str(total)][0] += got
                    of_issue[section, str(total)][1] += clicked
            if number not in {4, 5}:
                cells = of_all.setdefault(total, defaultdict(int))
                for name, figure in own[Dimension.ALL][""].items():
                    cells[name] += figure
        months = await section_years(session, DSJ, By.MONTH, began, last, BEIJING, clock())
        issues = await section_years(session, DSJ, By.ISSUE, began, last, BEIJING, clock())
        editions = await by_issue(session, "dsj", began, last, BEIJING)
    assert [year.section for year in months] == SECTIONS == [year.section for year in issues]
    for years, expected in ((months, by_month), (issues, of_issue)):
        found = {
            (year.section, point.name): [point.got, point.clicked]
            for year in years
            for point in year.points
            if point.got or point.clicked
        }
        assert found == {place: cell for place, cell in expected.items() if any(cell)}
        assert sum(year.clicked for year in years)
        for year in years:
            assert [year.got, year.clicked] == [
                sum(cell[part] for (section, _), cell in expected.items() if section == year.section)
                for part in (0, 1)
            ]
        usual = together(years)
        for place, rate in enumerate(usual):
            name = years[0].points[place].name
            got = sum(expected[section, name][0] for section in SECTIONS)
            clicked = sum(expected[section, name][1] for section in SECTIONS)
            assert rate == (clicked / got if got else None)
    assert [point.name for point in months[0].points] == [str(one) for one in months_of(began, last)]
    assert [point.name for point in issues[0].points] == ["100", "101", "102", "106"]
    assert {
        one.edition.total_number: [one.figures.people, one.figures.opened, one.figures.clicked]
        for one in editions
    } == {total: [cell["people"], cell["opened"], cell["clicked"]] for total, cell in of_all.items()}


async def test_nothing_is_no_rate_and_a_year_to_come_has_no_months(
    database: Database, clock: HandClock
) -> None:
    today = clock.now.astimezone(BEIJING).date()
    async with database.read() as session:
        first, last = days_of(None, today)
        years = await section_years(session, DSJ, By.MONTH, first, last, BEIJING, clock())
        assert [len(year.points) for year in years] == [12] * 5
        assert {(point.rate, point.readers) for year in years for point in year.points} == {(None, 0)}
        assert together(years) == [None] * 12
        assert len(as_table(years, {}, By.MONTH)) == 61
        first, last = days_of(today.year + 1, today)
        for by in By:
            later = await section_years(session, DSJ, by, first, last, BEIJING, clock())
            assert [len(year.points) for year in later] == [0] * 5
        assert await growth_by_month(session, "dsj", first, last, BEIJING, clock()) == []


def test_months_over_a_new_year() -> None:
    assert days_of(None, date(2026, 3, 5)) == (date(2025, 4, 1), date(2026, 3, 5))
    assert days_of(2024, date(2026, 3, 5)) == (date(2024, 1, 1), date(2024, 12, 31))
    assert [str(one) for one in months_of(date(2025, 11, 30), date(2026, 2, 1))] == [
        "2025-11",
        "2025-12",
        "2026-01",
        "2026-02",
    ]
    assert Month(2024, 2).last == date(2024, 2, 29)


async def test_readers_add_up_also_when_somebody_is_erased(site: Site, sent: list[Delivery]) -> None:
    """林致远 reads 国策要论 and 地方新政; 何静 产业镜像, until her data go."""
    first = site.clock.now.astimezone(BEIJING).date()
    async with site.database.read() as session:
        people = {person.name: person.id or 0 for person in (await session.exec(select(Subscriber))).all()}
        today = (await readers_at(session, "dsj", [first], BEIJING, site.clock()))[0]
    assert (today.everybody, today.of("policy"), today.of("industry"), today.of("company")) == (2, 1, 1, 0)
    site.clock.move(days=2)
    await keeper(site).run()
    async with site.database.write() as session:
        assert await erase(session, site.clock, site.links.signer, people["何静"])
    site.clock.move(days=1)
    await keeper(site).run()
    days = [first, first + timedelta(days=1), first + timedelta(days=2), first + timedelta(days=40)]
    async with site.database.read() as session:
        found = await readers_at(session, "dsj", days, BEIJING, site.clock())
        months = await growth_by_month(session, "dsj", first, days[2], BEIJING, site.clock())
        held = await count_held(session, "dsj", site.clock())
        rows = (await session.exec(select(Growth).where(Growth.section == ""))).all()
    assert [one.everybody for one in found] == [2, 2, 1, 1]
    assert [one.of("industry") for one in found] == [1, 1, 0, 0]
    assert [one.of("policy") for one in found] == [1, 1, 1, 1]
    assert held == {"": 1, "*": 0, "policy": 1, "local": 1}
    assert [(row.joined, row.gone) for row in sorted(rows, key=lambda row: row.day)] == [
        (2, 0),
        (0, 0),
        (0, 1),
    ]
    assert (sum(one.joined for one in months), sum(one.gone for one in months)) == (2, 1)
    assert months[-1].readers == 1


async def test_readers_of_the_whole_issue_read_every_section(site: Site, sent: list[Delivery]) -> None:
    async with site.database.write() as session:
        lin = (await session.exec(select(Subscriber).where(Subscriber.name == "林致远"))).one()
        assert lin.id is not None
        current = await agreements.current(session, lin.id, "dsj")
        assert current is not None
        whole = replace(Agreement.of(current), whole_issue=True)
        await agreements.agree(session, site.clock, lin.id, DSJ, whole, Proof("preferences", ""))
    async with site.database.read() as session:
        today = site.clock.now.astimezone(BEIJING).date()
        found = (await readers_at(session, "dsj", [today], BEIJING, site.clock()))[0]
    assert (found.whole, found.everybody) == (1, 2)
    assert [found.of(section) for section in SECTIONS] == [1, 1, 2, 1, 1]


@pytest.mark.parametrize("seed", range(3))
async def test_hours_add_up_to_what_is_in_the_ledger(database: Database, clock: HandClock, seed: int) -> None:
    chance = random.Random(seed)
    ids = []
    for number in range(4):
        async with database.write() as session:
            ids.append(await a_dispatch(session, chance, clock.now, number))
        clock.move(days=7)
    await counted(database, clock, ids)
    async with database.read() as session:
        recounted = [await recount(session, one) for one in ids]
        hours = await pace(session, ids[-1])
        first = await pace(session, ids[0])
    assert len(hours) == HOURS == len(first)
    assert {one.usual_open_rate for one in first} == {None}

    def by_then(number: int, hour: int, what: str) -> int:
        cells = recounted[number][Dimension.HOUR].items()
        return sum(cell[what] for value, cell in cells if int(value) < hour)

    for one in hours:
        total = recounted[-1][Dimension.ALL][""]
        tracked = total["people"] - total["untracked"]
        assert (one.opened, one.clicked) == (
            by_then(-1, one.hours, "opened"),
            by_then(-1, one.hours, "clicked"),
        )
        assert one.open_rate == one.opened / tracked
        earlier = sorted(
            by_then(number, one.hours, "opened")
            / (
                recounted[number][Dimension.ALL][""]["people"]
                - recounted[number][Dimension.ALL][""]["untracked"]
            )
            for number in range(3)
        )
        assert one.usual_open_rate == earlier[1]


async def test_hours_that_are_yet_to_come_are_not_known(site: Site, sent: list[Delivery]) -> None:
    dispatch_id = sent[0].dispatch_id
    async with site.database.read() as session:
        assert await pace(session, dispatch_id) == [], "nothing was counted"
    site.clock.move(hours=5)
    await keeper(site).run()
    async with site.database.read() as session:
        assert await pace(session, dispatch_id) == [], "nobody has opened it, nothing to compare"
