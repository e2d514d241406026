"""What the platform pushes to the service: signed, encrypted if asked, up to three times. Called by
sandbox.py.

Source: Receiving_standard_messages.html: within 5 s, three times in all;
    Message_encryption_and_decryption.html.
"""

import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import ParseError

import aiohttp
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring
from pydantic import SecretStr
from wechatpy.crypto import WeChatCrypto

from bdnews_dispatch.channels.wechat.callback import seal, signature
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.sandbox.wechat_platform import SANDBOX_ACCOUNT, SANDBOX_APPID

_log = logging.getLogger(__name__)

TRIES = 3
ANSWER_WITHIN_SECONDS = 5.0
_NONE = SecretStr("")
#: Of a push's XML: text, or elements inside.
Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Callback:
    """Where and how the service wants its pushes.

    Attributes:
        url: empty: nowhere.
        token: signs.
        aes_key: 43 characters: safe mode; empty: plain.
        compatible: with a key: the plain elements go along with the encrypted one.
    """

    url: str = ""
    token: SecretStr = _NONE
    aes_key: SecretStr = _NONE
    appid: str = SANDBOX_APPID
    compatible: bool = False

    @property
    def aes_key_previous(self) -> SecretStr:
        return _NONE


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back.

    Attributes:
        delivered: the service answered 200.
        tries: how often it was pushed.
        text: what the user would see; empty: nothing.
        status: of the last answer; 0: none.
    """

    delivered: bool
    tries: int
    text: str
    status: int


async def push(
    session: aiohttp.ClientSession,
    callback: Callback,
    fields: Fields,
    *,
    openid: str,
    clock: Clock,
) -> Reply:
    """Push one message or event.

    Args:
        session: to push with.
        callback: where to.
        fields: of the XML besides the account, the user and the time.
        openid: of the user.
        clock: for CreateTime and the signature.

    Returns:
        What the service answered; `delivered` False with 0 tries if no callback is set.
    """
    if not callback.url:
        return Reply(delivered=False, tries=0, text="", status=0)
    created = str(int(clock().timestamp()))
    body = _xml({"ToUserName": SANDBOX_ACCOUNT, "FromUserName": openid, "CreateTime": created, **fields})
    status = 0
    for tries in range(1, TRIES + 1):
        query, sealed = _seal(callback, body, openid, clock)
        try:
            async with session.post(
                callback.url,
                params=query,
                data=sealed,
                headers={"Content-Type": "text/xml"},
                timeout=aiohttp.ClientTimeout(total=ANSWER_WITHIN_SECONDS),
            ) as response:
                status = response.status
                raw = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError):
            continue
        if status == 200:
            return Reply(delivered=True, tries=tries, text=_text(callback, raw), status=status)
    _log.warning(
        "sandbox.push.failed", extra={"event": fields.get("Event") or fields.get("MsgType"), "status": status}
    )
    return Reply(delivered=False, tries=TRIES, text="", status=status)


def _seal(callback: Callback, body: str, openid: str, clock: Clock) -> tuple[dict[str, str], bytes]:
    timestamp, nonce = str(int(clock().timestamp())), secrets.token_hex(5)
    token = callback.token.get_secret_value()
    query = {
        "signature": signature(token, timestamp, nonce),
        "timestamp": timestamp,
        "nonce": nonce,
        "openid": openid,
    }
    key = callback.aes_key.get_secret_value()
    if not key:
        return query, body.encode()
    sealed = seal(callback, body, timestamp=timestamp, nonce=nonce, key=key)
    encrypted = fromstring(sealed, forbid_dtd=True).findtext("Encrypt") or ""
    sent = f"<Encrypt>{_cdata(encrypted)}</Encrypt></xml>"
    opening = body.removesuffix("</xml>") if callback.compatible else ""
    outer = (opening or f"<xml><ToUserName>{_cdata(SANDBOX_ACCOUNT)}</ToUserName>") + sent
    extra = {"encrypt_type": "aes", "msg_signature": signature(token, timestamp, nonce, encrypted)}
    return {**query, **extra}, outer.encode()


def _text(callback: Callback, raw: bytes) -> str:
    """The text of a reply; empty for `success`, for nothing, and for what can't be read."""
    if not raw.lstrip().startswith(b"<"):
        return ""
    try:
        root = fromstring(raw, forbid_dtd=True)
        encrypted = root.findtext("Encrypt")
        if encrypted:
            crypto = WeChatCrypto(
                callback.token.get_secret_value(), callback.aes_key.get_secret_value(), SANDBOX_APPID
            )
            signed, stamp, nonce = (
                root.findtext(name) or "" for name in ("MsgSignature", "TimeStamp", "Nonce")
            )
            root = fromstring(
                crypto.decrypt_message({"Encrypt": encrypted}, signed, stamp, nonce), forbid_dtd=True
            )
    except (ParseError, DefusedXmlException, ValueError):
        return "（回复无法理解）"
    return str(root.findtext("Content") or "")


def _xml(fields: Fields) -> str:
    return f"<xml>{_elements(fields)}</xml>"


def _elements(fields: Fields) -> str:
    return "".join(f"<{name}>{_value(name, value)}</{name}>" for name, value in fields.items())


def _value(name: str, value: "str | Fields") -> str:
    if not isinstance(value, str):
        return _elements(value)
    return value if name in {"CreateTime", "MsgId", "MsgID"} else _cdata(value)


def _cdata(text: str) -> str:
    return f"<![CDATA[{text.replace(']]>', ']]]]><![CDATA[>')}]]>"
