"""A kept mail, taken apart for people: headers decoded, HTML, text, what is attached. Called by pages.py.

The bytes are whatever somebody sent over SMTP: nothing here may fail on them, and nothing runs.
"""

import email.policy
import re
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser

_CID = re.compile(r"cid:([^\"'\s)>]+)", re.IGNORECASE)
_HEAD = re.compile(r"<head[^>]*>", re.IGNORECASE)
#: Shown as a picture; everything else is a download.
PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


@dataclass(frozen=True, slots=True)
class Part:
    """Something attached or embedded."""

    number: int
    name: str
    content_type: str
    content_id: str
    content: bytes


@dataclass(frozen=True, slots=True)
class MailView:
    """A mail for the eye.

    Attributes:
        headers: in their order, decoded.
        html: the HTML part; empty: there is none.
        text: the text part.
        parts: everything else.
        source: the whole, as text.
        fault: what could not be read, if anything.
    """

    headers: tuple[tuple[str, str], ...]
    html: str
    text: str
    parts: tuple[Part, ...]
    source: str
    fault: str


def view(content: bytes) -> MailView:
    """Take a mail apart. Blocks for some milliseconds: call it in a thread.

    Args:
        content: as it came over SMTP.
    """
    source = content.decode("utf-8", "replace")
    try:
        message = BytesParser(EmailMessage, policy=email.policy.default).parsebytes(content)
        headers = tuple((name, _plain(str(value))) for name, value in message.items())
        html, text = _body(message, "html"), _body(message, "plain")
        parts = tuple(_parts(message))
    except Exception as error:  # noqa: BLE001 — the parser raises what it likes on malformed mail
        return MailView((), "", "", (), source, f"{type(error).__name__}")
    return MailView(headers, html, text, parts, source, "")


def framed(html: str, parts: tuple[Part, ...], base: str) -> str:
    """The HTML for the frame: embedded pictures come from us, links open beside.

    Args:
        html: of the mail.
        parts: where `cid:` pictures are.
        base: address under which the parts are served.
    """
    numbers = {part.content_id: part.number for part in parts if part.content_id}

    def embedded(found: re.Match[str]) -> str:
        number = numbers.get(found.group(1))
        return f"{base}/{number}" if number is not None else found.group()

    html = _CID.sub(embedded, html)
    target = '<base target="_blank">'
    return (
        _HEAD.sub(lambda found: found.group() + target, html, count=1)
        if _HEAD.search(html)
        else target + html
    )


def _body(message: EmailMessage, kind: str) -> str:
    part = message.get_body(preferencelist=(kind,))
    if part is None:
        return ""
    content = part.get_content()
    return _plain(content) if isinstance(content, str) else ""


def _parts(message: EmailMessage) -> list[Part]:
    found = []
    for number, part in enumerate(message.walk()):
        if part.is_multipart() or (part.get_content_maintype() == "text" and not part.get_filename()):
            continue
        content = part.get_payload(decode=True)
        if isinstance(content, bytes):
            found.append(
                Part(
                    number=number,
                    name=_plain(part.get_filename() or f"part-{number}"),
                    content_type=part.get_content_type(),
                    content_id=str(part.get("Content-ID", "")).strip("<> "),
                    content=content,
                )
            )
    return found


def _plain(text: str) -> str:
    """Without lone surrogates, which no response can carry."""
    return text.encode("utf-8", "replace").decode()
