"""The digest page inside WeChat: what it adds, for whom, and that it is whole without."""

import hashlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.web.following_site import AccountSite, open_account_site
from tests.integration.web.readers_site import RunningClock

from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.sandbox import SANDBOX_APPID, PlatformFault

WECHAT = {"User-Agent": "Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 Mobile/15E148 MicroMessenger/8.0.50"}


@pytest.fixture
async def site(database: Database, tmp_path: Path) -> AsyncIterator[AccountSite]:
    async with open_account_site(database, RunningClock(), tmp_path) as site:
        yield site


async def page_of(site: AccountSite) -> str:
    sent = await site.send(await site.publish())
    return site.links.web_copy(sent[0].key).removeprefix(site.links.base_url)


async def test_inside_wechat_the_page_is_signed_for_its_own_address(site: AccountSite) -> None:
    path = f"{await page_of(site)}?from=singlemessage"
    answer = await site.client.get(path, headers=WECHAT)
    text = await answer.text()
    told = dict(re.findall(r'data-(\w+)="([^"]*)"', text))
    signed = (
        f"jsapi_ticket={site.sandbox.account.jssdk.ticket}&noncestr={told['nonce']}"
        f"&timestamp={told['timestamp']}&url={site.links.base_url}{path}"
    )
    assert told["appid"] == SANDBOX_APPID
    assert told["signature"] == hashlib.sha1(signed.encode()).hexdigest()  # noqa: S324  # the platform's own algorithm
    assert told["link"] == site.links.issue("dsj", 112), "nobody's own link is shared"
    policy = answer.headers["Content-Security-Policy"]
    assert f"script-src 'self' {site.sandbox.http_url}" in policy
    assert "unsafe" not in policy
    picture = await site.client.get("/assets/share.jpg")
    assert (picture.status, picture.content_type) == (200, "image/jpeg")


async def test_elsewhere_nothing_of_the_platform_is_loaded(site: AccountSite) -> None:
    answer = await site.client.get(await page_of(site), headers={"User-Agent": "Mozilla/5.0 Firefox/145.0"})
    assert "jweixin" not in await answer.text()
    assert "script-src" not in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("endpoint", "how"),
    [
        ("ticket/getticket", {"code": 45009}),
        ("ticket/getticket", {"silence": "hang"}),
        ("stable_token", {"code": 40125}),
    ],
)
async def test_without_a_ticket_the_page_is_whole(
    site: AccountSite, endpoint: str, how: dict[str, Any]
) -> None:
    path = await page_of(site)
    site.sandbox.faults.on_wechat(PlatformFault(endpoint, **how))
    answer = await site.client.get(path, headers=WECHAT)
    text = await answer.text()
    assert answer.status == 200
    assert "国策要论" in text
    assert "jweixin" not in text
