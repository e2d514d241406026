"""The page that the demo ends with: on this machine only, and up to date."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlmodel import select
from tests.integration.web.readers_site import Site, open_site, words
from tests.making import HandClock

from bdnews_dispatch.accounts.rights import Role
from bdnews_dispatch.accounts.users import add_user
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.dispatch.models import Delivery
from bdnews_dispatch.dispatch.states import DeliveryState
from bdnews_dispatch.sandbox import Sandbox
from bdnews_dispatch.subscribers.models import Subscriber
from bdnews_dispatch.web.keys import GUESTS


@pytest.fixture
async def demo(database: Database, clock: HandClock, tmp_path: Path) -> AsyncIterator[Site]:
    sandbox = Sandbox(
        smtp_host="127.0.0.1",
        smtp_port=0,
        http_host="127.0.0.1",
        http_port=0,
        folder=tmp_path / "sandbox",
        clock=clock,
    )
    async with sandbox, open_site(database, clock, tmp_path, sandbox=sandbox, demo=True) as site:
        yield site


async def test_the_page_shows_who_got_what_and_did_what(demo: Site) -> None:
    assert "等待第一期" in await (await demo.get("/demo")).text()
    sent = await demo.send(await demo.publish())
    before = words(await (await demo.get("/demo")).text())
    for expected in (
        "第17期（总第112期）",
        "林致远",
        "国策要论、地方新政",
        "已发出",
        "policy-1的题目",
        "接下来可以试试",
    ):
        assert expected in before, expected
    await demo.get(f"{demo.links.click(sent[0].key)}/1")
    await demo.post(demo.links.unsubscribe(sent[0].key), data={"confirm": "1"})
    after = words(await (await demo.get("/demo")).text())
    for expected in ("已打开", "点击 1 次", "由此退订", "已退订"):
        assert expected in after, expected


async def test_who_was_erased_and_what_was_not_sent(demo: Site) -> None:
    sent = await demo.send(await demo.publish())
    async with demo.database.write() as session:
        for one in await session.exec(select(Delivery).where(Delivery.id == sent[0].id)):
            one.state, one.reason = DeliveryState.SKIPPED, "wechat.by_email"
        for person in await session.exec(select(Subscriber).where(Subscriber.id == sent[0].subscriber_id)):
            person.name, person.email, person.email_key, person.openid = "", None, None, None
    page = await (await demo.get("/demo")).text()
    assert "None" not in page
    assert "已删除" in page
    assert "改发邮件" in page


async def test_home_is_the_demo(demo: Site) -> None:
    answer = await demo.get("/")
    assert (answer.status, answer.headers["Location"]) == (302, "/demo")


async def test_only_this_machine_may_look(demo: Site) -> None:
    for host in ("evil.example", "rebound.example:8080"):
        assert (await demo.get("/demo", headers={"Host": host})).status == 404
        assert (await demo.get("/demo/news", headers={"Host": host})).status == 404


async def test_there_is_no_such_page_without_a_demo(site: Site) -> None:
    assert (await site.get("/demo")).status == 404


async def test_news_come_when_something_changed(demo: Site) -> None:
    sent = await demo.send(await demo.publish())
    answer = await demo.get("/demo/news")
    assert answer.content_type == "text/event-stream"
    assert answer.headers["X-Accel-Buffering"] == "no"  # deploy/nginx relies on it

    async def told() -> str:
        while not (line := (await answer.content.readline()).decode()).startswith("data:"):
            pass
        return line

    async with asyncio.timeout(20):
        first = await told()
        await demo.get(demo.links.pixel(sent[0].key))
        assert await told() != first
    answer.close()


async def test_a_link_opens_the_console_once(demo: Site) -> None:
    async with demo.database.write() as session:
        await add_user(session, demo.clock, email="admin@demo.example", name="林知远", role=Role.ADMIN)
    demo.app[GUESTS]["a-secret"] = "admin@demo.example"
    door = "/demo/console/a-secret"
    for _ in range(2):  # looking uses nothing up
        assert "林知远" in await (await demo.get(door)).text()
    assert (await demo.get(door, headers={"Host": "rebound.example"})).status == 404
    assert (await demo.post(door, headers={"Sec-Fetch-Site": "cross-site"})).status == 403
    answer = await demo.post(door)
    assert (answer.status, answer.headers["Location"]) == (303, "/console/today")
    assert "林知远" in await (await demo.get("/console/today")).text()
    assert (await demo.post(door)).status == 404
    gone = await demo.get(door)
    assert gone.status == 404
    assert "已经用过" in await gone.text()


async def test_there_is_no_such_door_without_a_demo(site: Site) -> None:
    site.app[GUESTS]["a-secret"] = "admin@demo.example"
    assert (await site.get("/demo/console/a-secret")).status == 404
