"""Permissions, headers, errors: what holds of every answer."""

from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import text as text_clause
from tests.integration.web.readers_site import Site
from tests.making import HandClock, test_settings

from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.dispatch.models import Delivery
from bdnews_dispatch.issues.parsing.pictures import PreparedPicture
from bdnews_dispatch.issues.pictures import store
from bdnews_dispatch.issues.publications import load_publications
from bdnews_dispatch.links import Links, Purpose, Signer, SigningKey
from bdnews_dispatch.web.access import Permission, Route
from bdnews_dispatch.web.app import make_web_app
from bdnews_dispatch.web.routes import ROUTES

PICTURE = PreparedPicture("0" * 64, "image/png", 1, 1, b"\x89PNG")


def filled(route: Route, token: str) -> str:
    values = {
        "token": token,
        "number": "1",
        "publication": "dsj",
        "total": "112",
        "total_number": "112",
        "place": "1",
        "name": "pages.css",
        "id": "1",
        "link": "x",
        "tag": "x",
        "section": "policy",
        "digest": PICTURE.digest,
        "file": "policy.atom" if "{publication}" in route.path else "dsj.atom",
    }
    return route.path.format(**values)


async def test_every_route_answers_and_carries_the_headers(site: Site, sent: list[Delivery]) -> None:
    request = await site.asks()
    async with site.database.write() as session:
        await store(session, [PICTURE], site.clock())
    for route in ROUTES:
        key = request.key if route.purpose is Purpose.CONFIRM else sent[0].key
        token = site.links.signer.token(route.purpose or Purpose.OPEN, key)
        data = {"data": "export"} if route.path.endswith("/data") else None
        answer = await site.client.request(
            route.method, filled(route, token), data=data, allow_redirects=False
        )
        if route.permission is Permission.TOKEN:
            assert answer.status == 401, route
        elif "{link}" in route.path:
            assert answer.status == 404, route
        else:
            assert answer.status in {200, 302, 303, 401, 422, 403, 404}, route
        elsewhere = (
            route.purpose in {Purpose.FOLLOWER, Purpose.SCAN, Purpose.CALENDAR}
            or "wechat" in route.path
            or "/provider" in route.path
        )
        if (
            route.permission in {Permission.PUBLIC, Permission.SIGNED}
            and "{link}" not in route.path
            # Of an account, a provider or a user, whom this site has not; they have tests of their own.
            and not elsewhere
        ):
            assert answer.status in {200, 302, 303, 401, 422}, route
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        inside = route.path.startswith(("/console/", "/demo/console/"))
        assert answer.headers["Referrer-Policy"] == ("same-origin" if inside else "no-referrer")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Set-Cookie" not in answer.headers
        assert "Server" not in answer.headers
        if route.permission is Permission.SIGNED and answer.status != 303:
            assert "no-store" in answer.headers["Cache-Control"], route


@pytest.mark.parametrize(
    "token", ["x", "v1.k1.aaaa.bbbb", "v1.k9.a.b", "v2.k1.a.b", "…", "v1.k1.a-zz.b", "%0d%0a"]
)
async def test_no_signed_route_opens_without_its_token(site: Site, sent: list[Delivery], token: str) -> None:
    for route in ROUTES:
        if route.permission is Permission.SIGNED:
            answer = await site.client.request(route.method, filled(route, token), allow_redirects=False)
            assert answer.status == (200 if route.bad_token_passes else 404), route
    assert await site.hits() == []


async def test_a_token_for_one_purpose_opens_no_other(site: Site, sent: list[Delivery]) -> None:
    for route in ROUTES:
        for purpose in Purpose:
            if (
                route.permission is Permission.SIGNED
                and purpose is not route.purpose
                and not route.bad_token_passes
            ):
                token = site.links.signer.token(purpose, sent[0].key)
                answer = await site.client.request(route.method, filled(route, token), allow_redirects=False)
                assert answer.status == 404, (route, purpose)


async def test_methods_that_are_not_meant(site: Site) -> None:
    for method, path in (("POST", "/"), ("DELETE", "/issues/dsj"), ("PUT", "/live"), ("POST", "/demo")):
        answer = await site.client.request(method, path)
        assert answer.status == 405
        assert "从页面上的按钮" in await answer.text()


async def test_faults_are_pages_without_tracebacks_and_a_route_without_permission_is_refused(
    database: Database, clock: HandClock, tmp_path: Path
) -> None:
    app = make_web_app(
        settings=test_settings(tmp_path),
        database=database,
        clock=clock,
        publications=load_publications(),
        links=Links("http://x", Signer([SigningKey("k", b"s" * 40)])),
        wake=lambda: None,
    )

    async def undeclared(request: web.Request) -> web.Response:
        return web.Response(text="secret")

    app.router.add_get("/undeclared", undeclared)
    client: TestClient[Any, Any]
    async with TestServer(app) as server, TestClient(server) as client:
        answer = await client.get("/undeclared")
        assert answer.status == 403
        assert "secret" not in await answer.text()
        async with database.write() as session:
            for table in (
                "hit",
                "attempt",
                "returned_mail",
                "delivery",
                "dispatch_link",
                "feed_entry",
                "issue_edit",
                "issue_revision",
                "issue",
            ):
                await session.execute(text_clause(f"DROP TABLE {table}"))
        broken = await client.get("/issues/dsj")
        text = await broken.text()
        assert broken.status == 500
        assert "您此前保存的设置都还在" in text
        assert "sqlite" not in text.lower()
        assert "Content-Security-Policy" in broken.headers
        pixel = await client.get(
            f"/o/{Signer([SigningKey('k', b's' * 40)]).token(Purpose.OPEN, 'a' * 20)}.gif"
        )
        assert pixel.status == 200


async def test_logs_hold_no_tokens_and_no_addresses(
    site: Site, sent: list[Delivery], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    url = site.links.unsubscribe(sent[0].key)
    await site.get(url[:-1] + "x")
    await site.post(url, data={"reason": "x" * 200_000})
    await site.post("/wechat/callback", data=b"<xml/>")
    await site.get(url)
    ours = "\n".join(str(vars(record)) for record in caplog.records if record.name.startswith("bdnews"))
    assert sent[0].key not in ours
    assert "readers.example" not in ours


async def test_the_stylesheet_may_be_kept_for_ever_by_its_fingerprint(site: Site) -> None:
    text = await (await site.get("/nothing")).text()
    path = text.partition('rel="stylesheet" href="')[2].partition('"')[0]
    answer = await site.get(path)
    assert answer.status == 200
    assert "immutable" in answer.headers["Cache-Control"]
    assert "immutable" not in (await site.get("/assets/pages.css")).headers["Cache-Control"]


async def test_live(site: Site) -> None:
    answer = await site.get("/live")
    assert (answer.status, await answer.text()) == (200, "ok")
