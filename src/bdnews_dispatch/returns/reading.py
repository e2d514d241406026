"""What a mail that came back says: a pure function from bytes to `Returned`.

In: a message as somebody sent it to us: hostile, broken, huge. Out: its kind, and of a bounce the reply that it quotes.
Callers: recording, cli/. Standards first (RFC 3464 reports, RFC 5965 complaints, RFC 3834 and RFC 8098 headers), then
the rules of config/returns.toml. Nothing here believes whom the mail says it is about: that is in the address it was
sent to.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from enum import StrEnum
from html import unescape

from bdnews_dispatch.returns.free_form import FreeForm

#: What is read at all. Whoever has one of our addresses can send anything to it, and Python's reader costs lines times
#: depth, and the square of a field's length. A report's own parts come first, so a cut loses the original only.
_MOST_BYTES = 512 * 1024
_MOST_LINES = 20_000
_MOST_BOUNDARIES = 30
#: More parts is no report.
_MOST_PARTS = 60
_MOST_TEXT = 8_000
_LONGEST_FIELD = 2_000

_STATUS = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_CODE = re.compile(r"(?<![\d.])([45]\d\d)(?=[ \-#:,;)\]】]|$)")
#: Neither looks further than the next "<": a page of nothing else costs its length, not the square of it.
_TAGS = re.compile(r"<[^<>]*>")
_UNREAD = re.compile(r"<(?=/?(?:script|style)\b)", re.IGNORECASE)
_BOUNDARY = re.compile(rb"boundary", re.IGNORECASE)


class _ShortFields(policy.Compat32):
    """Fields as they stand, cut to a length."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        return name, value[:_LONGEST_FIELD]


_POLICY = _ShortFields()


class Kind(StrEnum):
    """What came back."""

    BOUNCE = "bounce"
    #: Still being tried; a bounce may follow.
    DELAYED = "delayed"
    #: It arrived, somebody says.
    DELIVERED = "delivered"
    COMPLAINT = "complaint"
    #: A machine of the reader: out of office, a receipt. Never counted.
    AUTO_REPLY = "auto_reply"
    #: A machine that wants to know whether we are people. Never answered, never counted.
    CHALLENGE = "challenge"
    UNSUBSCRIBE = "unsubscribe"
    #: Perhaps a person's words.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Returned:
    """A mail that came back.

    Attributes:
        status: by RFC 3463, e.g. 5.1.1; empty: not said.
        code: the three digits that the other server answered; 0: not said.
        text: its words, or the report's.
        automatic: no person wrote it, by its own headers.
    """

    kind: Kind
    status: str = ""
    code: int = 0
    text: str = ""
    automatic: bool = False


def read_returned(raw: bytes, free_form: FreeForm) -> Returned:
    """Read it. Never raises, whatever the bytes are; at most a few tenths of a second.

    Args:
        raw: the whole message; only the front of a large one is read.
    """
    raw = _front(raw)
    if sum(1 for _ in _BOUNDARY.finditer(raw)) > _MOST_BOUNDARIES:
        return Returned(Kind.UNKNOWN)
    try:
        message = message_from_bytes(raw, policy=_POLICY)
    except RecursionError:  # parts within parts within parts: nobody's report
        return Returned(Kind.UNKNOWN)
    parts = list(_parts(message))
    automatic = _is_automatic(message)
    for part in parts:
        if part.get_content_type() == "message/feedback-report":
            return _complaint(part)
    for part in parts:
        if part.get_content_type() in {"message/delivery-status", "message/global-delivery-status"}:
            found = _report(part, _text_of(parts))
            if found is not None:
                return found
        if part.get_content_type() in {
            "message/disposition-notification",
            "message/global-disposition-notification",
        }:
            return Returned(Kind.AUTO_REPLY, text=_header(message, "Subject"), automatic=True)
    subject, text = _header(message, "Subject"), _text_of(parts)
    if message.get("X-Failed-Recipients") is not None:  # Exim's, which calls itself auto-replied; Gmail's
        return _free_bounce(subject, text)
    if automatic == "replied":
        return Returned(Kind.AUTO_REPLY, text=subject, automatic=True)
    kind = free_form.kind_of(_header(message, "From"), subject, text)
    match kind:
        case "bounce":
            return _free_bounce(subject, text)
        case "auto_reply" | "challenge" | "delayed":
            return Returned(Kind(kind), text=subject, automatic=True)
        case _:
            return Returned(Kind.UNKNOWN, text=subject, automatic=bool(automatic))


def _front(raw: bytes) -> bytes:
    lines = raw[:_MOST_BYTES].splitlines(keepends=True)
    return b"".join(lines[:_MOST_LINES])


def _is_automatic(message: Message) -> str:
    """`replied`, `generated`, or empty: RFC 3834 §5, and what was before it."""
    said = _header(message, "Auto-Submitted").lower()
    if said.startswith("auto-replied"):
        return "replied"
    before = ("X-Autoreply", "X-Autorespond", "X-Auto-Response-Suppress-Reply", "X-AutoReply-From")
    if any(message.get(name) is not None for name in before):
        return "replied"
    if _header(message, "Precedence").lower() in {"auto_reply", "auto-reply"}:
        return "replied"
    return "generated" if said and not said.startswith("no") else ""


def _complaint(part: Message) -> Returned:
    """RFC 5965 §3: what kind of feedback it is."""
    fields = next(_fields(part), {})
    kind = fields.get("feedback-type", "").lower()
    if kind == "opt-out":
        return Returned(Kind.UNSUBSCRIBE, text=kind, automatic=True)
    if kind == "not-spam":
        return Returned(Kind.UNKNOWN, text=kind, automatic=True)
    return Returned(Kind.COMPLAINT, text=kind or "abuse", automatic=True)


_ACTIONS: Mapping[str, Kind] = {
    "failed": Kind.BOUNCE,
    "delayed": Kind.DELAYED,
    "delivered": Kind.DELIVERED,
    "relayed": Kind.DELIVERED,
    "expanded": Kind.DELIVERED,
}


def _report(part: Message, text: str) -> Returned | None:
    """RFC 3464 §2.3: the first recipient that failed, else the first one."""
    found: Returned | None = None
    for fields in _fields(part):
        action = fields.get("action", "").strip().lower()
        if action not in _ACTIONS:
            continue
        said = fields.get("diagnostic-code", "").partition(";")[2].strip() or fields.get(
            "diagnostic-code", ""
        )
        status = _first(_STATUS, fields.get("status", "")) or _first(_STATUS, said)
        code = _first(_CODE, said)
        one = Returned(_ACTIONS[action], status, int(code or 0), said or text[:500], automatic=True)
        if one.kind is Kind.BOUNCE:
            return one
        found = found or one
    return found


def _free_bounce(subject: str, text: str) -> Returned:
    """The other server's reply stands somewhere in the words."""
    said = " ".join(text.split())
    place = _CODE.search(said)
    quoted = said[place.start() : place.start() + 500] if place else said[:500]
    status = _first(_STATUS, quoted) or _first(_STATUS, said)
    return Returned(Kind.BOUNCE, status, int(place[1]) if place else 0, quoted or subject, automatic=True)


def _fields(part: Message) -> Iterator[dict[str, str]]:
    """The groups of fields of a report part. Python reads them as messages, some senders' as one text."""
    payload = part.get_payload()
    groups = payload if isinstance(payload, list) else []
    for group in groups[:_MOST_PARTS]:
        if isinstance(group, Message):
            yield {name.lower(): _unfolded(value) for name, value in group.items()}
    if not groups:
        for block in re.split(r"\r?\n\r?\n", _decoded(part)[:_MOST_TEXT]):
            yield {
                name.strip().lower(): _unfolded(value)
                for name, _, value in (
                    line.partition(":") for line in re.sub(r"\r?\n[ \t]+", " ", block).splitlines()
                )
            }


def _unfolded(value: object) -> str:
    return " ".join(str(value)[:_LONGEST_FIELD].split())


def _parts(message: Message) -> Iterator[Message]:
    """Every part, the outermost first; not what is inside a returned original."""
    waiting, number = [message], 0
    while waiting and number < _MOST_PARTS:
        part = waiting.pop(0)
        number += 1
        yield part
        payload = part.get_payload()
        if part.get_content_maintype() == "multipart" and isinstance(payload, list):
            waiting[:0] = [inner for inner in payload[:_MOST_PARTS] if isinstance(inner, Message)]


def _text_of(parts: list[Message]) -> str:
    """The words of the first text, without markup."""
    for kind in ("text/plain", "text/html"):
        for part in parts:
            if part.get_content_type() == kind and "attachment" not in _header(part, "Content-Disposition"):
                text = _decoded(part)[: _MOST_TEXT * 8]
                plain = _without_markup(text) if kind == "text/html" else text
                if plain.strip():
                    return plain[:_MOST_TEXT]
    return ""


def _without_markup(html: str) -> str:
    """Without tags, and without what a page runs or looks like."""
    kept = []
    for piece in _UNREAD.split(html):
        if piece.startswith("/"):
            kept.append(piece.partition(">")[2])
        elif not kept:
            kept.append(piece)
    return unescape(_TAGS.sub(" ", " ".join(kept)))


def _decoded(part: Message) -> str:
    try:
        payload = part.get_payload(decode=True)
    except (ValueError, LookupError, AssertionError):
        return ""
    raw = payload if isinstance(payload, bytes) else str(part.get_payload()).encode("utf-8", "replace")
    said = str(part.get_content_charset() or "utf-8").lower()
    for charset in ({"gb2312": "gb18030", "gbk": "gb18030"}.get(said, said), "utf-8", "gb18030"):
        try:
            return raw.decode(charset)
        except (UnicodeError, LookupError, ValueError):
            continue
    return raw.decode("latin-1")


def _header(message: Message, name: str) -> str:
    """A field's words, decoded as far as they can be."""
    value = message.get(name)
    if value is None:
        return ""
    text = str(value)[:_LONGEST_FIELD]
    with contextlib.suppress(ValueError, LookupError, UnicodeError, AssertionError, MessageError):
        text = str(make_header(decode_header(text)))
    if any("\udc80" <= character <= "\udcff" for character in text):
        raw = text.encode("utf-8", "surrogateescape")
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            text = raw.decode("gb18030", "replace")
    return " ".join(text.split())


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1] if found else ""
