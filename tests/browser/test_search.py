"""The console's search answers as one types: by keyboard alone, by an input method, with and without a script."""

import os

import pytest
from playwright.async_api import Browser, Page, expect
from tests.integration.web.console.conftest import PASSWORD, _cheap_hashes, _closing, somebody
from tests.integration.web.readers_site import Site
from tests.making import DSJ, import_csv

from bdnews_dispatch.accounts.rights import Role

pytestmark = pytest.mark.browser
__all__ = ["_cheap_hashes", "_closing"]
SHOTS = os.environ.get("BDNEWS_TEST_SHOTS")
PEOPLE = (
    "email,name\n"
    + "".join(f"wang{n}@readers.example,王{n}\n" for n in range(12))
    + "li@readers.example,李\n"
)


async def at_the_desk(site: Site, browser: Browser, role: Role = Role.ADMIN, **context: object) -> Page:
    desk = await somebody(site, role)
    await import_csv(site.database, site.clock, DSJ, PEOPLE.encode(), list_name=None, origin_name="t.csv")
    page = await (await browser.new_context(locale="zh-CN", **context)).new_page()  # type: ignore[arg-type]
    base = str(site.client.make_url("/")).rstrip("/")
    await page.goto(f"{base}/console/sign-in")
    await page.fill("input[name=email]", desk.email)
    await page.fill("input[name=password]", PASSWORD)
    await page.click("button")
    return page


async def test_a_person_is_found_by_keyboard_alone(site: Site, browser: Browser) -> None:
    page = await at_the_desk(site, browser)
    refused: list[str] = []
    page.on("console", lambda said: refused.append(said.text) if said.type == "error" else None)
    field = page.get_by_role("combobox")
    await expect(field).to_have_attribute("aria-expanded", "false")  # the script is there
    await page.keyboard.press("/")
    await expect(field).to_be_focused()
    await expect(field).to_have_value("")
    await page.keyboard.type("wang")
    options = page.get_by_role("option")
    await expect(options).to_have_count(8)
    await expect(field).to_have_attribute("aria-expanded", "true")
    await expect(page.locator(".search [aria-live]")).to_contain_text("找到 8 位")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowDown")
    await expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    chosen = await options.nth(1).get_attribute("id")
    await expect(field).to_have_attribute("aria-activedescendant", chosen or "")
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("ArrowUp")
    await expect(options.nth(7)).to_have_attribute("aria-selected", "true")
    if SHOTS:
        await page.screenshot(path=f"{SHOTS}/search-1280.png")
        await page.emulate_media(color_scheme="dark")
        await page.set_viewport_size({"width": 375, "height": 667})
        await page.screenshot(path=f"{SHOTS}/search-375.png")
    await page.keyboard.press("Escape")
    await expect(options.first).to_be_hidden()
    await expect(field).to_have_value("wang")
    await expect(field).to_have_attribute("aria-expanded", "false")
    await page.keyboard.type("/")  # in a field it is a letter like others
    await expect(field).to_have_value("wang/")
    await expect(page.locator(".search [aria-live]")).to_contain_text("没有这样开头的")
    await field.fill("李")
    await expect(options).to_have_count(1)
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("李")
    assert refused == []


async def test_enter_without_a_choice_and_no_script_at_all_lead_to_the_list(
    site: Site, browser: Browser
) -> None:
    page = await at_the_desk(site, browser, java_script_enabled=False)
    await page.fill("header input[type=search]", "wang")
    await page.keyboard.press("Enter")
    await expect(page.locator("tbody tr")).to_have_count(12)


async def test_who_may_not_see_people_has_no_search(site: Site, browser: Browser) -> None:
    page = await at_the_desk(site, browser, Role.ANALYST)
    await page.keyboard.press("/")
    await expect(page.locator("input[data-find]")).to_have_count(0)
