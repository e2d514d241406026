"""The addresses that stand in mails and cards: signed, bound to one purpose, without anything personal.

A token is `v1.KID.PAYLOAD.MAC`. The payload is a delivery's key and, for some purposes, an end. The MAC of a payload is
one keyed BLAKE2b (RFC 7693 §2.9) of 60 octets; each purpose owns its own 80 bits of it, so a delivery's seven addresses
cost two hashes, and a token for one purpose tells nothing about another's. Hexadecimal in lower case throughout,
because some relays change the case of a local part. Old keys verify after a rotation.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from bdnews_dispatch.errors import SettingsError, TokenError

_VERSION = "v1"
#: Hexadecimal characters of a MAC: 80 bits, to be guessed online only. A VERP local part (64 octets, RFC 5321
#: §4.5.3.1.1) has room for it.
_MAC_LENGTH = 20
#: MACs in one BLAKE2b of at most 64 octets.
_MACS_A_HASH = 6
_SHORTEST_SECRET = 32
#: Before a delivery's key and MAC in the local parts that mail comes back to.
BOUNCES_TO = "b+"
UNSUBSCRIBE_TO = "unsubscribe+"


class Purpose(StrEnum):
    """What a token opens; a token for one opens nothing else."""

    OPEN = "o"
    CLICK = "c"
    WEB = "w"
    PREFERENCES = "p"
    UNSUBSCRIBE = "u"
    BOUNCE = "b"
    #: Leave by a mail (RFC 2369's mailto): it stands in a header that is forwarded, so it must not suppress anybody.
    LEAVE = "l"
    CONFIRM = "s"
    #: A WeChat follower's own page; in messages to them alone.
    FOLLOWER = "f"
    #: The page with a one-time QR code.
    SCAN = "q"
    #: What goes to the platform and back when WeChat tells who looks.
    STATE = "a"
    #: The calendar of what is to be sent, of a user of the console; in their calendar program.
    CALENDAR = "k"


_RETURNED = {BOUNCES_TO: Purpose.BOUNCE, UNSUBSCRIBE_TO: Purpose.LEAVE}

#: Where a purpose's MAC stands. Only ever added to: a place that moves makes every link in every mail invalid.
_PLACES = {
    Purpose.OPEN: 0,
    Purpose.CLICK: 1,
    Purpose.WEB: 2,
    Purpose.PREFERENCES: 3,
    Purpose.UNSUBSCRIBE: 4,
    Purpose.BOUNCE: 5,
    Purpose.LEAVE: 6,
    Purpose.CONFIRM: 7,
    Purpose.FOLLOWER: 8,
    Purpose.SCAN: 9,
    Purpose.STATE: 10,
    Purpose.CALENDAR: 11,
}


def random_keys(now: datetime, number: int) -> list[str]:
    """Names of deliveries in links: the second they were made in and 64 random bits, 24 characters.

    The second stands in front so that keys made together lie together in the database's index: wholly random ones touch
    as many pages as there are rows, and a dispatch of a million becomes slower with each slice.
    """
    front = f"{int(now.timestamp()):08x}"
    chance = secrets.token_bytes(8 * number).hex()
    return [front + chance[start : start + 16] for start in range(0, 16 * number, 16)]


def random_key(now: datetime) -> str:
    """One of `random_keys`."""
    return random_keys(now, 1)[0]


class SigningKey:
    """A secret and its name in tokens."""

    def __init__(self, id: str, secret: bytes) -> None:  # noqa: A002  # the token's own word for it
        self.id = id
        self._key = hashlib.blake2b(secret).digest()  # BLAKE2b takes a key of at most 64 octets

    def macs(self, payload: str, block: int = 0) -> str:
        """Six purposes' MACs for a payload, one behind the other."""
        return hashlib.blake2b(
            f"{_VERSION}|{self.id}|{payload}".encode("utf-8", "replace"),
            digest_size=_MACS_A_HASH * _MAC_LENGTH // 2,
            key=self._key,
            person=_PERSONS[block],
        ).hexdigest()

    def mark(self, text: str) -> str:
        """A name of the text from which it can't be had again, 160 bits; another one for each key."""
        mark = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=20, key=self._key, person=b"mark")
        return f"{self.id}:{mark.hexdigest()}"

    def mac(self, purpose: Purpose, payload: str) -> str:
        block, place = divmod(_PLACES[purpose], _MACS_A_HASH)
        return self.macs(payload, block)[place * _MAC_LENGTH : (place + 1) * _MAC_LENGTH]


_PERSONS = (b"links-0", b"links-1")


class Signer:
    """Makes and reads tokens. The first key signs; all of them verify."""

    def __init__(self, keys: Sequence[SigningKey]) -> None:
        if not keys:
            raise SettingsError("没有签名密钥")
        self.first = keys[0]
        self._by_id = {key.id: key for key in keys}

    def token(self, purpose: Purpose, key: str, *, ends: datetime | None = None) -> str:
        """Args: key: a delivery's key. ends: when the token stops opening anything; None is never."""
        payload = key if ends is None else f"{key}-{int(ends.timestamp()):x}"
        return f"{_VERSION}.{self.first.id}.{payload}.{self.first.mac(purpose, payload)}"

    def read(self, purpose: Purpose, token: str, now: datetime) -> str:
        """The delivery's key that the token names.

        Raises:
            TokenError: not signed by us, for another purpose, or over.
        """
        parts = token.split(".")
        if len(parts) != 4 or parts[0] != _VERSION:  # v1.kid.payload.mac
            raise TokenError("链接不完整")
        _, key_id, payload, mac = parts
        signing = self._by_id.get(key_id)
        if signing is None or not hmac.compare_digest(
            signing.mac(purpose, payload).encode(), mac.encode("utf-8", "replace")
        ):
            raise TokenError("链接无效")
        key, separator, end = payload.partition("-")
        if separator and datetime.fromtimestamp(int(end, 16), UTC) < now:
            raise TokenError("链接已过期")
        return key

    def marks(self, text: str) -> list[str]:
        """The text's marks, by every key that is known; the first key's first."""
        others = (key for key in self._by_id.values() if key is not self.first)
        return [key.mark(text) for key in (self.first, *others)]

    def read_returned(self, local: str) -> tuple[Purpose, str]:
        """What mail to this local part is for, and whose it is: `b+KEY.MAC`, `unsubscribe+KEY.MAC`.

        Raises:
            TokenError: it was not signed by us, whoever writes to it.
        """
        local = local.lower()
        for front, purpose in _RETURNED.items():
            key, separator, mac = local.removeprefix(front).partition(".")
            if not (local.startswith(front) and separator):
                continue
            for signing in self._by_id.values():
                if hmac.compare_digest(signing.mac(purpose, key).encode(), mac.encode("utf-8", "replace")):
                    return purpose, key
        raise TokenError("退信地址无效")

    def verp(self, key: str) -> str:
        """The local part of a delivery's envelope sender: a bounce names its delivery, and only ours suppress."""
        return f"{BOUNCES_TO}{key}.{self.first.mac(Purpose.BOUNCE, key)}"


class DeliveryLinks(NamedTuple):
    """Every address in one delivery's mail.

    Attributes:
        click: prefix; link n is `/n` behind it.
        verp: the local part of the envelope sender.
        leave: the local part of the address for leaving by a mail.
    """

    pixel: str
    click: str
    web_copy: str
    preferences: str
    unsubscribe: str
    verp: str
    leave: str


class Links:
    """Every address that a digest needs."""

    def __init__(self, base_url: str, signer: Signer) -> None:
        """Args: base_url: without a slash at the end."""
        self.base_url = base_url
        self.signer = signer

    def of_delivery(self, key: str) -> DeliveryLinks:
        """All of a delivery's addresses for two hashes; what `Signer.token` signs one by one."""
        signing = self.signer.first
        macs = signing.macs(key)
        base, token = self.base_url, f"{_VERSION}.{signing.id}.{key}."
        return DeliveryLinks(
            f"{base}/o/{token}{macs[:20]}.gif",
            f"{base}/c/{token}{macs[20:40]}",
            f"{base}/w/{token}{macs[40:60]}",
            f"{base}/p/{token}{macs[60:80]}",
            f"{base}/u/{token}{macs[80:100]}",
            f"{BOUNCES_TO}{key}.{macs[100:120]}",
            f"{UNSUBSCRIBE_TO}{key}.{signing.mac(Purpose.LEAVE, key)}",
        )

    def pixel(self, key: str) -> str:
        return self.of_delivery(key).pixel

    def click(self, key: str) -> str:
        """Prefix of a click; link n is `/n` behind it."""
        return self.of_delivery(key).click

    def web_copy(self, key: str) -> str:
        return self.of_delivery(key).web_copy

    def preferences(self, key: str, *, ends: datetime | None = None) -> str:
        """Args: ends: of a link that was come to from one that ends; None: never."""
        if ends is None:
            return self.of_delivery(key).preferences
        token = self.signer.token(Purpose.PREFERENCES, key, ends=ends)
        return f"{self.base_url}/{Purpose.PREFERENCES}/{token}"

    def unsubscribe(self, key: str) -> str:
        return self.of_delivery(key).unsubscribe

    def confirm(self, key: str) -> str:
        """Where a request is answered."""
        return f"{self.base_url}/{Purpose.CONFIRM}/{self.signer.token(Purpose.CONFIRM, key)}"

    def follower(self, key: str, *, ends: datetime) -> str:
        """A follower's own page. It stands in a chat, which others may see: it ends."""
        return f"{self.base_url}/{Purpose.FOLLOWER}/{self.signer.token(Purpose.FOLLOWER, key, ends=ends)}"

    def scan(self, scene: str, *, ends: datetime) -> str:
        """The page with a QR code."""
        return f"{self.base_url}/{Purpose.SCAN}/{self.signer.token(Purpose.SCAN, scene, ends=ends)}"

    def calendar(self, key: str) -> str:
        """What a calendar program subscribes to. Args: key: of accounts/calendar_addresses.py."""
        token = self.signer.token(Purpose.CALENDAR, key)
        return f"{self.base_url}/{Purpose.CALENDAR}/{token}/calendar.ics"

    def subscribe(self, publication: str) -> str:
        """The page on which anybody may subscribe."""
        return f"{self.base_url}/subscribe/{publication}"

    def issue(self, publication: str, total_number: int) -> str:
        """The public page of an issue."""
        return f"{self.base_url}/issues/{publication}/{total_number}"

    def article(self, publication: str, total_number: int, place: int) -> str:
        """The public page of an article; its QR code is `/qr.png` behind it."""
        return f"{self.issue(publication, total_number)}/{place}"

    def picture(self, digest: str) -> str:
        """A stored picture of an issue."""
        return f"{self.base_url}/pictures/{digest}"

    def archive(self, publication: str) -> str:
        return f"{self.base_url}/issues/{publication}"


#: In the data folder.
_KEPT = "signing.key"


def read_keys(texts: Sequence[str]) -> list[SigningKey]:
    """Keys from settings, each `KID:SECRET`.

    Raises:
        SettingsError: one is not of that form, or its secret is shorter than 32 characters.
    """
    keys = []
    for number, text in enumerate(texts, start=1):
        key_id, separator, secret = text.partition(":")
        if not separator or not key_id.isalnum() or len(secret) < _SHORTEST_SECRET:
            raise SettingsError(
                f"设置 security.signing_keys 的第 {number} 项应为“编号:密钥”，密钥至少 {_SHORTEST_SECRET} 个字符",
                hint="例如用 python -c 'import secrets; print(secrets.token_urlsafe(32))' 生成密钥。",
            )
        keys.append(SigningKey(key_id, secret.encode()))
    return keys


def kept_key_if_any(folder: Path) -> list[SigningKey]:
    """The key that this installation once made for itself; links in old mails are signed by it."""
    path = folder / _KEPT
    return read_keys([path.read_text(encoding="ascii").strip()]) if path.is_file() else []


def kept_key(folder: Path) -> SigningKey:
    """The key of this installation, made once and kept readable for its owner alone."""
    path = folder / _KEPT
    folder.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        text = path.read_text(encoding="ascii").strip()
    else:
        text = f"{secrets.token_hex(2)}:{secrets.token_urlsafe(32)}"
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text + "\n")
    return read_keys([text])[0]
