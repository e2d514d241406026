"""Reports as they are read: a real dispatch with real hits; growth from what people agreed to; files."""

import csv
from dataclasses import replace
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from python_calamine import CalamineWorkbook
from sqlmodel import col, select
from tests.integration.web.readers_site import BROWSER, Site

from bdnews_dispatch.dispatch.models import Delivery, Dispatch
from bdnews_dispatch.dispatch.states import DispatchState
from bdnews_dispatch.errors import BdnewsError, NotFoundError
from bdnews_dispatch.issues.publications import load_publications
from bdnews_dispatch.reports import reading, tables
from bdnews_dispatch.reports.growth import count_day
from bdnews_dispatch.reports.keeping import Keeper
from bdnews_dispatch.reports.models import Dimension, Growth
from bdnews_dispatch.reports.reading import Figures, medians
from bdnews_dispatch.subscribers import agreements
from bdnews_dispatch.subscribers.agreements import Agreement, Proof
from bdnews_dispatch.subscribers.models import Subscriber
from bdnews_dispatch.tracking.models import HitKind
from bdnews_dispatch.tracking.recording import Touch, record_hits

BEIJING = ZoneInfo("Asia/Shanghai")


def keeper(site: Site) -> Keeper:
    return Keeper(site.database, site.clock, load_publications(), zone=BEIJING, hits_kept=400)


async def touch(site: Site, key: str, kind: HitKind, link: int | None = None, agent: str = BROWSER) -> None:
    async with site.database.write() as session:
        await record_hits(session, site.clock, [Touch(key, kind, link, agent)])


async def finish(site: Site, dispatch_id: int) -> None:
    async with site.database.write() as session:
        dispatch = await session.get(Dispatch, dispatch_id)
        assert dispatch is not None
        dispatch.state, dispatch.finished_at = DispatchState.FINISHED, site.clock()
        session.add(dispatch)


async def test_a_dispatch_with_what_came_back(site: Site, sent: list[Delivery]) -> None:
    dispatch_id = sent[0].dispatch_id
    await finish(site, dispatch_id)
    site.clock.move(hours=2)
    await touch(site, sent[0].key, HitKind.OPEN)
    await touch(site, sent[0].key, HitKind.CLICK, 1)
    await touch(site, sent[1].key, HitKind.OPEN, agent="Mozilla/5.0")
    site.clock.move(minutes=1)
    await keeper(site).run()
    async with site.database.read() as session:
        found = await reading.report(session, dispatch_id)
        over_time = await reading.over_time(
            session, found.publication, site.clock.now.date(), site.clock.now.date(), BEIJING
        )
        by_channel = await reading.summed(
            session,
            found.publication,
            Dimension.CHANNEL,
            site.clock.now.date(),
            site.clock.now.date(),
            BEIJING,
        )
    figures = found.headline.figures
    assert (figures.sent, figures.people, figures.opened, figures.clicked) == (3, 2, 1, 1)
    assert figures.machine_opened == 1
    assert figures.open_rate == 0.5
    assert [line.value for line in found.lines[Dimension.CHANNEL]] == ["email", "wechat"]
    article = found.lines[Dimension.ARTICLE][0]
    assert (article.value, article.figures.clicked) == ("1", 1)
    assert article.label.startswith("http")
    assert [(line.value, line.figures.opened) for line in found.lines[Dimension.HOUR]] == [("002", 1)]
    assert found.compared == 0
    assert found.earlier == {}
    assert [one.dispatch_id for one in over_time] == [dispatch_id]
    assert over_time[0].figures == figures
    assert over_time[0].title
    assert {line.value: line.figures.sent for line in by_channel} == {"email": 2, "wechat": 1}


async def test_who_is_not_to_be_counted_is_left_out_of_rates(site: Site, sent: list[Delivery]) -> None:
    async with site.database.write() as session:
        for delivery in (await session.exec(select(Delivery))).all():
            if delivery.id == sent[0].id:
                delivery.untracked = True
                session.add(delivery)
    site.clock.move(hours=1)
    await touch(site, sent[1].key, HitKind.OPEN)
    await keeper(site).count(sent[0].dispatch_id)
    async with site.database.read() as session:
        figures = (await reading.report(session, sent[0].dispatch_id)).headline.figures
    assert (figures.people, figures.untracked, figures.tracked) == (2, 1, 1)
    assert figures.open_rate == 1.0


async def test_what_was_not_counted_yet_says_so(site: Site, sent: list[Delivery]) -> None:
    async with site.database.read() as session:
        found = await reading.report(session, sent[0].dispatch_id)
        with pytest.raises(NotFoundError):
            await reading.report(session, 999_999)
    assert found.headline.counted_at is None
    assert found.headline.figures == Figures()
    assert found.headline.figures.open_rate is None


def test_medians_leave_out_what_has_no_rate() -> None:
    before = [Figures(sent=10, delivered=9, people=9, opened=3), Figures(), Figures(sent=10, delivered=5)]
    assert medians(before)["delivery_rate"] == pytest.approx(0.7)
    assert medians(before)["open_rate"] == pytest.approx(1 / 3)
    assert medians([Figures()])["open_rate"] is None
    assert medians([]) == {}


async def test_growth_is_told_by_section_and_day(site: Site, sent: list[Delivery]) -> None:
    """Lin reads 国策要论 and 地方新政, Jing 产业镜像, since the first day."""
    publications = load_publications()
    publication = publications.named(None)
    first = site.clock.now.astimezone(BEIJING).date()
    async with site.database.read() as session:
        people = {person.name: person.id or 0 for person in (await session.exec(select(Subscriber))).all()}
    site.clock.move(days=1)
    async with site.database.write() as session:
        lin = await agreements.current(session, people["林致远"], publication.key)
        assert lin is not None
        agreement = Agreement.of(lin)
        changed = replace(agreement, whole_issue=False, sections=["policy", "industry"])
        await agreements.agree(
            session, site.clock, people["林致远"], publication, changed, Proof("preferences", "")
        )
        await agreements.unsubscribe(
            session, site.clock, people["何静"], publication.key, reason="", origin="page"
        )
    site.clock.move(hours=1)
    async with site.database.write() as session:  # gone and back on one day is neither
        await agreements.unsubscribe(
            session, site.clock, people["林致远"], publication.key, reason="", origin="page"
        )
        site.clock.move(minutes=5)
        await agreements.resubscribe(
            session, site.clock, people["林致远"], publication.key, proof=Proof("undo", "")
        )
    second = first + timedelta(days=1)
    async with site.database.read() as session:
        assert await count_day(session, publication.key, first, BEIJING) == {
            "": (2, 0),
            "policy": (1, 0),
            "local": (1, 0),
            "industry": (1, 0),
        }
        today = await reading.growth(session, publication.key, second, second, BEIJING, site.clock())
    moved = {one.section: (one.joined, one.gone) for one in today}
    assert moved == {"": (0, 1), "local": (0, 1), "industry": (1, 1)}

    site.clock.move(days=3)
    await keeper(site).run()
    await keeper(site).run()
    async with site.database.read() as session:
        days = (await session.exec(select(col(Growth.day)).where(Growth.section == ""))).all()
        both = await reading.growth(session, publication.key, first, second, BEIJING, site.clock())
    assert sorted(days) == [first + timedelta(days=n) for n in range(4)]
    assert {one.section: (one.joined, one.gone) for one in both} == {
        "": (2, 1),
        "policy": (1, 0),
        "local": (1, 1),
        "industry": (2, 1),
    }


async def test_other_publications_have_their_own_growth(site: Site, sent: list[Delivery]) -> None:
    async with site.database.read() as session:
        assert await count_day(session, "another", date(2026, 11, 23), BEIJING) == {"": (0, 0)}


def test_files_open_in_a_spreadsheet_and_run_nothing(tmp_path: Path) -> None:
    cells = tables.table(
        ["内容"], [(["=1+1"], Figures(sent=3, delivered=2, people=2, opened=1)), (["总第104期"], Figures())]
    )
    tables.write_table(tmp_path / "a.csv", cells)
    rows = list(csv.reader((tmp_path / "a.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert rows[0][:3] == ["内容", "计划", "未发"]
    assert rows[1][0] == "'=1+1"
    assert rows[1][rows[0].index("打开率")] == "0.5000"
    assert rows[2][rows[0].index("打开率")] == ""
    tables.write_table(tmp_path / "a.XLSX", cells)
    sheet = CalamineWorkbook.from_filelike(BytesIO((tmp_path / "a.XLSX").read_bytes())).get_sheet_by_index(0)
    found = sheet.to_python()
    assert found[0][:3] == ["内容", "计划", "未发"]
    assert found[1][0] == "=1+1", "text, no formula"
    assert found[1][rows[0].index("打开率")] == 0.5
    with pytest.raises(BdnewsError, match="pdf"):
        tables.write_table(tmp_path / "a.pdf", cells)
    with pytest.raises(BdnewsError, match="写不了"):
        tables.write_table(tmp_path / "nowhere" / "a.csv", cells)
