"""Feeds: what a reader's program gets, and what it need not get again."""

import json

import pytest
from defusedxml.ElementTree import fromstring
from tests.integration.web.readers_site import Site
from tests.making import SECTIONS, document

from bdnews_dispatch.issues.publishing import withdraw

ATOM = "{http://www.w3.org/2005/Atom}"


async def test_issues_as_atom_and_as_json(site: Site) -> None:
    await site.publish(document(112))
    await site.publish(document(113, mark="<b>&\u0001"))
    answer = await site.client.get("/feeds/dsj.atom")
    assert answer.content_type == "application/atom+xml"
    root = fromstring(await answer.read())
    links = [entry.find(f"{ATOM}link").get("href") for entry in root.iter(f"{ATOM}entry")]
    assert links == [site.links.issue("dsj", 113), site.links.issue("dsj", 112)]
    told = json.loads(await (await site.client.get("/feeds/dsj.json")).text())
    assert [item["url"] for item in told["items"]] == links
    assert told["version"] == "https://jsonfeed.org/version/1.1"
    assert "国策要论" in told["items"][0]["content_text"]


@pytest.mark.parametrize("section", SECTIONS)
async def test_a_section_has_its_articles_alone(site: Site, section: str) -> None:
    await site.publish(document(112))
    told = json.loads(await (await site.client.get(f"/feeds/dsj/{section}.json")).text())
    assert len(told["items"]) == 2
    for item in told["items"]:
        page = await site.client.get(item["url"].removeprefix(site.links.base_url))
        assert page.status == 200
        assert item["title"] in await page.text()
        assert item["title"].startswith(section)


async def test_what_is_known_is_not_sent_again(site: Site) -> None:
    issue = await site.publish(document(112))
    first = await site.client.get("/feeds/dsj.atom")
    for told in (first.headers["ETag"], f"W/{first.headers['ETag']}", "*"):
        assert (await site.client.get("/feeds/dsj.atom", headers={"If-None-Match": told})).status == 304
    assert (await site.client.get("/feeds/dsj.atom", headers={"If-None-Match": '"other"'})).status == 200
    await site.publish(document(112, mark="更正"))
    corrected = await site.client.get("/feeds/dsj.atom", headers={"If-None-Match": first.headers["ETag"]})
    assert corrected.status == 200
    async with site.database.write() as session:
        await withdraw(session, site.clock, await session.merge(issue))
    assert json.loads(await (await site.client.get("/feeds/dsj.json")).text())["items"] == []


@pytest.mark.parametrize("path", ["/feeds/none.atom", "/feeds/dsj/none.atom", "/feeds/dsj.rss", "/feeds/dsj"])
async def test_what_is_not_there(site: Site, path: str) -> None:
    assert (await site.client.get(path)).status == 404
