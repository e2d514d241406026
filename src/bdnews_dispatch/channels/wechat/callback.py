"""The platform's pushes: is it really the platform, and what does it say.

In: the query and the body of a callback request. Out: a `Push`, or `CallbackError`; a reply in XML. Called by
web/. Pure functions: no network, no clock of their own. Plain, compatible and safe mode are understood; with
an AES key set only the encrypted part counts, for the signature of a plain push does not cover its body.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring
from pydantic import SecretStr
from wechatpy.crypto import PrpCrypto
from wechatpy.replies import TextReply

from bdnews_dispatch.channels.wechat.push import Push, PushKind

#: A push is some hundred bytes; the longest text message 2 KB.
BODY_LIMIT = 64 * 1024
#: Three deliveries take 15 s; the rest is for clocks that differ.
AGE_LIMIT_SECONDS = 600
#: Who says no to one question takes nothing back of what they said yes to before (Subscription_Messages/api.html).
_ASKED = "subscribe_msg_popup_event"
#: A text reply may hold 2,048 bytes (Passive_user_reply_message.html).
REPLY_LIMIT = 2048

_EVENTS: Mapping[str, PushKind] = {
    "subscribe": PushKind.SUBSCRIBE,
    "unsubscribe": PushKind.UNSUBSCRIBE,
    "scan": PushKind.SCAN,
    "click": PushKind.CLICK,
    "view": PushKind.VIEW,
    "templatesendjobfinish": PushKind.TEMPLATE_FINISHED,
    "masssendjobfinish": PushKind.MASS_FINISHED,
    "subscribe_msg_popup_event": PushKind.CONSENT,
    "subscribe_msg_change_event": PushKind.CONSENT,
}


class CallbackError(Exception):
    """A callback is not the platform's, or not a push.

    Attributes:
        reason: a dotted name that never changes: `signature`, `timestamp`, `too_large`, `xml`, `decrypt` …
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class CallbackSettings(Protocol):
    """What callbacks need of `WeChatSettings`."""

    @property
    def appid(self) -> str: ...
    @property
    def token(self) -> SecretStr: ...
    @property
    def aes_key(self) -> SecretStr: ...
    @property
    def aes_key_previous(self) -> SecretStr: ...


def signature(token: str, *parts: str) -> str:
    """SHA-1 over the sorted parts, as the platform signs (Access_Overview.html)."""
    joined = "".join(sorted((token, *parts))).encode("utf-8", "surrogatepass")
    return hashlib.sha1(joined).hexdigest()  # noqa: S324 — the platform's own algorithm


def verify(settings: CallbackSettings, query: Mapping[str, str]) -> bool:
    """Whether a GET (with `echostr`) or a plain POST is signed with our token.

    Args:
        settings: the token; an empty one verifies nothing.
        query: of the request.
    """
    return _signed(settings, query.get("signature", ""), query.get("timestamp", ""), query.get("nonce", ""))


def open_push(settings: CallbackSettings, query: Mapping[str, str], body: bytes, now: datetime) -> Push:
    """Check a push and read it.

    Args:
        settings: token, appid, AES keys.
        query: of the request.
        body: of the request.
        now: for the age of the timestamp.

    Raises:
        CallbackError: whatever is wrong with it; the answer is an HTTP 403 or 400 without a word.
    """
    if len(body) > BODY_LIMIT:
        raise CallbackError("too_large")
    _check_age(query.get("timestamp", ""), now)
    timestamp, nonce = query.get("timestamp", ""), query.get("nonce", "")
    keys = [
        key
        for key in (settings.aes_key.get_secret_value(), settings.aes_key_previous.get_secret_value())
        if key
    ]
    if keys:
        # Nothing of an envelope is believed before its signature holds.
        encrypted = _fields(body).get("Encrypt", "")
        if not encrypted:
            raise CallbackError("not_encrypted")
        if not _signed(settings, query.get("msg_signature", ""), timestamp, nonce, encrypted):
            raise CallbackError("signature")
        fields = _fields(body := _decrypt(keys, encrypted, settings.appid))
    else:
        if not _signed(settings, query.get("signature", ""), timestamp, nonce):
            raise CallbackError("signature")
        fields = _fields(body)
    push = _push(fields)
    if push.kind is not PushKind.CONSENT:
        return push
    consents = _consents(body)
    if push.event.lower() == _ASKED:
        consents = tuple((template, accepted) for template, accepted in consents if accepted)
    return replace(push, consents=consents)


def text_reply(
    push: Push, text: str, settings: CallbackSettings, *, now: datetime, nonce: str | None = None
) -> bytes:
    """A text that the user sees at once, as the answer to a push; encrypted where an AES key is set.

    Args:
        push: what is answered.
        text: at most 2,048 bytes; what is longer is cut between characters.
        settings: token, appid, AES key.
        now: the reply's time.
        nonce: for tests; else random.

    Returns:
        XML, for `Content-Type: application/xml`.
    """
    cut = text.encode("utf-8", "replace")[:REPLY_LIMIT].decode("utf-8", "ignore")
    # wechatpy puts text into CDATA as it is.
    safe = "".join(c for c in cut if c in "\n\t" or c >= " ").replace("]]>", "]]]]><![CDATA[>")
    stamp = int(now.timestamp())
    xml = TextReply(source=push.account, target=push.openid, content=safe, time=stamp).render()
    key = settings.aes_key.get_secret_value()
    if not key:
        return xml.encode()  # type: ignore[no-any-return]  # wechatpy has no types
    return seal(settings, xml, timestamp=str(stamp), nonce=nonce or secrets.token_hex(8), key=key)


def seal(settings: CallbackSettings, xml: str, *, timestamp: str, nonce: str, key: str) -> bytes:
    """Encrypt and sign, as both sides do in safe mode."""
    encrypted = PrpCrypto(_key(key)).encrypt(xml, settings.appid).decode("ascii")
    signed = signature(settings.token.get_secret_value(), timestamp, nonce, encrypted)
    return (
        f"<xml><Encrypt><![CDATA[{encrypted}]]></Encrypt><MsgSignature><![CDATA[{signed}]]></MsgSignature>"
        f"<TimeStamp>{timestamp}</TimeStamp><Nonce><![CDATA[{nonce}]]></Nonce></xml>"
    ).encode()


def _signed(settings: CallbackSettings, given: str, *parts: str) -> bool:
    token = settings.token.get_secret_value()
    if not token:
        return False
    expected = signature(token, *parts)
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "surrogatepass"))


def _check_age(timestamp: str, now: datetime) -> None:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise CallbackError("timestamp")
    if abs(now.timestamp() - int(timestamp)) > AGE_LIMIT_SECONDS:
        raise CallbackError("timestamp")


def _fields(xml: bytes) -> dict[str, str]:
    """The flat elements of `<xml>`; anything deeper is left out. No DTD, no entities."""
    try:
        root: Element = fromstring(xml, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise CallbackError("xml") from error
    return {child.tag: (child.text or "").strip() for child in root if len(child) == 0}


def _consents(xml: bytes) -> tuple[tuple[str, bool], ...]:
    """Each `List` of a subscribe_msg_…_event (Subscription_Messages/api.html): template, accept or reject."""
    found = fromstring(xml, forbid_dtd=True).iter("List")
    told = [
        ((each.findtext("TemplateId") or "").strip(), (each.findtext("SubscribeStatusString") or "").strip())
        for each in found
    ]
    return tuple((template[:64], status == "accept") for template, status in told if template)


def _counts(fields: Mapping[str, str]) -> dict[str, int]:
    """Of MASSSENDJOBFINISH: TotalCount, FilterCount, SentCount, ErrorCount."""
    names = {"total": "TotalCount", "filter": "FilterCount", "sent": "SentCount", "error": "ErrorCount"}
    told = {name: fields.get(element, "") for name, element in names.items()}
    return {
        name: int(text) for name, text in told.items() if text.isascii() and text.isdigit() and len(text) < 10
    }


def _key(text: str) -> bytes:
    try:
        key = base64.b64decode(text + "=", validate=True)
    except ValueError as error:
        raise CallbackError("aes_key") from error
    if len(key) != 32:
        raise CallbackError("aes_key")
    return key


def _decrypt(keys: list[str], encrypted: str, appid: str) -> bytes:
    """With the current key, else with the one before it; the appid at the end must be ours."""
    last: Exception | None = None
    for text in keys:
        try:
            plain: str = PrpCrypto(_key(text)).decrypt(encrypted, appid)
        except CallbackError:
            raise
        except Exception as error:  # noqa: BLE001 — struct.error, IndexError and more
            last = error
        else:
            return plain.encode()
    raise CallbackError("decrypt") from last


def _push(fields: Mapping[str, str]) -> Push:
    openid, account, created = (fields.get(name, "") for name in ("FromUserName", "ToUserName", "CreateTime"))
    message_type = fields.get("MsgType", "").lower()
    if not openid or not message_type:
        raise CallbackError("incomplete")
    if not (created.isascii() and created.isdigit() and len(created) <= 11):
        raise CallbackError("created")
    event = fields.get("Event", "") if message_type == "event" else ""
    event_key = fields.get("EventKey", "")
    kind = _kind(message_type, event)
    scene = ""
    if kind is PushKind.SCAN:
        scene = event_key
    elif kind is PushKind.SUBSCRIBE and event_key.startswith("qrscene_"):
        scene = event_key.removeprefix("qrscene_")
    message_id = fields.get("MsgId") or fields.get("MsgID") or ""
    if event:
        named = f"{openid}\x1f{created}\x1f{event}\x1f{event_key}\x1f{message_id}"
        dedup_key = "event:" + hashlib.sha256(named.encode()).hexdigest()[:40]
    else:
        dedup_key = f"message:{message_id}" if message_id else ""
        if not dedup_key:
            raise CallbackError("incomplete")
    return Push(
        kind=kind,
        openid=openid,
        account=account,
        text=fields.get("Content", "") if kind is PushKind.TEXT else "",
        event=event,
        event_key=event_key,
        scene=scene,
        created_at=datetime.fromtimestamp(int(created), UTC),
        dedup_key=dedup_key,
        msg_id=message_id,
        status=fields.get("Status", ""),
        counts=_counts(fields) if kind is PushKind.MASS_FINISHED else {},
    )


def _kind(message_type: str, event: str) -> PushKind:
    if message_type == "event":
        return _EVENTS.get(event.lower(), PushKind.OTHER)
    return PushKind.TEXT if message_type == "text" else PushKind.MESSAGE
