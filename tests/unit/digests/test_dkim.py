"""Signed mails verify with another program (dkimpy), and no longer once anything that a reader sees was changed."""

import base64
import hashlib
import re
import warnings
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.digests.digest_samples import HEADERS, digest_of, slots

from bdnews_dispatch.digests.dkim import BodyHash, DkimKey, DkimSigner, _relaxed, load_keys
from bdnews_dispatch.digests.rendering import render_digest
from bdnews_dispatch.errors import SettingsError

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import dkim  # type: ignore[import-untyped]  # no type information in it

AT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
RSA = DkimKey("example.cn", "rsa2026", rsa.generate_private_key(public_exponent=65537, key_size=2048))
ED25519 = DkimKey("example.cn", "ed2026", ed25519.Ed25519PrivateKey.generate())
KEYS = {"rsa": [RSA], "ed25519": [ED25519], "both": [RSA, ED25519]}
UNSUBSCRIBE = f"<mailto:b+{'a' * 60}@example.cn?subject=unsubscribe>,\r\n <https://example.cn/u/{'b' * 300}>"
HEAD = (
    "From: =?utf-8?b?5aSn5pWw5o2u5Y+R5bGV5Yqo5oCB57yW6L6R6YOo?=\r\n <digest@example.cn>\r\n"
    "To: =?utf-8?b?5p2O5Zub?= <li.si@reader.example>\r\n"
    "Subject: =?utf-8?b?44CK5aSn5pWw5o2u5Y+R5bGV5Yqo5oCB44CL56ysNuacn++8iOaAu+esrDEwNA==?=\r\n"
    " =?utf-8?b?5pyf77yJ77ya6IqC5rC05p2h5L6L5L+u6K6i5YWs5biD?=\r\n"
    "Date: Mon, 02 Mar 2026 16:00:00 +0800\r\n"
    "Message-ID: <1.2@example.cn>\r\n"
    "List-Id: =?utf-8?b?5rC05Yqh5Yqo5oCB?=\r\n\t<water.example.cn>  \r\n"
    f"List-Unsubscribe: {UNSUBSCRIBE}\r\n"
    "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    "Auto-Submitted:auto-generated\r\n"
    "Precedence: \t bulk\r\n"
    "X-Entity-Ref-ID: 7\r\n"
    "MIME-Version: 1.0\r\n"
    "Content-Type: text/plain;\r\n \r\n\t  charset=utf-8\r\n"
).encode()
BODY = "各位读者：\r\n\r\n.一行以点开头\r\n..两点\r\n. \r\n  缩进 \t 空格  \r\n完\r\n".encode()
BODIES = {
    "plain": BODY,
    "one line": b"a\r\n",
    "empty": b"",
    "only empty lines": b"\r\n\r\n\r\n",
    "empty lines at the end": BODY + b"\r\n\r\n\r\n",
    "no CRLF at the end": BODY[:-2],
    "empty lines in front": b"\r\n\r\n" + BODY,
}


def record(key: DkimKey) -> bytes:
    """What stands in DNS for it."""
    public = key.private.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        kind, octets = "rsa", public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    else:
        kind, octets = "ed25519", public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return f"v=DKIM1; k={kind}; p={base64.b64encode(octets).decode()}".encode()


RECORDS = {f"{key.selector}._domainkey.{key.domain}.".encode(): record(key) for key in (RSA, ED25519)}


def verified(message: bytes, number: int = 1) -> bool:
    """Whether there are so many signatures, and all of them hold."""

    def dns(name: bytes, timeout: int = 5) -> bytes | None:
        return RECORDS.get(name)

    assert len(re.findall(rb"(?m)^DKIM-Signature:", message)) == number
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return bool(dkim.verify(message, dnsfunc=dns)) and all(
            dkim.DKIM(message).verify(idx=idx, dnsfunc=dns) for idx in range(1, number)
        )


def signed(keys: list[DkimKey], head: bytes = HEAD, body: bytes = BODY) -> bytes:
    """The whole mail."""
    return DkimSigner(keys).sign(head, BodyHash(b"").of(body), AT) + head + b"\r\n" + body


def listed(signature: bytes) -> list[str]:
    """What h= names, in lower case."""
    found = re.search(rb"\bh=([^;]+);", signature)
    assert found
    return re.sub(r"\s", "", found[1].decode()).lower().split(":")


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS)
def test_a_signed_mail_verifies(keys: list[DkimKey], body: bytes) -> None:
    assert verified(signed(keys, body=body), len(keys))


@pytest.mark.parametrize("keys", KEYS.values(), ids=KEYS)
def test_a_digest_as_it_goes_out_verifies(keys: list[DkimKey]) -> None:
    variant = render_digest(digest_of("policy", "local"), HEADERS, track=True)
    for eight_bit in (True, False):
        head, empty, body = variant.assemble(slots(), eight_bit=eight_bit).partition(b"\r\n\r\n")
        assert empty
        assert verified(signed(keys, head + b"\r\n", body), len(keys))


@pytest.mark.parametrize("keys", [[RSA], [ED25519]], ids=["rsa", "ed25519"])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("完\r\n".encode(), "元\r\n".encode(), id="body"),
        pytest.param(b"  \xe7\xbc\xa9", b" \xe7\xbc\xa9", id="white space in the body"),
        pytest.param(b"b" * 300, b"b" * 299 + b"c", id="List-Unsubscribe"),
        pytest.param(b"=One-Click", b"=Two-Click", id="List-Unsubscribe-Post"),
        pytest.param(b"digest@example.cn", b"digest@example.cm", id="From"),
        pytest.param(b"5YWs5biD", b"5YWs5biE", id="second line of the Subject"),
        pytest.param(b"charset=utf-8", b"charset=utf-7", id="Content-Type"),
        pytest.param(b"From: =?", b"From: x@evil.example\r\nFrom: =?", id="a From in front"),
        pytest.param(b"\r\nTo:", b"\r\nFrom: x@evil.example\r\nTo:", id="a From behind"),
        pytest.param(b"\r\nDate:", b"\r\nSubject: x\r\nDate:", id="a second Subject"),
        pytest.param(b"\r\nDate:", b"\r\nReply-To: x@evil.example\r\nDate:", id="a Reply-To"),
        pytest.param(
            b"\r\nDate:", b"\r\nlist-unsubscribe: <https://evil.example>\r\nDate:", id="another way out"
        ),
        pytest.param(b"t=1772438400", b"t=1772438401", id="time"),
    ],
)
def test_a_changed_mail_does_not_verify(keys: list[DkimKey], old: bytes, new: bytes) -> None:
    message = signed(keys)
    assert verified(message)
    assert message.count(old) == 1
    assert not verified(message.replace(old, new))


@pytest.mark.parametrize("keys", [[RSA], [ED25519]], ids=["rsa", "ed25519"])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(b"\r\n <digest@", b" <digest@", id="unfolded"),
        pytest.param(b"Precedence: \t bulk", b"PRECEDENCE:bulk\t", id="case and white space"),
        pytest.param(b"X-Entity-Ref-ID: 7\r\n", b"X-Spam: no\r\n", id="unsigned fields"),
        pytest.param("完\r\n".encode(), "完\r\n\r\n".encode(), id="empty lines at the end"),
    ],
)
def test_what_relays_do_to_a_mail_does_no_harm(keys: list[DkimKey], old: bytes, new: bytes) -> None:
    message = signed(keys)
    assert message.count(old) == 1
    assert verified(message.replace(old, new))


def test_the_field_names_what_it_signs() -> None:
    signature = DkimSigner([RSA, ED25519]).sign(HEAD, BodyHash(b"").of(BODY), AT)
    rsa_part, ed25519_part = re.split(rb"(?<=\r\n)(?=DKIM)", signature)
    assert b"a=rsa-sha256; c=relaxed/simple; d=example.cn;" in rsa_part
    assert b"a=ed25519-sha256; c=relaxed/simple; d=example.cn;" in ed25519_part
    for part in (rsa_part, ed25519_part):
        names = listed(part)
        twice = {
            "from",
            "to",
            "subject",
            "date",
            "message-id",
            "list-unsubscribe",
            "list-unsubscribe-post",
        }
        assert {name for name in names if names.count(name) == 2} == twice
        assert set(names) - twice == {
            "reply-to",  # absent, and to stay so
            "list-id",
            "auto-submitted",
            "precedence",
            "mime-version",
            "content-type",
        }
        assert part.endswith(b"\r\n")
        assert all(len(line) < 78 for line in part.split(b"\r\n"))
        assert not re.search(rb"(?<!\r)\n|\r(?!\n)|\r\n(?![ \t]|\Z)", part)


def test_white_space_as_in_rfc_6376_section_3_4_5() -> None:
    _, canonical = _relaxed(b"TO: X\r\nFrom \t: Y\t\r\n\tZ  \r\nC: \r\nSubject:\r\n")
    assert canonical == b"from:Y Z\r\nto:X\r\nsubject:\r\n"


def test_fields_that_stand_twice_are_signed_from_below() -> None:
    head = HEAD + b"Archived-At: <https://example.cn/1>\r\narchived-at: <https://example.cn/2>\r\n"
    message = signed([RSA, ED25519], head)
    assert listed(message).count("archived-at") == 2
    assert verified(message, 2)
    assert not verified(message.replace(b"cn/1>", b"cn/3>"), 2)


def test_long_names_fold_where_they_can() -> None:
    domain = ".".join(["a" * 60] * 2 + ["cn"])
    key = DkimKey(domain, "s" * 60, ED25519.private)
    RECORDS[f"{key.selector}._domainkey.{domain}.".encode()] = record(key)
    message = signed([key])
    assert b"\r\n s=sss" in message
    assert verified(message)


@pytest.mark.parametrize(
    "head",
    [b"", b"To: a@b.example\r\n", HEAD[:-2], HEAD + b"\r\n", b"no field\r\n" + HEAD, b"none\r\n" + HEAD],
    ids=["empty", "without From", "without CRLF", "with the empty line", "not a field", "a word"],
)
def test_what_is_no_head_is_refused(head: bytes) -> None:
    with pytest.raises(ValueError, match=r"head|From"):
        DkimSigner([ED25519]).sign(head, bytes(32), AT)


def test_without_keys_nothing_is_signed() -> None:
    assert DkimSigner([]).sign(HEAD, bytes(32), AT) == b""


lines = st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b"a", b" ", "水".encode()]), max_size=12).map(
    b"".join
)


@settings(deadline=None)
@given(lines, st.lists(lines, min_size=1, max_size=3))
def test_a_shared_front_makes_no_difference(front: bytes, rests: list[bytes]) -> None:
    shared = BodyHash(front)
    for rest in rests:
        canonical = re.sub(rb"(?:\r\n)*\Z", b"", front + rest, count=1) + b"\r\n"
        assert shared.of(rest) == hashlib.sha256(canonical).digest()


def written(
    path: Path,
    private: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey,
    encryption: KeySerializationEncryption | None = None,
) -> Path:
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()))
    return path


def test_keys_are_loaded_in_their_order(tmp_path: Path) -> None:
    traditional = tmp_path / "traditional.pem"
    assert isinstance(RSA.private, rsa.RSAPrivateKey)
    traditional.write_bytes(
        RSA.private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    )
    keys = load_keys(
        [
            ("example.cn", "ed2026", written(tmp_path / "ed.pem", ED25519.private)),
            ("example.cn", "rsa2026", written(tmp_path / "rsa.pem", RSA.private)),
            ("News.xn--fiqs8s", "a.b-1", traditional),
        ]
    )
    assert [(key.domain, key.selector) for key in keys] == [
        ("example.cn", "ed2026"),
        ("example.cn", "rsa2026"),
        ("News.xn--fiqs8s", "a.b-1"),
    ]
    assert verified(signed(keys[:2]), 2)


def refusal(domain: str, selector: str, path: Path) -> str:
    """What load_keys says, with a hint below."""
    with pytest.raises(SettingsError) as caught:
        load_keys([(domain, selector, path)])
    assert caught.value.hint
    return caught.value.message


def test_files_without_a_usable_key_are_refused(tmp_path: Path) -> None:
    def said(path: Path) -> str:
        words = refusal("example.cn", "s", path)
        assert str(path) in words
        return words

    assert "读不到" in said(tmp_path / "missing.pem")
    assert "读不到" in said(tmp_path)
    small = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505  # it is what we refuse
    assert "只有 1024 位" in said(written(tmp_path / "small.pem", small))
    curve = ec.generate_private_key(ec.SECP256R1())
    assert "既不是 RSA 也不是 Ed25519" in said(written(tmp_path / "curve.pem", curve))
    assert "有密码" in said(
        written(tmp_path / "locked.pem", ED25519.private, BestAvailableEncryption(b"open sesame"))
    )
    text = tmp_path / "text.pem"
    public = RSA.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for content in (
        b"",
        "不是密钥".encode(),
        public,
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    ):
        text.write_bytes(content)
        assert "没有可用的 PEM 私钥" in said(text)


@pytest.mark.parametrize(
    "domain", ["", "cn", "例子.cn", "a b.cn", "a;b.cn", "a.cn\r\n", "-a.cn", "a..cn", "a_b.cn", "a.cn."]
)
def test_domains_that_cannot_stand_are_refused(tmp_path: Path, domain: str) -> None:
    assert "域名" in refusal(domain, "s", written(tmp_path / "ed.pem", ED25519.private))


@pytest.mark.parametrize("selector", ["", "选择", "a b", "a;b", "s\n", "-s", "s.", "a_b", "a" * 64])
def test_selectors_that_cannot_stand_are_refused(tmp_path: Path, selector: str) -> None:
    assert "选择器" in refusal("example.cn", selector, written(tmp_path / "ed.pem", ED25519.private))


def test_names_beyond_dns_are_refused(tmp_path: Path) -> None:
    long = ".".join(["a" * 60] * 2)
    assert "太长" in refusal(f"{long}.cn", long, written(tmp_path / "ed.pem", ED25519.private))


def test_a_selector_holds_one_key(tmp_path: Path) -> None:
    path = written(tmp_path / "ed.pem", ED25519.private)
    with pytest.raises(SettingsError, match="两次"):
        load_keys([("example.cn", "s", path), ("Example.CN", "S", path)])
    assert len(load_keys([("example.cn", "s", path), ("other.cn", "s", path)])) == 2
