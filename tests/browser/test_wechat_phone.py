"""A follower on a phone: follow, choose sections, a card, the digest page, the next one, 退订. All of it real but
the platform, which is the sandbox.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Dialog, Page, expect
from sqlmodel import select
from tests.browser.conftest import PHONE_VIEW
from tests.making import document, test_settings

from bdnews_dispatch.issues.intake import take
from bdnews_dispatch.official_account.account import open_account
from bdnews_dispatch.official_account.menu import menu_of
from bdnews_dispatch.official_account.models import WeChatCredit
from bdnews_dispatch.parts import Parts
from bdnews_dispatch.sandbox import Sandbox
from bdnews_dispatch.sandbox.in_its_place import with_sandbox_account
from bdnews_dispatch.sandbox.wechat.consents import ONE_TIME_TEMPLATE_ID
from bdnews_dispatch.service.roles import Role
from bdnews_dispatch.service.running import running
from bdnews_dispatch.tracking.models import Hit, HitKind

pytestmark = pytest.mark.browser
WHO = "oPhoneReader01"
#: Where pictures of each step go; none are kept unless it is set.
SHOTS = os.environ.get("BDNEWS_TEST_SHOTS")


@pytest_asyncio.fixture(loop_scope="session")
async def service(tmp_path: Path) -> AsyncIterator[tuple[Parts, Sandbox]]:
    settings = test_settings(
        tmp_path,
        web={"port": 0, "base_url": ""},
        wechat={"modes": ["custom", "subscribe_once", "template"]},
    )
    async with running(settings, list(Role)) as (parts, sandbox):
        assert sandbox is not None
        account = with_sandbox_account(parts.settings).wechat
        async with open_account(account, parts.clock, None) as opened:
            buttons = menu_of(account.menu, parts.publications.named(None), parts.links)
            await opened.client.post("menu/create", data={"button": buttons})
        yield parts, sandbox


async def shot(page: Page, name: str) -> None:
    if SHOTS:
        await page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)


async def publish(parts: Parts, number: int) -> None:
    async with parts.database.write() as session:
        await take(
            session,
            parts.clock,
            document(number),
            source_name=f"{number}.md",
            source=b"",
            publish_now=True,
        )


async def test_from_following_to_leaving(browser: Browser, service: tuple[Parts, Sandbox]) -> None:
    parts, sandbox = service
    phone = f"{sandbox.http_url}/phone/{WHO}"
    context = await browser.new_context(viewport=PHONE_VIEW, locale="zh-CN", color_scheme="light")
    page = await context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)

    await page.goto(phone)
    await page.get_by_role("button", name="关注", exact=True).click()
    chat = page.get_by_role("log")
    await expect(chat).to_contain_text("关注还不是订阅")
    await shot(page, "1-follow")

    await chat.get_by_role("link").last.click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("选择您要读的栏目")
    for section in ("产业镜像", "前沿观察", "企业动向"):
        await page.get_by_role("switch", name=section).uncheck()
    await page.get_by_role("checkbox", name="我同意").check()
    await shot(page, "2-choose")
    await page.get_by_role("button", name="订阅").click()
    await expect(page.get_by_role("status").first).to_contain_text("已订阅")
    await shot(page, "3-chosen")

    await publish(parts, 112)
    await sandbox.arrived(cards=1, timeout_seconds=30)
    await page.goto(phone)
    await shot(page, "4-card")
    await page.locator(".bubble").last.click() if await page.locator(
        "a.bubble"
    ).count() else await page.get_by_role("link", name="查看详情").last.click()
    await expect(page.get_by_role("heading", level=2, name="国策要论")).to_be_visible()
    await expect(page.get_by_role("heading", level=2, name="企业动向")).to_have_count(0)
    shared = await page.wait_for_function("() => window.wx && window.wx.shared.friend")
    card = await shared.json_value()
    assert card["link"] == parts.links.issue("dsj", 112), "what is shared is nobody's own link"

    async def agree(dialog: Dialog) -> None:
        await dialog.accept()

    page.once("dialog", agree)
    await page.get_by_role("button", name="下一期发给我").click()
    await expect(page.locator("#next-told")).to_have_text("好的，下一期发布时会通知您。")
    await shot(page, "5-digest")
    async with asyncio.timeout(10):
        while True:
            async with parts.database.read() as session:
                credit = await session.get(WeChatCredit, (WHO, ONE_TIME_TEMPLATE_ID))
                hits = list(await session.exec(select(Hit.kind)))
            if credit is not None and HitKind.PAGE_VIEW in hits:
                break
            await asyncio.sleep(0.05)
    assert (credit.granted, credit.used) == (1, 0)

    await page.goto(phone)
    await page.get_by_label("说什么").fill("国策要论")
    await page.get_by_role("button", name="发送").click()
    await expect(chat).to_contain_text("您已订阅“国策要论”")
    await page.get_by_text("我的", exact=True).click()
    await page.get_by_role("link", name="我的订阅").click()  # WeChat's own sign-in, there and back
    await expect(page.get_by_role("heading", level=1)).to_contain_text("订阅")
    await expect(page.get_by_role("switch", name="国策要论")).to_be_checked()
    await shot(page, "6-mine")

    await page.goto(phone)
    await page.get_by_label("说什么").fill("退订")
    await page.get_by_role("button", name="发送").click()
    await expect(chat).to_contain_text("微信推送将停止")
    await shot(page, "7-left")
    await publish(parts, 113)
    await asyncio.sleep(1.5)
    assert len(sandbox.cards()) == 1, "nothing for who has left"
    assert errors == []
