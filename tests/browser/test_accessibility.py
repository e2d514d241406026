"""Every page of the console and of the readers, for everybody: axe-core finds nothing, none is wider than a phone.

By day and by night, in Chinese and in English: in two of the four ways, in all with BDNEWS_TEST_FULL.
The pages are those of the demo's year (walking.py), in one process.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.async_api import Browser, Page, ViewportSize
from tests.browser.pictures import look
from tests.browser.walking import Place, Walked, walked
from tests.making import FULL

pytestmark = pytest.mark.browser

#: Frames are pages of their own here. A mail has no landmarks: it stands in somebody else's page.
OPTIONS: dict[str, Any] = {
    "iframes": False,
    "resultTypes": ["violations"],
    "rules": {"target-size": {"enabled": True}},
}
OF_A_MAIL: dict[str, Any] = {**OPTIONS, "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
#: What another scheme may break.
OF_COLOUR: dict[str, Any] = {"iframes": False, "runOnly": {"type": "rule", "values": ["color-contrast"]}}
PHONE, DESK = ViewportSize(width=375, height=667), ViewportSize(width=1280, height=900)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walked]:
    with asyncio.Runner() as runner:
        running = walked(tmp_path_factory.mktemp("demo"))
        yield runner.run(running.__aenter__())
        runner.run(running.__aexit__(None, None, None))


async def test_axe_finds_nothing(browser: Browser, demo: Walked) -> None:
    # The console's policy lets no script in that is not a file of ours; axe is none.
    context, guest = [await browser.new_context(bypass_csp=True) for _ in range(2)]
    await demo.sign_in(context)
    pages = [(await context.new_page(), await guest.new_page()) for _ in range(2)]  # two at a time
    places = await demo.places(pages[0][0])
    assert demo.left_out == []
    found: list[str] = []
    # Another language, another width: each page is laid out in both ways, and said in both.
    passes: tuple[tuple[str, ViewportSize, Literal["light", "dark"]], ...]
    passes = (("zh", PHONE, "light"), ("en", DESK, "dark"))
    if FULL:
        passes += (("zh", DESK, "dark"), ("en", PHONE, "light"))
    for language, size, first in passes:

        async def look_at(inside: Page, outside: Page, some: Sequence[Place]) -> None:
            for page in (inside, outside):
                await page.set_viewport_size(size)  # noqa: B023  # awaited in this turn
            for place in some:
                page = inside if place.inside else outside
                for one in await _violations(page, demo, place, language, first):  # noqa: B023  # as above
                    found.append(f"{language} {one}")  # noqa: B023, PERF401  # as above

        await asyncio.gather(*(look_at(*pair, places[turn::2]) for turn, pair in enumerate(pages)))
    assert not found, "\n".join(found)


async def test_no_page_is_wider_than_a_phone_or_complains(browser: Browser, demo: Walked) -> None:
    context, guest = await browser.new_context(), await browser.new_context()
    await demo.sign_in(context)
    inside, outside = await context.new_page(), await guest.new_page()
    places = await demo.places(inside)
    for page in (inside, outside):
        await page.set_viewport_size(PHONE)
    told = [await look(inside if place.inside else outside, demo, place, "en") for place in places]
    assert [one for one in told if one["overflow"] or one["errors"] or one["status"] >= 500] == []


async def _violations(
    page: Page, demo: Walked, place: Place, language: str, scheme: Literal["light", "dark"]
) -> list[str]:
    """All rules in one scheme; in Chinese the colours of the other one as well."""
    await page.emulate_media(color_scheme=scheme)
    await look(page, demo, place, language)
    await page.evaluate(AXE_SCRIPT)
    options = OF_A_MAIL if place.name.endswith("-frame") else OPTIONS
    found = await _run(page, options, f"{place.name} {scheme}")
    if scheme == "dark":
        return found
    await page.emulate_media(color_scheme="dark")
    return found + await _run(page, OF_COLOUR, f"{place.name} dark")


async def _run(page: Page, options: dict[str, Any], name: str) -> list[str]:
    """Which rule is broken, where, and why."""
    answer = await page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{name}: {violation['id']} {node['target']} {' '.join(str(node['failureSummary']).split())[:200]}"
        for violation in answer["violations"]
        for node in violation["nodes"][:5]
    ]
