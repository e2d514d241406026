"""A QR code with a one-time scene: who subscribes by it, who binds by it, and whom it leaves alone."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.integration.web.following_site import AccountSite, open_account_site
from tests.integration.web.readers_site import RunningClock, words

from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.official_account.follower_tables import WeChatScene
from bdnews_dispatch.sandbox.faults import PlatformFault
from bdnews_dispatch.subscribers import agreements, people
from bdnews_dispatch.subscribers.models import Channel, ChannelChoice, Subscription
from bdnews_dispatch.subscribers.suppressions import is_suppressed, suppress

NEW = "oNewFollower0000000000000001"
#: 何静 of readers_site.PEOPLE reads by it.
JING = "oReaderHeJing0000000000001"


@pytest.fixture
async def site(database: Database, tmp_path: Path) -> AsyncIterator[AccountSite]:
    async with open_account_site(database, RunningClock(), tmp_path) as site:
        yield site


async def reading(site: AccountSite, subscriber_id: int) -> Subscription | None:
    async with site.database.read() as session:
        return await agreements.current(session, subscriber_id, "dsj")


async def id_of(site: AccountSite, openid: str) -> int | None:
    async with site.database.read() as session:
        person = await people.find_by_openid(session, openid)
    return person.id if person is not None else None


async def subscribe_page(site: AccountSite, **changes: object) -> str:
    """The form for WeChat, filled in; gives the page with the code."""
    data = {"agree": "1", "section": ["policy", "industry"], "cadence": "weekly"} | changes
    answer = await site.post("/subscribe/dsj?way=wechat", data=data)
    assert answer.status == 303, words(await answer.text())
    return answer.headers["Location"]


async def test_somebody_new_subscribes_by_scanning(site: AccountSite) -> None:
    form = words(await (await site.get("/subscribe/dsj?way=wechat")).text())
    assert "发到我的微信" in form
    assert 'name="email"' not in await (await site.get("/subscribe/dsj?way=wechat")).text()
    page = await subscribe_page(site)
    shown = words(await (await site.get(page)).text())
    assert "国策要论、产业镜像" in shown
    picture = await site.get(f"{page}/qr.png")
    assert (picture.content_type, (await picture.read())[:4]) == ("image/png", b"\x89PNG")
    assert picture.headers["Cache-Control"] == "no-store"
    scene = await site.scene()
    assert len(scene) <= 64
    assert await id_of(site, NEW) is None, "nothing follows before the scan"
    reply = await site.sandbox.scan(NEW, scene)
    assert "订阅已生效：国策要论、产业镜像" in reply.text
    await site.handle_events()
    found = await id_of(site, NEW)
    assert found is not None
    now = await reading(site, found)
    assert now is not None
    assert (now.channel, now.sections, now.cadence.value) == (
        ChannelChoice.WECHAT,
        ["policy", "industry"],
        "weekly",
    )
    assert now.origin == "wechat"
    assert now.consent, "the sentence that was agreed to is kept"
    assert now.network == "127.0.0.0/24"
    assert "订阅已生效" in words(await (await site.get(page)).text())


async def test_a_code_works_once_and_ends(site: AccountSite) -> None:
    await subscribe_page(site)
    first = await site.scene()
    await site.sandbox.scan(NEW, first)
    await site.handle_events()
    other = "oNewFollower0000000000000002"
    site.clock.move(seconds=5)  # the same second is the same push
    assert "早已绑定" in (await site.sandbox.scan(NEW, first)).text
    assert "已经用过" in (await site.sandbox.scan(other, first)).text
    await site.handle_events()
    assert await id_of(site, other) is None
    page = await subscribe_page(site)
    second = await site.scene()
    site.clock.move(minutes=31)
    assert "已过期" in (await site.sandbox.scan(other, second)).text
    await site.handle_events()
    assert await id_of(site, other) is None
    assert (await site.get(page)).status == 404, "its link has ended with it"
    assert "不再有效" in (await site.sandbox.scan(other, "0" * 32)).text


async def test_a_subscribe_code_leaves_what_a_reader_has_chosen(site: AccountSite) -> None:
    """Whoever filled in the page: the code that stands on it may be shown to anybody."""
    sent = await site.send(await site.publish())
    await site.sandbox.follow(JING)
    before = await reading(site, sent[1].subscriber_id)
    page = await subscribe_page(site, section=["policy"], cadence="monthly")
    assert "没有更改" in (await site.sandbox.scan(JING, await site.scene())).text
    await site.handle_events()
    now = await reading(site, sent[1].subscriber_id)
    assert before is not None
    assert now is not None
    assert (now.sections, now.cadence, now.channel) == (before.sections, before.cadence, before.channel)
    assert "没有更改" in words(await (await site.get(page)).text())


async def test_a_reader_by_email_gets_it_by_wechat_too_and_lets_it_go(site: AccountSite) -> None:
    sent = await site.send(await site.publish())
    lin = sent[0]
    answer = await site.post(f"{site.links.preferences(lin.key)}/wechat")
    assert answer.status == 303
    shown = words(await (await site.get(answer.headers["Location"])).text())
    assert "也会发到这个微信" in shown
    reply = await site.sandbox.scan(NEW, await site.scene())
    assert "已绑定" in reply.text
    assert "lin.zhiyuan@" not in reply.text, "an address is never told whole"
    await site.handle_events()
    assert await id_of(site, NEW) == lin.subscriber_id
    now = await reading(site, lin.subscriber_id)
    assert now is not None
    assert (now.channel, now.sections) == (ChannelChoice.BOTH, ["policy", "local"])
    page = await (await site.get(site.links.preferences(lin.key))).text()
    assert "解除微信" in page
    told = await site.post(f"{site.links.preferences(lin.key)}/wechat", data={"unbind": "1"})
    assert "已解除微信" in words(await told.text())
    assert await id_of(site, NEW) is None
    again = await reading(site, lin.subscriber_id)
    assert again is not None
    assert again.channel is ChannelChoice.EMAIL


async def test_a_scan_takes_nobody_away(site: AccountSite) -> None:
    """Neither an openid from who reads by it, nor a subscription from the WeChat that it is bound to."""
    sent = await site.send(await site.publish())
    lin, jing = sent[0], sent[1]
    await site.sandbox.follow(JING)
    await site.post(f"{site.links.preferences(lin.key)}/wechat")
    reply = await site.sandbox.scan(JING, await site.scene())
    assert "不会自动合并" in reply.text
    await site.handle_events()
    assert await id_of(site, JING) == jing.subscriber_id
    await site.post(f"{site.links.preferences(jing.key)}/wechat")
    reply = await site.sandbox.scan(NEW, await site.scene())
    assert "另一个微信" in reply.text
    await site.handle_events()
    assert (await id_of(site, NEW), await id_of(site, JING)) == (None, jing.subscriber_id)
    for subscriber_id, channel in (
        (lin.subscriber_id, ChannelChoice.EMAIL),
        (jing.subscriber_id, ChannelChoice.BOTH),
    ):
        now = await reading(site, subscriber_id)
        assert now is not None
        assert now.channel is channel


async def test_who_has_left_by_wechat_may_take_it_to_their_mail(site: AccountSite) -> None:
    sent = await site.send(await site.publish())
    await subscribe_page(site)
    await site.sandbox.scan(NEW, await site.scene())
    await site.handle_events()
    await site.post(f"{site.links.preferences(sent[0].key)}/wechat")
    scene = await site.scene()
    assert "退订" in (await site.sandbox.scan(NEW, scene)).text
    await site.handle_events()
    alone = await id_of(site, NEW)
    assert alone not in {None, sent[0].subscriber_id}
    await site.sandbox.say(NEW, "退订")
    await site.handle_events()
    site.clock.move(seconds=5)  # the same second is the same push
    assert "已绑定" in (await site.sandbox.scan(NEW, scene)).text, "what did nothing is not used up"
    await site.handle_events()
    assert await id_of(site, NEW) == sent[0].subscriber_id


async def test_what_is_missing_is_said(site: AccountSite) -> None:
    for missing in ("agree", "section"):
        data = {"agree": "1", "section": "policy", "cadence": "issue"}
        del data[missing]
        answer = await site.post("/subscribe/dsj?way=wechat", data=data)
        assert answer.status == 422
    assert await site.scenes() == []


async def test_a_platform_that_is_away_is_said_and_nothing_changes(site: AccountSite) -> None:
    site.sandbox.faults.on_wechat(PlatformFault("qrcode/create", code=45009))
    data = {"agree": "1", "section": ["policy"]}
    answer = await site.post("/subscribe/dsj?way=wechat", data=data)
    assert answer.status == 400
    text = words(await answer.text())
    assert "暂时拿不到微信二维码" in text
    assert "没有更改任何内容" in text
    page = await site.get(f"/q/{re.sub('.$', '0', 'v1.k1.abc.000')}")
    assert page.status == 404


async def test_a_network_that_asks_for_too_many_is_stopped(site: AccountSite) -> None:
    for _ in range(30):
        await subscribe_page(site)
    data = {"agree": "1", "section": ["policy"]}
    assert (await site.post("/subscribe/dsj?way=wechat", data=data)).status == 429


async def test_who_follows_again_may_be_written_to_again(site: AccountSite) -> None:
    async with site.database.write() as session:
        for openid, source in ((NEW, "wechat"), (JING, "admin")):
            await suppress(session, site.clock, Channel.WECHAT, openid, reason="43004", source=source)
    for openid in (NEW, JING):
        await site.sandbox.follow(openid)
    await site.handle_events()
    async with site.database.read() as session:
        assert not await is_suppressed(session, Channel.WECHAT, NEW)
        assert await is_suppressed(session, Channel.WECHAT, JING), "what an admin says stands"


async def test_two_who_scan_at_once_are_not_both_bound(site: AccountSite) -> None:
    sent = await site.send(await site.publish())
    await site.post(f"{site.links.preferences(sent[0].key)}/wechat")
    scene, other = await site.scene(), "oNewFollower0000000000000002"
    await site.sandbox.scan(NEW, scene)
    await site.sandbox.scan(other, scene)  # both were told; the first event decides
    await site.handle_events()
    assert [await id_of(site, NEW), await id_of(site, other)] == [sent[0].subscriber_id, None]
    async with site.database.read() as session:
        row = await session.get(WeChatScene, scene)
    assert row is not None
    assert row.outcome == "binds"
