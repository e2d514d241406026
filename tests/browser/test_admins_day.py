"""An admin's day in a real browser, against a service that runs whole: in by a password and a code, a file with errors
until everybody is in, a segment, a person found and suppressed, a colleague invited and given a smaller role, a token,
and all of it in the log.
"""

import os
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyotp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect
from tests.browser.conftest import PHONE_VIEW
from tests.making import test_settings

from bdnews_dispatch.cli.users import invitation_of_the_first
from bdnews_dispatch.service.roles import Role
from bdnews_dispatch.service.running import running

pytestmark = pytest.mark.browser
PASSWORD = "一句我自己记得住的、足够长的话"
DESK = {"width": 1280, "height": 800}
SHOTS = os.environ.get("BDNEWS_TEST_SHOTS")
#: As a spreadsheet saves it. Row 3 holds a line break: what is wrong stands in rows 4 and 6, in lines 5 and 7.
FILE = (
    "﻿邮箱,称呼,栏目\r\n"
    "lin@readers.example,林致远,国策要论\r\n"
    'he@readers.example,"何静\r\n（会务组）",产业镜像\r\n'
    "chen.readers.example,陈薇,国策要论\r\n"
    "zhao@readers.example,赵一,\r\n"
    "qian@readers.example,钱二,国策要闻\r\n"
)


@dataclass
class Watch:
    """The time of day, and what has passed without anybody waiting for it."""

    ahead: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Service:
    """Everything in one process, as `bdnews serve` runs it."""

    base: str
    invitation: str
    watch: Watch


@pytest_asyncio.fixture(loop_scope="session")
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    watch = Watch()
    settings = test_settings(tmp_path, web={"port": 0, "base_url": ""})
    async with running(settings, list(Role), clock=watch) as (parts, _):
        yield Service(parts.settings.base_url, await invitation_of_the_first(parts), watch)


@dataclass
class Person:
    """Somebody at a browser of their own."""

    page: Page
    email: str
    service: Service
    phone: pyotp.TOTP | None = None

    async def choose_a_password(self, link: str) -> None:
        await self.page.goto(link)
        await self.page.get_by_label("密码", exact=True).fill(PASSWORD)
        await self.page.get_by_label("再写一次").fill(PASSWORD)
        await self.page.get_by_role("button", name="设好密码").click()
        await expect(self.page.get_by_role("status")).to_contain_text("密码已设好")

    async def sign_in(self) -> None:
        await self.page.get_by_label("邮箱").fill(self.email)
        await self.page.get_by_label("密码").fill(PASSWORD)
        await self.page.get_by_role("button", name="登录").click()
        if self.phone is not None:
            await expect(self.page.get_by_label("验证码或备用码")).to_be_focused()
            await self.page.keyboard.type(self.code())
            await self.page.keyboard.press("Enter")
        await self.at("今日")

    def code(self) -> str:
        """What their phone shows now."""
        assert self.phone is not None
        return self.phone.at(self.service.watch())

    async def at(self, heading: str) -> None:
        await expect(self.page.get_by_role("heading", level=1)).to_contain_text(heading)

    async def go(self, *doors: str) -> None:
        """By the words of the navigation."""
        for door in doors:
            await self.page.locator("nav").get_by_role("link", name=door, exact=True).first.click()

    async def told(self, words: str | re.Pattern[str]) -> None:
        await expect(self.page.locator(".told[role=status]").first).to_contain_text(words)

    async def fits_a_phone(self, name: str) -> None:
        """The page as it is now is no wider than a phone."""
        await self.page.set_viewport_size(PHONE_VIEW)
        over = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert await self.page.evaluate(over) == 0, name
        if SHOTS:
            await self.page.emulate_media(color_scheme="dark")
            await self.page.screenshot(path=f"{SHOTS}/{name}-375.png", full_page=True)
            await self.page.emulate_media(color_scheme="light")
        await self.page.set_viewport_size(DESK)  # type: ignore[arg-type]
        if SHOTS:
            await self.page.screenshot(path=f"{SHOTS}/{name}-1280.png", full_page=True)


async def test_an_admins_day(service: Service, browser: Browser, tmp_path: Path) -> None:
    admin = await _somebody(browser, service, "")
    await _sets_up_a_second_factor(admin)
    await _brings_a_file(admin, tmp_path)
    await _makes_a_segment(admin)
    await _suppresses_a_person(admin)
    colleague = await _invites_a_reviewer(admin, browser)
    await _gives_a_smaller_role(admin, colleague)
    await _makes_and_revokes_a_token(admin)
    await _reads_the_log(admin)
    for one in (admin, colleague):
        await one.page.context.close()


async def _somebody(browser: Browser, service: Service, email: str) -> Person:
    context: BrowserContext = await browser.new_context(
        locale="zh-CN",
        viewport=DESK,  # type: ignore[arg-type]
        accept_downloads=True,
    )
    context.set_default_timeout(10_000)
    return Person(await context.new_page(), email, service)


async def _sets_up_a_second_factor(admin: Person) -> None:
    """In by the link of the first start; then with a code as well."""
    page, service = admin.page, admin.service
    link, email = re.search(r"http\S+", service.invitation), re.search(r"\S+@\S+?(?=。)", service.invitation)
    assert link is not None
    assert email is not None
    admin.email = email[0]
    await admin.choose_a_password(link[0])
    await admin.sign_in()
    await page.locator("header .who a").click()
    await page.get_by_role("link", name="设置第二重验证").click()
    await page.get_by_role("button", name="开始设置").click()
    admin.phone = pyotp.TOTP((await page.locator(".steps code").inner_text()).replace(" ", ""))
    field_ = page.get_by_label("写下验证器上现在的六位数字")
    await field_.fill("000000" if admin.code() != "000000" else "111111")
    await page.get_by_role("button", name="开启").click()
    await expect(page.get_by_role("alert")).to_contain_text("验证码不对")
    await field_.fill(admin.code())
    await page.get_by_role("button", name="开启").click()
    await admin.told("备用码")
    kept = await page.locator(".codes code").all_inner_texts()
    assert len(set(kept)) == len(kept) >= 8
    await page.get_by_role("link", name="收好了，继续").click()
    await page.get_by_role("button", name="退出").click()
    await admin.at("登录控制台")
    service.watch.ahead += timedelta(seconds=30)  # the phone shows another one: none is taken twice
    await admin.sign_in()


async def _brings_a_file(admin: Person, folder: Path) -> None:
    page = admin.page
    await admin.go("订阅者", "导入")
    file = folder / "参会者.csv"
    file.write_bytes(FILE.encode())
    await page.get_by_label("CSV 或 XLSX 文件").set_input_files(file)
    await page.get_by_role("button", name="上传").click()
    await admin.at("导入 1")
    await page.get_by_label("同时加入名单").fill("会场")
    await page.get_by_role("button", name="导入", exact=True).click()
    await expect(page.get_by_role("alert")).to_contain_text("没有写明依据")
    await expect(page.get_by_role("alert")).not_to_contain_text("--basis")
    await expect(page.get_by_label("同时加入名单")).to_have_value("会场")
    await page.get_by_label("依据：").fill("2026 年 11 月会场登记，同意接收本刊")
    await page.get_by_role("button", name="检查").click()
    await admin.told("将新增 3，更新 0，未变 0，不导入 2")
    problems = page.get_by_role("region", name="问题")
    for row in (4, 6):
        await expect(problems).to_contain_text(f"第 {row} 行")
    await admin.fits_a_phone("import-checked")
    await page.get_by_role("button", name="导入", exact=True).click()
    await expect(
        page.get_by_text("新增 3，更新 0，未变 0，未导入 2。")
    ).to_be_visible()  # it reloads by itself
    await admin.fits_a_phone("import-done")
    async with page.expect_download() as coming:
        await page.get_by_role("link", name="取得未导入的行").click()
    corrected = folder / "更正.csv"
    await (await coming.value).save_as(corrected)
    text = corrected.read_bytes().decode()
    assert "行号,原因,代码" in text.splitlines()[0]
    assert len(text.splitlines()) == 3
    text = text.replace("chen.readers.example", "chen@readers.example").replace("国策要闻", "国策要论")
    corrected.write_bytes(text.encode())
    await page.get_by_label("改正后的文件").set_input_files(corrected)
    await page.get_by_role("button", name="上传").click()
    await admin.at("导入 2")
    await expect(page.get_by_label("同时加入名单")).to_have_value("会场")
    await expect(page.get_by_label("依据：")).to_have_value("2026 年 11 月会场登记，同意接收本刊")
    await page.get_by_role("button", name="导入", exact=True).click()
    await expect(page.get_by_text("新增 2，更新 0，未变 0，未导入 0。")).to_be_visible()
    await admin.go("导入")
    await admin.fits_a_phone("imports")
    await admin.go("名单")
    await page.get_by_role("link", name="会场").click()
    await expect(page.locator("tbody tr")).to_have_count(5)  # those that were refused at first are on it, too


async def _makes_a_segment(admin: Person) -> None:
    page = admin.page
    await admin.go("细分")
    await page.locator("form.conditions input[name=name]").fill("读政策的")
    await page.get_by_label("第 1 行：是什么").select_option("读栏目：其中之一")
    await page.get_by_label("第 1 行：取值").fill("国策要论")
    await expect(page.locator("#counted")).to_contain_text("现在有 4 人符合")
    await page.locator("form.conditions").get_by_role("button", name="保存").click()
    await admin.told("已保存")
    await expect(page.locator("tbody tr")).to_contain_text(re.compile(r"读政策的\s*4"))


async def _suppresses_a_person(admin: Person) -> None:
    page = admin.page
    await page.keyboard.press("/")
    await page.keyboard.type("chen")
    await expect(page.locator(".found [role=option]")).to_have_count(1)
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await admin.at("陈薇")
    await page.get_by_label("为什么").fill("来电要求不再收")
    await page.get_by_role("button", name="停发", exact=True).click()
    await admin.told("已停发")
    await expect(page.get_by_role("button", name="解除停发")).to_be_visible()
    history = page.get_by_role("region", name="同意的记录")
    await expect(history.get_by_role("row").filter(has_text="停发")).to_contain_text("来电要求不再收")


async def _invites_a_reviewer(admin: Person, browser: Browser) -> Person:
    """Who has a room of their own then: what waits for a second person."""
    page = admin.page
    await admin.go("设置", "用户")
    await page.get_by_label("邮箱（用来登录）").fill("li@example.cn")
    await page.get_by_label("称呼").fill("李")
    await page.get_by_role("radio", name="审核").check()
    await admin.fits_a_phone("users")
    await page.get_by_role("button", name="邀请").click()
    await admin.told("li@example.cn")
    await admin.fits_a_phone("user-invited")
    link = await page.locator(".told code").inner_text()
    colleague = await _somebody(browser, admin.service, "li@example.cn")
    await colleague.choose_a_password(link)
    await colleague.sign_in()
    await admin.go("快讯")
    await page.get_by_role("link", name="风险提示").click()
    await page.get_by_label("标题").fill("风险提示：停电")
    await page.locator("textarea").first.fill("请立即核对。")
    await page.get_by_text("紧急：主题前标").click()
    await page.locator("main").get_by_role("button", name="保存").click()
    await page.get_by_role("button", name="送审").click()
    await admin.told("已送审")
    await colleague.go("快讯")
    await colleague.page.locator("main").get_by_role("link", name="风险提示：停电").click()
    await expect(colleague.page.get_by_role("button", name="批准并发送")).to_be_visible()
    return colleague


async def _gives_a_smaller_role(admin: Person, colleague: Person) -> None:
    page, theirs = admin.page, colleague.page
    await admin.go("设置", "用户")
    await page.get_by_role("link", name="李", exact=True).click()
    await page.get_by_role("radio", name="分析").check()
    await page.get_by_role("button", name="更改角色，立即生效").click()
    await admin.told("已更改")
    await admin.fits_a_phone("user-changed")
    await theirs.get_by_role("button", name="批准并发送").click()
    await colleague.at("您的角色不能看这一页，或做这件事")
    await colleague.fits_a_phone("no-room")
    await theirs.get_by_role("link", name="回到今日").click()
    await colleague.at("今日")
    await colleague.go("快讯")
    await theirs.locator("main").get_by_role("link", name="风险提示：停电").click()
    await colleague.at("风险提示：停电")
    await expect(theirs.get_by_role("button", name="批准并发送")).to_have_count(0)


async def _makes_and_revokes_a_token(admin: Person) -> None:
    page = admin.page
    await admin.go("设置", "令牌")
    await page.get_by_label("名称：给谁、做什么用").fill("大屏")
    await page.get_by_label("看报告").check()
    await page.get_by_role("button", name="新建").click()
    await admin.told("只显示这一次")
    await admin.go("令牌")
    row = page.get_by_role("row").filter(has_text="大屏")
    await row.get_by_role("button", name="作废").click()
    await admin.told("已作废")
    await expect(row).to_contain_text("已作废")


async def _reads_the_log(admin: Person) -> None:
    page = admin.page
    await admin.go("设置", "操作记录")
    rows = page.locator("tbody tr")
    for words in (
        "开启第二重验证",
        "登录",
        "退出",
        "上传名单文件",
        "开始导入",
        "保存细分",
        "停发一个地址",
        "邀请用户",
        "更改角色",
        "送审",
        "新建令牌",
        "作废令牌",
    ):
        await expect(rows.filter(has=page.get_by_role("cell", name=words, exact=True)).first).to_be_visible()
    changed = rows.filter(has_text="更改角色")
    await expect(rows.filter(has_text="保存细分")).to_contain_text("读栏目：其中之一 国策要论")
    await expect(rows.filter(has_text="写一则快讯")).to_contain_text("发给：全部订阅者")
    await expect(changed).to_contain_text(re.compile("角色：审核\\s*→\\s*分析"))
    await admin.fits_a_phone("audit")
    await changed.get_by_role("link", name="李").click()
    await admin.at("李")
