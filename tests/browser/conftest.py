"""A real Chromium for the pages. Where there is none, these tests are left out, and the summary says so in one line."""

import os
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ViewportSize, async_playwright
from tests.integration.web.readers_site import RunningClock, Site, open_site
from tests.integration.web.test_archive import golden

from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.db.migrate import upgrade
from bdnews_dispatch.dispatch.models import Delivery
from bdnews_dispatch.sandbox import Sandbox

#: Quiet and alone: no profile of anybody's, nothing fetched that the page does not ask for.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
#: A small phone.
PHONE_VIEW = ViewportSize(width=375, height=667)
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_LEFT_OUT = pytest.StashKey[int]()
_HERE = Path(__file__).parent


def find_chromium() -> str | None:
    """BDNEWS_TEST_CHROMIUM, else the first of the usual names on PATH."""
    named = os.environ.get("BDNEWS_TEST_CHROMIUM")
    if named:
        return named if os.access(named, os.X_OK) else None
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """All in one event loop, which the browser is of. Without a Chromium, the tests that need one are deselected, not
    failed and not silently passed.
    """
    for item in items:
        if _HERE in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
    if find_chromium() is not None:
        return
    needing = [item for item in items if item.get_closest_marker("browser")]
    if needing:
        items[:] = [item for item in items if not item.get_closest_marker("browser")]
        config.hook.pytest_deselected(items=needing)
        config.stash[_LEFT_OUT] = len(needing)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    left_out = config.stash.get(_LEFT_OUT, 0)
    if left_out:
        terminalreporter.write_line(
            f"{left_out} browser tests left out: no Chromium found. "
            "apt-get install chromium fonts-noto-cjk, or set BDNEWS_TEST_CHROMIUM."
        )


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def browser(chromium: Browser) -> AsyncIterator[Browser]:
    """The same for all tests; what one has opened is closed behind it."""
    yield chromium
    for context in chromium.contexts:
        await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """The application as a demo runs it, with an issue that two people have got, and one with every kind of block."""
    clock = RunningClock()
    database = Database(f"sqlite:///{tmp_path}/test.db")
    await upgrade(database)
    sandbox = Sandbox(
        smtp_host="127.0.0.1",
        smtp_port=0,
        http_host="127.0.0.1",
        http_port=0,
        folder=tmp_path / "sandbox",
        clock=clock,
    )
    async with sandbox, open_site(database, clock, tmp_path, sandbox=sandbox, demo=True) as site:
        await site.publish(golden())
        yield site
    await database.close()


@pytest_asyncio.fixture(loop_scope="session")
async def sent(site: Site) -> Sequence[Delivery]:
    return await site.send(await site.publish())
