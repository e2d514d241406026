"""A segment is written in rows by somebody who knows no JSON, with and without a script."""

import os

import pytest
from playwright.async_api import Browser, expect
from tests.browser.test_search import at_the_desk
from tests.integration.web.console.conftest import _cheap_hashes, _closing
from tests.integration.web.readers_site import Site

pytestmark = pytest.mark.browser
__all__ = ["_cheap_hashes", "_closing"]
SHOTS = os.environ.get("BDNEWS_TEST_SHOTS")


@pytest.mark.parametrize("scripts", [True, False])
async def test_rows_are_written_counted_and_saved(site: Site, browser: Browser, *, scripts: bool) -> None:
    page = await at_the_desk(site, browser, java_script_enabled=scripts)
    base = str(site.client.make_url("/")).rstrip("/")
    await page.goto(f"{base}/console/segments")
    form = page.locator("form.conditions")
    await form.locator("input[name=name]").fill("例子")
    await form.get_by_label("第 1 行：是什么").select_option("domain:any_of")
    await form.get_by_label("第 1 行：取值").fill("readers.example")
    if scripts:
        await expect(form.get_by_role("status")).to_contain_text("现在有 13 人符合")
    await form.get_by_label("第 1 行：取值").press("Enter")  # counts, and keeps what was typed
    await expect(form.get_by_role("status")).to_contain_text("现在有 13 人符合")
    await form.get_by_role("button", name="加一组").click()
    await form.get_by_label("第 2 行：是什么").select_option("tag:any_of")
    await form.get_by_label("第 2 行：取值").fill("专家")
    await form.locator("select[name=g1]").select_option("none")
    await form.get_by_role("button", name="加一行").last.click()
    await form.get_by_label("第 3 行：是什么").select_option("joined:within_days")
    await form.get_by_label("第 3 行：取值").fill("很久")
    await form.get_by_role("button", name="保存").click()
    await expect(page.get_by_role("alert")).to_contain_text("第 3 行：“很久”不是天数")
    if SHOTS and scripts:
        await page.screenshot(path=f"{SHOTS}/segments-1280.png", full_page=True)
        await page.emulate_media(color_scheme="dark")
        await page.set_viewport_size({"width": 375, "height": 667})
        assert await page.evaluate("document.documentElement.scrollWidth") <= 375
        await page.screenshot(path=f"{SHOTS}/segments-375.png", full_page=True)
    await form.get_by_role("button", name="去掉 第 3 行").click()
    await form.get_by_role("button", name="保存").click()
    await expect(page.locator("tbody tr")).to_have_count(1)
    await expect(page.locator("tbody tr")).to_contain_text("例子")
    await expect(page.locator("tbody tr")).to_contain_text("13")
