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
PHONE, DESK = ViewportSize(width=375, height=667), ViewportSize(width=1280, height=900)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walked]:
    with asyncio.Runner() as runner:
        running = walked(tmp_path_factory.mktemp("demo"))
        yield runner.run(running.__aenter__())
        runner.run(running.__aexit__(None, None, None))


async def test_axe_finds_nothing_and_no_page_is_wider_than_its_screen(browser: Browser, demo: Walked) -> None:
    inside, outside = [await browser.new_context() for _ in range(2)]
    # The policy of a mail's frame lets no script run at all, and axe is one.
    of_mails = await browser.new_context(bypass_csp=True)
    for context in (inside, of_mails):
        await demo.sign_in(context)
    # Two at a time.
    pages = [[await context.new_page() for context in (inside, outside, of_mails)] for _ in range(2)]
    places = await demo.places(pages[0][0])
    assert demo.left_out == []
    found: list[str] = []
    # Another language, another width: each page is laid out in both ways, and said in both.
    passes: tuple[tuple[str, ViewportSize, Literal["light", "dark"]], ...]
    passes = (("zh", DESK, "light"), ("en", PHONE, "dark"))
    if FULL:
        passes += (("zh", PHONE, "dark"), ("en", DESK, "light"))
    for language, size, scheme in passes:

        async def look_at(own: Sequence[Page], some: Sequence[Place]) -> None:
            for page in own:
                await page.set_viewport_size(size)  # noqa: B023  # awaited in this turn
            for place in some:
                page = own[2 if _is_mail(place) else 0 if place.inside else 1]
                found.extend(await _wrong_with(page, demo, place, language, scheme))  # noqa: B023  # as above

        await asyncio.gather(*(look_at(own, places[turn::2]) for turn, own in enumerate(pages)))
    assert not found, "\n".join(found)


def _is_mail(place: Place) -> bool:
    return place.name.endswith("-frame")


async def _wrong_with(
    page: Page, demo: Walked, place: Place, language: str, scheme: Literal["light", "dark"]
) -> list[str]:
    """What the browser tells of it, then all rules."""
    await page.emulate_media(color_scheme=scheme)
    told, name = await look(page, demo, place, language), f"{place.name} {language} {scheme}"
    found = [f"{name}: {what} {told[what]}" for what in ("overflow", "errors") if told[what]]
    if told["status"] >= 500:
        found.append(f"{name}: {told['status']}")
    await page.evaluate(AXE_SCRIPT)
    return found + await _run(page, OF_A_MAIL if _is_mail(place) else OPTIONS, name)


async def _run(page: Page, options: dict[str, Any], name: str) -> list[str]:
    """Which rule is broken, where, and why."""
    answer = await page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{name}: {violation['id']} {node['target']} {' '.join(str(node['failureSummary']).split())[:200]}"
        for violation in answer["violations"]
        for node in violation["nodes"][:5]
    ]
