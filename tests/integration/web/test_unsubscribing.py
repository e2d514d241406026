"""Leaving: never by a GET, always by a POST, in whatever form mail programs post it."""

from pathlib import Path

import aiohttp
import pytest
from tests.integration.web.readers_site import Site, open_site, words
from tests.making import HandClock

from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.dispatch.models import Delivery
from bdnews_dispatch.links import Purpose, Signer, SigningKey
from bdnews_dispatch.subscribers import agreements
from bdnews_dispatch.tracking.models import HitKind


async def subscribed(site: Site, subscriber_id: int = 1) -> bool:
    async with site.database.read() as session:
        return await agreements.current(session, subscriber_id, "dsj") is not None


def one_click_bodies() -> list[object]:
    multipart = aiohttp.MultipartWriter("form-data")
    part = multipart.append("One-Click")
    part.set_content_disposition("form-data", name="List-Unsubscribe")
    return [{"List-Unsubscribe": "One-Click"}, multipart]


@pytest.mark.parametrize("body", [0, 1], ids=["urlencoded", "multipart"])
async def test_one_click_as_the_rfc_says(site: Site, sent: list[Delivery], body: int) -> None:
    url = site.links.unsubscribe(sent[0].key)
    for _ in range(2):
        answer = await site.post(
            url,
            data=one_click_bodies()[body],
            headers={"User-Agent": "curl/8", "Cookie": "a=b", "Origin": "null"},
        )
        assert answer.status == 200
        assert "Set-Cookie" not in answer.headers
        assert not await subscribed(site)
    assert [hit.kind for hit in await site.hits()] == [HitKind.UNSUBSCRIBE]
    assert (await site.events()).count("subscriber.unsubscribed") == 1
    assert site.woken


@pytest.mark.parametrize("body", [b"", b'{"List-Unsubscribe": "One-Click"}', b"\xff\xfe\x00%%%"])
@pytest.mark.parametrize(
    "kind", ["application/json", "multipart/form-data", "multipart/form-data; boundary=x", ""]
)
async def test_whatever_the_body_a_post_means_leaving(
    site: Site, sent: list[Delivery], body: bytes, kind: str
) -> None:
    headers = {"Content-Type": kind} if kind else {}
    answer = await site.post(site.links.unsubscribe(sent[0].key), data=body, headers=headers)
    assert answer.status == 200
    assert not await subscribed(site)


async def test_scanners_that_follow_links_change_nothing(site: Site, sent: list[Delivery]) -> None:
    url = site.links.unsubscribe(sent[0].key)
    for method in ("GET", "HEAD"):
        answer = await site.client.request(method, site.path(url) + "?confirm=1&List-Unsubscribe=One-Click")
        assert answer.status == 200
    assert await subscribed(site)


async def test_the_page_says_what_it_is_about_asks_once_and_can_be_undone(
    site: Site, sent: list[Delivery]
) -> None:
    url = site.links.unsubscribe(sent[0].key)
    asked = await (await site.get(url)).text()
    assert "退订《大数据发展动态》？" in asked
    assert "l***@readers.example" in asked
    assert asked.count("<button") == 1
    left = words(await (await site.post(url, data={"confirm": "1"})).text())
    assert "已退订" in left
    assert "恢复订阅" in left
    assert not await subscribed(site)
    assert "您已退订" in words(await (await site.get(url)).text())
    back = words(await (await site.post(url, data={"undo": "1"})).text())
    assert "已恢复订阅" in back
    assert await subscribed(site)
    async with site.database.read() as session:
        row = await agreements.current(session, 1, "dsj")
    assert row is not None
    assert row.sections == ["policy", "local"]


async def test_why_they_left_is_kept(site: Site, sent: list[Delivery]) -> None:
    url = site.links.unsubscribe(sent[0].key)
    await site.post(url, data={"confirm": "1"})
    assert "谢谢" in await (await site.post(url, data={"reason": "too_often"})).text()
    async with site.database.read() as session:
        row = await agreements.last_ended(session, 1, "dsj")
    assert row is not None
    assert row.end_reason == "page:too_often"


async def test_one_person_leaving_leaves_the_others(site: Site, sent: list[Delivery]) -> None:
    await site.post(site.links.unsubscribe(sent[0].key), data={"List-Unsubscribe": "One-Click"})
    assert await subscribed(site, 2)


@pytest.mark.fault(23)
async def test_links_work_for_ever_also_after_the_key_was_changed(
    database: Database, clock: HandClock, tmp_path: Path
) -> None:
    old, new = SigningKey("k1", b"s" * 40), SigningKey("k2", b"t" * 40)
    async with open_site(database, clock, tmp_path, keys=[new, old]) as site:
        delivery = (await site.send(await site.publish()))[0]
        clock.move(days=4000)
        token = Signer([old]).token(Purpose.UNSUBSCRIBE, delivery.key)
        assert (await site.post(f"/u/{token}", data={"List-Unsubscribe": "One-Click"})).status == 200
        assert not await subscribed(site)


async def test_a_forged_link_does_nothing(site: Site, sent: list[Delivery]) -> None:
    url = site.links.unsubscribe(sent[0].key)
    forged = url[:-1] + ("a" if url[-1] != "a" else "b")
    for bad in (forged, "/u/x", "/u/v1.k1.x.y", "/u/v1.k1.%00.y", "/u/" + "a" * 3000):
        answer = await site.post(bad, data={"List-Unsubscribe": "One-Click"})
        assert answer.status == 404, bad
    assert await subscribed(site)


async def test_too_much_is_refused_and_changes_nothing(site: Site, sent: list[Delivery]) -> None:
    answer = await site.post(site.links.unsubscribe(sent[0].key), data={"reason": "x" * 200_000})
    assert answer.status == 413
    assert "过长" in await answer.text()
    assert await subscribed(site)
