"""Following without a scan; the words and the menu; the reader's own page by link and by WeChat's sign-in."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import ClientResponse
from tests.integration.web.following_site import AccountSite, open_account_site
from tests.integration.web.readers_site import RunningClock, words

from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.subscribers import agreements, people
from bdnews_dispatch.subscribers.models import ChannelChoice, Subscription

NEW = "oNewFollower0000000000000001"


@pytest.fixture
async def site(database: Database, tmp_path: Path) -> AsyncIterator[AccountSite]:
    async with open_account_site(database, RunningClock(), tmp_path) as site:
        yield site


def link_in(text: str) -> str:
    found = re.search(r"https?://\S+/f/\S+", text)
    assert found is not None, text
    return found.group()


async def reading(site: AccountSite, openid: str = NEW) -> Subscription | None:
    async with site.database.read() as session:
        person = await people.find_by_openid(session, openid)
        if person is None or person.id is None:
            return None
        return await agreements.current(session, person.id, "dsj")


async def test_following_is_no_subscription_and_leads_to_one(site: AccountSite) -> None:
    hello = await site.sandbox.follow(NEW)
    await site.handle_events()
    assert "关注还不是订阅" in hello.text
    assert await reading(site) is None
    link = link_in(hello.text)
    assert NEW not in link
    page = await site.get(link)
    assert "选择您要读的栏目" in words(await page.text())
    assert page.headers["Cache-Control"] == "no-store"
    for missing in ({"section": "policy"}, {"agree": "1"}):
        assert (await site.post(link, data=missing)).status == 422
    chosen = {"section": ["policy", "frontier"], "cadence": "issue", "agree": "1"}
    answer = await site.post(link, data=chosen)
    assert answer.status == 303
    now = await reading(site)
    assert now is not None
    assert (now.channel, now.sections) == (ChannelChoice.WECHAT, ["policy", "frontier"])
    assert now.consent
    told = words(await (await site.get(answer.headers["Location"])).text())
    assert "已订阅" in told
    # The same link, and a second press of the button, change nothing and lead on.
    led_on = await site.get(link)
    assert led_on.status == 303
    await site.post(link, data={"whole_issue": "1", "agree": "1"})
    again = await reading(site)
    assert again is not None
    assert again.id == now.id
    assert (await site.get(led_on.headers["Location"])).status == 200
    site.clock.move(days=8)
    for address in (led_on.headers["Location"], answer.headers["Location"]):
        assert (await site.get(address)).status == 404, "a link in a chat leads to none that never ends"


async def test_the_link_ends_and_another_one_is_to_be_had(site: AccountSite) -> None:
    link = link_in((await site.sandbox.follow(NEW)).text)
    await site.handle_events()
    site.clock.move(days=8)
    assert (await site.get(link)).status == 404
    fresh = link_in((await site.sandbox.say(NEW, "我的")).text)
    assert (await site.get(fresh)).status == 200


async def test_a_tap_is_as_good_as_a_word(site: AccountSite) -> None:
    await site.send(await site.publish())
    await site.sandbox.follow(NEW)
    for key, expected in (
        ("最新", "/issues/dsj/112"),
        ("帮助", "栏目名（国策要论、地方新政、产业镜像、前沿观察、企业动向）"),
        ("产业镜像", "【产业镜像】"),
        ("我的", "/f/"),
        ("no such key", "没有看懂"),
    ):
        site.clock.move(seconds=2)
        reply = await site.sandbox.click(NEW, key)
        assert expected in reply.text, key
        assert len(reply.text.encode()) <= 2048
    await site.sandbox.click(NEW, "订阅")
    await site.handle_events()
    now = await reading(site)
    assert now is not None
    assert now.whole_issue
    site.clock.move(seconds=2)
    await site.sandbox.click(NEW, "退订")
    await site.handle_events()
    assert await reading(site) is None


async def signed_in(site: AccountSite, *, openid: str = NEW) -> ClientResponse:
    """Through 我的订阅 of the menu, as WeChat's browser goes; the answer to the way back."""
    away = await site.get("/wechat/mine")
    assert away.status == 302
    target = away.headers["Location"]
    assert target.endswith("#wechat_redirect")
    query = parse_qs(urlsplit(target).query)
    assert query["scope"] == ["snsapi_base"]
    assert openid not in target
    code = site.sandbox.account.oauth.code(openid)
    return await site.get("/wechat/back", params={"code": code, "state": query["state"][0]})


async def test_wechats_sign_in_opens_the_readers_page(site: AccountSite) -> None:
    await site.sandbox.follow(NEW)
    await site.handle_events()
    back = await signed_in(site)
    assert back.status == 303
    link = back.headers["Location"]
    assert "/f/v1." in link
    assert NEW not in link
    assert "选择您要读的栏目" in words(await (await site.get(link)).text())


async def test_a_code_is_good_once_and_a_state_for_its_browser_alone(site: AccountSite) -> None:
    await site.sandbox.follow(NEW)
    away = await site.get("/wechat/mine")
    state = parse_qs(urlsplit(away.headers["Location"]).query)["state"][0]
    code = site.sandbox.account.oauth.code(NEW)
    cookies = {name: morsel.value for name, morsel in away.cookies.items()}
    morsel = next(iter(away.cookies.values()))
    assert (morsel["httponly"], morsel["samesite"]) == (True, "Lax")
    # Another browser that was sent the address of the way back.
    site.client.session.cookie_jar.clear()
    assert (await site.get("/wechat/back", params={"code": code, "state": state})).status == 403
    assert site.sandbox.platform.calls["sns/oauth2/access_token"] == 0, "the code was not used up by it"
    good = await site.get("/wechat/back", params={"code": code, "state": state}, cookies=cookies)
    assert good.status == 303
    again = await site.get("/wechat/back", params={"code": code, "state": state}, cookies=cookies)
    assert again.status == 403
    assert "没有认出您" in words(await again.text())
    for query in ({}, {"code": code}, {"state": state}, {"code": "x" * 2000, "state": "v1.k1.x.y"}):
        assert (await site.get("/wechat/back", params=query)).status == 403
    late = await site.get("/wechat/mine")
    site.clock.move(minutes=11)
    state = parse_qs(urlsplit(late.headers["Location"]).query)["state"][0]
    code = site.sandbox.account.oauth.code(NEW)
    assert (await site.get("/wechat/back", params={"code": code, "state": state})).status == 403


async def test_a_stand_in_of_somebody_is_refused_in_words(site: AccountSite) -> None:
    site.sandbox.account.oauth.snapshot = True
    back = await signed_in(site)
    assert back.status == 403
    text = words(await back.text())
    assert "普通浏览" in text
    assert "使用完整服务" in text


async def test_outside_of_wechat_the_page_says_where_to_go(site: AccountSite) -> None:
    page = await site.get("/wechat/mine", headers={"User-Agent": "Mozilla/5.0 Firefox/140.0"})
    assert page.status == 200
    assert "请在微信里打开" in words(await page.text())
