"""A session that is over while somebody writes, in a real browser: signed in beside it, what was written is sent."""

import pytest
from playwright.async_api import Browser, expect
from sqlmodel import update
from tests.browser.test_two_people import PASSWORD, at_the_desk
from tests.integration.web.readers_site import Site

from bdnews_dispatch.accounts.models import ConsoleSession
from bdnews_dispatch.accounts.rights import Role
from bdnews_dispatch.accounts.sessions import LASTS

pytestmark = pytest.mark.browser


async def test_a_bulletin_outlasts_the_session(site: Site, browser: Browser) -> None:
    page = await at_the_desk(site, browser, Role.EDITOR)
    await page.click("text=风险提示")
    await page.fill("input[name=title]", "今晚停机")
    await page.fill("textarea", "第一行\n\n<第二行>")
    async with site.database.write() as session:
        await session.execute(update(ConsoleSession).values(created_at=site.clock() - LASTS))
    await page.click("main button:has-text('保存')")
    await expect(page.get_by_role("heading", name="您已退出")).to_be_visible()
    async with page.context.expect_page() as opened:
        await page.get_by_role("link", name="在新标签页登录").click()
    beside = await opened.value
    await beside.fill("input[name=email]", "editor@example.cn")
    await beside.fill("input[name=password]", PASSWORD)
    await beside.click("button")
    await expect(beside.get_by_role("heading", name="今日")).to_be_visible()
    await page.get_by_role("button", name="已登录，再提交一次").click()
    await expect(page.get_by_role("heading", name="再提交一次")).to_be_visible()
    await page.click("summary")
    await expect(page.locator("pre", has_text="<第二行>")).to_be_visible()
    await page.click("text=现在提交")
    await expect(page.locator(".told[role=status]")).to_contain_text("已保存")
    await expect(page.locator("textarea[name=body]")).to_have_value("第一行\n\n<第二行>")
    await page.context.close()
