"""The encoded mail of a variant: encoded once, with slots for what differs between two recipients.

In: the rendered subject, HTML and text with slot characters in them, and the headers that all recipients
share.
Out: whole RFC 5322 messages as bytes, one join each. Callers: rendering makes variants; dispatch workers
assemble.
"""

import base64
import hashlib
import re
from collections.abc import Sequence

from bdnews_dispatch.digests.dkim import BodyHash, DkimSigner
from bdnews_dispatch.digests.headers import Headers, head, mailbox
from bdnews_dispatch.digests.slots import (
    FIRST_SLOT,
    LAST_SLOT,
    PLACES,
    SENTINELS,
    Slots,
    clean,
    shown_name,
    slot_values,
)

__all__ = ["Headers", "Pieces", "Slots", "Variant"]

_NAMES = {character: name for name, character in SENTINELS.items()}
_SPLIT = re.compile(f"([{chr(FIRST_SLOT)}-{chr(LAST_SLOT)}])")


class Pieces:
    """Encoded text, cut once at its slots; filling it is a join."""

    def __init__(self, text: str, *, place: str) -> None:
        parts = _SPLIT.split(text)
        self._parts: list[bytes] = [part.encode() for part in parts]
        self._keys = tuple(PLACES.index(f"{place}:{_NAMES[character]}") for character in parts[1::2])

    @property
    def front(self) -> bytes:
        """What stands before the first slot."""
        return self._parts[0]

    def fill(self, values: Sequence[bytes]) -> bytes:
        """Args: values: in the order of PLACES."""
        parts = self._parts.copy()
        parts[1::2] = map(values.__getitem__, self._keys)
        return b"".join(parts)


class Variant:
    """One encoded mail with its slots.

    Attributes:
        subject: as a reader sees it.
        html, text: with slot characters; `preview` fills them.
        size: octets of the 8bit message without the slots' values.
    """

    def __init__(
        self, *, subject: str, html: str, text: str, headers: Headers, dkim: DkimSigner | None = None
    ) -> None:
        """Args: dkim: signs each message; None where a relay does, or nobody."""
        self.subject = clean(subject)
        self.html = html
        self.text = text
        fields = head(self.subject, headers)
        boundary = "=_" + hashlib.sha256(f"{fields}\0{text}\0{html}".encode()).hexdigest()[:32]
        self._html = Pieces(_crlf(html), place="html")
        self._text = Pieces(_crlf(text), place="text")
        self._head = Pieces(fields + _content_type(boundary), place="header")
        self._eight_bit = _Joined(
            self._head,
            _part(boundary, "plain", "8bit"),
            self._text,
            _part(boundary, "html", "8bit"),
            self._html,
            f"\r\n--{boundary}--\r\n",
        )
        self._wire = _Wire(self._eight_bit)
        self._dkim = dkim
        self._date = headers.date
        # The empty line behind the header is no part of the body (RFC 6376 §3.4).
        self._body_front = _part(boundary, "plain", "8bit")[2:].encode() + self._text.front
        self._body_hash = BodyHash(self._body_front)
        self._boundary = boundary
        self.size = self._eight_bit.size

    def preview(self, slots: Slots) -> tuple[str, str, str]:
        """Subject, HTML and text as this recipient would get them.

        Raises:
            ValueError: as `assemble`.
        """
        values = _values(slots)
        html = self._html.fill(values).decode().replace("\r\n", "\n")
        return self.subject, html, self._text.fill(values).decode().replace("\r\n", "\n")

    def assemble(self, slots: Slots, *, eight_bit: bool) -> bytes:
        """The whole message: CRLF, lines of at most 998 octets. A local part beyond ASCII needs SMTPUTF8.

        Args:
            slots: whose mail it is.
            eight_bit: whether the relay offers 8BITMIME; else base64.

        Raises:
            ValueError: an address, URL or id can't stand in a mail. The name never is the reason.
        """
        return self._assembled(_values(slots), eight_bit=eight_bit)

    def _assembled(self, values: Sequence[bytes], *, eight_bit: bool) -> bytes:
        if self._dkim is None:
            return self._unsigned(values, eight_bit=eight_bit)
        message = self._unsigned(values, eight_bit=eight_bit)
        end = message.index(b"\r\n\r\n") + 2  # of the head; no value holds a line end
        fields, body = message[:end], message[end + 2 :]
        shared, front = (self._body_hash, len(self._body_front)) if eight_bit else (BodyHash(b""), 0)
        body_hash = shared.of(body[front:])
        # The date of the dispatch, so that a second try is the same message to the last octet.
        return self._dkim.sign(fields, body_hash, self._date) + message

    def _unsigned(self, values: Sequence[bytes], *, eight_bit: bool) -> bytes:
        if eight_bit:
            return self._eight_bit.fill(values)
        return b"".join(
            (
                self._head.fill(values),
                _part(self._boundary, "plain", "base64").encode(),
                _base64(self._text.fill(values)),
                _part(self._boundary, "html", "base64").encode(),
                _base64(self._html.fill(values)),
                f"\r\n--{self._boundary}--\r\n".encode(),
            )
        )

    def on_the_wire(self, slots: Slots, *, eight_bit: bool) -> bytes:
        """The message as it stands behind DATA, without the final dot: `assemble`, and dots doubled at the front of
        lines (RFC 5321 §4.5.2). What all recipients share is made ready once.

        Raises:
            ValueError: as `assemble`.
        """
        values = _values(slots)
        if eight_bit and self._dkim is None and (wire := self._wire.fill_if_plain(values)) is not None:
            return wire
        return dots_doubled(self._assembled(values, eight_bit=eight_bit))


def dots_doubled(message: bytes) -> bytes:
    """RFC 5321 §4.5.2. A message of ours begins with a header field, never with a dot."""
    return message.replace(b"\r\n.", b"\r\n..")


class _Joined(Pieces):
    """Several pieces and what stands between them as one."""

    def __init__(self, *pieces: Pieces | str) -> None:
        parts: list[bytes] = [b""]
        keys: list[int] = []
        for piece in pieces:
            if isinstance(piece, str):
                parts[-1] += piece.encode()
                continue
            parts[-1] += piece._parts[0]  # noqa: SLF001
            parts.extend(piece._parts[1:])  # noqa: SLF001
            keys.extend(piece._keys)  # noqa: SLF001
        self._parts = parts
        self._keys = tuple(keys)
        self.size = sum(map(len, parts[::2]))


class _Wire(Pieces):
    """A joined message with the dots of its own lines doubled.

    A slot at the front of a line may begin with a dot, or be empty before one: such a value has to be looked at.
    """

    def __init__(self, joined: _Joined) -> None:
        parts, keys = joined._parts, joined._keys  # noqa: SLF001
        at_front = [False]  # whether what comes next stands at the front of a line
        for part in parts[::2]:
            at_front.append(part.endswith(b"\r\n") or (not part and at_front[-1]))
        self._front = frozenset(key for key, front in zip(keys, at_front[1:], strict=False) if front)
        # Values hold no line ends, so a part behind a slot begins inside a line, unless the slot was empty.
        self._must_hold = frozenset(
            key
            for key, front, part in zip(keys, at_front[1:], parts[2::2], strict=False)
            if front and part[:1] in (b".", b"")
        )
        self._keys = keys
        self._parts = [dots_doubled(part) if place % 2 == 0 else part for place, part in enumerate(parts)]

    def fill_if_plain(self, values: Sequence[bytes]) -> bytes | None:
        """The message, unless a value would need a dot doubled."""
        if any(values[key][:1] == b"." for key in self._front) or not all(
            map(values.__getitem__, self._must_hold)
        ):
            return None
        return self.fill(values)


def _content_type(boundary: str) -> str:
    return f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"\r\n'


def _part(boundary: str, kind: str, encoding: str) -> str:
    return (
        f"\r\n--{boundary}\r\nContent-Type: text/{kind}; charset=utf-8\r\n"
        f"Content-Transfer-Encoding: {encoding}\r\n\r\n"
    )


def _crlf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")


def _base64(body: bytes) -> bytes:
    return base64.encodebytes(body).replace(b"\n", b"\r\n")


def _values(slots: Slots) -> tuple[bytes, ...]:
    name = shown_name(slots.recipient_name)
    return slot_values(slots, mailbox(name, slots.recipient_address), name)
