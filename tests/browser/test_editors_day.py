"""An editor's day in a real browser: a warning, a correction, a preview, a test send, a start taken back, another."""

import re

import pytest
from playwright.async_api import Browser, expect
from tests.integration.web.readers_site import PEOPLE, Site
from tests.making import DSJ, document, import_csv

from bdnews_dispatch.accounts.rights import Role
from bdnews_dispatch.accounts.users import add_user, make_link
from bdnews_dispatch.dispatch.planning import Planner
from bdnews_dispatch.issues.document import Warning_
from bdnews_dispatch.issues.intake import take
from bdnews_dispatch.web.keys import PUBLICATIONS

pytestmark = pytest.mark.browser
PASSWORD = "一句我自己记得住的、足够长的话"


@pytest.mark.parametrize("scripts", [True, False])
async def test_an_editors_day(site: Site, browser: Browser, *, scripts: bool) -> None:
    warning = Warning_(line=2, code="contents.not_found", message="目录中有而正文中没有")
    async with site.database.write() as session:
        read = document(total=113).model_copy(update={"warnings": (warning,)})
        source = "第一行\n第二行\n".encode()
        taken = await take(session, site.clock, read, source_name="113.md", source=source, publish_now=False)
        user = await add_user(session, site.clock, email="wang@example.cn", name="王", role=Role.EDITOR)
        secret = await make_link(session, site.clock, user)
    await import_csv(site.database, site.clock, DSJ, PEOPLE, list_name=None, origin_name="t.csv")
    base = str(site.client.make_url("/")).rstrip("/")
    context = await browser.new_context(java_script_enabled=scripts, locale="zh-CN")
    page = await context.new_page()
    await page.goto(f"{base}/console/password/{secret}")
    for field in ("password", "again"):
        await page.fill(f"input[name={field}]", PASSWORD)
    await page.click("button")
    await page.fill("input[name=email]", "wang@example.cn")
    await page.fill("input[name=password]", PASSWORD)
    await page.click("button")
    await page.click(f"a[href='/console/issues/{taken.issue.id}'] >> nth=0")
    await expect(page.locator(".findings .hit")).to_contain_text("第二行")
    await page.click("text=已核对，无需更改")
    await expect(page.get_by_text("没有要核对的")).to_be_visible()
    await page.click("#a1 summary")
    await page.fill("#a1 input[name=title]", "改过的题目")
    await page.click("#a1 button")
    await expect(page.locator("#a1 summary")).to_contain_text("改过的题目")
    await page.click("text=预览")
    await expect(page.frame_locator("iframe").get_by_text("改过的题目").first).to_be_visible()
    await page.click("text=发送测试邮件给自己")
    await expect(page.get_by_role("status")).to_contain_text("测试邮件已交给发送进程")
    await page.goto(f"{base}/console/issues/{taken.issue.id}")
    await page.click("text=再发布并发送")
    await page.click("button:has-text('发布并发送')")
    await page.click("text=撤回 >> nth=-1")
    await expect(page.get_by_text("没有发给任何人")).to_be_visible()
    await page.goto(f"{base}/console/dispatches/new?issue={taken.issue.id}")
    await page.click("button:has-text('发送')")
    found = re.search(r"dispatches/(\d+)", page.url)
    assert found is not None
    site.clock.move(seconds=30)
    planner = Planner(site.database, site.clock, site.app[PUBLICATIONS], site.links)
    await planner.plan_slice(int(found[1]))
    await page.goto(f"{base}/console/dispatches/{found[1]}")
    await page.click("text=暂停发送")
    await expect(page.locator("[data-show=state]")).to_have_text("已暂停")
    await page.click("text=继续发送")
    await expect(page.locator("[data-show=state]")).to_have_text("发送中")
    await context.close()
