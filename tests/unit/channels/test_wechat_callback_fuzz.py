"""Ten thousand broken callbacks in the three modes: each is a push or a `CallbackError`, nothing else."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from bdnews_dispatch.channels.wechat.callback import CallbackError, open_push, seal, signature

NOW = datetime(2022, 11, 11, 1, 0, tzinfo=UTC)
KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
TOKEN = "callbacktoken"
_SIGNS, _NONE = SecretStr(TOKEN), SecretStr("")
PIECES = (
    b"]]>",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
    b"&b;",
    b"\x00",
    b"\xff\xfe",
    b"<xml>",
    b"</xml>",
    b"9" * 12,
    b"",
)


@dataclass(frozen=True)
class Settings:
    aes_key: SecretStr
    appid: str = "wx5a6e64626f782e31"
    token: SecretStr = _SIGNS
    aes_key_previous: SecretStr = _NONE


def broken(chance: random.Random, body: bytes) -> bytes:
    """The body with one to three cuts, flips or insertions."""
    for _ in range(chance.randint(1, 3)):
        at, end = sorted(chance.randint(0, len(body)) for _ in range(2))
        how = chance.randrange(3)
        if how == 0:
            body = body[:at] + chance.choice(PIECES) + body[at:]
        elif how == 1:
            body = body[:at] + chance.choice(PIECES) + body[end:]
        else:
            body = body[:at] + chance.randbytes(chance.randint(1, 8)) + body[at:]
    return body


@pytest.mark.parametrize("mode", ["plain", "compatible", "safe"])
def test_a_broken_callback_is_refused_without_a_traceback(mode: str) -> None:
    chance = random.Random(f"callbacks {mode}")  # repeatable, not secret
    settings = Settings(SecretStr("" if mode == "plain" else KEY))
    stamp = str(int(NOW.timestamp()))
    inner = (
        f"<xml><ToUserName>gh_1</ToUserName><FromUserName>oReader</FromUserName><CreateTime>{stamp}</CreateTime>"
        "<MsgType>text</MsgType><Content><![CDATA[订阅]]></Content><MsgId>24000000000000001</MsgId></xml>"
    )
    refused = read = 0
    for _ in range(3_400):
        query = {"timestamp": stamp, "nonce": "n", "signature": signature(TOKEN, stamp, "n")}
        body = broken(chance, inner.encode())
        if mode != "plain":
            # Half of them are broken inside a good envelope, half outside.
            inside = body.decode("utf-8", "ignore") if chance.random() < 0.5 else inner
            sealed = seal(settings, inside, timestamp=stamp, nonce="n", key=KEY).decode()
            encrypted = sealed.split("<![CDATA[", 1)[1].split("]]>", 1)[0]
            query["msg_signature"] = signature(TOKEN, stamp, "n", encrypted)
            shown = inner.removesuffix("</xml>") if mode == "compatible" else "<xml>"
            outer = f"{shown}<Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>".encode()
            body = broken(chance, outer) if inside == inner else outer
        if chance.random() < 0.1:
            query[chance.choice(sorted(query))] = chance.choice(("", "９", "x" * 99, "\udcff", "9" * 12))
        try:
            open_push(settings, query, body, NOW)
        except CallbackError:
            refused += 1
        else:
            read += 1
    assert refused + read == 3_400
    assert refused > 1_000
    assert read > 0


def test_a_time_of_creation_beyond_the_calendar_is_refused() -> None:
    stamp = str(int(NOW.timestamp()))
    query = {"timestamp": stamp, "nonce": "n", "signature": signature(TOKEN, stamp, "n")}
    body = (
        b"<xml><FromUserName>o</FromUserName><CreateTime>999999999999</CreateTime>"
        b"<MsgType>text</MsgType><MsgId>1</MsgId></xml>"
    )
    with pytest.raises(CallbackError, match="created"):
        open_push(Settings(SecretStr("")), query, body, NOW)
