"""DKIM signatures (RFC 6376): RSA (rsa-sha256) and Ed25519 (RFC 8463), one field a key, `c=relaxed/simple`.

In: a mail's header fields and the hash of its body, as they go out; private keys. Out: DKIM-Signature fields to stand
in front. Callers: message (signs), service (reads the keys when it starts).

A dispatch signs hundreds of thousands of heads of one shape. What depends on the shape alone (which fields, in which
order, `h=`) is worked out once a shape; a mail costs its own octets and the signature.
"""

import hashlib
import re
from binascii import b2a_base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from bdnews_dispatch.errors import Phrase, SettingsError

#: Signed once more often than they stand in a head, absent ones too: an added one breaks the signature
#: (RFC 6376 §8.15). A mailbox shows these or acts on them.
_SEALED: Final = (
    b"From",
    b"To",
    b"Subject",
    b"Date",
    b"Message-ID",
    b"Reply-To",
    b"List-Unsubscribe",
    b"List-Unsubscribe-Post",
)
#: Signed as often as they stand in a head. RFC 6376 §5.4.1 names what to sign; RFC 8058 §4 asks for both
#: List-Unsubscribe fields above.
_SIGNED: Final = (
    b"List-Id",
    b"List-Archive",
    b"Archived-At",
    b"Auto-Submitted",
    b"Precedence",
    b"Feedback-ID",
    b"MIME-Version",
    b"Content-Type",
)
#: Octets in a line without its CRLF; RFC 5322 §2.1.1 recommends at most 78.
_LINE: Final = 77
#: Characters of base64 in a line, behind a space and perhaps `b=`.
_BASE64_LINE: Final = 72
#: RFC 8301 §3.2: signers SHOULD use at least this many bits.
_LEAST_BITS: Final = 2048
#: RFC 5321 §4.1.2: sub-domain; of at most 63 octets (RFC 1035 §2.3.4).
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
#: RFC 6376 §3.5, `d=`: at least two labels. §3.1, selector: at least one.
_DOMAIN: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")
_SELECTOR: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
#: Characters of a DNS name as text: 255 octets on the wire (RFC 1035 §2.3.4).
_DNS_NAME: Final = 253
#: Heads of different shapes that are remembered; a publication has two or three.
_SHAPES: Final = 64

_HOW_TO_MAKE: Final = Phrase(
    "用 openssl genrsa -out 文件 %(bits)s 生成 RSA 密钥，"
    "或用 openssl genpkey -algorithm ed25519 -out 文件 生成 Ed25519 密钥。",
    bits=_LEAST_BITS,
)

#: RFC 5322 §2.2: printable ASCII without the colon.
_NAME: Final = re.compile(rb"[!-9;-~]+")
_WSP: Final = re.compile(rb"[ \t]+")
_PADDING: Final = padding.PKCS1v15()
_DIGEST: Final = Prehashed(SHA256())


@dataclass(frozen=True, slots=True)
class DkimKey:
    """A private key and where its public half stands in DNS: `selector._domainkey.domain`.

    Attributes:
        domain: A-labels; the one in From or above it, so that DMARC (RFC 7489 §3.1.1) finds it aligned.
    """

    domain: str
    selector: str
    private: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

    @property
    def name(self) -> str:
        """Where the record stands."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def record(self) -> str:
        """What the TXT record says: the public half (RFC 6376 §3.6.1, RFC 8463 §4)."""
        public = self.private.public_key()
        if isinstance(public, rsa.RSAPublicKey):
            kind, octets = "rsa", public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        else:
            kind, octets = "ed25519", public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        return f"v=DKIM1; k={kind}; p={b2a_base64(octets, newline=False).decode()}"


class _Folded(NamedTuple):
    """The same text as it goes out and as relaxed canonicalisation has it."""

    wire: bytes
    canonical: bytes


class _Shape(NamedTuple):
    """What heads with the same field names have in common.

    Attributes:
        fields: what is signed, in the order of `h=`: the place in the head; the name in lower case with its colon.
        listed: the tag `h=`.
    """

    fields: tuple[tuple[int, bytes], ...]
    listed: _Folded


class DkimSigner:
    """Signs mails with every key, in the order of the keys. Without a key it signs nothing."""

    def __init__(self, keys: Sequence[DkimKey]) -> None:
        self._keys = [(key.private, _front(key)) for key in keys]

    def sign(self, head: bytes, body_hash: bytes, at: datetime) -> bytes:
        """The DKIM-Signature fields, CRLF-ended and folded, to stand in front of `head`.

        Args:
            head: the header fields as they go out: CRLF, folded, without the empty line.
            body_hash: of the body as it goes out, before dots are doubled (`BodyHash`).
            at: aware; t=.

        Raises:
            ValueError: the head has no From (RFC 6376 §5.4), or is no head.
        """
        listed, canonical_head = _relaxed(head)
        signed = hashlib.sha256(canonical_head)
        behind = b" t=%d; bh=%b;" % (int(at.timestamp()), b2a_base64(body_hash, newline=False))
        canonical = b" %b%b b=" % (listed.canonical, behind)
        wire = b"\r\n %b\r\n%b\r\n b=" % (listed.wire, behind)
        found = b""
        for private, front in self._keys:
            state = signed.copy()
            state.update(front.canonical + canonical)
            found += front.wire + wire + _signature(private, state.digest()) + b"\r\n"
        return found


class BodyHash:
    """SHA-256 of bodies that share their front, under simple canonicalisation (RFC 6376 §3.4.3)."""

    def __init__(self, shared_prefix: bytes) -> None:
        """Args: shared_prefix: what all recipients' bodies begin with; hashed once."""
        sure = shared_prefix.rstrip(b"\r\n")
        self._state = hashlib.sha256(sure)
        #: Perhaps the body's end, and then not all of it counts.
        self._held = shared_prefix[len(sure) :]

    def of(self, rest: bytes) -> bytes:
        """The digest of the whole body, `bh=` before base64. Args: rest: what follows the shared front."""
        rest = self._held + rest
        end = len(rest)
        while rest.endswith(b"\r\n", 0, end):
            end -= 2
        state = self._state.copy()
        state.update(rest if end == len(rest) - 2 else rest[:end] + b"\r\n")
        return state.digest()


def load_keys(files: Iterable[tuple[str, str, Path]]) -> list[DkimKey]:
    """Keys from PEM files. Args: files: domain, selector and path of each.

    Raises:
        SettingsError: a domain or selector can't stand in DNS or stands twice, or its file holds no private key that
            mailboxes take: RSA of at least 2048 bits or Ed25519, without a password.
    """
    keys: dict[str, DkimKey] = {}
    for domain, selector, path in files:
        _check_names(domain, selector)
        record = f"{selector}._domainkey.{domain}".lower()
        if record in keys:
            raise SettingsError(
                Phrase(
                    "DKIM 选择器 %(selector)s 在域名 %(domain)s 下用了两次", selector=selector, domain=domain
                ),
                hint="每把密钥要有自己的选择器，例如 rsa2026 和 ed2026。",
            )
        keys[record] = DkimKey(domain, selector, _private(path))
    return list(keys.values())


def _check_names(domain: str, selector: str) -> None:
    if not _DOMAIN.fullmatch(domain):
        raise SettingsError(
            Phrase("DKIM 域名“%(domain)s”不正确", domain=domain),
            hint="应写成 example.cn 这样的形式；中文域名请写成 xn-- 开头的 ASCII 形式。",
        )
    if not _SELECTOR.fullmatch(selector):
        raise SettingsError(
            Phrase("DKIM 选择器“%(selector)s”不正确", selector=selector),
            hint="只能用字母、数字、连字符和点，连字符和点不能在首尾，例如 s2026。",
        )
    if len(f"{selector}._domainkey.{domain}") > _DNS_NAME:
        raise SettingsError(
            Phrase("DKIM 选择器 %(selector)s 与域名 %(domain)s 合起来太长", selector=selector, domain=domain),
            hint=Phrase(
                "DNS 名称“选择器._domainkey.域名”最多 %(dns_name)s 个字符，请缩短选择器。", dns_name=_DNS_NAME
            ),
        )


def _private(path: Path) -> rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey:
    try:
        pem = path.read_bytes()
    except OSError as error:
        raise SettingsError(
            Phrase("读不到 DKIM 私钥文件 %(path)s：%(reason)s", path=path, reason=error.strerror),
            hint="请确认设置 email.dkim_key、email.dkim_ed25519_key 的路径，以及服务的用户可以读取。",
        ) from error
    try:
        private = load_pem_private_key(pem, password=None)
    except TypeError as error:  # what cryptography raises for a missing password
        raise SettingsError(
            Phrase("DKIM 私钥文件 %(path)s 有密码", path=path),
            hint=Phrase("请用 openssl pkey -in %(path)s -out 新文件 去掉密码。", path=path),
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SettingsError(
            Phrase("文件 %(path)s 里没有可用的 PEM 私钥", path=path), hint=_HOW_TO_MAKE
        ) from error
    if isinstance(private, rsa.RSAPrivateKey):
        if private.key_size < _LEAST_BITS:
            raise SettingsError(
                Phrase(
                    "DKIM 私钥 %(path)s 只有 %(bits)s 位，至少要 %(least_bits)s 位",
                    path=path,
                    bits=private.key_size,
                    least_bits=_LEAST_BITS,
                ),
                hint=_HOW_TO_MAKE,
            )
        return private
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return private
    raise SettingsError(Phrase("DKIM 私钥 %(path)s 既不是 RSA 也不是 Ed25519", path=path), hint=_HOW_TO_MAKE)


def _relaxed(head: bytes) -> tuple[_Folded, bytes]:
    """The tag `h=`, and the fields that it lists, in its order, as RFC 6376 §3.4.2 has them."""
    text = head.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ")
    if b"  " in text or b"\t" in text:
        text = _WSP.sub(b" ", text)
    lines = text.split(b"\r\n")
    if lines.pop():
        raise ValueError("a head ends in CRLF")
    fields = [line.partition(b":") for line in lines]
    shape = _shape(tuple([name if colon else b"" for name, colon, _ in fields]))
    signed = [name + fields[place][2].strip(b" ") for place, name in shape.fields]
    return shape.listed, b"\r\n".join(signed) + b"\r\n"


@lru_cache(maxsize=_SHAPES)
def _shape(names: tuple[bytes, ...]) -> _Shape:
    """Args: names: a head's, in its order. Of fields with the same name, the last is signed first (§5.4.2)."""
    plain = [name.rstrip(b" ").lower() for name in names]
    if not all(map(_NAME.fullmatch, plain)):
        raise ValueError("a line of the head is no header field")
    if b"from" not in plain:
        raise ValueError("a head without From can't be signed")
    fields: list[tuple[int, bytes]] = []
    listed: list[bytes] = []
    for name in _SEALED + _SIGNED:
        low = name.lower()
        found = [(place, low + b":") for place, other in enumerate(plain) if other == low]
        fields += reversed(found)
        listed += [name] * (len(found) + (name in _SEALED))
    words = [name + b":" for name in listed[:-1]] + [listed[-1] + b";"]
    words[0] = b"h=" + words[0]
    return _Shape(tuple(fields), _folded(words, b"", 1))


def _front(key: DkimKey) -> _Folded:
    """The field's name and the tags that only depend on the key."""
    algorithm = "rsa" if isinstance(key.private, rsa.RSAPrivateKey) else "ed25519"
    tags = ("v=1", f"a={algorithm}-sha256", "c=relaxed/simple", f"d={key.domain}", f"s={key.selector}")
    name = b"DKIM-Signature: "
    tagged = _folded([f"{tag};".encode("ascii") for tag in tags], b" ", len(name))
    return _Folded(name + tagged.wire, b"dkim-signature:" + tagged.canonical)


def _folded(words: Sequence[bytes], between: bytes, column: int) -> _Folded:
    """Words in lines that are as long as they may be. Args: column: octets that stand in front of the first line."""
    lines = [words[0]]
    for word in words[1:]:
        longer = lines[-1] + between + word
        if column + len(longer) <= _LINE:
            lines[-1] = longer
        else:
            lines.append(word)
            column = 1
    return _Folded(b"\r\n ".join(lines), b" ".join(lines))


def _signature(private: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey, digest: bytes) -> bytes:
    """The value of `b=`, folded. Ed25519 signs the digest as its message (RFC 8463 §3)."""
    octets = (
        private.sign(digest, _PADDING, _DIGEST)
        if isinstance(private, rsa.RSAPrivateKey)
        else private.sign(digest)
    )
    text = b2a_base64(octets, newline=False)
    return b"\r\n ".join([text[start : start + _BASE64_LINE] for start in range(0, len(text), _BASE64_LINE)])
