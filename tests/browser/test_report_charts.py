"""Charts in a real browser: shown under the page's own policy, in the screen's size, in the reader's colours."""

from collections.abc import Sequence
from io import BytesIO

import pytest
from PIL import Image
from playwright.async_api import Browser, ViewportSize
from tests.browser.conftest import PHONE_VIEW
from tests.integration.reports.test_reading import keeper, touch
from tests.integration.web.readers_site import Site

from bdnews_dispatch.accounts.rights import Role
from bdnews_dispatch.accounts.users import add_user, make_link
from bdnews_dispatch.dispatch.models import Delivery
from bdnews_dispatch.tracking.models import HitKind
from bdnews_dispatch.web.charts import DARK, LIGHT

pytestmark = pytest.mark.browser
PASSWORD = "一句我自己记得住的、足够长的话"


def colours(picture: bytes) -> set[str]:
    """All that are in it."""
    with Image.open(BytesIO(picture)) as image:
        raw = image.convert("RGB").tobytes()
    return {f"#{raw[place : place + 3].hex()}" for place in range(0, len(raw), 3)}


async def test_charts_follow_the_screen_and_its_colours(
    site: Site, sent: Sequence[Delivery], browser: Browser
) -> None:
    site.clock.move(hours=1)
    await touch(site, sent[0].key, HitKind.OPEN)
    await keeper(site).count(sent[0].dispatch_id)
    async with site.database.write() as session:
        user = await add_user(session, site.clock, email="zhang@example.cn", name="张", role=Role.ANALYST)
        secret = await make_link(session, site.clock, user)
    base = str(site.client.make_url("/")).rstrip("/")
    context = await browser.new_context(locale="zh-CN")
    page = await context.new_page()
    await page.goto(f"{base}/console/password/{secret}")
    for field in ("password", "again"):
        await page.fill(f"input[name={field}]", PASSWORD)
    await page.click("button")
    await page.fill("input[name=email]", "zhang@example.cn")
    await page.fill("input[name=password]", PASSWORD)
    await page.click("button")
    cookies = await context.storage_state()
    await context.close()
    said: list[str] = []
    for scheme in ("light", "dark"):
        for view in (ViewportSize(width=1280, height=900), PHONE_VIEW):
            context = await browser.new_context(
                storage_state=cookies,
                viewport=view,
                color_scheme="dark" if scheme == "dark" else "light",
            )
            page = await context.new_page()
            page.on("console", lambda message: said.append(message.text))
            for path in (
                "/console/reports",
                f"/console/reports/{sent[0].dispatch_id}",
                "/console/reports/sections",
            ):
                await page.goto(f"{base}{path}")
                images = await page.query_selector_all("figure.chart img")
                assert images, path
                phone = view["width"] < 400
                for image in images:
                    drawn, wide, address = await image.evaluate(
                        "image => [image.naturalWidth, image.width, image.currentSrc]"
                    )
                    assert drawn in ({343} if phone else {500, 760}), path
                    assert ("narrow" in address) is phone
                    assert wide <= view["width"] - 32
                assert await page.evaluate("document.documentElement.scrollWidth") <= view["width"], path
            tokens, others = (DARK, LIGHT) if scheme == "dark" else (LIGHT, DARK)
            seen = colours(await images[0].screenshot())
            assert {tokens["brand"], tokens["paper"]} <= seen
            assert not {others["brand"], others["paper"]} & seen
            await context.close()
    assert said == [], "the policy refuses nothing"
