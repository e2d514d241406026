"""A reader in a browser: subscribe, confirm, choose, a digest, one-click, what the page says, back again."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, expect
from tests.browser.conftest import PHONE_VIEW
from tests.making import document, part, read_mail, test_settings

from bdnews_dispatch.issues.intake import take
from bdnews_dispatch.parts import Parts
from bdnews_dispatch.sandbox import Sandbox
from bdnews_dispatch.service.roles import Role
from bdnews_dispatch.service.running import running

pytestmark = pytest.mark.browser


@pytest_asyncio.fixture(loop_scope="session")
async def service(tmp_path: Path) -> AsyncIterator[tuple[Parts, Sandbox]]:
    """Everything in one process, as `bdnews serve` runs it."""
    settings = test_settings(tmp_path, web={"port": 0, "base_url": ""})
    async with running(settings, list(Role)) as (parts, sandbox):
        assert sandbox is not None
        yield parts, sandbox


async def mail_to(sandbox: Sandbox, address: str, number: int) -> str:
    """The text of the n-th mail to this address, once it is there."""
    import asyncio  # noqa: PLC0415

    async with asyncio.timeout(30):
        while True:
            mails = [mail for mail in sandbox.mails() if mail.recipients[0] == address]
            if len(mails) >= number:
                return part(read_mail(mails[number - 1]), "plain")
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without"])
async def test_the_whole_way(browser: Browser, service: tuple[Parts, Sandbox], scripts: bool) -> None:
    parts, sandbox = service
    base = parts.settings.base_url
    context = await browser.new_context(viewport=PHONE_VIEW, locale="zh-CN", java_script_enabled=scripts)
    page = await context.new_page()
    await page.goto(f"{base}/subscribe/dsj")
    await page.get_by_label("邮箱", exact=True).fill("zhou@readers.example")
    await page.get_by_label("称呼（可不填）").fill("周明德")
    await page.get_by_role("switch", name="企业动向").uncheck()
    await page.get_by_role("checkbox", name=re.compile("我同意")).check()
    await page.get_by_role("button", name="订阅").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("请查收确认信")

    letter = await mail_to(sandbox, "zhou@readers.example", 1)
    link = re.search(r"https?://\S+/s/\S+", letter)
    assert link is not None
    await page.goto(link[0])
    await page.get_by_role("button", name="确认订阅").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("订阅已生效")
    await page.get_by_role("link", name="查看您的订阅").click()
    await page.get_by_role("switch", name="产业镜像").uncheck()
    await page.get_by_role("button", name="保存").click()
    await expect(page.get_by_role("status").first).to_contain_text("已保存")

    async with parts.database.write() as session:
        await take(session, parts.clock, document(), source_name="t.md", source=b"", publish_now=True)
    digest = await mail_to(sandbox, "zhou@readers.example", 2)
    assert "国策要论" in digest
    assert "产业镜像" not in digest
    assert "企业动向" not in digest
    raw = next(mail for mail in sandbox.mails() if "List-Unsubscribe" in read_mail(mail))
    one_click = re.search(r"<(https?://[^>]+)>", str(read_mail(raw)["List-Unsubscribe"]))
    assert one_click is not None
    async with aiohttp.ClientSession() as client:
        answer = await client.post(one_click[1], data={"List-Unsubscribe": "One-Click"})
        assert answer.status == 200
    await page.goto(one_click[1])
    await expect(page.get_by_role("heading", level=1)).to_have_text("您已退订")
    await page.get_by_role("button", name="点错了，恢复订阅").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("已恢复订阅")
    await page.get_by_role("link", name="查看您的订阅").click()
    await expect(page.get_by_role("switch", name="国策要论")).to_be_checked()
    await expect(page.get_by_role("switch", name="产业镜像")).not_to_be_checked()
    width = await page.evaluate("document.documentElement.scrollWidth") if scripts else PHONE_VIEW["width"]
    assert width <= PHONE_VIEW["width"]
    await context.close()


async def test_a_misspelt_address_is_asked_about_in_one_box(
    browser: Browser, service: tuple[Parts, Sandbox]
) -> None:
    """On a phone the form's own button floats at the foot; those of the question stay in it, apart from each other."""
    base = service[0].settings.base_url
    page = await (await browser.new_context(viewport=PHONE_VIEW, locale="zh-CN")).new_page()
    await page.goto(f"{base}/subscribe/dsj")
    await page.locator("input[name=email]").fill("reader@gmial.com")
    await page.locator("input[name=agree]").check()
    await page.get_by_role("button", name="订阅", exact=True).click()
    question = await page.locator(".told").bounding_box()
    meant = await page.get_by_role("button", name="改为 reader@gmail.com").bounding_box()
    written = await page.get_by_role("button", name="没有写错，就用这个").bounding_box()
    assert question is not None
    assert meant is not None
    assert written is not None
    assert written["y"] >= meant["y"] + meant["height"] + 8
    assert question["y"] < meant["y"]
    assert written["y"] + written["height"] < question["y"] + question["height"]
    assert meant["x"] >= question["x"] + 12
    assert await page.locator(".told .action").evaluate("e => getComputedStyle(e).position") == "static"
