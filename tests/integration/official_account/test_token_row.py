"""One token for all processes: asked for once, renewed once, forced within limits, sealed in its row."""

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from pydantic import SecretStr
from sqlmodel import select
from tests.making import HandClock

from bdnews_dispatch.channels.wechat.client import AsyncWeChatClient, PlatformError
from bdnews_dispatch.channels.wechat.token import FORCE_A_DAY
from bdnews_dispatch.clock import system_clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.official_account.models import WeChatToken
from bdnews_dispatch.official_account.tokens import CLAIM, TokenRow
from bdnews_dispatch.sandbox import SANDBOX_APPID, SANDBOX_SECRET, PlatformFault, Sandbox
from bdnews_dispatch.settings import WeChatSettings, load_settings

READER = "oReader-0000000000000000001x"
ANOTHER_PROCESS = """
import asyncio, sys
import aiohttp
from bdnews_dispatch.channels.wechat.client import AsyncWeChatClient
from bdnews_dispatch.clock import system_clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.official_account.tokens import TokenRow
from bdnews_dispatch.settings import load_settings

async def main(url, base, appid, secret, openid):
    wechat = load_settings({}, overrides={"wechat": {"api_base": base, "appid": appid, "secret": secret}}).wechat
    database = Database(url)
    async with aiohttp.ClientSession() as http:
        client = AsyncWeChatClient(wechat, http, TokenRow(database, appid, wechat.secret, system_clock))
        for _ in range(2):
            print("ready", flush=True)
            await asyncio.to_thread(sys.stdin.readline)
            await asyncio.gather(*(client.user.get(openid) for _ in range(30)))
        print("done", flush=True)
    await database.close()

asyncio.run(main(*sys.argv[1:]))
"""


def settings(base: str) -> WeChatSettings:
    given = {"api_base": base, "appid": SANDBOX_APPID, "secret": SANDBOX_SECRET, "timeout_seconds": 10.0}
    return load_settings({}, overrides={"wechat": given}).wechat


def row(database: Database, clock: HandClock, secret: str = SANDBOX_SECRET) -> TokenRow:
    return TokenRow(database, SANDBOX_APPID, SecretStr(secret), clock)


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Sandbox]:
    async with Sandbox(
        smtp_host="127.0.0.1",
        smtp_port=0,
        http_host="127.0.0.1",
        http_port=0,
        folder=tmp_path / "box",
        clock=system_clock,
    ) as sandbox:
        yield sandbox


async def test_a_hundred_calls_at_once_renew_once(box: Sandbox, database: Database) -> None:
    async with aiohttp.ClientSession() as http:
        given = settings(box.api_base)
        tokens = [TokenRow(database, given.appid, given.secret, system_clock) for _ in range(2)]
        first, second = (AsyncWeChatClient(given, http, one) for one in tokens)
        await asyncio.gather(*(client.user.get(READER) for client in (first, second) for _ in range(50)))
        assert box.platform.calls["stable_token"] == 1
        box.platform.tokens.revoke()
        await asyncio.gather(*(client.user.get(READER) for client in (first, second) for _ in range(50)))
        assert box.platform.calls["stable_token"] == 2


async def test_three_processes_renew_once(box: Sandbox, database: Database) -> None:
    address = database.url.render_as_string(hide_password=False)
    given = (address, box.api_base, SANDBOX_APPID, SANDBOX_SECRET, READER)
    others = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            ANOTHER_PROCESS,
            *given,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for _ in range(3)
    ]

    async def all_say(word: bytes) -> None:
        for other in others:
            assert other.stdout is not None
            assert (await other.stdout.readline()).strip() == word

    def go() -> None:
        for other in others:
            assert other.stdin is not None
            other.stdin.write(b"go\n")

    try:
        async with asyncio.timeout(60):
            await all_say(b"ready")
            go()
            await all_say(b"ready")
            assert box.platform.calls["stable_token"] == 1
            box.platform.tokens.revoke()
            go()
            await all_say(b"done")
    finally:
        for other in others:
            if other.returncode is None:
                other.kill()
            await other.communicate()
    assert box.platform.calls["stable_token"] == 2
    assert box.platform.calls["user/info"] >= 180


async def test_of_all_that_claim_one_has_it_until_its_time_is_over(
    database: Database, clock: HandClock
) -> None:
    one, other = row(database, clock), row(database, clock)
    version = (await one.read()).version
    assert sorted(await asyncio.gather(one.claim(version), other.claim(version))) == [False, True]
    clock.move(seconds=CLAIM.total_seconds())
    assert await other.claim(version), "who claimed first has died"
    assert await other.keep(version, "new", 7200)
    assert not await one.keep(version, "late", 7200), "somebody else has written"
    assert not await one.claim(version), "of a version that is past"
    read = await one.read()
    assert (read.token, read.seconds_left, read.version) == ("new", 7200, version + 1)


async def test_forced_ones_are_thirty_seconds_apart_and_eighteen_a_day(
    database: Database, clock: HandClock
) -> None:
    one, other = row(database, clock), row(database, clock)
    version = (await one.read()).version
    assert await one.may_force(version)
    assert not await other.may_force(version)
    for _ in range(FORCE_A_DAY - 1):
        clock.move(seconds=30)
        assert await other.may_force(version)
    clock.move(seconds=30)
    assert not await one.may_force(version)
    clock.move(seconds=timedelta(days=1).total_seconds())
    assert await one.may_force(version)


async def test_the_token_is_sealed_and_another_secret_finds_none(
    database: Database, clock: HandClock
) -> None:
    mine = row(database, clock)
    await mine.keep((await mine.read()).version, "token-in-clear", 7200)
    async with database.read() as session:
        kept = (await session.exec(select(WeChatToken))).one()
    assert "token-in-clear" not in kept.sealed
    assert kept.sealed
    assert "token-in-clear" not in repr(await mine.read())
    assert (await row(database, clock, "another").read()).token == ""


async def test_a_claim_is_given_back_when_the_platform_refuses(box: Sandbox, database: Database) -> None:
    box.faults.on_wechat(PlatformFault("stable_token", code=40164))
    async with aiohttp.ClientSession() as http:
        given = settings(box.api_base)
        client = AsyncWeChatClient(given, http, TokenRow(database, given.appid, given.secret, system_clock))
        with pytest.raises(PlatformError):
            await client.token()
        async with asyncio.timeout(5):
            assert await client.token()
