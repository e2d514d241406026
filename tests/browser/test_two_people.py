"""An urgent bulletin in a real browser: one person writes it and sees it as they write, another one sends it."""

import pytest
from playwright.async_api import Browser, Page, expect
from tests.integration.web.readers_site import PEOPLE, Site
from tests.making import DSJ, import_csv

from bdnews_dispatch.accounts.rights import Role
from bdnews_dispatch.accounts.users import add_user, make_link

pytestmark = pytest.mark.browser
PASSWORD = "一句我自己记得住的、足够长的话"


async def at_the_desk(site: Site, browser: Browser, role: Role) -> Page:
    """Somebody who has just signed in."""
    email = f"{role}@example.cn"
    async with site.database.write() as session:
        user = await add_user(
            session, site.clock, email=email, name={"editor": "王", "reviewer": "李"}[role], role=role
        )
        secret = await make_link(session, site.clock, user)
    page = await (await browser.new_context(locale="zh-CN")).new_page()
    await page.goto(f"{str(site.client.make_url('/')).rstrip('/')}/console/password/{secret}")
    for field in ("password", "again"):
        await page.fill(f"input[name={field}]", PASSWORD)
    await page.click("button")
    await page.fill("input[name=email]", email)
    await page.fill("input[name=password]", PASSWORD)
    await page.click("button")
    await page.click("nav a:has-text('快讯')")
    return page


async def test_an_urgent_bulletin_by_two_people(site: Site, browser: Browser) -> None:
    await import_csv(site.database, site.clock, DSJ, PEOPLE, list_name=None, origin_name="t.csv")
    wang, li = [await at_the_desk(site, browser, role) for role in (Role.EDITOR, Role.REVIEWER)]
    await wang.click("text=风险提示")
    await wang.fill("input[name=title]", "风险提示：停电")
    await wang.fill("textarea", "请**立即**核对。")
    await expect(wang.locator("#live strong")).to_have_text("立即")
    await wang.click("text=紧急：主题前标")
    await wang.click("main button:has-text('保存')")
    await expect(wang.get_by_text("它是紧急的。")).to_be_visible()
    await wang.click("button:has-text('送审')")
    await expect(wang.locator(".told[role=status]")).to_contain_text("已送审")
    await expect(wang.get_by_text("写过它的人不能批准")).to_be_visible()
    await li.reload()
    await li.click("main a:has-text('风险提示：停电')")
    await li.click("text=预览邮件与卡片")
    await expect(li.frame_locator("iframe").get_by_text("请立即核对。", exact=True)).to_be_visible()
    await li.go_back()
    await li.click("button:has-text('批准并发送')")
    await expect(li.locator(".told[role=status]")).to_contain_text("开始之前可以撤回")
    await wang.reload()
    await expect(wang.get_by_text("由 李 批准。")).to_be_visible()
    for page in (wang, li):
        await page.context.close()
