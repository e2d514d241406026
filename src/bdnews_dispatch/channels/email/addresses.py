"""Envelope addresses: what may stand between the angle brackets of MAIL and RCPT.

In: an address as a subscriber list or a setting holds it. Out: a `Mailbox`, its domain in ASCII, or
`BadAddressError`. Called by channel.py before anything goes to the relay.
"""

import re
from functools import lru_cache
from typing import NamedTuple

import idna

#: RFC 5321 §4.5.3.1.1 and §4.5.3.1.2, octets.
LOCAL_LIMIT = 64
DOMAIN_LIMIT = 255
#: RFC 5321 §4.5.3.1.3: a path of 256 octets with its two brackets.
ADDRESS_LIMIT = 254

#: C0, DEL, C1, and the two line separators: nothing of these ever reaches a command or a header.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
#: RFC 5321 §4.1.2 Dot-string, with RFC 6531 §3.3 letters beyond ASCII.
_DOT_STRING = re.compile(r"[\w!#$%&'*+/=?^`{|}~\-]+(?:\.[\w!#$%&'*+/=?^`{|}~\-]+)*")
#: RFC 5321 §4.1.2 Quoted-string, printable ASCII only.
_QUOTED = re.compile(r'"(?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\[\x20-\x7e])*"')
#: RFC 1034 §3.5 labels; underscore is met in the wild and harmless.
_DOMAIN = re.compile(
    r"(?:[a-z0-9_](?:[a-z0-9_\-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_\-]{0,61}[a-z0-9_])?", re.IGNORECASE
)
#: What nearly all are: a Dot-string at a domain in lower case, ASCII.
_PLAIN = re.compile(
    r"([\w!#$%&'*+/=?^`{|}~\-]+(?:\.[\w!#$%&'*+/=?^`{|}~\-]+)*)"
    r"@((?:[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?)",
    re.ASCII,
)


class BadAddressError(ValueError):
    """The address can't stand in an envelope; the message says why, without the address."""


class Mailbox(NamedTuple):
    """An address ready for the envelope.

    Attributes:
        local: before the @, as it was written.
        domain: after the @, in ASCII (RFC 5890 A-labels), lower case.
    """

    local: str
    domain: str

    @property
    def address(self) -> str:
        return f"{self.local}@{self.domain}"

    @property
    def needs_smtputf8(self) -> bool:
        """RFC 6531: only a local part beyond ASCII needs it; a domain has an ASCII form."""
        return not self.local.isascii()


def parse_mailbox(address: str) -> Mailbox:
    """Take an address apart.

    Args:
        address: `local@domain`, without a display name or brackets.

    Raises:
        BadAddressError: control characters, no or an empty part, a character that may not stand there, too
            long.
    """
    if (
        (plain := _PLAIN.fullmatch(address))
        and len(plain[1]) <= LOCAL_LIMIT
        and len(address) <= ADDRESS_LIMIT
    ):
        return Mailbox(plain[1], plain[2])
    if _CONTROL.search(address):
        raise BadAddressError("地址里有控制字符")
    local, at, domain = address.rpartition("@")
    if not at or not local or not domain:
        raise BadAddressError("地址不是“名称@域名”的形式")
    if not (_DOT_STRING.fullmatch(local) or _QUOTED.fullmatch(local)):
        raise BadAddressError("地址 @ 之前有不允许的字符")
    ascii_domain = _ascii_domain(domain)
    local_octets = len(local.encode("utf-8", "replace"))
    if local_octets > LOCAL_LIMIT or local_octets + 1 + len(ascii_domain) > ADDRESS_LIMIT:
        raise BadAddressError("地址过长")
    return Mailbox(local, ascii_domain)


@lru_cache(maxsize=4096)
def _ascii_domain(domain: str) -> str:
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except idna.IDNAError as error:
            raise BadAddressError("地址的域名不是合规的国际化域名") from error
    if len(domain) > DOMAIN_LIMIT or not _DOMAIN.fullmatch(domain):
        raise BadAddressError("地址的域名不合规")
    return domain.lower()
