"""Who gets in: signing in, every route with every role, forms of other sites, words of strangers."""

import re

import pytest
from aiohttp import FormData
from sqlmodel import select
from tests.integration.web.console.conftest import PASSWORD, Desk, somebody
from tests.integration.web.readers_site import Site

from bdnews_dispatch.accounts.models import AuditEntry
from bdnews_dispatch.accounts.rights import RIGHTS, Role
from bdnews_dispatch.subscribers.models import Subscriber
from bdnews_dispatch.web.access import Permission
from bdnews_dispatch.web.console.desk import DOORS
from bdnews_dispatch.web.routes import ROUTES

ROOMS = [route for route in ROUTES if route.permission is Permission.SESSION]


def filled(path: str) -> str:
    return (
        path.replace("{id}", "1")
        .replace("{place}", "1")
        .replace("{section}", "policy")
        .replace("{file}", "report.csv")
    )


async def test_nobody_gets_in_without_signing_in(site: Site) -> None:
    assert len(ROOMS) > 25
    for route in ROOMS:
        response = await site.client.request(route.method, filled(route.path), allow_redirects=False)
        assert response.status == 303, route
        assert response.headers["Location"].startswith("/console/sign-in"), route
        stale = {"Cookie": "bdnews=" + "x" * 43}
        again = await site.client.request(
            route.method, filled(route.path), headers=stale, allow_redirects=False
        )
        assert again.status == 303, route


@pytest.mark.parametrize("role", list(Role))
async def test_every_route_with_every_role(site: Site, role: Role) -> None:
    desk = await somebody(site, role)
    held = RIGHTS[role]
    page = await (await desk.get("/console/lists")).text() if role in {Role.ADMIN, Role.EDITOR} else ""
    csrf = re.search(r'name="csrf" value="([^"]+)"', page)
    for route in ROOMS:
        assert route.right is not None
        if route.path == "/console/sign-out":
            continue
        word = csrf[1] if csrf else ""
        form: FormData | dict[str, str] | None = {"csrf": word} if route.method == "POST" else None
        if route.upload:
            form = FormData()
            form.add_field("csrf", word)
            form.add_field("file", b"email\n", filename="a.csv")
        response = await desk.client.request(
            route.method, filled(route.path), data=form, allow_redirects=False
        )
        may = route.right in held and (route.method == "GET" or csrf is not None)
        assert (response.status == 403) is not may, (role, route.method, route.path, response.status)
        assert response.status < 500, (role, route.path)


async def test_the_cookie_is_for_us_alone(site: Site) -> None:
    await somebody(site, Role.EDITOR)
    form = {"email": "editor@example.cn", "password": PASSWORD}
    response = await site.client.post("/console/sign-in", data=form, allow_redirects=False)
    cookie = response.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie
    assert "Domain" not in cookie
    assert response.headers["Cache-Control"] == "no-store"


async def test_over_tls_the_cookie_is_bound_to_the_host(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bdnews_dispatch.web.console.guests._is_tls", lambda _request: True)
    await somebody(site, Role.EDITOR)
    form = {"email": "editor@example.cn", "password": PASSWORD}
    response = await site.client.post("/console/sign-in", data=form, allow_redirects=False)
    assert response.headers["Set-Cookie"].startswith("__Host-bdnews=")
    assert "Secure" in response.headers["Set-Cookie"]


@pytest.mark.parametrize(
    ("wanted", "led"),
    [
        ("/console/lists?x=1", "/console/lists?x=1"),
        ("https://evil.example/", DOORS[0].path),
        ("//evil.example/console/", DOORS[0].path),
        ("/console/\\evil.example", DOORS[0].path),
        ("/console//evil.example", DOORS[0].path),
        ("/p/other", DOORS[0].path),
    ],
)
async def test_signing_in_leads_to_no_other_site(site: Site, wanted: str, led: str) -> None:
    await somebody(site, Role.EDITOR)
    form = {"email": "editor@example.cn", "password": PASSWORD}
    response = await site.client.post(
        "/console/sign-in", params={"next": wanted}, data=form, allow_redirects=False
    )
    assert response.headers["Location"] == led


async def test_a_wrong_password_says_little_and_keeps_what_was_typed(site: Site, desk: Desk) -> None:
    form = {"email": desk.email, "password": "wrong password here"}
    response = await site.client.post("/console/sign-in", data=form)
    page = await response.text()
    assert response.status == 401
    assert "邮箱或密码不对" in page
    assert f'value="{desk.email}"' in page
    assert "wrong password here" not in page


async def test_forms_of_other_sites_do_nothing(site: Site, desk: Desk) -> None:
    csrf = await desk.csrf()
    other = (await somebody(site, Role.EDITOR)).client
    wrong = [
        ({}, {}),
        ({"csrf": "x"}, {}),
        ({"csrf": csrf}, {"Sec-Fetch-Site": "cross-site"}),
        ({"csrf": csrf}, {"Sec-Fetch-Site": "same-site"}),
        ({"csrf": csrf}, {"Origin": "https://evil.example"}),
        ({"csrf": csrf}, {"Origin": "null"}),
    ]
    for form, headers in wrong:
        data = {"name": "坏", **form}
        response = await desk.client.post("/console/lists", data=data, headers=headers, allow_redirects=False)
        assert response.status == 403, (form, headers)
    response = await other.post("/console/lists", data={"name": "坏", "csrf": csrf}, allow_redirects=False)
    assert response.status == 403, "another session's word"
    upload = FormData()
    upload.add_field("file", b"email\na@b.example\n", filename="a.csv")
    assert (await desk.client.post("/console/imports", data=upload, allow_redirects=False)).status == 403
    late = FormData()
    late.add_field("file", b"email\na@b.example\n", filename="a.csv")
    late.add_field("csrf", csrf)
    assert (await desk.client.post("/console/imports", data=late, allow_redirects=False)).status == 403
    wrong_word = FormData()
    wrong_word.add_field("csrf", "x")
    wrong_word.add_field("file", b"email\na@b.example\n", filename="a.csv")
    assert (await desk.client.post("/console/imports", data=wrong_word, allow_redirects=False)).status == 403
    headers = {"Origin": "https://evil.example"}
    form = {"email": desk.email, "password": PASSWORD}
    assert (await site.client.post("/console/sign-in", data=form, headers=headers)).status == 403
    assert "坏" not in await desk.page("/console/lists")
    assert "a.csv" not in await desk.page("/console/imports")


async def test_a_link_is_used_once(site: Site, desk: Desk) -> None:
    response = await site.client.get("/console/password/nonsense")
    assert response.status == 404
    assert "已用过或已过期" in await response.text()
    response = await site.client.post("/console/password/nonsense", data={"password": "x", "again": "x"})
    assert response.status == 404


async def test_signing_out_is_the_end(desk: Desk) -> None:
    assert (await desk.post("/console/sign-out")).status == 303
    assert (await desk.get("/console/subscribers")).status == 303
    async with desk.site.database.read() as session:
        actions = (await session.exec(select(AuditEntry.action).order_by(AuditEntry.id))).all()  # type: ignore[arg-type]  # SQLModel
    assert actions == ["password", "sign_in", "sign_out"]


EVIL = '"><script>alert(1)</script><img src=x onerror=alert(1)>'


async def test_words_of_strangers_stay_words(desk: Desk) -> None:
    """Names, tags, lists, reasons, files, addresses, queries: on every page that shows them."""
    async with desk.site.database.write() as session:
        session.add(
            Subscriber(
                email="a@readers.example",
                email_key="a@readers.example",
                name=EVIL,
                created_at=desk.site.clock(),
            )
        )
    short = "<script>1</script>"
    await desk.post("/console/subscribers/1/tag", {"tag": short})
    await desk.post("/console/lists", {"name": "<script>x", "description": EVIL})
    await desk.post("/console/subscribers/1/join", {"list": "<script>x"})
    await desk.post("/console/subscribers/1/suppress", {"channel": "email", "note": EVIL})
    rule = '{"field": "tag", "any_of": ["</code><script>alert(1)</script>"]}'
    await desk.post("/console/segments", {"name": short, "rule": rule, "do": "save"})
    upload = FormData()
    upload.add_field("csrf", await desk.csrf())
    upload.add_field("file", f"email,{short}\nx,{EVIL}\n".encode(), filename=f"{short}.csv")
    brought = await desk.client.post("/console/imports", data=upload, allow_redirects=False)
    assert brought.status == 303
    problem = await desk.post("/console/lists", {"name": "/", "description": EVIL})
    pages = [await problem.text()]
    paths = (
        "/console/subscribers",
        f"/console/subscribers?q={EVIL}",
        f"/console/subscribers?tag={EVIL}&list={EVIL}",
        "/console/subscribers/1",
        "/console/lists",
        "/console/segments",
        f"/console/segments?name={short}",
        "/console/suppressions",
        f"/console/suppressions?q={EVIL}",
        "/console/imports",
        "/console/imports/1",
        "/console/audit",
    )
    pages += [await desk.page(path) for path in paths]
    for page in pages:
        assert "<script" not in page
        assert "<img" not in page
        assert "alert(1)>" not in page.replace("alert(1)&gt;", "")
