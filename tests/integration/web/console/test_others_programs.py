"""Sources and webhooks in the console: added, refused, switched, taken away; admins are told what was switched off."""

import re

import pytest
from sqlmodel import select
from tests.integration.web.console.conftest import Desk, somebody
from tests.integration.web.readers_site import Site, words

from bdnews_dispatch.accounts.rights import Role
from bdnews_dispatch.issues.publications import load_publications
from bdnews_dispatch.letters.composing import compose_letter
from bdnews_dispatch.letters.models import Letter
from bdnews_dispatch.messaging.outbox import record
from bdnews_dispatch.watched_feeds.models import FeedEntry, WatchedFeed
from bdnews_dispatch.webhooks.models import Webhook, WebhookTry


async def test_sources_are_added_read_switched_and_removed(desk: Desk) -> None:
    room = "/console/sources"
    assert "还没有来源" in await desk.page(room)
    inside = await desk.post(room, {"url": "http://10.0.0.1/feed"})
    text = await inside.text()
    assert (inside.status, "不是公网地址" in text, "http://10.0.0.1/feed" in text) == (422, True, True)
    url = 'https://news.example/f?a="><script>'
    assert (await desk.post(room, {"url": url})).status == 303
    page = await desk.page(room)
    assert "<script>" not in page.replace('<script src="', "")
    async with desk.site.database.write() as session:
        feed = (await session.exec(select(WatchedFeed))).one()
        feed.problem, feed.failures, feed.etag = "读不到：连不上", 2, "x"
        session.add(feed)
        session.add(
            FeedEntry(
                feed_id=1, key="k", mark="m", title="<b>题", problem="没有总期号", seen_at=desk.site.clock()
            )
        )
    assert "失败 读不到：连不上" in words(await desk.page(room))
    assert "没有收入 没有总期号" in words(await desk.page(f"{room}/1"))
    assert "&lt;b&gt;题" in await desk.page(f"{room}/1")
    for do, after in (
        ("disable", "已停用"),
        ("enable", "大数据发展动态 等人发布 还没有读过 ◷ 等候第一次读取"),
        ("read", "马上就读"),
        ("remove", "还没有来源"),
    ):
        assert after in words(await desk.done(f"{room}/1", {"do": do}))
    assert (await desk.post(f"{room}/1", {"do": "burn"})).status == 400
    assert (await desk.get(f"{room}/1")).status == 404


async def test_a_webhooks_secret_is_shown_once(desk: Desk) -> None:
    room = "/console/webhooks"
    assert (await desk.post(room, {"url": "http://hooks.example/"})).status == 422
    form = {"url": "https://hooks.example/x", "names": "issue.published，dispatch.*", "description": "大屏"}
    made = await (await desk.post(room, form)).text()
    found = re.search(r"whsec_[\w+/=]+", made)
    assert found is not None
    assert found[0] not in await desk.page(f"{room}/1")
    assert "大屏 dispatch.* issue.published" in words(await desk.page(room))
    rotated = await (await desk.post(f"{room}/1", {"do": "rotate"})).text()
    again = re.search(r"whsec_[\w+/=]+", rotated)
    assert again is not None
    assert again[0] != found[0]
    async with desk.site.database.write() as session:
        session.add(WebhookTry(webhook_id=1, event_id=3, at=desk.site.clock(), status=500, seconds=0.25))
    assert "500 0.25" in words(await desk.page(f"{room}/1"))
    assert "已停用 人工停用" in words(await desk.done(f"{room}/1", {"do": "disable"}))
    assert "正常" in words(await desk.done(f"{room}/1", {"do": "enable"}))
    await desk.done(f"{room}/1", {"do": "replay", "after": "0"})
    async with desk.site.database.read() as session:
        assert (await session.exec(select(Webhook.cursor))).one() == 0
    for wrong in ({"do": "replay", "after": "x"}, {"do": "burn"}):
        assert (await desk.post(f"{room}/1", wrong)).status == 400
    assert "还没有推送地址" in await desk.done(f"{room}/1", {"do": "remove"})


@pytest.mark.parametrize("role", [Role.EDITOR, Role.ANALYST])
async def test_who_may_not_change_settings_only_sees_them(site: Site, role: Role) -> None:
    desk = await somebody(site, role)
    for room in ("/console/sources", "/console/webhooks"):
        page = await desk.page(room)
        assert 'name="url"' not in page


async def test_admins_get_a_letter_when_a_webhook_was_switched_off(desk: Desk) -> None:
    site = desk.site
    await somebody(site, Role.EDITOR)
    async with site.database.write() as session:
        await record(session, site.clock, "webhook.disabled", "k", webhook=7, why="连续五天没有送达")
    await site.handle_events()
    async with site.database.read() as session:
        (letter,) = (await session.exec(select(Letter))).all()
    assert letter.email == "admin@example.cn"
    made = compose_letter(letter, None, load_publications().named(None), site.links)
    assert made.subject == "推送地址 7 已停用"
    for text in (made.text, made.html):
        assert "连续五天没有送达" in text
        assert f"{site.links.base_url}/console/webhooks/7" in text.replace("=\n", "")


async def test_an_address_is_whole_for_who_may_change_it(site: Site) -> None:
    now = site.clock()
    url = "https://{}.example/in/x7?key=geheim"
    async with site.database.write() as session:
        session.add(Webhook(url=url.format("hooks"), failures=1, next_at=now, created_at=now))
        session.add(
            WatchedFeed(url=url.format("news"), publication="dsj", failures=1, next_at=now, created_at=now)
        )
    admin, analyst = await somebody(site, Role.ADMIN), await somebody(site, Role.ANALYST)
    rooms = ("sources", "sources/1", "webhooks", "webhooks/1", "today")
    for room in rooms:
        assert "key=geheim" in await admin.page(f"/console/{room}"), room
        page = await analyst.page(f"/console/{room}")
        assert "geheim" not in page, room
        assert ".example/in/…" in page, room
