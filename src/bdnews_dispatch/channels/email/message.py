"""A mail on its way out, and what must be true of its bytes.

Made by dispatch/ from what digests/ composed; taken by channel.py and line.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from bdnews_dispatch.channels.email.addresses import Mailbox


@dataclass(frozen=True, slots=True)
class OutgoingMail:
    """One mail to one recipient.

    Attributes:
        delivery_id: the row of the ledger; for logs only.
        sender: envelope sender (VERP), so that a bounce names its delivery.
        recipient: envelope recipient.
        content: `content(eight_bit)` gives the whole message as it stands behind DATA (`on_the_wire`), without the
            final dot. `eight_bit`: the relay offered 8BITMIME (RFC 6152); if not, the bytes must be ASCII.
    """

    delivery_id: int
    sender: str
    recipient: str
    content: Callable[[bool], bytes]


class Ready(NamedTuple):
    """A mail made ready for one connection.

    Attributes:
        envelope: MAIL, RCPT and DATA as they go out together (RFC 2920).
        options: of MAIL, for a relay that takes one command at a time.
    """

    sender: Mailbox
    recipient: Mailbox
    options: tuple[str, ...]
    envelope: bytes
    body: bytes


class UnfitMessageError(ValueError):
    """These bytes may not go out.

    Attributes:
        code: a dotted name.
    """

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code = code


def on_the_wire(message: bytes) -> bytes:
    """A plainly composed message as it stands behind DATA: dots doubled at the front of lines (RFC 5321 §4.5.2).

    Raises:
        UnfitMessageError: a bare CR or LF, which SMTP smuggling lives on (CVE-2023-51764). Mending it here would break
            a DKIM signature, so whoever composed it is told.
    """
    pairs = message.count(b"\r\n")
    if message.count(b"\n") != pairs or message.count(b"\r") != pairs:
        raise UnfitMessageError("message.line_ending", "邮件里有单独的 CR 或 LF，未发送")
    if not message.endswith(b"\r\n"):
        message += b"\r\n"
    return (b"." if message.startswith(b".") else b"") + message.replace(b"\r\n.", b"\r\n..")
