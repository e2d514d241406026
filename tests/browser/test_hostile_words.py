"""Strangers' words on every page: they come in by the real doors; a real browser, with the real policy, runs none."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from playwright.async_api import Browser
from sqlmodel import func, select
from tests.browser.hostile_words import HALF, MANY, PAYLOADS, bring, wrong_with
from tests.integration.web.console.conftest import PASSWORD, Desk, _cheap_hashes, _closing, somebody
from tests.integration.web.following_site import AccountSite, open_account_site
from tests.integration.web.readers_site import RunningClock

from bdnews_dispatch.accounts.rights import Role
from bdnews_dispatch.bulletins.models import BulletinDraft
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.db.migrate import upgrade
from bdnews_dispatch.dispatch.models import Dispatch
from bdnews_dispatch.issues.models import Issue
from bdnews_dispatch.subscribers.imports.models import ImportRun
from bdnews_dispatch.subscribers.models import Subscriber
from bdnews_dispatch.watched_feeds.models import WatchedFeed
from bdnews_dispatch.web.access import Permission
from bdnews_dispatch.web.routes import ROUTES
from bdnews_dispatch.webhooks.models import Webhook

pytestmark = pytest.mark.browser
__all__ = ["_cheap_hashes", "_closing"]
#: Of each room's pages, as many as there are rows.
TABLES = {
    "issues": Issue,
    "bulletins": BulletinDraft,
    "dispatches": Dispatch,
    "reports": Dispatch,
    "subscribers": Subscriber,
    "imports": ImportRun,
    "webhooks": Webhook,
    "sources": WatchedFeed,
}
#: Pages of one kind, that is: a room's list shows everybody.
MOST = 3
#: What pages may read of their address.
ASKED = (
    "q", "name", "list", "tag", "done", "next", "state", "issue", "lang", "language", "section", "sections", "form",
    "width", "scheme", "error", "page", "sort", "order", "from", "to", "by", "what", "kind", "segment", "template",
    "title", "unit", "days", "month", "view", "role", "email", "actor", "action", "subject", "domain",
)  # fmt: skip
#: Whose fields may be anything: what is refused is shown again.
TYPED = (
    "name", "description", "email", "evidence", "tag", "list", "note", "reason", "target", "url", "names", "title",
    "body", "words", "basis", "openid", "rule", "source", "confirm", "at", "publication", "channel", "cadence", "to",
)  # fmt: skip
#: Listens before any script of a page's; `hurt` is told to the test.
LISTENS = """
window.refused = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.refused.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""
#: In the document as it stands: what is no page's own.
FOUND = """(mail) => {
  const found = [];
  for (const one of document.querySelectorAll("*")) {
    const tag = one.localName;
    if (tag === "script" && !one.src.startsWith(location.origin + "/assets/")) found.push(one.outerHTML);
    if (["base", "object", "embed", "foreignobject", "animate", "set"].includes(tag)) found.push(tag);
    if (tag === "iframe" && !one.src.startsWith(location.origin + "/console/")) found.push(one.outerHTML);
    for (const { name, value } of one.attributes) {
      if (name.startsWith("on") || (name === "style" && !mail)) found.push(`${tag} ${name}`);
      if (["href", "src", "action", "formaction", "srcdoc", "xlink:href"].includes(name)
          && /^[\\s\\x00-\\x20]*(javascript|vbscript|data:text)/i.test(value)) found.push(`${tag} ${name}=${value}`);
    }
  }
  return found.concat(window.refused || []);
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def site(tmp_path: Path) -> AsyncIterator[AccountSite]:
    clock = RunningClock()
    database = Database(f"sqlite:///{tmp_path}/test.db")
    await upgrade(database)
    async with open_account_site(database, clock, tmp_path, demo=True) as site:
        yield site
    await database.close()


async def rooms_of(site: AccountSite) -> list[str]:
    """Every page of the console, with every number that there is; a new route is among them by itself."""
    numbers: dict[str, int] = {}
    async with site.database.read() as session:
        for room, table in TABLES.items():
            there = int((await session.exec(select(func.count()).select_from(table))).one())
            numbers[room] = min(there, MOST)
    pages: list[str] = []
    for route in ROUTES:
        if route.method != "GET" or route.permission is not Permission.SESSION or "events" in route.path:
            continue
        path = re.sub(
            r"\{(?!id\})\w+\}", lambda found: "report.csv" if found[0] == "{file}" else "1", route.path
        )
        room = path.split("/")[2]
        pages += (
            [path.replace("{id}", str(number)) for number in range(1, numbers.get(room, 1) + 1)]
            if "{id}" in path
            else [path]
        )
    return pages


async def test_strangers_words_stay_words(site: AccountSite, browser: Browser) -> None:
    desk = await somebody(site, Role.ADMIN)
    readers = await bring(site, desk)
    found = await wrong_as_sent(site, desk, readers)
    assert found == [], "\n".join(found)
    found = await wrong_in_a_browser(site, desk, readers, browser)
    assert found == [], "\n".join(found)


async def wrong_as_sent(site: AccountSite, desk: Desk, readers: list[str]) -> list[str]:
    """By the server: every page, every question in its address, every form that is refused."""
    rooms = await rooms_of(site)
    wrong: list[str] = []

    async def judged(path: str, text: str, kind: str) -> None:
        if kind == "text/html":
            wrong.extend(f"{path[:80]}: {what}" for what in wrong_with(text, mail="/frame" in path))
        elif kind == "text/csv":
            cells = re.split(r'(?:^|,|\r?\n)"?', text.lstrip("\ufeff"))
            wrong.extend(f"{path[:80]}: {cell[:30]}" for cell in cells if re.match(r"[=+@\t]|-(?!\d)", cell))

    for path in [*rooms, *readers]:
        answer = await desk.client.get(path, allow_redirects=False)
        assert answer.status in {200, 302, 303, 404}, (path, answer.status)
        await judged(path, await answer.text(), answer.content_type)
    single = [path for path in rooms if not re.search(r"/([2-9]|\d\d+)(/|$)", path)]
    for path in [*single, *(page for page in readers if not re.search(r"/([2-9]|\d\d)$", page))]:
        for payload in (MANY, PAYLOADS[5]):
            query = urlencode(dict.fromkeys(ASKED, payload))
            answer = await desk.client.get(
                f"{path}{'&' if '?' in path else '?'}{query}", allow_redirects=False
            )
            assert answer.status < 500, (path, payload, query)
            await judged(f"{path}?{payload}", await answer.text(), answer.content_type)
            assert not re.search(r"[\r\n]", answer.headers.get("Location", ""))
            assert "evil" not in answer.headers.get("Location", "").partition("?")[0]
    csrf = await desk.csrf()
    for route in ROUTES:
        if route.method != "POST" or route.permission is not Permission.SESSION or route.upload:
            continue
        if re.search(r"sign-out|erase|discard|remove|undo|cancel", route.path):
            continue
        path = re.sub(r"\{\w+\}", "1", route.path)
        for payload in (MANY, PAYLOADS[5], PAYLOADS[8]):
            form = {**dict.fromkeys(TYPED, payload), "csrf": csrf, "do": "save"}
            answer = await desk.client.post(path, data=form, allow_redirects=False)
            assert answer.status < 500, (path, payload, await answer.text())
            await judged(f"POST {path}", await answer.text(), answer.content_type)
        rows = {
            "g0": "all",
            "r0.group": "0",
            "r0.kind": "tag:any_of",
            "r0.value": MANY,
            "r1.group": "0",
            "r1.value": MANY,
        }
        answer = await desk.client.post(
            path, data={**rows, "csrf": csrf, "do": "count"}, allow_redirects=False
        )
        await judged(f"POST {path}", await answer.text(), answer.content_type)
        half = b"csrf=" + csrf.encode() + b"".join(b"&%s=%s" % (name.encode(), HALF) for name in TYPED)
        answer = await desk.client.post(
            path,
            data=half,
            allow_redirects=False,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        assert answer.status < 500, path
        await judged(f"POST {path}", await answer.text(), answer.content_type)
    for path in ("/subscribe/dsj", "/console/sign-in", readers[-3], readers[-2]):
        for payload in (MANY, PAYLOADS[5], PAYLOADS[8]):
            answer = await site.client.post(path, data=dict.fromkeys(TYPED, payload), allow_redirects=False)
            assert answer.status < 500, path
            await judged(f"POST {path}", await answer.text(), answer.content_type)
    return wrong


async def wrong_in_a_browser(
    site: AccountSite, desk: Desk, readers: list[str], browser: Browser
) -> list[str]:
    """With the policy as it is: what ran, what was refused, what stands in the document."""
    rooms = await rooms_of(site)
    base = site.links.base_url
    context = await browser.new_context(locale="zh-CN")
    hurts: list[str] = []
    await context.expose_function("hurt", lambda what: hurts.append(str(what)))
    await context.add_init_script(LISTENS)
    page = await context.new_page()

    async def dismissed(dialog: object) -> None:
        hurts.append("a dialog")
        await dialog.dismiss()  # type: ignore[attr-defined]  # playwright's

    page.on("dialog", dismissed)
    page.on("pageerror", lambda error: hurts.append(f"{page.url}: {error}"))
    page.on(
        "console",
        lambda said: (
            hurts.append(f"{page.url}: {said.text}") if "Content Security Policy" in said.text else None
        ),
    )
    await page.goto(f"{base}/console/sign-in")
    await page.fill("input[name=email]", desk.email)
    await page.fill("input[name=password]", PASSWORD)
    await page.click("button")
    question = urlencode(dict.fromkeys(ASKED, MANY))
    asked = [f"{path}?{question}" for path in rooms if path.count("/") == 2]
    wrong: list[str] = []
    for path in [*rooms, *readers, *asked]:
        if path.endswith((".csv", "/result")):
            continue  # a file that is saved
        await page.goto(base + path)
        wrong += [f"{path}: {what}" for what in await page.evaluate(FOUND, "/frame" in path)]
    await context.close()
    return hurts + wrong
