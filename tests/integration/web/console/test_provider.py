"""Signing in through an OpenID provider: a real one beside us, followed as a browser follows it."""

import asyncio
import json
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pyotp
import pytest
from aiohttp import ClientResponse, ClientSession, CookieJar
from sqlmodel import col, select
from tests.integration.web.readers_site import Site, open_site
from tests.making import HandClock
from tests.ports import free_port
from yarl import URL

from bdnews_dispatch.accounts.models import AuditEntry, ProviderIdentity, SignInFailure, User
from bdnews_dispatch.accounts.openid import Identity, ProviderAwayError
from bdnews_dispatch.accounts.rights import Role
from bdnews_dispatch.accounts.second_factors import begin, confirm
from bdnews_dispatch.accounts.sessions import MOST_FROM_NETWORK
from bdnews_dispatch.accounts.users import add_user, disable
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.web.keys import PROVIDER

ZHANG = "zhang@example.cn"


KNOWN = (
    {"sub": "u-1", "email": ZHANG, "email_verified": True},
    {"sub": "u-2", "email": ZHANG, "email_verified": True},
    {"sub": "u-3", "email": "wang@example.cn"},
    {"sub": "u-4", "email": "nobody@example.cn", "email_verified": True},
)


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """A provider in a process of its own: it is none of our warnings."""
    port = free_port()
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce", "true"]
    for one in KNOWN:
        command += ["--user-claims", json.dumps(one)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:  # ours
        wait_for_port(port, process)
        yield f"http://127.0.0.1:{port}"
        process.terminate()


def wait_for_port(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Until it listens, or has ended."""
    while process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            threading.Event().wait(0.05)
    raise RuntimeError("the provider has ended")


@pytest.fixture
async def site(database: Database, clock: HandClock, tmp_path: Path, issuer: str) -> AsyncIterator[Site]:
    sign_in = {
        "issuer": issuer,
        "client_id": "bdnews",
        "client_secret": "s" * 40,
        "provider_name": "统一认证",
    }
    async with open_site(database, clock, tmp_path, others={"sign_in": sign_in}) as site:
        async with database.write() as session:
            await add_user(session, clock, email=ZHANG, name="张", role=Role.EDITOR)
            await add_user(session, clock, email="wang@example.cn", name="", role=Role.ADMIN)
        yield site


class Browser:
    """One with cookies, which goes where it is led; the provider's page is answered by `sub`."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.http = ClientSession(cookie_jar=CookieJar(unsafe=True))

    async def get(self, address: str) -> ClientResponse:
        url = address if address.startswith("http") else f"{self.site.links.base_url}{address}"
        return await self.http.get(url, allow_redirects=False)

    async def through(self, sub: str, next_: str = "/console/lists", *, deny: bool = False) -> ClientResponse:
        there = await self.get(f"/console/sign-in/provider?next={next_}")
        assert there.status == 303, await there.text()
        form = {"action": "deny"} if deny else {"sub": sub}
        led = await self.http.post(there.headers["Location"], data=form, allow_redirects=False)
        assert led.status == 302, await led.text()
        return await self.get(led.headers["Location"])


@pytest.fixture
async def browser(site: Site) -> AsyncIterator[Browser]:
    found = Browser(site)
    yield found
    await found.http.close()


async def test_who_was_invited_comes_in_and_is_known_again(site: Site, browser: Browser) -> None:
    assert "用统一认证登录" in await (await browser.get("/console/sign-in")).text()
    back = await browser.through("u-1")
    assert (back.status, back.headers["Location"]) == (303, "/console/lists")
    assert (await browser.get("/console/today")).status == 200
    async with site.database.write() as session:
        bound = (await session.exec(select(ProviderIdentity))).one()
        user = await session.get(User, bound.user_id)
        assert user is not None
        assert user.email == ZHANG
        user.email = user.email_key = "zhang.new@example.cn"
        session.add(user)
    assert (await browser.through("u-1")).status == 303, "by sub, whatever the address is by now"
    other = await browser.through("u-2")
    assert other.status == 401, "who has the old address now is somebody else"
    async with site.database.read() as session:
        actions = (await session.exec(select(AuditEntry.action).order_by(col(AuditEntry.id)))).all()
    assert actions == ["identity.bound", "sign_in", "sign_in", "sign_in.failed"]


async def test_who_was_not_invited_or_has_no_verified_address_stays_out(browser: Browser) -> None:
    for sub in ("u-3", "u-4", "nobody-knows"):
        back = await browser.through(sub)
        assert back.status == 401, sub
        assert "还没有您的账户" in await back.text()
    assert (await browser.get("/console/today")).status == 303


async def test_codes_that_are_none_are_not_asked_about_for_ever(
    site: Site, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = site.app[PROVIDER]
    assert provider is not None
    asked, identity = [], provider.identity

    async def counting(**words: str) -> Identity:
        asked.append(words["code"])
        return await identity(**words)

    monkeypatch.setattr(provider, "identity", counting)
    there = await browser.get("/console/sign-in/provider")
    state = URL(there.headers["Location"]).query["state"]
    said = [
        await browser.get(f"/console/sign-in/provider/back?state={state}&code=none-{number}")
        for number in range(MOST_FROM_NETWORK + 2)
    ]
    assert [one.status for one in said] == [502] * MOST_FROM_NETWORK + [401] * 2
    assert "试的次数太多了" in await said[-1].text()
    assert len(asked) == MOST_FROM_NETWORK
    form = {"email": ZHANG, "password": "wrong password here"}
    password = await site.client.post("/console/sign-in", data=form)
    assert "邮箱或密码不对" in await password.text(), "passwords are counted apart"
    site.clock.move(minutes=16)
    assert (await browser.through("u-1")).status == 303


async def test_a_provider_that_is_away_counts_against_nobody(
    site: Site, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = site.app[PROVIDER]
    assert provider is not None

    async def away(**_: str) -> Identity:
        raise ProviderAwayError("连不上登录服务")

    there = await browser.get("/console/sign-in/provider")
    state = URL(there.headers["Location"]).query["state"]
    monkeypatch.setattr(provider, "identity", away)
    assert (await browser.get(f"/console/sign-in/provider/back?state={state}&code=x")).status == 502
    async with site.database.read() as session:
        assert (await session.exec(select(SignInFailure))).all() == []


async def test_the_first_who_was_bound_stays_bound(browser: Browser) -> None:
    assert (await browser.through("u-1")).status == 303
    assert (await browser.through("u-2")).status == 401


async def test_a_second_factor_is_asked_for_here_too(site: Site, browser: Browser) -> None:
    async with site.database.write() as session:
        user = (await session.exec(select(User).where(User.email == ZHANG))).one()
        signer = site.links.signer
        app = pyotp.TOTP(await begin(session, signer, user))
        await confirm(session, site.clock, signer, user, app.at(site.clock.now))
    back = await browser.through("u-1")
    assert back.headers["Location"].startswith("/console/sign-in/code?next=")
    assert (await browser.get("/console/today")).status == 303


async def test_a_disabled_user_stays_out(site: Site, browser: Browser) -> None:
    assert (await browser.through("u-1")).status == 303
    async with site.database.write() as session:
        user = (await session.exec(select(User).where(User.email == ZHANG))).one()
        await disable(session, site.clock, user)
    assert (await browser.through("u-1")).status == 401


async def test_only_the_browser_that_was_sent_comes_back_and_in_time(site: Site, browser: Browser) -> None:
    there = await browser.get("/console/sign-in/provider")
    led = await browser.http.post(there.headers["Location"], data={"sub": "u-1"}, allow_redirects=False)
    stranger = Browser(site)
    back = await stranger.get(led.headers["Location"])
    assert back.status == 401
    assert "不是从这个浏览器开始的" in await back.text()
    await stranger.http.close()
    wrong = await browser.get("/console/sign-in/provider/back?state=wrong&code=x")
    assert wrong.status == 401
    site.clock.move(minutes=11)
    assert (await browser.get(led.headers["Location"])).status == 401
    site.clock.move(minutes=-11)
    assert (await browser.get(led.headers["Location"])).status == 303
    again = await browser.get(led.headers["Location"])
    assert again.status in {401, 502}, "each code once"


async def test_a_no_and_another_site(browser: Browser) -> None:
    denied = await browser.through("", deny=True)
    assert denied.status == 401
    assert "没有让您登录" in await denied.text()
    back = await browser.through("u-1", "https://evil.example/")
    assert urlsplit(back.headers["Location"]).path == "/console/today"


async def test_without_a_provider_there_is_no_such_way(
    database: Database, clock: HandClock, tmp_path: Path
) -> None:
    async with open_site(database, clock, tmp_path) as site:
        answers = await asyncio.gather(
            site.get("/console/sign-in"),
            site.get("/console/sign-in/provider"),
            site.get("/console/sign-in/provider/back?code=x&state=y"),
        )
        assert [answer.status for answer in answers] == [200, 404, 404]
        assert "/provider" not in await answers[0].text()
