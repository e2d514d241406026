"""The console in a real browser: a link, a password, a sign-in, a file with errors, a person, out again."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, expect
from tests.integration.web.readers_site import Site

from bdnews_dispatch.accounts.rights import Role
from bdnews_dispatch.accounts.users import add_user, make_link
from bdnews_dispatch.subscribers.imports.running import Importer
from bdnews_dispatch.web.keys import PUBLICATIONS

pytestmark = pytest.mark.browser
PASSWORD = "一句我自己记得住的、足够长的话"


@pytest.mark.parametrize("scripts", [True, False])
async def test_an_admins_morning(site: Site, browser: Browser, tmp_path: Path, *, scripts: bool) -> None:
    async with site.database.write() as session:
        user = await add_user(session, site.clock, email="zhang@example.cn", name="张", role=Role.ADMIN)
        secret = await make_link(session, site.clock, user)
    base = str(site.client.make_url("/")).rstrip("/")
    context = await browser.new_context(java_script_enabled=scripts, locale="zh-CN")
    page = await context.new_page()
    await page.goto(f"{base}/console/password/{secret}")
    for field in ("password", "again"):
        await page.fill(f"input[name={field}]", PASSWORD)
    await page.click("button")
    await expect(page.get_by_role("status")).to_contain_text("密码已设好")
    await page.fill("input[name=email]", "zhang@example.cn")
    await page.fill("input[name=password]", PASSWORD)
    await page.click("button")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("今日")
    cookies = await context.cookies()
    assert [(one.get("httpOnly"), one.get("sameSite")) for one in cookies] == [(True, "Lax")]

    file = tmp_path / "参会者.csv"
    file.write_text("邮箱,称呼\nlin@readers.example,林致远\nnonsense,错\n", encoding="utf-8")
    await page.click("nav.doors >> text=订阅者")
    await page.click("nav.beside-doors >> text=导入")
    await page.set_input_files("input[type=file]", file)
    await page.click("button:has-text('上传')")
    await expect(page.get_by_text("参会者.csv")).to_be_visible()
    await page.fill("input[name=basis]", "会场登记，同意接收本刊")
    await page.click("button[value=check]")
    await expect(page.locator(".told[role=status]")).to_contain_text("将新增 1")
    await expect(page.get_by_text("第 3 行")).to_be_visible()
    await page.click("button[value=start]")
    importer = Importer(site.database, site.clock, site.app[PUBLICATIONS], site.links.signer)
    while await importer.run_slice(1):
        pass
    await page.goto(f"{base}/console/imports/1")
    await expect(page.get_by_text("新增 1")).to_be_visible()

    await page.fill("header input[type=search]", "林")
    await page.keyboard.press("Enter")
    await page.click("text=lin@readers.example")
    await expect(page.get_by_role("heading", level=1)).to_have_text("林致远")
    await page.fill("form[action$='/tag'] input[name=tag]", "专家")
    await page.click("form[action$='/tag'] button")
    await expect(page.locator(".told[role=status]")).to_contain_text("标签已更改")
    await page.click("nav.doors >> text=设置")
    await page.click("nav.beside-doors >> text=操作记录")
    for action in ("开始导入", "加标签", "登录"):
        await expect(page.get_by_role("cell", name=action, exact=True)).to_be_visible()
    await page.click("text=退出")
    await expect(page.get_by_role("heading", level=1)).to_have_text("登录控制台")
    await page.goto(f"{base}/console/subscribers")
    await expect(page.get_by_role("heading", level=1)).to_have_text("登录控制台")
    await context.close()
