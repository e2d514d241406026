"""Every form of the console, sent as another site would make a browser send it: refused, and not a row is another."""

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pytest
from aiohttp import FormData
from sqlmodel import SQLModel, select
from tests.integration.web.console.conftest import PASSWORD, Desk, somebody
from tests.integration.web.readers_site import PEOPLE, Site
from tests.making import DSJ, document, import_csv

from bdnews_dispatch.accounts.models import ConsoleSession, SignInFailure
from bdnews_dispatch.accounts.rights import Role
from bdnews_dispatch.accounts.users import add_user, make_link
from bdnews_dispatch.dispatch.starting import start_issue
from bdnews_dispatch.web.access import Permission, Route
from bdnews_dispatch.web.routes import ROUTES

#: The door knows no database.
pytestmark = pytest.mark.database("sqlite")

FORMS = [route for route in ROUTES if route.permission is Permission.SESSION and route.method != "GET"]
SHOWN = {route.path for route in ROUTES if route.method == "GET"}
#: Enough for each of them to do something, were it let in.
FIELDS = {
    "name": "名单",
    "description": "说明",
    "rule": '{"field": "channel", "any_of": ["email"]}',
    "email": "new@readers.example",
    "evidence": "来电",
    "publication": "dsj",
    "tag": "专家",
    "list": "名单",
    "channel": "email",
    "note": "来电",
    "reason": "来电",
    "confirm": "删除",
    "target": "x@readers.example",
    "url": "https://hooks.example/x",
    "names": "issue.published",
    "title": "题目",
    "body": "正文",
    "basis": "登记",
    "issue": "1",
    "do": "save",
    "warning": "0",
    "state": "withdrawn",
    "revision": "1",
    "source": "另一来源",
    "before": "stay",
    "section": "policy",
}
#: These are seen to change something with the page's own word: else the test would show nothing.
SURELY = {
    "/console/lists",
    "/console/segments",
    "/console/subscribers/new",
    "/console/subscribers/{id}/tag",
    "/console/suppressions",
    "/console/webhooks",
    "/console/bulletins/new",
    "/console/imports",
    "/console/issues/{id}/articles/{place}",
    "/console/subscribers/{id}/erase",
    "/console/sign-out",
}


@dataclass(frozen=True, slots=True)
class Forged:
    """A request as it would come. Attributes: word: `ours`, `another`'s session's, or none."""

    name: str
    word: str
    headers: dict[str, str]
    method: str = "POST"


FORGERIES = (
    Forged("without the word", "", {}),
    Forged("with another session's word", "another", {}),
    Forged("from another origin", "ours", {"Origin": "https://evil.example"}),
    Forged("from no origin that it tells", "ours", {"Origin": "null"}),
    Forged("from another site", "ours", {"Sec-Fetch-Site": "cross-site"}),
    Forged("from a neighbour", "ours", {"Sec-Fetch-Site": "same-site"}),
    Forged("by a link", "ours", {}, "GET"),
)


def filled(path: str) -> str:
    return re.sub(r"\{\w+\}", "1", path)


def form_of(route: Route, word: str) -> FormData | dict[str, str]:
    fields = {**FIELDS, **({"csrf": word} if word else {})}
    if not route.upload:
        return fields
    form = FormData()
    for name, value in fields.items():
        form.add_field(name, value)
    form.add_field("file", b"email\nupload@readers.example\n", filename="a.csv")
    return form


async def rows_of(site: Site) -> str:
    """A fingerprint of every row of every table; when a session was last seen is no change of anything."""
    digest = sha256()
    async with site.database.read() as session:
        for table in SQLModel.metadata.sorted_tables:
            columns = [column for column in table.columns if column.name != "seen_at"]
            rows = sorted(repr(tuple(row)) for row in (await session.execute(select(*columns))).all())
            digest.update(f"{table.name}{rows}".encode())
    return digest.hexdigest()


@pytest.fixture
async def full(site: Site) -> Desk:
    """One of everything, and an admin."""
    desk = await somebody(site, Role.ADMIN)
    issue = await site.publish(document())
    await import_csv(site.database, site.clock, DSJ, PEOPLE, list_name="名单", origin_name="t.csv")
    async with site.database.write() as session:
        await start_issue(session, site.clock, issue)
    for path in ("bulletins/new", "webhooks", "sources"):
        assert (await desk.post(f"/console/{path}", FIELDS)).status in {200, 303}, path
    return desk


async def sent(desk: Desk, route: Route, forged: Forged, word: str) -> int:
    data: dict[str, Any] = (
        {"data": form_of(route, word)} if forged.method == "POST" else {"params": {**FIELDS, "csrf": word}}
    )
    answer = await desk.client.request(
        forged.method, filled(route.path), headers=forged.headers, allow_redirects=False, **data
    )
    await answer.read()
    return answer.status


async def test_no_form_of_another_site_changes_a_row(site: Site, full: Desk) -> None:
    words = {"": "", "ours": await full.csrf(), "another": await (await somebody(site, Role.EDITOR)).csrf()}
    before = await rows_of(site)
    for route in FORMS:
        for forged in FORGERIES:
            status = await sent(full, route, forged, words[forged.word])
            if forged.method == "GET" and route.path in SHOWN:
                assert status == 200, (route.path, "the page itself")
            else:
                # "live" is no number of a bulletin, whose page a GET would ask for.
                refused = {403, 405} | ({404} if forged.method == "GET" else set())
                assert status in refused, (route.path, forged.name, status)
        assert await rows_of(site) == before, route.path


async def test_the_pages_own_word_lets_them_in(site: Site, full: Desk) -> None:
    """The same fields: what is refused above is refused for the word and the origin alone."""
    word, changed = await full.csrf(), set()
    rows = sorted(FORMS, key=lambda route: (route.path == "/console/sign-out", route.path.endswith("erase")))
    for route in rows:
        before = await rows_of(site)
        status = await sent(full, route, Forged("ours", "ours", {"Sec-Fetch-Site": "same-origin"}), word)
        assert status not in {403, 405, 500}, (route.path, status)
        if await rows_of(site) != before:
            changed.add(route.path)
    assert changed >= SURELY


async def test_nobody_is_signed_in_from_another_site(site: Site) -> None:
    """Else a stranger could have somebody work in the stranger's own account; nor is a password chosen for them."""
    async with site.database.write() as session:
        user = await add_user(session, site.clock, email="zhang@example.cn", name="", role=Role.ADMIN)
        link = await make_link(session, site.clock, user)
    before = await rows_of(site)
    for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        for path, form in (
            ("/console/sign-in", {"email": "zhang@example.cn", "password": PASSWORD}),
            (f"/console/password/{link}", {"password": PASSWORD, "again": PASSWORD}),
        ):
            answer = await site.client.post(path, data=form, headers=headers, allow_redirects=False)
            assert answer.status == 403, (path, headers)
            assert "Set-Cookie" not in answer.headers
    assert await rows_of(site) == before
    async with site.database.read() as session:
        assert (await session.exec(select(ConsoleSession))).all() == []
        assert (await session.exec(select(SignInFailure))).all() == []
