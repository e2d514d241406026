"""The addresses that stand in mails and cards: signed, bound to one purpose, without anything personal.

A token is `v1.KID.PAYLOAD.MAC`: the payload is a delivery's random key (and, for some purposes, an end), the MAC is
HMAC-SHA256 over version, purpose, key id and payload, cut to 128 bits (NIST SP 800-107 allows it for such use).
Lower-case base32 throughout, because some relays change the case of a local part. Old keys verify after a rotation.
"""

import base64
import hmac
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from bdnews_dispatch.errors import SettingsError, TokenError

_VERSION = "v1"
_MAC_BYTES = 16
#: A VERP local part has at most 64 octets (RFC 5321 §4.5.3.1.1), so its MAC is 80 bits.
_VERP_MAC_BYTES = 10
_SHORTEST_SECRET = 32


class Purpose(StrEnum):
    """What a token opens; a token for one opens nothing else."""

    OPEN = "o"
    CLICK = "c"
    WEB = "w"
    PREFERENCES = "p"
    UNSUBSCRIBE = "u"
    BOUNCE = "b"


def random_key() -> str:
    """96 random bits as 20 lower-case characters: a delivery's name in links."""
    return _encode(secrets.token_bytes(12))


@dataclass(frozen=True, slots=True)
class SigningKey:
    id: str
    secret: bytes


class Signer:
    """Makes and reads tokens. The first key signs; all of them verify."""

    def __init__(self, keys: Sequence[SigningKey]) -> None:
        if not keys:
            raise SettingsError("没有签名密钥")
        self._first = keys[0]
        self._by_id = {key.id: key for key in keys}

    def token(self, purpose: Purpose, key: str, *, ends: datetime | None = None) -> str:
        """Args: key: a delivery's random key. ends: when the token stops opening anything; None is never."""
        payload = key if ends is None else f"{key}-{int(ends.timestamp()):x}"
        return f"{_VERSION}.{self._first.id}.{payload}.{_mac(self._first, purpose, payload, _MAC_BYTES)}"

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
            _mac(signing, purpose, payload, _MAC_BYTES).encode(), mac.encode("utf-8", "replace")
        ):
            raise TokenError("链接无效")
        key, separator, end = payload.partition("-")
        if separator and datetime.fromtimestamp(int(end, 16), UTC) < now:
            raise TokenError("链接已过期")
        return key

    def verp(self, key: str) -> str:
        """The local part of a delivery's envelope sender: a bounce names its delivery, and only ours suppress."""
        return f"b+{key}.{_mac(self._first, Purpose.BOUNCE, key, _VERP_MAC_BYTES)}"


class Links:
    """Every address that a digest needs."""

    def __init__(self, base_url: str, signer: Signer) -> None:
        """Args: base_url: without a slash at the end."""
        self.base_url = base_url
        self.signer = signer

    def _signed(self, purpose: Purpose, key: str) -> str:
        return f"{self.base_url}/{purpose}/{self.signer.token(purpose, key)}"

    def pixel(self, key: str) -> str:
        return self._signed(Purpose.OPEN, key) + ".gif"

    def click(self, key: str) -> str:
        """Prefix of a click; link n is `/n` behind it."""
        return self._signed(Purpose.CLICK, key)

    def web_copy(self, key: str) -> str:
        return self._signed(Purpose.WEB, key)

    def preferences(self, key: str) -> str:
        return self._signed(Purpose.PREFERENCES, key)

    def unsubscribe(self, key: str) -> str:
        return self._signed(Purpose.UNSUBSCRIBE, key)

    def issue(self, publication: str, total_number: int) -> str:
        """The public page of an issue."""
        return f"{self.base_url}/issues/{publication}/{total_number}"

    def article(self, publication: str, total_number: int, place: int) -> str:
        """The public page of an article; its QR code is `/qr.png` behind it."""
        return f"{self.issue(publication, total_number)}/{place}"

    def archive(self, publication: str) -> str:
        return f"{self.base_url}/issues/{publication}"


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


def kept_key(folder: Path) -> SigningKey:
    """The key of this installation, made once and kept readable for its owner alone."""
    path = folder / "signing.key"
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


def _mac(key: SigningKey, purpose: Purpose, payload: str, size: int) -> str:
    message = f"{_VERSION}|{purpose}|{key.id}|{payload}".encode("utf-8", "replace")
    return _encode(hmac.digest(key.secret, message, "sha256")[:size])


def _encode(data: bytes) -> str:
    return base64.b32encode(data).rstrip(b"=").decode("ascii").lower()
