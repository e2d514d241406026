"""The console where there are too many rows to count while somebody waits: here, more than none."""

import pytest
from sqlmodel import col, select, update
from tests.integration.web.console.conftest import Desk
from tests.integration.web.readers_site import words
from tests.making import DSJ

from bdnews_dispatch.dispatch import standing
from bdnews_dispatch.dispatch.models import Delivery
from bdnews_dispatch.dispatch.states import DeliveryState
from bdnews_dispatch.issues.models import Issue
from bdnews_dispatch.subscribers import people
from bdnews_dispatch.subscribers.agreements import Proof
from bdnews_dispatch.subscribers.lists import find_or_make_list, join_list
from bdnews_dispatch.subscribers.segments import save_segment
from bdnews_dispatch.web.keys import TALLIES


@pytest.fixture(autouse=True)
def _many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "FEW", 0)
    monkeypatch.setattr(people, "FEW", 0)


async def counted(desk: Desk) -> None:
    await desk.site.app[TALLIES].settled()


async def doubt(desk: Desk, delivery: Delivery) -> None:
    async with desk.site.database.write() as session:
        await session.exec(
            update(Delivery).where(col(Delivery.id) == delivery.id).values(state=DeliveryState.UNCERTAIN)
        )


async def test_dispatches_come_at_once_and_their_numbers_with_when_they_were_counted(
    desk: Desk, sent: list[Delivery]
) -> None:
    first = await desk.get("/console/dispatches")
    assert "正在统计" in await first.text()
    assert first.headers["Refresh"] == "2", "without a script the numbers come by themselves"
    await counted(desk)
    again = await desk.get("/console/dispatches")
    assert "Refresh" not in again.headers
    assert "总第112期" in words(await again.text())
    page = words(await desk.page("/console/dispatches/1"))
    assert f"已结束 · {len(sent)} / {len(sent)}" in page
    assert "数字统计于 2026-" in page
    assert "readers.example" in page
    assert "正在统计" not in page + words(await desk.page(f"/console/issues/{1}"))


async def test_what_a_person_decides_by_is_of_this_moment(desk: Desk, sent: list[Delivery]) -> None:
    await desk.page("/console/dispatches/1")
    await counted(desk)
    await doubt(desk, sent[0])
    page = words(await desk.page("/console/dispatches/1"))
    assert "有 1 份没有得到对方答复" in page
    listed = words(await desk.page("/console/dispatches/1/deliveries"))
    assert "存疑 1" in listed
    assert f"{sent[0].key}.1@" in listed


@pytest.mark.usefixtures("sent")
async def test_lists_and_segments_say_when_they_were_counted(desk: Desk) -> None:
    site = desk.site
    async with site.database.write() as session:
        list_id = await find_or_make_list(session, site.clock, "会场")
        await join_list(session, site.clock, list_id, [1, 2], Proof("admin", "t"))
        await save_segment(session, site.clock, DSJ, "政策", {"field": "sections", "any_of": ["policy"]})
    for path, row in (("/console/lists", "会场 2 否"), ("/console/segments", "政策 1 下面每一条都符合")):
        first = await desk.get(path)
        assert "马上就有" in await first.text()
        assert first.headers["Refresh"] == "2"
        await counted(desk)
        again = await desk.get(path)
        assert "Refresh" not in again.headers
        page = words(await again.text())
        assert "人数统计于 2026-" in page
        assert row in page


@pytest.mark.usefixtures("sent")
async def test_whom_an_issue_reaches_is_exact_and_comes_behind_the_page(desk: Desk) -> None:
    async with desk.site.database.read() as session:
        issue = (await session.exec(select(Issue))).one()
    address = f"/console/dispatches/new?issue={issue.id}"
    page = await desk.page(address)
    assert "不发" not in words(page), "no number before it is exact"
    assert "<button>发送</button>" not in page, "nor anything to press"
    part = await desk.page(f"/console/dispatches/new/audience?issue={issue.id}")
    assert f'data-part="/console/dispatches/new/audience?issue={issue.id}"' in page
    assert "<html" not in part
    without_script = await desk.page(f"{address}&count=1")
    for shown in (part, without_script):
        assert "邮件 0 微信 0 不发 3" in words(shown)
        assert "<button>发送</button>" in shown


@pytest.mark.usefixtures("sent")
async def test_whom_a_bulletin_reaches_comes_behind_the_page(desk: Desk) -> None:
    form = {"title": "一则快讯", "body": "今天的。", "publication": "dsj"}
    page = await desk.done("/console/bulletins/new", form)
    assert 'data-part="/console/bulletins/1/audience"' in page
    for shown in ("/console/bulletins/1/audience", "/console/bulletins/1?count=1"):
        assert "邮件 2 微信 1 不发 0" in words(await desk.page(shown))
