"""The calendar: a month with what is sent and planned, holidays in words, quotas; an address that can be ended."""

import datetime as dt
import re

import pytest
from aiohttp import ClientResponse
from icalendar import Calendar
from sqlmodel import col, select
from tests.integration.web.console.conftest import Desk, somebody
from tests.integration.web.readers_site import Site, words

from bdnews_dispatch.accounts import rights
from bdnews_dispatch.accounts.models import AuditEntry
from bdnews_dispatch.accounts.rights import Right, Role
from bdnews_dispatch.accounts.users import disable, enable, named_user
from bdnews_dispatch.bulletins.models import BulletinDraft, DraftState
from bdnews_dispatch.clock import BEIJING
from bdnews_dispatch.dispatch.models import Dispatch
from bdnews_dispatch.dispatch.starting import start_issue
from bdnews_dispatch.issues.models import Issue
from bdnews_dispatch.scheduling import agenda
from bdnews_dispatch.web.console import month

PAGE = "/console/calendar"
OCTOBER = "/console/calendar?month=2026-10"


def cell(page: str, day: str) -> str:
    """What is in the cell of a day, as a reader sees it."""
    found = re.search(rf'<td id="d{day}".*?</td>', page, re.DOTALL)
    assert found is not None, day
    return words(found[0])


async def plan(site: Site, at: dt.datetime) -> int:
    """An issue that is published now and goes out at a time."""
    issue = await site.publish()
    async with site.database.write() as session:
        started = await start_issue(session, site.clock, issue, at=at)
    assert started.dispatch.id is not None
    return started.dispatch.id


async def draft(site: Site, at: dt.datetime, state: DraftState = DraftState.WAITING) -> None:
    now = site.clock()
    async with site.database.write() as session:
        session.add(
            BulletinDraft(
                publication="dsj",
                title="<b>停电",
                body="x",
                state=state,
                at=at,
                created_at=now,
                changed_at=now,
            )
        )


async def test_this_month_by_its_days(desk: Desk) -> None:
    site = desk.site
    number = await plan(site, dt.datetime(2026, 11, 27, 15, 30, tzinfo=dt.UTC))
    await draft(site, dt.datetime(2026, 11, 25, 1, tzinfo=dt.UTC))
    await draft(site, dt.datetime(2026, 11, 26, 1, tzinfo=dt.UTC), DraftState.DISCARDED)
    page = await desk.page(PAGE)
    assert ">2026年11月</caption>" in page
    assert re.findall(r'<th scope="col">(周.)</th>', page) == [f"周{day}" for day in "一二三四五六日"]
    assert "今天" in cell(page, "2026-11-23")
    assert "已发布 总第112期《大数据发展动态》" in cell(page, "2026-11-23")
    assert "23:30 ◷ 待开始 总第112期《大数据发展动态》" in cell(page, "2026-11-27"), "Beijing's day"
    assert "09:00 快讯 待批准 &lt;b&gt;停电" in cell(page, "2026-11-25")
    assert words(cell(page, "2026-11-26")) == "26 11月26日 周四"
    assert "09:00 ◷ 按时刻表 每周一封的读者" in cell(page, "2026-11-30")
    assert "按时刻表" not in cell(page, "2026-11-16"), "what was due is no plan any more"
    for path in (f"dispatches/{number}", "bulletins/1", "issues/1", "issues"):
        assert f'href="/console/{path}"' in page
        assert (await desk.get(f"/console/{path}")).status == 200


async def test_what_the_quotas_leave(desk: Desk) -> None:
    text = words(await desk.page(PAGE))
    assert "今日模板消息（条）：已用 0，还剩 100000" in text
    assert "今日群发（次）：已用 0，还剩 100" in text
    assert "本月群发：每位关注者最多 4 条。收到过的 0 人里，0 人已收满" in text
    assert "配额" not in words(await desk.page(OCTOBER)), "they say nothing of another month"


async def test_months_lead_to_each_other(desk: Desk) -> None:
    page = await desk.page("/console/calendar?month=2026-12")
    assert 'href="/console/calendar?month=2026-11" rel="prev"' in page
    assert 'href="/console/calendar?month=2027-01" rel="next"' in page
    assert 'href="/console/calendar">' in page
    first, last = await desk.page(f"{PAGE}?month=2000-01"), await desk.page(f"{PAGE}?month=2099-12")
    assert 'rel="prev"' not in first
    assert 'rel="next"' not in last
    assert "没有发送，也没有安排" in first


@pytest.mark.parametrize(
    "text", ["2026-13", "2026-1", "1999-12", "2100-01", "", "x", "２０２６-11", "2026-11-01"]
)
async def test_a_month_that_is_none_is_told_how_to_write_one(desk: Desk, text: str) -> None:
    response = await desk.get(PAGE, params={"month": text})
    assert response.status == 400
    assert "应写成 2026-11 这样的形式" in await response.text()


async def test_holidays_and_what_falls_on_them_in_words(desk: Desk) -> None:
    site = desk.site
    site.clock.now = dt.datetime(2026, 9, 21, 1, tzinfo=dt.UTC)
    desk = await somebody(site, Role.EDITOR)
    number = await plan(site, dt.datetime(2026, 10, 2, 1, tzinfo=dt.UTC))
    await draft(site, dt.datetime(2026, 10, 3, 1, tzinfo=dt.UTC))
    page = await desk.page(OCTOBER)
    assert "休 国庆节" in cell(page, "2026-10-01")
    assert "调休上班 国庆节" in cell(page, "2026-10-10")
    assert "每月一封的读者 ⚠ 当天放假： 国庆节" in cell(page, "2026-10-01")
    assert "⚠ 当天放假： 国庆节" in cell(page, "2026-10-02")
    assert "⚠" not in cell(page, "2026-10-12")
    told = words(page.partition('id="moved"')[2].partition("</section>")[0])
    for said in ("schedule.weekly", "schedule.monthly", "先撤回", "打开后可以改时间"):
        assert said in told
    async with site.database.write() as session:
        dispatch = await session.get(Dispatch, number)
        assert dispatch is not None
        site.clock.now = dispatch.due_at + dt.timedelta(hours=1)
        dispatch.finished_at = site.clock.now
    desk = await somebody(site, Role.REVIEWER)
    assert "⚠" not in cell(await desk.page(OCTOBER), "2026-10-02"), "what has begun can't be moved"


async def test_a_year_that_is_not_known_is_said_and_shown_all_the_same(desk: Desk) -> None:
    page = await desk.page(f"{PAGE}?month=2098-10")
    assert "国务院对 2098 年节假日的安排，这个版本还不知道" in page
    assert "09:00 ◷ 按时刻表 每月一封的读者" in cell(page, "2098-10-01")
    assert "这个版本还不知道" not in await desk.page(OCTOBER)


async def test_rows_that_somebody_may_not_see_are_not_there(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await plan(desk.site, dt.datetime(2026, 11, 27, tzinfo=dt.UTC))
    await draft(desk.site, dt.datetime(2026, 11, 25, tzinfo=dt.UTC))
    small = frozenset({Right.SETTINGS_READ, Right.DISPATCHES_READ})
    monkeypatch.setitem(rights.RIGHTS, Role.ANALYST, small)
    analyst = await somebody(desk.site, Role.ANALYST)
    page = await analyst.page(PAGE)
    assert "待开始" in page
    assert "停电" not in page
    assert "已发布" not in page
    monkeypatch.setitem(rights.RIGHTS, Role.ANALYST, small - {Right.DISPATCHES_READ})
    assert (await analyst.get(PAGE)).status == 403
    assert (await analyst.get("/console/today")).status == 200


async def test_every_role_has_a_calendar(site: Site) -> None:
    for role in Role:
        desk = await somebody(site, role)
        assert "</caption>" in await desk.page(PAGE)
        assert ">November 2026</caption>" in await desk.page(f"{PAGE}?lang=en")


def address(page: str) -> str:
    found = re.search(r'<input readonly value="([^"]+)"', page)
    assert found is not None
    return found[1]


async def read(site: Site, url: str, status: int = 200, *, known: str = "") -> ClientResponse:
    """As a calendar program: no cookie, no header of ours. Args: known: the tag of what it has."""
    response = await site.get(url, headers={"If-None-Match": known} if known else {})
    await response.read()
    assert response.status == status
    return response


async def events(site: Site, url: str) -> dict[str, str]:
    """Titles by the day in Beijing."""
    calendar = Calendar.from_ical(await (await read(site, url)).read())
    assert isinstance(calendar, Calendar)
    found = {}
    for event in calendar.events:
        assert isinstance(event.start, dt.datetime)
        found[f"{event.start.astimezone(BEIJING):%m-%d %H:%M}"] = str(event["SUMMARY"])
    return found


async def test_a_calendar_program_subscribes_by_the_address_alone(desk: Desk) -> None:
    site = desk.site
    number = await plan(site, dt.datetime(2026, 11, 27, 1, tzinfo=dt.UTC))
    await draft(site, dt.datetime(2026, 11, 25, 1, tzinfo=dt.UTC))
    assert "readonly" not in await desk.page(PAGE), "nobody has an address who wants none"
    url = address(await desk.done(PAGE, {"do": "renew"}))
    assert url == address(await desk.page(PAGE))
    found = await events(site, url)
    assert found["11-27 09:00"] == "总第112期《大数据发展动态》（待开始）"
    assert found["11-25 09:00"] == "快讯待批准：<b>停电"
    assert found["11-30 09:00"] == "每周一封的读者：《大数据发展动态》"
    assert not any("已发布" in title for title in found.values())
    response = await read(site, url)
    assert response.content_type == "text/calendar"
    assert response.charset == "utf-8"
    assert response.headers["Cache-Control"] == "private, no-cache"
    body = await response.text()
    assert desk.email not in body
    again = await read(site, url, 304, known=response.headers["ETag"])
    assert await again.read() == b""
    for path in re.findall(r"\nURL:http://[^/]+(/console/\S+)", body.replace("\r\n ", "")):
        assert (await desk.get(path.partition("#")[0])).status == 200, path
    assert f"/console/dispatches/{number}" in body
    async with site.database.write() as session:
        dispatch = await session.get(Dispatch, number)
        assert dispatch is not None
        dispatch.due_at += dt.timedelta(days=1)
    moved = await read(site, url, known=response.headers["ETag"])
    uid = re.compile(r"UID:\S+")
    assert uid.findall(await moved.text()) == uid.findall(body), "it has moved and is the same"


async def test_a_renewed_address_ends_the_old_one_and_is_audited(desk: Desk) -> None:
    site = desk.site
    old = address(await desk.done(PAGE, {"do": "renew"}))
    new = address(await desk.done(PAGE, {"do": "renew"}))
    assert old != new
    await read(site, old, 404)
    await read(site, new)
    page = await desk.done(PAGE, {"do": "end"})
    assert "地址已停用" in page
    assert "readonly" not in page
    await read(site, new, 404)
    async with site.database.read() as session:
        entries = (
            await session.exec(
                select(AuditEntry)
                .where(col(AuditEntry.action).like("calendar.%"))
                .order_by(col(AuditEntry.id))
            )
        ).all()
    assert [(entry.action, entry.subject) for entry in entries] == [
        ("calendar.renewed", "user:1"),
        ("calendar.renewed", "user:1"),
        ("calendar.ended", "user:1"),
    ]
    assert not any(part in str(entry.change) for entry in entries for part in (old, new))


async def test_whoever_is_disabled_or_may_see_nothing_gets_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = desk.site
    editor = await somebody(site, Role.EDITOR)
    url = address(await editor.done(PAGE, {"do": "renew"}))
    other = address(await desk.done(PAGE, {"do": "renew"}))
    async with site.database.write() as session:
        await disable(session, site.clock, await named_user(session, editor.email))
    await read(site, url, 404)
    await read(site, other)
    async with site.database.write() as session:
        await enable(session, await named_user(session, editor.email))
    await read(site, url)
    monkeypatch.setitem(rights.RIGHTS, Role.EDITOR, frozenset({Right.SETTINGS_READ}))
    await read(site, url, 404)


async def test_an_address_that_nobody_has_made_opens_nothing(desk: Desk) -> None:
    site = desk.site
    url = address(await desk.done(PAGE, {"do": "renew"}))
    token = url.split("/")[-2]
    for wrong in (
        url.replace("calendar.ics", ""),
        url.replace(token, token[:-1]),
        url.replace("/k/", "/u/"),
        *(site.links.calendar(key) for key in ("1", "1x", "2x0123456789abcdef", "1x0123456789abcdef", "0x")),
    ):
        await read(site, wrong, 404)


async def test_no_form_from_elsewhere_makes_an_address(desk: Desk) -> None:
    assert (await desk.client.post(PAGE, data={"do": "renew"}, allow_redirects=False)).status == 403
    assert "readonly" not in await desk.page(PAGE)


async def test_nothing_is_read_beyond_what_there_is(desk: Desk) -> None:
    """Withdrawn issues are on no day."""
    site = desk.site
    issue = await site.publish()
    assert "已发布" in await desk.page(PAGE)
    assert (await desk.post(f"/console/issues/{issue.id}/state", {"do": "withdraw"})).status == 303
    async with site.database.read() as session:
        assert await session.get(Issue, issue.id) is not None
    assert "总第112期" not in cell(await desk.page(PAGE), "2026-11-23")


async def test_of_too_much_the_latest_is_shown_and_said(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (agenda, month):
        monkeypatch.setattr(module, "MOST", 2)
    for day in (25, 26, 27):
        await draft(desk.site, dt.datetime(2026, 11, day, 1, tzinfo=dt.UTC))
    page = await desk.page(PAGE)
    assert "每一类只列出最后 2 项" in page
    assert "停电" not in cell(page, "2026-11-25")
    assert "停电" in cell(page, "2026-11-26")
    assert "停电" in cell(page, "2026-11-27")


async def test_other_publications_take_no_place_of_ones_own(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is of some publications alone sees theirs, however many later ones the others have."""
    for module in (agenda, month):
        monkeypatch.setattr(module, "MOST", 2)
    desk = await somebody(site, Role.EDITOR)
    for day in (25, 26, 27):
        await draft(site, dt.datetime(2026, 11, day, 1, tzinfo=dt.UTC))
    async with site.database.write() as session:
        first = (await session.exec(select(BulletinDraft).order_by(col(BulletinDraft.id)))).first()
        user = await named_user(session, desk.email)
        assert first is not None
        first.publication, first.title, user.publications = "weekly", "周刊的", ["weekly"]
        session.add_all([first, user])
    page = await desk.page(PAGE)
    assert "周刊的" in cell(page, "2026-11-25")
    assert "停电" not in page
    assert "每一类只列出" not in page
