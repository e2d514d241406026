"""A demo in a process of its own, and the addresses of all its pages. Callers: pictures.py, tests of all pages.

The table of routes says which pages there are, so a page that is added is walked as well: where its address has a
number in it, some of these are known here, and else a link is followed from a page that was seen before.
"""

import asyncio
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from playwright._impl._api_structures import SetCookieParam
from playwright.async_api import BrowserContext, Page
from tests.browser.conftest import ARGUMENTS as ARGUMENTS  # noqa: PLC0414  # for pictures.py
from tests.browser.conftest import find_chromium as find_chromium  # noqa: PLC0414  # as above
from tests.ports import free_port

from bdnews_dispatch.links import Links, Signer, kept_key
from bdnews_dispatch.web.routes import ROUTES

#: A machine that runs ten other things besides; it takes ten seconds where it does not.
_PATIENCE = 240.0
#: Routes without a page: files, pictures, streams, parts of pages, other programs' doors.
NO_PAGE = re.compile(
    r"^/$|/(o|c)/|/qr\.png|/pictures/|/assets/|/feeds/|/live$|/ready$|\.(json|svg|ics)$|/events$|/news$|/tables$|/audience$|/find$|\{file\}|/result$"
    r"|/wechat/(callback|back)|/api/v1/.*"
)


@dataclass(frozen=True, slots=True)
class Place:
    """A page.

    Attributes:
        name: for a file.
        path: or a whole address, where another server answers.
        inside: it needs a session.
    """

    name: str
    path: str
    inside: bool


@dataclass(slots=True)
class Walked:
    """A demo that is there.

    Attributes:
        cookies: of the one who has signed in.
        left_out: routes of which no page was found.
    """

    base: str
    sandbox: str
    door: str
    folder: Path
    cookies: list[SetCookieParam] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def rows(self, statement: str) -> list[Any]:
        with closing(sqlite3.connect(f"file:{self.folder / 'bdnews.db'}?mode=ro", uri=True)) as database:
            return database.execute(statement).fetchall()

    def one(self, statement: str) -> Any:
        return self.rows(statement)[0][0]

    async def sign_in(self, context: BrowserContext) -> None:
        """By the demo's link, which works once: the cookie of the first one serves the others."""
        if self.cookies:
            await context.add_cookies(self.cookies)
            return
        page = await context.new_page()
        await page.goto(self.door)
        await page.locator("form button").click()
        await page.wait_for_url("**/console/today")
        await page.close()
        for cookie in await context.cookies():
            self.cookies.append(SetCookieParam(name=cookie["name"], value=cookie["value"], url=self.base))

    async def places(self, page: Page) -> list[Place]:
        """Every page. Args: page: of somebody who has signed in."""
        known = await self._known(page)
        found: list[Place] = []
        templates = [
            route.path for route in ROUTES if route.method == "GET" and not NO_PAGE.search(route.path)
        ]
        seen: set[str] = set()
        for template in sorted(templates, key=lambda one: one.count("{")):
            inside = template.startswith("/console/") and not template.startswith(
                ("/console/sign-in", "/console/password")
            )
            paths = known.get(template) or ([template] if "{" not in template else _matching(template, seen))
            if not paths:
                self.left_out.append(template)
            for number, path in enumerate(paths):
                name = re.sub(r"[{}]", "", template).strip("/").replace("/", "-") or "home"
                found.append(Place(name + (f"-{number + 1}" if number else ""), path, inside))
                if inside:
                    await page.goto(self.base + path)
                    seen |= set(await page.eval_on_selector_all("a[href]", "all => all.map(a => a.pathname)"))
        for name, path in (
            ("sandbox", "/"),
            ("sandbox-mail", "/mail/1"),
            ("sandbox-followers", "/followers"),
        ):
            found.append(Place(name, self.sandbox + path, inside=False))
        return found

    async def _asked(self, page: Page, preferences: str) -> str:
        """Ask for a subscription, whose answer is awaited, and for a code to scan. Returns: the code's address."""
        wish: dict[str, str | float | bool] = {
            "email": "chen.wei@readers.example",
            "agree": "1",
            "section": "policy",
            "cadence": "weekly",
        }
        await page.request.post(f"{self.base}/subscribe/dsj", form=wish, max_redirects=0)
        answer = await page.request.post(f"{preferences}/wechat", max_redirects=0)
        return answer.headers.get("location", "")

    def _password(self) -> str:
        """A link by which somebody chooses a password."""
        environment = {
            **os.environ,
            "BDNEWS_SERVICE__DATA_FOLDER": str(self.folder),
            "BDNEWS_DATABASE__URL": f"sqlite:///{self.folder / 'bdnews.db'}",
        }
        command = [sys.executable, "-m", "bdnews_dispatch", "users", "reset", "editor@demo.example"]
        told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        return "/console/password/" + told.split("/console/password/")[1].split()[0]

    async def _known(self, page: Page) -> dict[str, list[str]]:
        """Those worth looking at, where the first one that is linked would not be."""
        links = Links(self.base, Signer([kept_key(self.folder)]))
        key = self.one("SELECT key FROM delivery WHERE dispatch_id = 1 AND state = 'sent' ORDER BY id DESC")
        paused = self.one("SELECT id FROM dispatch WHERE state = 'paused'")
        scheduled = self.one("SELECT id FROM dispatch WHERE state = 'scheduled'")
        issue, review = (
            self.one(f"SELECT id FROM issue WHERE state = '{state}' ORDER BY total_number DESC")
            for state in ("published", "review")
        )
        past = self.one("SELECT max(id) FROM dispatch WHERE kind = 'issue' AND state = 'finished'")
        waiting, draft = (
            self.one(f"SELECT id FROM bulletin_draft WHERE state = '{state}' ORDER BY id DESC")
            for state in ("waiting", "draft")
        )
        person = self.one(
            "SELECT subscriber_id FROM delivery JOIN hit ON delivery_id = delivery.id"
            " WHERE subscriber_id IN (SELECT subscriber_id FROM subscriber_tag)"
            " GROUP BY subscriber_id ORDER BY count(*) DESC"
        )
        code = await self._asked(page, links.preferences(key))
        asked = self.rows("SELECT key FROM request")
        ends = datetime.now(UTC) + timedelta(days=1)
        followers = self.rows("SELECT key FROM follower WHERE key IS NOT NULL")
        absolute = {
            "/p/{token}": [links.preferences(key)],
            "/u/{token}": [links.unsubscribe(key)],
            "/w/{token}": [links.web_copy(key)],
            "/s/{token}": [links.confirm(row[0]) for row in asked[:1]],
            "/f/{token}": [links.follower(row[0], ends=ends) for row in followers[:1]],
        }
        return {
            **{name: [one.removeprefix(self.base) for one in urls] for name, urls in absolute.items()},
            "/issues/{publication}": ["/issues/dsj"],
            "/subscribe/{publication}": ["/subscribe/dsj"],
            "/issues/{publication}/{total}": ["/issues/dsj/112", "/issues/dsj/9999"],
            "/issues/{publication}/{total}/{place}": ["/issues/dsj/112/3"],
            "/console/password/{link}": [self._password(), "/console/password/no-such-link"],
            "/q/{token}": [code.removeprefix(self.base)] if code else [],
            "/demo/console/{link}": ["/demo/console/no-such-link"],
            "/console/issues/{id}": [f"/console/issues/{review}", f"/console/issues/{issue}"],
            "/console/issues/{id}/preview": [
                f"/console/issues/{issue}/preview",
                f"/console/issues/{issue}/preview?form=card",
            ],
            "/console/issues/{id}/frame": [f"/console/issues/{issue}/frame"],
            "/console/dispatches/new": [f"/console/dispatches/new?issue={review}"],
            "/console/dispatches/{id}": [f"/console/dispatches/{id_}" for id_ in (paused, past, scheduled)],
            "/console/dispatches/{id}/deliveries": [f"/console/dispatches/{paused}/deliveries"],
            "/console/bulletins/{id}": [f"/console/bulletins/{id_}" for id_ in (waiting, draft)],
            "/console/bulletins/{id}/frame": [f"/console/bulletins/{waiting}/frame"],
            "/console/reports/{id}": [f"/console/reports/{past}"],
            "/console/subscribers": ["/console/subscribers", "/console/subscribers?tag=专家"],
            "/console/subscribers/{id}": [f"/console/subscribers/{person}"],
            "/console/imports/{id}": ["/console/imports/2", "/console/imports/3"],
        }


def _matching(template: str, seen: set[str]) -> list[str]:
    pattern = re.compile(re.sub(r"\{[a-z]+\}", "[^/]+", template))
    return [path for path in sorted(seen) if pattern.fullmatch(path)][:1]


@asynccontextmanager
async def walked(folder: Path) -> AsyncIterator[Walked]:
    """The demo, with its year counted. Args: folder: it may put its files there."""
    port = free_port()
    environment = {
        **os.environ,
        "BDNEWS_SERVICE__DATA_FOLDER": str(folder),
        "BDNEWS_WEB__PORT": str(port),
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "bdnews_dispatch", "demo"]
    with (folder / "demo.log").open("w+") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)  # noqa: ASYNC220  # returns at once
        try:
            async with asyncio.timeout(_PATIENCE):
                while "Ctrl-C" not in (text := (folder / "demo.log").read_text(encoding="utf-8")):
                    if process.poll() is not None:
                        raise RuntimeError(text)
                    await asyncio.sleep(0.2)
                demo = Walked(
                    f"http://127.0.0.1:{port}",
                    _named(text, "读邮件"),
                    _named(text, "管理员"),
                    folder / f"demo-{port}",
                )
                while not _counted(demo):
                    await asyncio.sleep(0.5)
            yield demo
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def with_language(address: str, language: str) -> str:
    return address if language == "zh" else f"{address}{'&' if '?' in address else '?'}lang={language}"


def _named(text: str, name: str) -> str:
    found = re.search(rf"{name}\s+(\S+)", text)
    assert found is not None, text
    return found.group(1).rstrip("/")


def _counted(demo: Walked) -> bool:
    """Whether the reports have caught up."""
    left = demo.one(
        "SELECT count(*) FROM dispatch LEFT JOIN counted_dispatch ON dispatch_id = dispatch.id"
        " WHERE state != 'scheduled' AND counted_at IS NULL"
    )
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    closed = demo.one("SELECT max(day) FROM growth WHERE publication = 'dsj'")
    return left == 0 and closed is not None and str(closed) >= yesterday.isoformat()
