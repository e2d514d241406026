"""The pixel, the counted links and the web copy."""

import asyncio

import pytest
from sqlalchemy import update
from sqlmodel import col, select
from tests.integration.web.readers_site import Site, words

from bdnews_dispatch.dispatch.models import Delivery, DispatchLink
from bdnews_dispatch.issues.models import Issue
from bdnews_dispatch.issues.publishing import withdraw
from bdnews_dispatch.links import Purpose
from bdnews_dispatch.tracking.models import HitKind
from bdnews_dispatch.web.digest_links import GIF


async def test_the_pixel_counts_and_is_always_the_same(site: Site, sent: list[Delivery]) -> None:
    good = site.links.pixel(sent[0].key)
    wrong_purpose = f"/o/{site.links.signer.token(Purpose.CLICK, sent[0].key)}.gif"
    unknown = site.links.pixel("a" * 20)
    for url in (good, good[:-4], good[:-8] + ".gif", "/o/nonsense.gif", "/o/x", wrong_purpose, unknown):
        answer = await site.get(url)
        assert (answer.status, await answer.read()) == (200, GIF), url
        assert answer.content_type == "image/gif"
        assert "no-store" in answer.headers["Cache-Control"]
    assert [hit.kind for hit in await site.hits()] == [HitKind.OPEN] * 2
    assert site.woken


async def test_a_click_leads_to_the_stored_address_and_nowhere_else(site: Site, sent: list[Delivery]) -> None:
    async with site.database.read() as session:
        stored = (await session.exec(select(DispatchLink).order_by(col(DispatchLink.number)))).all()
    for link in stored[:3]:
        answer = await site.get(f"{site.links.click(sent[0].key)}/{link.number}")
        assert (answer.status, answer.headers["Location"]) == (302, link.url)
    hits = await site.hits()
    assert [(hit.kind, hit.link) for hit in hits] == [(HitKind.CLICK, link.number) for link in stored[:3]]


@pytest.mark.parametrize(
    "number",
    ["0", "99999", "x", "-1", "9" * 40, "١", "https://evil.example", "1?to=https://evil.example"],
)
async def test_no_other_number_leads_anywhere(site: Site, sent: list[Delivery], number: str) -> None:
    answer = await site.get(f"{site.links.click(sent[0].key)}/{number}")
    if "?" in number:
        assert "evil" not in answer.headers["Location"]
    else:
        assert answer.status == 404
        assert "Location" not in answer.headers


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "//evil.example/x", "ftp://a.example/", "", "https://a\r\nX: y"]
)
async def test_a_stored_address_that_is_no_web_address_is_not_followed(
    site: Site, sent: list[Delivery], url: str
) -> None:
    async with site.database.write() as session:
        await session.execute(update(DispatchLink).where(col(DispatchLink.number) == 1).values(url=url))
    assert (await site.get(f"{site.links.click(sent[0].key)}/1")).status == 404


async def test_a_chinese_address_goes_out_as_it_is_stored(site: Site, sent: list[Delivery]) -> None:
    url = "https://a.example/%E4%B8%AD?b=%2F&c=1%202"
    async with site.database.write() as session:
        await session.execute(update(DispatchLink).where(col(DispatchLink.number) == 1).values(url=url))
    assert (await site.get(f"{site.links.click(sent[0].key)}/1")).headers["Location"] == url


async def test_head_and_scanners_are_no_people(site: Site, sent: list[Delivery]) -> None:
    url = f"{site.links.click(sent[0].key)}/1"
    assert (await site.client.head(site.path(url), allow_redirects=False)).status == 302
    await site.get(url, headers={"User-Agent": "Mimecast"})
    await site.get(url, headers={"Sec-Purpose": "prefetch"})
    site.clock.move(minutes=-1)
    await site.get(url)
    assert [hit.machine for hit in await site.hits()] == [
        "prefetch.head",
        "scanner.named",
        "prefetch.announced",
        "timing.too_soon",
    ]
    assert "delivery.clicked" not in await site.events()


@pytest.mark.fault(21)
async def test_a_burst_is_all_kept(site: Site, sent: list[Delivery]) -> None:
    urls = [site.links.pixel(d.key) for d in sent for _ in range(60)]
    answers = await asyncio.gather(*(site.get(url) for url in urls))
    assert {answer.status for answer in answers} == {200}
    assert len(await site.hits()) == len(urls)


async def test_the_web_copy_is_that_readers_own(site: Site, sent: list[Delivery]) -> None:
    lin = words(await (await site.get(site.links.web_copy(sent[0].key))).text())
    jing = words(await (await site.get(site.links.web_copy(sent[1].key))).text())
    assert "policy-1的题目" in lin
    assert "industry-1" not in lin
    assert "industry-2的题目" in jing
    assert "policy-1" not in jing
    assert "编者按的一句话" in lin
    assert "readers.example" not in lin + jing
    assert [hit.kind for hit in await site.hits()] == [HitKind.PAGE_VIEW] * 2


async def test_links_on_the_web_copy_count_unless_the_reader_objects(
    site: Site, sent: list[Delivery]
) -> None:
    url = site.links.web_copy(sent[0].key)
    assert site.links.click(sent[0].key) in await (await site.get(url)).text()
    await site.post(site.links.preferences(sent[0].key), data={"whole_issue": "1", "no_tracking": "1"})
    text = await (await site.get(url)).text()
    assert "/c/" not in text
    assert "/issues/dsj/112/1" in text


async def test_a_withdrawn_issue_is_gone(site: Site, sent: list[Delivery]) -> None:
    async with site.database.write() as session:
        issue = (await session.exec(select(Issue))).one()
        await withdraw(session, site.clock, issue)
    answer = await site.get(site.links.web_copy(sent[0].key))
    assert answer.status == 410
    assert "撤回" in await answer.text()
    assert (await site.get("/issues/dsj/112")).status == 410
    assert (await site.get("/issues/dsj/112/1/qr.png")).status == 410
    assert "112" not in words(await (await site.get("/issues/dsj")).text())
