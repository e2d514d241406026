"""Reports in the console: what people did, machines apart; files; who may look."""

import csv
import html
import re
import xml.etree.ElementTree as ET
from io import BytesIO

import pytest
from python_calamine import CalamineWorkbook
from sqlmodel import col, select
from tests.integration.reports.test_reading import keeper, touch
from tests.integration.web.console.conftest import Desk, somebody
from tests.integration.web.readers_site import Site, words
from tests.making import document

from bdnews_dispatch.accounts.models import User
from bdnews_dispatch.accounts.rights import Right, Role
from bdnews_dispatch.accounts.tokens import make_token
from bdnews_dispatch.dispatch.models import Delivery, DispatchLink
from bdnews_dispatch.dispatch.states import DeliveryState
from bdnews_dispatch.issues.models import Issue
from bdnews_dispatch.tracking.models import HitKind
from bdnews_dispatch.web import charts

ROOM = "/console/reports"


@pytest.fixture
async def counted(site: Site, sent: list[Delivery]) -> Delivery:
    """林致远 opened and followed a link to an article of 国策要论; it is counted."""
    async with site.database.read() as session:
        statement = select(Delivery).where(Delivery.state == DeliveryState.SENT).order_by(col(Delivery.id))
        one = (await session.exec(statement)).first()
        link = (await session.exec(select(DispatchLink).where(DispatchLink.section == "policy"))).first()
    assert one is not None
    assert link is not None
    site.clock.move(hours=1)
    await touch(site, one.key, HitKind.OPEN)
    await touch(site, one.key, HitKind.CLICK, link.number)
    await keeper(site).count(one.dispatch_id)
    return one


async def test_a_dispatch_with_all_its_sides(desk: Desk, counted: Delivery) -> None:
    text = words(await desk.page(f"{ROOM}/{counted.dispatch_id}"))
    for said in (
        "打开率",
        "点击率",
        "渠道",
        "栏目",
        "国策要论",
        "点击最多的链接",
        "首次打开",
    ):
        assert said in text, said
    clicked = text.partition("点击最多的链接")[2]
    assert "policy-1的题目" in clicked, "an editor knows the title, not the address"
    index = words(await desk.page(ROOM))
    assert "各次发送" in index
    assert "订阅者的增减" in index
    empty = words(await desk.page(f"{ROOM}?since=2001-01-01&until=2001-02-01"))
    assert "这段时间没有发送过" in empty
    assert "到“各期”发送一期" in empty
    assert "导入一份名单" in empty
    for nonsense in ("?since=x&until=9999-99-99", "?publication=none", "?since=0001-01-01"):
        await desk.page(f"{ROOM}{nonsense}")


async def test_an_issue_of_today_is_compared_from_tomorrow_on(desk: Desk, counted: Delivery) -> None:
    site, later = desk.site, "从明天起在这里与各期相比"
    page = await desk.page(ROOM)
    assert "最近 1 期" in page, "the first of all is shown at once"
    assert later not in page
    site.clock.move(days=7)
    latest = (await site.send(await site.publish(document(total=113))))[-1]
    await keeper(site).count(latest.dispatch_id)
    page = await (await somebody(site, Role.EDITOR)).page(ROOM)
    assert ("最近 1 期" in page, later in page) == (True, True)
    site.clock.move(days=1)
    page = await (await somebody(site, Role.ANALYST)).page(ROOM)
    assert ("最近 2 期" in page, later in page) == (True, False)


async def test_files(desk: Desk, counted: Delivery) -> None:
    text = await desk.get(f"{ROOM}/{counted.dispatch_id}/report.csv")
    rows = list(csv.reader((await text.text()).lstrip("\ufeff").splitlines()))
    assert rows[0][:3] == ["按", "值", "计划"]
    book = await desk.get(f"{ROOM}/{counted.dispatch_id}/report.xlsx")
    sheet = CalamineWorkbook.from_filelike(BytesIO(await book.read())).get_sheet_by_index(0).to_python()
    assert len(sheet) == len(rows)
    for path in ("report.exe", "x.csv", "reportcsv"):
        assert (await desk.get(f"{ROOM}/{counted.dispatch_id}/{path}")).status == 404
    assert (await desk.get(f"{ROOM}/999")).status == 404


@pytest.mark.parametrize("role", list(Role))
async def test_everybody_with_a_role_may_read_reports(site: Site, counted: Delivery, role: Role) -> None:
    desk = await somebody(site, role)
    assert (await desk.get(f"{ROOM}/{counted.dispatch_id}")).status == 200
    assert (await desk.get(f"{ROOM}/{counted.dispatch_id}/report.csv")).status == 200


async def test_nobody_else_may(site: Site, counted: Delivery) -> None:
    for path in (ROOM, f"{ROOM}/{counted.dispatch_id}", f"{ROOM}/{counted.dispatch_id}/report.csv"):
        answer = await site.client.get(path, allow_redirects=False)
        assert (answer.status, answer.headers["Location"].startswith("/console/sign-in")) == (303, True)


CHARTS = ["charts/rates.svg", "charts/growth.svg", "{id}/chart.svg", *(
    f"sections/{section}/{file}" for section in ("policy", "company") for file in ("interest.svg", "readers.svg")
)]  # fmt: skip


def shown(page: str) -> list[tuple[str, str]]:
    """Addresses and words of the pictures on a page."""
    return [
        (html.unescape(address), html.unescape(alt))
        for address, alt in re.findall(r'<img src="([^"]+)"[^>]* alt="([^"]*)"', page)
    ]


async def test_a_year_of_the_sections(desk: Desk, counted: Delivery) -> None:
    """林致远 got 国策要论 and 地方新政, and followed the first link; 何静 got 产业镜像."""
    room = f"{ROOM}/sections"
    page = await desk.page(room)
    text = words(page)
    assert "100.0 % 1 人次点击，1 人次收到；全部栏目 33.3 % · 读者 1 人（起初 0 人）" in text
    assert "0.0 % 0 人次点击，1 人次收到；全部栏目 33.3 %" in text
    assert len(shown(page)) == 8, "two for each section, but for those that nobody has got"
    assert "“国策要论”的点击率：最近一次 100.0 %，整段时间 100.0 %，全部栏目 33.3 %。" in [
        alt for _, alt in shown(page)
    ]
    by_issue = words(await desk.page(f"{room}?by=issue"))
    assert "总第几期 收到的人次 点击 点击率 读者 112 1 1 100.0 % 1" in by_issue
    english = await desk.page(f"{room}?lang=en")
    assert "A year of the sections" in english
    assert "National Policy" in english
    assert all("lang=en" in address for address, _ in shown(english))
    this_year = site_year(desk)
    assert "1 人次收到" in words(await desk.page(f"{room}?year={this_year}"))
    assert "换一年" in words(await desk.page(f"{room}?year={this_year - 1}"))
    assert "这一年还没有到" in words(await desk.page(f"{room}?year={this_year + 1}"))
    assert "请改按月看" in words(await desk.page(f"{room}?year={this_year - 1}&by=issue"))
    for nonsense in ("?year=x", "?year=99999", "?by=x&year=", "?publication=none", "?year=²⁰²⁶"):
        await desk.page(f"{room}{nonsense}")


def site_year(desk: Desk) -> int:
    return desk.site.clock.now.year


async def test_before_anything_is_there_the_next_step_is_named(site: Site) -> None:
    desk = await somebody(site, Role.ADMIN)
    text = words(await desk.page(f"{ROOM}/sections"))
    assert "先请读者来：导入一份名单" in text
    assert shown(await desk.page(ROOM)) == []
    analyst = await somebody(site, Role.ANALYST)
    assert "/console/imports" not in await analyst.page(f"{ROOM}/sections")


async def test_the_same_numbers_in_table_file_and_api(desk: Desk, counted: Delivery) -> None:
    room = f"{ROOM}/sections"
    text = await desk.get(f"{room}/report.csv?by=issue")
    assert text.headers["Content-Disposition"] == 'attachment; filename="sections-last-12-months-issue.csv"'
    rows = list(csv.reader((await text.text()).lstrip("\ufeff").splitlines()))
    assert rows[:3] == [
        ["栏目", "总第几期", "收到（人次）", "点击（人次）", "点击率", "读者"],
        ["国策要论", "112", "1", "1", "1.0000", "1"],
        ["地方新政", "112", "1", "0", "0.0000", "1"],
    ]
    book = await desk.get(f"{room}/report.xlsx?by=issue")
    sheet = CalamineWorkbook.from_filelike(BytesIO(await book.read())).get_sheet_by_index(0).to_python()
    assert len(sheet) == len(rows) == 6
    assert sheet[1] == ["国策要论", "112", 1, 1, 1.0, 1]
    tables = re.findall(r"<th scope=\"row\">112</th>(.*?)</tr>", await desk.page(f"{room}?by=issue"))
    on_page = [words(cells).replace(" %", "").split() for cells in tables]
    assert on_page == [
        [got, clicked, f"{float(rate) * 100:.1f}" if rate else "—", readers]
        for _, _, got, clicked, rate, readers in rows[1:]
    ]
    secret = await api_token(desk.site)
    answer = await desk.site.client.get(
        "/api/v1/reports/sections?by=issue", headers={"Authorization": f"Bearer {secret}"}
    )
    items = (await answer.json())["items"]
    assert [[one["points"][0][name] for name in ("got", "clicked", "readers")] for one in items] == [
        [int(row[2]), int(row[3]), int(row[5])] for row in rows[1:]
    ]
    for path in ("report.exe", "x.csv", "reportcsv"):
        assert (await desk.get(f"{room}/{path}")).status == 404


async def api_token(site: Site) -> str:
    async with site.database.write() as session:
        _, secret = await make_token(
            session, site.clock, name="报表", scope=[Right.REPORTS_READ], ends_at=None
        )
    return secret


async def test_charts_of_every_page_are_pictures_that_run_nothing(desk: Desk, counted: Delivery) -> None:
    pages = [ROOM, f"{ROOM}/{counted.dispatch_id}", f"{ROOM}/sections", f"{ROOM}/sections?by=issue"]
    seen = set()
    for path in pages:
        answer = await desk.get(path)
        assert "img-src 'self'" in answer.headers["Content-Security-Policy"]
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        page = await answer.text()
        assert "<svg" not in page
        for address, alt in shown(page):
            assert address.startswith("/console/reports/")
            assert len(alt) > 15, "a sentence, with the numbers that matter"
            seen.add(address)
    assert len(seen) == 3 + 8 + 8
    narrow = {
        f"{address}".replace("size=wide", "size=narrow").replace("size=half", "size=narrow")
        for address in seen
    }
    for address in sorted(seen | narrow):
        answer = await desk.get(address)
        assert (answer.status, answer.content_type) == (200, "image/svg+xml"), address
        assert answer.headers["Content-Security-Policy"] == charts.POLICY
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        body = await answer.read()
        if "/policy/interest" in address:
            assert "本栏目 100.0 %".encode() in body, "as on the page and in the files"
        root = ET.fromstring(body)  # noqa: S314  # ours
        assert not [node for node in root.iter() if node.tag.endswith(("script", "image", "a", "use"))]
        assert b"href" not in body


async def test_hostile_titles_stay_words(desk: Desk, site: Site, counted: Delivery) -> None:
    async with site.database.write() as session:
        for issue in (await session.exec(select(Issue))).all():
            issue.title = '</title><script>alert(1)</script>"&'
            session.add(issue)
    page = await desk.page(ROOM)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    for address, alt in shown(page):
        assert "script" not in alt
        ET.fromstring(await (await desk.get(address)).read())  # noqa: S314  # ours


async def test_a_chart_that_is_not_there(desk: Desk, counted: Delivery) -> None:
    for path in (
        "charts/other.svg",
        "sections/nothing/interest.svg",
        "sections/policy/other.svg",
        "999/chart.svg",
        "x/chart.svg",
    ):
        assert (await desk.get(f"{ROOM}/{path}")).status == 404, path
    for size in ("narrow", "half", "wide", "huge", ""):
        assert (await desk.get(f"{ROOM}/charts/growth.svg?size={size}")).status == 200


@pytest.mark.parametrize("role", list(Role))
async def test_who_may_see_the_page_may_see_its_charts(site: Site, counted: Delivery, role: Role) -> None:
    desk = await somebody(site, role)
    for path in CHARTS:
        if "company" not in path or "readers" in path:
            answer = await desk.get(f"{ROOM}/{path.format(id=counted.dispatch_id)}")
            assert answer.status == 200, path


async def test_nobody_else_may_see_charts(site: Site, counted: Delivery) -> None:
    for path in (*CHARTS, "sections", "sections/report.csv"):
        answer = await site.client.get(f"{ROOM}/{path.format(id=counted.dispatch_id)}", allow_redirects=False)
        assert answer.status == 303, path
        assert answer.headers["Location"].startswith("/console/sign-in")


async def test_a_role_for_another_publication_sees_none_of_it(site: Site, counted: Delivery) -> None:
    desk = await somebody(site, Role.ANALYST)
    async with site.database.write() as session:
        user = (await session.exec(select(User).where(User.email == desk.email))).one()
        user.publications = ["weekly"]
        session.add(user)
    for path in (*CHARTS, "sections", "sections/report.csv"):
        asked = f"{ROOM}/{path.format(id=counted.dispatch_id)}?publication=dsj"
        assert (await desk.get(asked)).status == 403, path
    page = await desk.page(f"{ROOM}/sections")
    assert "国策要论" not in page
    assert (await desk.get(f"{ROOM}/charts/growth.svg")).status == 200, "their own"
