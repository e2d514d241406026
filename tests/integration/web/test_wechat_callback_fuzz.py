"""Broken callbacks over HTTP, in plain and in safe mode: a 4xx and a line in the log, never a traceback or a 5xx; and
the service answers a good one behind them. BDNEWS_TEST_FULL=1: 10,000.
"""

import logging
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.integration.web.readers_site import Site, open_site
from tests.integration.web.test_wechat_callback import AES_KEY, TOKEN, push
from tests.making import FULL, HandClock

from bdnews_dispatch.channels.wechat.callback import seal, signature
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.web import keys

NUMBER = 5_000 if FULL else 300
PIECES = [
    b"<xml>", b"</xml>", b"<![CDATA[", b"]]>", b"<!DOCTYPE x [<!ENTITY a 'b'>]>", b"&a;", b"\0", b"\xff\xfe", b"{}",
    b"<Encrypt>", b"</Encrypt>", b"<MsgType>event</MsgType>", b"<CreateTime>9999999999999</CreateTime>", b"<a " * 50,
]  # fmt: skip


@pytest.fixture(params=["plain", "safe"])
async def wechat(
    request: pytest.FixtureRequest, database: Database, clock: HandClock, tmp_path: Path
) -> AsyncIterator[Site]:
    settings = {
        "appid": "wx0123456789abcdef",
        "token": TOKEN,
        "aes_key": AES_KEY if request.param == "safe" else "",
    }
    async with open_site(database, clock, tmp_path, wechat=settings) as site:
        yield site


def signed(site: Site, chance: random.Random, xml: bytes) -> tuple[dict[str, str], bytes]:
    """As the platform would sign it: what is broken is inside, or, every third time, outside."""
    stamp, wechat = str(int(site.clock().timestamp())), site.app[keys.SETTINGS].wechat
    query = {"timestamp": stamp, "nonce": "n", "signature": signature(TOKEN, stamp, "n")}
    if not wechat.aes_key.get_secret_value():
        return query, xml
    sealed = seal(wechat, xml.decode("latin-1"), timestamp=stamp, nonce="n", key=AES_KEY)
    encrypted = sealed.decode().partition("<Encrypt><![CDATA[")[2].partition("]]>")[0]
    if chance.random() < 0.3:
        encrypted = encrypted[: chance.randrange(len(encrypted))] + chance.choice(["", "=", "é", "A" * 40])
    query["msg_signature"] = signature(TOKEN, stamp, "n", encrypted)
    return query, f"<xml><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>".encode()


def broken(chance: random.Random) -> bytes:
    good = b"<xml><ToUserName>gh</ToUserName><FromUserName>oA</FromUserName><CreateTime>1</CreateTime>"
    pieces = [good, *(chance.choice(PIECES) for _ in range(chance.randrange(6)))]
    chance.shuffle(pieces)
    body = bytearray(b"".join(pieces))
    for _ in range(chance.randrange(8)):
        body[chance.randrange(len(body))] = chance.randrange(256)
    return bytes(body[: chance.randrange(len(body) + 1)])


async def test_broken_callbacks(wechat: Site, caplog: pytest.LogCaptureFixture) -> None:
    chance = random.Random(20261124)  # to see the same again
    caplog.set_level(logging.INFO)
    for number in range(NUMBER):
        query, body = signed(wechat, chance, broken(chance))
        if chance.random() < 0.2:
            query[chance.choice(list(query))] = chance.choice(["", "x", "-1", "9" * 30, "é"])
        answer = await wechat.client.post("/wechat/callback", params=query, data=body)
        assert answer.status == 200 or 400 <= answer.status < 500, (number, answer.status, body)
    assert not [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]
    assert [record for record in caplog.records if record.message == "wechat.push_refused"]
    assert (await push(wechat, {"MsgType": "text", "Content": "帮助", "MsgId": "1"})).status == 200
