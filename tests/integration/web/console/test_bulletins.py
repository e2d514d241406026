"""Bulletins in the console: written, seen, put before a second person, sent once; nobody approves their own words."""

import pytest
from aiohttp import FormData
from sqlmodel import col, select
from tests.integration.web.console.conftest import Desk, somebody
from tests.integration.web.readers_site import PEOPLE, Site, words
from tests.making import DSJ, import_csv

from bdnews_dispatch.accounts.models import AuditEntry
from bdnews_dispatch.accounts.rights import Role
from bdnews_dispatch.bulletins.models import BulletinDraft, DraftState
from bdnews_dispatch.dispatch.models import Dispatch
from bdnews_dispatch.dispatch.states import DispatchState

ROOM = "/console/bulletins"
URGENT = {
    "title": "紧急风险提示",
    "body": "请**立即**核对。\n\n[全文](https://news.example/1)",
    "urgent": "1",
}


@pytest.fixture
async def people(site: Site) -> None:
    await import_csv(site.database, site.clock, DSJ, PEOPLE, list_name="会场", origin_name="t.csv")


@pytest.fixture
async def editor(site: Site, people: None) -> Desk:
    return await somebody(site, Role.EDITOR)


@pytest.fixture
async def reviewer(site: Site, people: None) -> Desk:
    return await somebody(site, Role.REVIEWER)


async def draft_of(site: Site, draft_id: int = 1) -> BulletinDraft:
    async with site.database.read() as session:
        found = await session.get(BulletinDraft, draft_id)
    assert found is not None
    return found


async def dispatches(site: Site) -> list[Dispatch]:
    async with site.database.read() as session:
        return list(await session.exec(select(Dispatch).order_by(col(Dispatch.id))))


async def test_an_urgent_bulletin_takes_two_people(site: Site, editor: Desk, reviewer: Desk) -> None:
    page = await editor.done(f"{ROOM}/new", URGENT)
    assert "邮件 2 微信 1" in words(page)
    assert "送审" in page
    refused = await editor.post(f"{ROOM}/1/send")
    assert (refused.status, "由另一个人批准" in await refused.text()) == (422, True)
    await editor.done(f"{ROOM}/1/ask")
    assert (await editor.post(f"{ROOM}/1/approve", {"version": "1"})).status == 403
    page = await reviewer.page(f"{ROOM}/1")
    assert "批准并发送" in page
    assert "<strong>立即</strong>" in page
    back = await reviewer.done(f"{ROOM}/1/return", {"words": "标题写明地点"})
    assert "已退回" in back
    assert "标题写明地点" in await editor.page(f"{ROOM}/1")
    await editor.done(f"{ROOM}/1", {**URGENT, "title": "紧急风险提示：贵阳", "version": "1"})
    await editor.done(f"{ROOM}/1/ask")
    stale = await reviewer.post(f"{ROOM}/1/approve", {"version": "1"})
    assert (stale.status, "改过" in await stale.text()) == (422, True)
    page = await reviewer.done(f"{ROOM}/1/approve", {"version": "2"})
    assert "开始之前可以撤回" in page
    (dispatch,) = await dispatches(site)
    assert (dispatch.urgent, dispatch.bulletin_id, dispatch.sections) == (True, 1, [])
    assert dispatch.due_at > site.clock()
    assert (await draft_of(site)).state is DraftState.SENT
    again = await reviewer.post(f"{ROOM}/1/approve", {"version": "2"})
    assert again.status == 422
    assert len(await dispatches(site)) == 1
    async with site.database.read() as session:
        actions = list(await session.exec(select(AuditEntry.action).order_by(col(AuditEntry.id))))
    told = [action for action in actions if action.startswith(("bulletin", "dispatch"))]
    assert told == [
        "bulletin.write",
        "bulletin.ask",
        "bulletin.give_back",
        "bulletin.change",
        "bulletin.ask",
        "bulletin.approve",
        "dispatch.start",
    ]


async def test_what_was_called_back_takes_two_people_again(site: Site, editor: Desk, reviewer: Desk) -> None:
    await editor.done(f"{ROOM}/new", URGENT)
    await editor.done(f"{ROOM}/1/ask")
    await reviewer.done(f"{ROOM}/1/approve", {"version": "1"})
    await editor.done("/console/dispatches/1/cancel")
    refused = await editor.post("/console/dispatches/1/retry")
    assert "不能由一个人再发" in await refused.text()
    assert len(await dispatches(site)) == 1
    async with site.database.write() as session:
        dispatch = await session.get(Dispatch, 1)
        assert dispatch is not None
        dispatch.state = DispatchState.FINISHED
        session.add(
            Dispatch(
                cause="bulletin:1#2",
                kind=dispatch.kind,
                publication=dispatch.publication,
                bulletin_id=dispatch.bulletin_id,
                urgent=True,
                state=DispatchState.CANCELLED,
                due_at=dispatch.due_at,
                created_at=dispatch.created_at,
            )
        )
    refused = await editor.post("/console/dispatches/1/retry")
    assert "不能由一个人再发" in await refused.text(), "its second sending was called back"
    assert "/retry" not in await editor.page("/console/dispatches/1")
    async with site.database.write() as session:
        second = await session.get(Dispatch, 2)
        assert second is not None
        await session.delete(second)
    again = await editor.done("/console/dispatches/1/retry")
    assert "没有需要再发的" in again, (
        "what two have agreed to and failed, one may send to whom it did not reach"
    )


async def test_who_approved_takes_it_back_in_time(site: Site, editor: Desk, reviewer: Desk) -> None:
    """The page promises it to them, and they may not steer other dispatches."""
    await editor.done(f"{ROOM}/new", URGENT)
    await editor.done(f"{ROOM}/1/ask")
    assert "此前可以撤回" in await reviewer.done(f"{ROOM}/1/approve", {"version": "1"})
    assert f"{ROOM}/1/undo" in await reviewer.page("/console/dispatches/1")
    other = await somebody(site, Role.ADMIN)
    assert (await other.post(f"{ROOM}/1/undo")).status == 422, (
        "of who approved it alone; others have their own"
    )
    analyst = await somebody(site, Role.ANALYST)
    page = await analyst.page("/console/dispatches/1")
    assert "可以撤回" not in page, "who has no button is promised none"
    assert "没有发给任何人" in await reviewer.done(f"{ROOM}/1/undo")
    (dispatch,) = await dispatches(site)
    assert dispatch.state is DispatchState.CANCELLED
    assert (await reviewer.post(f"{ROOM}/1/undo")).status == 422
    assert "/undo" not in await reviewer.page("/console/dispatches/1")


async def test_an_admin_who_wrote_of_it_is_no_second_person(site: Site, editor: Desk, desk: Desk) -> None:
    await editor.done(f"{ROOM}/new", URGENT)
    await desk.done(f"{ROOM}/1", {**URGENT, "title": "改过", "version": "1"})
    await editor.done(f"{ROOM}/1/ask")
    assert "批准并发送" not in await desk.page(f"{ROOM}/1")
    refused = await desk.post(f"{ROOM}/1/approve", {"version": "2"})
    assert (refused.status, "不能批准" in await refused.text()) == (422, True)
    assert await dispatches(site) == []


async def test_a_change_takes_the_request_back_and_nobody_writes_over_another(
    site: Site, editor: Desk, desk: Desk
) -> None:
    await editor.done(f"{ROOM}/new", URGENT)
    await editor.done(f"{ROOM}/1/ask")
    await desk.done(f"{ROOM}/1", {**URGENT, "title": "第一次改", "version": "1"})
    assert (await draft_of(site)).state is DraftState.DRAFT
    late = await editor.post(f"{ROOM}/1", {**URGENT, "title": "第二次改", "version": "1"})
    text = await late.text()
    assert (late.status, "没有保存" in text, 'value="第二次改"' in text) == (422, True, True)
    assert (await draft_of(site)).title == "第一次改"


@pytest.mark.parametrize(
    ("narrowed", "second"),
    [
        ({}, True),
        ({"except_list": "会场"}, True),
        ({"section": "policy"}, False),
        ({"list": "会场"}, False),
        ({"list": "会场", "urgent": "1"}, True),
    ],
)
async def test_what_needs_a_second_person(
    site: Site, editor: Desk, narrowed: dict[str, str], second: bool
) -> None:
    page = await editor.done(f"{ROOM}/new", {"title": "通知", "body": "一句话。", **narrowed})
    assert ("要另一个人批准：" in page) is second
    sent = await editor.post(f"{ROOM}/1/send")
    assert sent.status == (422 if second else 303)
    assert len(await dispatches(site)) == (0 if second else 1)
    if not second:
        assert (await editor.post(f"{ROOM}/1/send")).status == 422, "twice is once"
        assert len(await dispatches(site)) == 1


async def test_templates_earlier_ones_previews_and_what_is_thrown_away(site: Site, editor: Desk) -> None:
    assert 'value="会议通知：' in await editor.page(f"{ROOM}/new?template=meeting")
    long = {"title": "长", "body": "长" * 19_000, "section": "policy", "at": "2027-01-02T09:00"}
    response = await editor.client.post(
        f"{ROOM}/new", data=_multipart({"csrf": await editor.csrf(), **long}), allow_redirects=False
    )
    assert response.status == 303, "what may be sent can be saved"
    copied = await editor.page(f"{ROOM}/new?from=1")
    assert 'value="长"' in copied
    assert "2027" not in copied
    assert "2027年1月2日" in words(await editor.page(f"{ROOM}/1"))
    assert "预览" in await editor.page(f"{ROOM}/1/preview")
    assert "长长长" in await (await editor.get(f"{ROOM}/1/frame")).text()
    live = await (
        await editor.post(f"{ROOM}/live", {"title": "<b>", "body": "<script>x</script>**好**"})
    ).text()
    assert "<script" not in live
    assert "&lt;b&gt;" in live
    assert "<strong>好</strong>" in live
    assert "已丢弃" in await editor.done(f"{ROOM}/1/discard")
    assert ">长<" not in await editor.page(ROOM)
    for wrong in (
        {"title": "", "body": "x"},
        {"title": "x", "body": " "},
        {**URGENT, "at": "2001-01-01T00:00"},
    ):
        assert (await editor.post(f"{ROOM}/new", wrong)).status == 422
    assert (await editor.get(f"{ROOM}/77")).status == 404


def _multipart(fields: dict[str, str]) -> FormData:

    form = FormData(default_to_multipart=True)
    for name, value in fields.items():
        form.add_field(name, value)
    return form
