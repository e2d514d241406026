"""Who gets in: signing in, words of strangers. With everybody: test_who_may.py, test_forms_of_other_sites.py."""

import html
import re

import pytest
from aiohttp import FormData
from sqlmodel import select
from tests.integration.web.console.conftest import PASSWORD, Desk, somebody
from tests.integration.web.readers_site import Site

from bdnews_dispatch.accounts.models import AuditEntry
from bdnews_dispatch.accounts.rights import Role
from bdnews_dispatch.subscribers.models import Subscriber
from bdnews_dispatch.web.console.desk import DOORS


async def test_the_short_address_leads_in(site: Site) -> None:
    answer = await site.get("/console")
    assert (answer.status, answer.headers["Location"]) == (302, "/console/today")


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


async def test_a_file_stands_behind_the_forms_word(desk: Desk) -> None:
    """It is written to the disk as it comes: not before it is known whose form it is."""
    late = FormData()
    late.add_field("file", b"email\na@b.example\n", filename="a.csv")
    late.add_field("csrf", await desk.csrf())
    assert (await desk.client.post("/console/imports", data=late, allow_redirects=False)).status == 403
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
        assert "<script" not in page.replace('<script src="/assets/', "")
        assert "<img" not in page
        assert "alert(1)>" not in page.replace("alert(1)&gt;", "")


async def test_a_wrong_password_and_another_language_keep_where_they_wanted_to_go(site: Site) -> None:
    page = await (await site.get("/console/sign-in?next=/console/lists%3Fx%3D1&lang=en")).text()
    action = re.search(r'<form method="post" action="([^"]+)"', page)
    assert action is not None
    for path in (html.unescape(action[1]), "/console/sign-in?next=/console/lists%3Fx%3D1&lang=en"):
        form = {"email": "x@example.cn", "password": "wrong password here"}
        page = await (await site.post(path, data=form)).text()
        assert '<html lang="en">' in page
        other = re.search(r'<a href="([^"]+)" lang="zh-CN"', page)
        assert other is not None
        page = await (await site.get(html.unescape(other[1]))).text()
        assert '<html lang="zh-CN">' in page
        assert "next=/console/lists?x%3D1" in html.unescape(page) or "%2Fconsole%2Flists" in page


@pytest.mark.parametrize(
    ("method", "path", "led"),
    [
        ("GET", "/console/subscribers?q=li&done=saved", "/console/subscribers?q=li"),
        ("POST", "/console/lists", "/console/lists"),
        ("POST", "/console/account/password", "/console/account"),
        ("POST", "/console/subscribers/1/tag", "/console/subscribers/1"),
    ],
)
async def test_the_other_language_is_of_the_page_that_one_looks_at(
    desk: Desk, method: str, path: str, led: str
) -> None:
    await desk.post("/console/subscribers/new", {"email": "a@b.example", "evidence": "来电"})
    answer = await (desk.get(path) if method == "GET" else desk.post(path))
    assert (answer.status == 200) is (method == "GET")
    page = await answer.text()
    next_ = re.search(r'name="next" value="([^"]+)"', page)
    assert next_ is not None, answer.status
    assert html.unescape(next_[1]) == led
    assert (await desk.get(led)).status == 200


async def test_a_role_that_is_too_small_is_named(site: Site) -> None:
    analyst = await somebody(site, Role.ANALYST)
    answer = await analyst.get("/console/users")
    page = await answer.text()
    assert answer.status == 403
    assert "您的角色不能看这一页" in page
    assert "收到的邮件" not in page
