"""A reader with a phone: preferences, unsubscribing, reading; by thumb, by keyboard, in the dark, without scripts."""

from collections.abc import Sequence
from typing import Any

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect
from tests.integration.web.readers_site import Site

from bdnews_dispatch.dispatch.models import Delivery
from bdnews_dispatch.subscribers import agreements

pytestmark = pytest.mark.browser

PHONE = {"width": 375, "height": 667}
#: WCAG 2.1, 1.4.3: text of normal size.
LEAST_CONTRAST = 4.5


async def context(browser: Browser, **options: Any) -> BrowserContext:
    values: dict[str, Any] = {"viewport": PHONE, "locale": "zh-CN", "java_script_enabled": True}
    return await browser.new_context(**values | options)


async def sections(site: Site) -> list[str] | None:
    async with site.database.read() as session:
        row = await agreements.current(session, 1, "dsj")
    return row.sections if row is not None else None


def addresses(site: Site, sent: Sequence[Delivery]) -> dict[str, str]:
    base = site.links.base_url
    return {
        "preferences": site.links.preferences(sent[0].key),
        "preferences, both ways": site.links.preferences(sent[1].key),
        "unsubscribe": site.links.unsubscribe(sent[0].key),
        "web copy": site.links.web_copy(sent[0].key),
        "issues": f"{base}/issues/dsj",
        "issue": f"{base}/issues/dsj/7",
        "every block": f"{base}/issues/dsj/7/1",
        "article": f"{base}/issues/dsj/112/3",
        "not there": f"{base}/nothing",
        "demo": f"{base}/demo",
    }


async def test_a_reader_changes_sections_and_takes_it_back(
    browser: Browser, site: Site, sent: Sequence[Delivery]
) -> None:
    page = await (await context(browser)).new_page()
    await page.goto(site.links.preferences(sent[0].key))
    frontier = page.get_by_role("switch", name="前沿观察")
    await expect(frontier).not_to_be_checked()
    await frontier.check()
    await page.get_by_role("button", name="保存").click()
    await expect(page.get_by_role("status")).to_contain_text("已保存")
    assert await sections(site) == ["policy", "local", "frontier"]
    await expect(page.get_by_role("switch", name="前沿观察")).to_be_checked()
    await page.get_by_role("button", name="撤销这次更改").click()
    await expect(page.get_by_role("status")).to_contain_text("已撤销")
    assert await sections(site) == ["policy", "local"]


async def test_preferences_by_keyboard_alone(browser: Browser, site: Site, sent: Sequence[Delivery]) -> None:
    page = await (await context(browser)).new_page()
    await page.goto(site.links.preferences(sent[0].key))
    await page.keyboard.press("Tab")
    await expect(page.locator(":focus")).to_have_text("跳到正文")
    for _ in range(20):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.value") == "company":
            break
    assert await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    await page.keyboard.press("Space")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("已保存")
    assert await sections(site) == ["policy", "local", "company"]


async def test_nothing_chosen_is_said(browser: Browser, site: Site, sent: Sequence[Delivery]) -> None:
    page = await (await context(browser)).new_page()
    await page.goto(site.links.preferences(sent[0].key))
    for name in ("国策要论", "地方新政"):
        await page.get_by_role("switch", name=name).uncheck()
    await page.get_by_role("button", name="保存").click()
    await expect(page.get_by_role("alert")).to_contain_text("还没有保存")
    assert await sections(site) == ["policy", "local"]


async def test_unsubscribing_without_scripts_on_a_phone(
    browser: Browser, site: Site, sent: Sequence[Delivery]
) -> None:
    page = await (await context(browser, java_script_enabled=False)).new_page()
    await page.goto(site.links.unsubscribe(sent[0].key))
    await expect(page.get_by_role("heading", level=1)).to_contain_text("退订《大数据发展动态》")
    assert await sections(site) is not None
    button = page.get_by_role("button", name="退订")
    box = await button.bounding_box()
    assert box is not None
    assert box["height"] >= 44, "large enough for a thumb"
    await button.click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("已退订")
    assert await sections(site) is None
    await page.get_by_role("button", name="太频繁").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("谢谢")
    await page.get_by_role("button", name="恢复订阅").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("已恢复订阅")
    assert await sections(site) == ["policy", "local"]


@pytest.mark.parametrize("language", ["zh", "en"])
async def test_no_page_scrolls_sideways_on_a_phone(
    browser: Browser, site: Site, sent: Sequence[Delivery], language: str
) -> None:
    page = await (await context(browser)).new_page()
    for name, address in addresses(site, sent).items():
        await page.goto(f"{address}?lang={language}")
        assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], name


async def test_pages_have_names_landmarks_and_ask_nobody_else(
    browser: Browser, site: Site, sent: Sequence[Delivery]
) -> None:
    page = await (await context(browser)).new_page()
    asked: list[str] = []
    faults: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "console", lambda message: faults.append(message.text) if "Content Security" in message.text else None
    )
    for name, address in addresses(site, sent).items():
        await page.goto(address)
        assert await page.title(), name
        assert await page.get_by_role("main").count() == 1, name
        assert await page.get_by_role("heading", level=1).count() == 1, name
        assert await page.locator("html").get_attribute("lang") == "zh-CN"
        unnamed = await page.evaluate(
            "[...document.querySelectorAll('a,button,input:not([type=hidden])')].filter(e =>"
            " !(e.textContent || '').trim() && !(e.labels && e.labels.length)).length"
        )
        assert unnamed == 0, name
    assert {url for url in asked if not url.startswith((site.links.base_url, "data:"))} == set()
    assert faults == []


#: Every text that a reader sees against what is behind it, by the formula of WCAG 2.1.
CONTRASTS = """
() => {
  const numbers = c => (c.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = numbers(getComputedStyle(e).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return numbers(getComputedStyle(document.documentElement).backgroundColor).slice(0, 3);
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || !element.checkVisibility()) continue;
    const [a, b] = [light(numbers(getComputedStyle(element).color)), light(behind(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    found.push([contrast, element.className || element.tagName, element.textContent.trim().slice(0, 20)]);
  }
  return found;
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_text_stands_out_by_day_and_by_night(
    browser: Browser, site: Site, sent: Sequence[Delivery], scheme: str
) -> None:
    page = await (await context(browser, color_scheme=scheme)).new_page()
    for name, address in addresses(site, sent).items():
        await page.goto(address)
        dark_paper = (
            await page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 28)"
        )
        assert dark_paper == (scheme == "dark")
        texts = await page.evaluate(CONTRASTS)
        assert len(texts) >= 4, name
        assert [text for text in texts if text[0] < LEAST_CONTRAST] == [], name


async def test_the_qr_code_is_for_desktops_and_paper(
    browser: Browser, site: Site, sent: Sequence[Delivery]
) -> None:
    page = await (await context(browser)).new_page()
    await page.goto(f"{site.links.base_url}/issues/dsj/112/3")
    code = page.locator("figure.code")
    await expect(code).to_be_hidden()
    await page.set_viewport_size({"width": 1200, "height": 900})
    await expect(code).to_be_visible()
    await page.set_viewport_size({"width": 375, "height": 667})
    await page.emulate_media(media="print")
    await expect(code).to_be_visible()


async def test_the_demo_page_keeps_itself_up_to_date(
    browser: Browser, site: Site, sent: Sequence[Delivery]
) -> None:
    page: Page = await (await context(browser, viewport={"width": 1200, "height": 900})).new_page()
    await page.goto(f"{site.links.base_url}/")
    await expect(page.get_by_role("main")).to_contain_text("接下来可以试试")
    await expect(page.get_by_role("main")).not_to_contain_text("由此退订")
    await site.get(f"{site.links.click(sent[0].key)}/1")
    await site.post(site.links.unsubscribe(sent[0].key), data={"List-Unsubscribe": "One-Click"})
    await expect(page.get_by_role("main")).to_contain_text("由此退订", timeout=20_000)
    await expect(page.get_by_role("main")).to_contain_text("点击 1 次")
