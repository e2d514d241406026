"""The calendar in a real browser: a table on a desk, a list of days on a phone; from a day to what is on it by keys."""

import datetime as dt

import pytest
from playwright.async_api import Browser, expect
from tests.browser.conftest import PHONE_VIEW
from tests.browser.test_two_people import at_the_desk
from tests.integration.web.readers_site import Site

from bdnews_dispatch.accounts.rights import Role
from bdnews_dispatch.dispatch.starting import start_issue

pytestmark = pytest.mark.browser


async def test_a_month_on_a_desk_and_on_a_phone(site: Site, browser: Browser) -> None:
    site.clock.now = dt.datetime(2026, 9, 24, 1, tzinfo=dt.UTC)
    issue = await site.publish()
    async with site.database.write() as session:
        await start_issue(session, site.clock, issue, at=dt.datetime(2026, 10, 2, 1, tzinfo=dt.UTC))
    page = await at_the_desk(site, browser, Role.EDITOR)
    await page.click("nav a:has-text('今日')")
    await page.click("main a:has-text('日历')")
    await page.click("text=下个月")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("2026年10月")
    monday, friday = page.get_by_role("columnheader", name="周一"), page.locator("#d2026-10-02")
    await expect(monday).to_be_visible()
    await expect(friday).to_contain_text("当天放假")
    assert await friday.evaluate("cell => cell.offsetWidth") < 300

    await page.set_viewport_size(PHONE_VIEW)
    await expect(monday).to_be_hidden()
    await expect(page.locator("#d2026-10-09")).to_be_hidden()
    await expect(friday.get_by_text("10月2日 周五")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") == PHONE_VIEW["width"]
    await friday.get_by_role("link").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("总第112期")

    await page.goto(f"{str(site.client.make_url('/')).rstrip('/')}/console/calendar")
    await page.click("text=建立订阅地址")
    address = await page.get_by_label("您的订阅地址").input_value()
    answer = await page.context.request.get(address)
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    await page.context.close()
