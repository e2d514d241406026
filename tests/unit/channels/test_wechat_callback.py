"""Pushes: what is opened, and that anything else is refused by one kind of error."""

import base64
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from wechatpy.crypto import WeChatCrypto
from wechatpy.utils import WeChatSigner

from bdnews_dispatch.channels.wechat.callback import (
    BODY_LIMIT,
    CallbackError,
    open_push,
    signature,
    text_reply,
    verify,
)
from bdnews_dispatch.channels.wechat.push import PushKind

NOW = datetime(2022, 11, 11, 1, 0, tzinfo=UTC)
STAMP = str(int(NOW.timestamp()))
KEY = base64.b64encode(bytes(range(32))).decode().rstrip("=")
OLD_KEY = base64.b64encode(bytes(range(32, 64))).decode().rstrip("=")


@dataclass(frozen=True)
class Account:
    appid: str = "wx0123456789abcdef"
    token: SecretStr = SecretStr("callbacktoken")  # noqa: RUF009
    aes_key: SecretStr = SecretStr("")  # noqa: RUF009
    aes_key_previous: SecretStr = SecretStr("")  # noqa: RUF009


PLAIN = Account()
SAFE = Account(aes_key=SecretStr(KEY), aes_key_previous=SecretStr(OLD_KEY))


def xml(**fields: str) -> str:
    base = {"ToUserName": "gh_1", "FromUserName": "oABC", "CreateTime": STAMP, "MsgType": "event"}
    inner = "".join(f"<{name}><![CDATA[{value}]]></{name}>" for name, value in {**base, **fields}.items())
    return f"<xml>{inner}</xml>"


def plain_query(stamp: str = STAMP) -> dict[str, str]:
    return {"signature": signature("callbacktoken", stamp, "n1"), "timestamp": stamp, "nonce": "n1"}


def sealed(text: str, key: str = KEY, appid: str = "wx0123456789abcdef") -> tuple[dict[str, str], bytes]:
    body = WeChatCrypto("callbacktoken", key, appid).encrypt_message(text, "n1", STAMP).encode()
    signed = body.decode().split("<MsgSignature><![CDATA[")[1].split("]]>")[0]
    return {"msg_signature": signed, "timestamp": STAMP, "nonce": "n1", "encrypt_type": "aes"}, body


def test_the_signature_is_the_platforms() -> None:
    signer = WeChatSigner()
    signer.add_data("callbacktoken", STAMP, "n1")
    assert signature("callbacktoken", STAMP, "n1") == signer.signature


def test_verify() -> None:
    assert verify(PLAIN, {**plain_query(), "echostr": "1"})
    assert not verify(PLAIN, {**plain_query(), "signature": "0" * 40})
    assert not verify(PLAIN, {})
    assert not verify(PLAIN, {**plain_query(), "signature": "签名"})
    empty = Account(token=SecretStr(""))
    assert not verify(empty, {"signature": signature("", STAMP, "n1"), "timestamp": STAMP, "nonce": "n1"})


@pytest.mark.parametrize(
    ("fields", "kind", "scene", "key"),
    [
        ({"Event": "subscribe", "EventKey": ""}, PushKind.SUBSCRIBE, "", ""),
        ({"Event": "subscribe", "EventKey": "qrscene_s1"}, PushKind.SUBSCRIBE, "s1", "qrscene_s1"),
        ({"Event": "unsubscribe"}, PushKind.UNSUBSCRIBE, "", ""),
        ({"Event": "SCAN", "EventKey": "s2"}, PushKind.SCAN, "s2", "s2"),
        ({"Event": "CLICK", "EventKey": "latest"}, PushKind.CLICK, "", "latest"),
        ({"Event": "VIEW", "EventKey": "https://x"}, PushKind.VIEW, "", "https://x"),
        ({"Event": "LOCATION"}, PushKind.OTHER, "", ""),
        ({"MsgType": "text", "Content": "订阅", "MsgId": "7"}, PushKind.TEXT, "", ""),
        ({"MsgType": "image", "MsgId": "8"}, PushKind.MESSAGE, "", ""),
    ],
)
@pytest.mark.parametrize("account", [PLAIN, SAFE], ids=["plain", "safe"])
def test_kinds(account: Account, fields: dict[str, str], kind: PushKind, scene: str, key: str) -> None:
    text = xml(**fields)
    query, body = sealed(text) if account is SAFE else (plain_query(), text.encode())
    push = open_push(account, query, body, NOW)
    assert (push.kind, push.scene, push.event_key, push.openid) == (kind, scene, key, "oABC")
    assert push.text == ("订阅" if kind is PushKind.TEXT else "")
    assert push.created_at == NOW
    assert "oABC" not in push.dedup_key


def test_a_finished_template_keeps_its_64_bit_id() -> None:
    fields = {"Event": "TEMPLATESENDJOBFINISH", "MsgID": "2401795406129052001", "Status": "failed:user block"}
    push = open_push(PLAIN, plain_query(), xml(**fields).encode(), NOW)
    assert (push.kind, push.msg_id, push.status) == (
        PushKind.TEMPLATE_FINISHED,
        "2401795406129052001",
        "failed:user block",
    )


def test_a_repeat_has_the_same_key_and_another_event_has_not() -> None:
    def key(**fields: str) -> str:
        return open_push(PLAIN, plain_query(), xml(**fields).encode(), NOW).dedup_key

    assert key(Event="CLICK", EventKey="a") == key(Event="CLICK", EventKey="a")
    assert key(Event="CLICK", EventKey="a") != key(Event="CLICK", EventKey="b")
    assert key(MsgType="text", MsgId="1", Content="x") == key(MsgType="text", MsgId="1", Content="x")


def test_the_key_before_still_opens() -> None:
    query, body = sealed(xml(Event="subscribe"), OLD_KEY)
    assert open_push(SAFE, query, body, NOW).kind is PushKind.SUBSCRIBE


def reason(account: Account, query: dict[str, str], body: bytes, now: datetime = NOW) -> str:
    with pytest.raises(CallbackError) as caught:
        open_push(account, query, body, now)
    return caught.value.reason


def test_refused() -> None:
    good = xml(Event="subscribe").encode()
    query, body = sealed(xml(Event="subscribe"))
    assert reason(PLAIN, {**plain_query(), "nonce": "n2"}, good) == "signature"
    assert reason(SAFE, {**query, "msg_signature": "0" * 40}, body) == "signature"
    assert reason(SAFE, {**query, **plain_query()}, good) == "not_encrypted"  # no way back to plain mode
    assert reason(PLAIN, plain_query(), good, NOW + timedelta(minutes=11)) == "timestamp"
    assert reason(PLAIN, plain_query(), good, NOW - timedelta(minutes=11)) == "timestamp"
    assert reason(PLAIN, {**plain_query(), "timestamp": "jetzt"}, good) == "timestamp"
    assert reason(PLAIN, plain_query(), b"<xml>" + b" " * BODY_LIMIT) == "too_large"
    assert reason(PLAIN, plain_query(), b"<xml><MsgType>event</MsgType></xml>") == "incomplete"
    assert reason(PLAIN, plain_query(), xml(Event="x", CreateTime="soon").encode()) == "created"
    assert reason(PLAIN, plain_query(), xml(MsgType="text", Content="no id").encode()) == "incomplete"
    assert reason(Account(aes_key=SecretStr("short")), query, body) == "aes_key"
    other, other_body = sealed(xml(Event="subscribe"), appid="wxffffffffffffffff")
    assert reason(SAFE, other, other_body) == "decrypt"
    stranger = base64.b64encode(bytes(range(64, 96))).decode().rstrip("=")
    foreign, foreign_body = sealed(xml(Event="subscribe"), stranger)
    assert reason(SAFE, foreign, foreign_body) == "decrypt"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not xml",
        b"<xml>",
        b"\xff\xfe\x00",
        b"<?xml version='1.0' encoding='martian'?><xml/>",
        b"<!DOCTYPE xml><xml><MsgType>text</MsgType></xml>",
        b"<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]><xml><MsgType>&b;</MsgType></xml>",
        b"<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><xml><Content>&e;</Content></xml>",
        b"<a>" * 20_000,
        b"<xml>" * 6_000 + b"</xml>" * 6_000,
    ],
)
def test_bad_xml_is_one_kind_of_error(body: bytes) -> None:
    assert reason(PLAIN, plain_query(), body) in {"xml", "incomplete", "too_large"}


@given(st.binary(max_size=400))
def test_nothing_else_is_raised(body: bytes) -> None:
    with pytest.raises(CallbackError):
        open_push(PLAIN, plain_query(), body, NOW)


@given(st.text(max_size=200))
def test_no_ciphertext_raises_anything_else(encrypted: str) -> None:
    safe = "".join(c for c in encrypted if c >= " " and c.isprintable()).replace("]]>", "").strip()
    query = {"timestamp": STAMP, "nonce": "n", "msg_signature": signature("callbacktoken", STAMP, "n", safe)}
    with pytest.raises(CallbackError):
        open_push(SAFE, query, f"<xml><Encrypt><![CDATA[{safe}]]></Encrypt></xml>".encode(), NOW)


def test_the_signature_is_compared_before_anything_is_decrypted() -> None:
    started = time.perf_counter()
    query, _ = sealed(xml(Event="subscribe"))
    assert reason(SAFE, query, b"<xml><Encrypt>" + b"A" * 60_000 + b"</Encrypt></xml>") == "signature"
    assert time.perf_counter() - started < 1


def test_reply_in_plain_mode() -> None:
    push = open_push(PLAIN, plain_query(), xml(MsgType="text", Content="hi", MsgId="1").encode(), NOW)
    reply = text_reply(push, "您好 ]]><FromUserName>x", PLAIN, now=NOW).decode()
    assert "<FromUserName><![CDATA[gh_1]]></FromUserName>" in reply
    assert "<ToUserName><![CDATA[oABC]]></ToUserName>" in reply
    assert "]]]]><![CDATA[>" in reply
    assert f"<CreateTime>{STAMP}</CreateTime>" in reply


def test_reply_in_safe_mode_opens_with_the_platforms_own_code() -> None:
    query, body = sealed(xml(MsgType="text", Content="hi", MsgId="1"))
    push = open_push(SAFE, query, body, NOW)
    reply = text_reply(push, "您好" * 2000, SAFE, now=NOW, nonce="n9").decode()
    assert "您好" not in reply
    signed = reply.split("<MsgSignature><![CDATA[")[1].split("]]>")[0]
    opened = WeChatCrypto("callbacktoken", KEY, SAFE.appid).decrypt_message(reply, signed, STAMP, "n9")
    content = opened.split("<Content><![CDATA[")[1].split("]]>")[0]
    assert content.startswith("您好")
    assert 2000 < len(content.encode()) <= 2048
