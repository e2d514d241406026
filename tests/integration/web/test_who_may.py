"""Every route with everybody who could ask for it, over a socket, against the table in who_may.txt.

Nobody, each role, a user who was disabled, sessions that are over, tokens of too small a scope.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import pytest
from aiohttp import ClientResponse, FormData
from sqlmodel import col, select, update
from tests.integration.web.api.conftest import Api, token_for
from tests.integration.web.console.conftest import Desk, _cheap_hashes, _closing, somebody
from tests.integration.web.readers_site import Site
from tests.integration.web.who_may import Row, guide_part, shown, table

from bdnews_dispatch.accounts.models import ConsoleSession, User
from bdnews_dispatch.accounts.rights import Right, Role
from bdnews_dispatch.accounts.sessions import IDLE, LASTS
from bdnews_dispatch.accounts.users import change_role, find_user
from bdnews_dispatch.web.access import Permission
from bdnews_dispatch.web.routes import ROUTES

#: The door knows no database.
pytestmark = pytest.mark.database("sqlite")

__all__ = ["_cheap_hashes", "_closing"]
ROWS = table()
#: What stands in an address; all else is "1".
VALUES = {
    "publication": "dsj",
    "name": "x",
    "tag": "x",
    "link": "x",
    "file": "x.csv",
    "token": "x",
    "digest": "0",
}
UPLOADS = {(route.method, route.path) for route in ROUTES if route.upload}


def filled(path: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: VALUES.get(found[1], "1"), path)


def form_of(row: Row, csrf: str) -> FormData | dict[str, str] | None:
    """What a page of ours would post, with nothing in it."""
    if row.method == "GET":
        return None
    if (row.method, row.path) not in UPLOADS:
        return {"csrf": csrf}
    form = FormData()
    form.add_field("csrf", csrf)
    form.add_field("file", b"email\n", filename="a.csv")
    return form


def of(*wanted: str) -> list[Row]:
    """Rows of the console (`roles`), of the API (`token`), or of these others."""
    kinds = {row: row.who or ("token" if row.scope else "roles") for row in ROWS.values()}
    return [row for row, kind in kinds.items() if kind in wanted]


async def asked(site: Site, row: Row, client: Any = None, **options: Any) -> ClientResponse:
    response: ClientResponse = await (client or site.client).request(
        row.method, filled(row.path), allow_redirects=False, **options
    )
    if "/events" not in row.path:
        await response.read()
    assert response.status < 500, (row, response.status)
    return response


def is_shown_the_door(response: ClientResponse) -> bool:
    """To the sign-in page, or a form to a page that says to go there, by a way that ends no session."""
    to_it = response.headers.get("Location", "").startswith("/console/sign-in")
    is_led = response.status == 303 and to_it
    is_told = response.method == "POST" and response.status == 401
    return (is_led or is_told) and "Set-Cookie" not in response.headers


async def csrf_of(desk: Desk) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', await desk.page("/console/today"))
    assert found is not None
    return found[1]


async def end(site: Site, who: Role, **values: datetime) -> None:
    """Their session's row stays, and is too old."""
    async with site.database.write() as session:
        user = await find_user(session, f"{who}@example.cn")
        assert user is not None
        await session.execute(
            update(ConsoleSession).where(col(ConsoleSession.user_id) == user.id).values(**values)
        )


def test_the_table_has_a_row_for_every_route_and_the_guide_shows_it() -> None:
    answered = {(route.method, route.path) for route in ROUTES}
    missing = [f"{method:<6} {path:<54} (who?)" for method, path in sorted(answered - set(ROWS))]
    assert not missing, "write into who_may.txt who may:\n" + "\n".join(missing)
    assert set(ROWS) - answered == set(), "rows of routes that are no more"
    assert guide_part()[1] == shown(), "python -m tests.integration.web.who_may"


def test_what_the_table_says_is_what_the_routes_declare() -> None:
    """The rest of this file asks; of links, WeChat and the demo their own tests do: what they need is declared."""
    needed = {
        "everybody": Permission.PUBLIC,
        "link": Permission.SIGNED,
        "platform": Permission.PLATFORM,
        "demo": Permission.DEMO,
    }
    for route in ROUTES:
        row = ROWS[route.method, route.path]
        kind = Permission.TOKEN if row.scope else Permission.SESSION
        assert route.permission is needed.get(row.who, kind), route
        inside = re.match(r"/console/(?!sign-in(/|$)|password/)", route.path) is not None
        assert inside <= bool(row.roles), route


async def test_nobody_a_stranger_and_a_token_get_into_no_room(site: Site) -> None:
    token = await token_for(site, list(Right))
    for row in of("roles"):
        for headers in (
            {},
            {"Cookie": "bdnews=" + "x" * 43},
            {"Cookie": f"bdnews={token}", "Authorization": f"Bearer {token}"},
        ):
            response = await asked(site, row, headers=headers)
            assert is_shown_the_door(response), (row, response.status)
            if row.method == "GET":
                head = await site.client.head(filled(row.path), headers=headers, allow_redirects=False)
                assert is_shown_the_door(head), row


@pytest.mark.parametrize("role", list(Role))
async def test_every_room_with_every_role(site: Site, role: Role) -> None:
    desk = await somebody(site, role)
    csrf = await csrf_of(desk)
    rows = sorted(of("roles"), key=lambda row: row.path == "/console/sign-out")
    for row in rows:
        response = await asked(site, row, desk.client, data=form_of(row, csrf))
        assert not is_shown_the_door(response), row
        assert (response.status != 403) is (role in row.roles), (role, row, response.status)
    async with site.database.read() as session:
        assert (await session.exec(select(ConsoleSession))).first() is None, "signing out was the last"


async def test_who_was_disabled_and_whose_session_is_over_is_nobody(site: Site) -> None:
    """Their rows are there, as after a restored backup; nothing but the rules keeps them out."""
    now = site.clock()
    disabled, idle, old = [await somebody(site, role) for role in (Role.ADMIN, Role.EDITOR, Role.REVIEWER)]
    words = [await csrf_of(desk) for desk in (disabled, idle, old)]
    async with site.database.write() as session:
        everybody = await session.exec(select(User).where(User.email == disabled.email))
        everybody.one().disabled_at = now
    await end(site, Role.EDITOR, seen_at=now - IDLE)
    await end(site, Role.REVIEWER, created_at=now - LASTS)
    for row in of("roles"):
        for desk, csrf in zip((disabled, idle, old), words, strict=True):
            response = await asked(site, row, desk.client, data=form_of(row, csrf))
            assert is_shown_the_door(response), (row, desk.email)


async def test_a_role_that_is_taken_away_is_gone_at_the_next_request(site: Site) -> None:
    await somebody(site, Role.ADMIN)
    desk = await somebody(site, Role.EDITOR)
    await desk.page("/console/subscribers")
    async with site.database.write() as session:
        user = await find_user(session, desk.email)
        assert user is not None
        await change_role(session, user, Role.ANALYST)
    assert (await desk.get("/console/subscribers")).status == 403
    assert "/console/subscribers" not in await desk.page("/console/today")


async def test_every_call_with_every_kind_of_token(site: Site) -> None:
    desk = await somebody(site, Role.ADMIN)
    narrow = {right: await api_with(site, set(Right) - {right}) for right in Right}
    fitting = {right: await api_with(site, {right}) for right in Right}
    for row in of("token"):
        right, path = Right(row.scope), filled(row.path).removeprefix("/api/v1")
        for token in ("", "bdn_" + "x" * 43, "bdn_'; DROP TABLE api_token"):
            response = await Api(site, token).ask(row.method, path)
            assert response.status == 401, row
            assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert (await asked(site, row, desk.client)).status == 401, "a session is no token"
        status, problem = await narrow[right].call(row.method, path)
        assert (status, problem["code"]) == (403, "scope"), row
        assert right.value in problem["detail"]
        assert (await fitting[right].ask(row.method, path)).status not in {401, 403}, row


async def test_the_rest_needs_no_session_and_gives_none(site: Site) -> None:
    for row in of("everybody"):
        response = await asked(site, row)
        # Signing in says no to nothing, and its second step leads to the first.
        assert not is_shown_the_door(response) or row.path.startswith("/console/sign-in"), row
        # Of a way back from WeChat's sign-in without the word that it was given: test_wechat_scanning.py.
        assert response.status != 403 or row.path == "/wechat/back", row
        assert "Set-Cookie" not in response.headers, row
    for row in of("link", "platform", "demo"):
        response = await asked(site, row)
        passes = row.path == "/o/{token}"  # the pixel answers always
        assert response.status == 200 if passes else response.status in {401, 403, 404}, (
            row,
            response.status,
        )


async def api_with(site: Site, scope: Iterable[Right]) -> Api:
    return Api(site, await token_for(site, list(scope)))
