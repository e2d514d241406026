"""Required TLS is required: no byte of a mail goes out in plaintext, whatever the relay or somebody between does."""

import ssl
from pathlib import Path
from typing import Any

import pytest

from bdnews_dispatch.channels.email import EmailChannel, OutgoingMail, ReplyRules
from bdnews_dispatch.channels.outcome import Outcome, OutcomeKind, Remedy
from bdnews_dispatch.errors import ChannelError
from bdnews_dispatch.sandbox.scripted_relay import ScriptedRelay, certificate, server_context
from bdnews_dispatch.settings import EmailSettings, load_settings

RULES = ReplyRules.load()
MAIL = OutgoingMail(1, "b+1@bounce.example", "reader@example.cn", lambda _: b"Subject: x\r\n\r\nhello\r\n")


def settings(relay: ScriptedRelay, **values: Any) -> EmailSettings:
    given = {
        "host": relay.address[0],
        "port": relay.address[1],
        "timeout_seconds": 5.0,
        "security": "starttls",
    }
    return load_settings({}, overrides={"email": {**given, **values}}).email


async def opened() -> bool:
    return True


def trusting(pem: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if pem:
        context.load_verify_locations(pem)
    return context


async def send(relay: ScriptedRelay, pem: Path | None, **values: Any) -> Outcome:
    async with EmailChannel(settings(relay, **values), RULES, tls=trusting(pem)) as channel:
        return await channel.send(MAIL, opened)


def assert_nothing_leaked(relay: ScriptedRelay) -> None:
    seen = bytes(relay.plaintext)
    assert not any(word in seen for word in (b"MAIL", b"RCPT", b"DATA", b"hello", b"AUTH", b"reader"))


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    return certificate(tmp_path)


@pytest.mark.parametrize(("security", "at_once"), [("starttls", False), ("tls", True)])
async def test_a_mail_goes_out_encrypted(pem: Path, security: str, at_once: bool) -> None:
    extensions = ("STARTTLS", "8BITMIME", "AUTH PLAIN")
    async with ScriptedRelay(extensions=extensions, tls=server_context(pem), tls_at_once=at_once) as relay:
        outcome = await send(relay, pem, security=security, username="u", password="p")
    assert outcome.kind is OutcomeKind.ACCEPTED
    assert len(relay.bodies) == 1
    assert_nothing_leaked(relay)
    (commands,) = relay.connections
    assert sum(command.startswith("EHLO") for command in commands) == (1 if at_once else 2)


async def test_check_names_the_cipher(pem: Path) -> None:
    async with (
        ScriptedRelay(extensions=("STARTTLS",), tls=server_context(pem)) as relay,
        EmailChannel(settings(relay), RULES, tls=trusting(pem)) as channel,
    ):
        assert "TLSv1." in await channel.check()


@pytest.mark.fault(13)
async def test_a_stripped_starttls_sends_nothing(pem: Path) -> None:
    async with ScriptedRelay(extensions=("8BITMIME",)) as relay:
        outcome = await send(relay, pem, username="u", password="p")
    assert (outcome.kind, outcome.code) == (OutcomeKind.UNAVAILABLE, "tls.not_offered")
    assert outcome.remedy is Remedy.STOP_CHANNEL
    assert_nothing_leaked(relay)


async def test_a_refused_starttls_sends_nothing(pem: Path) -> None:
    answers = {"STARTTLS": ["454 TLS not available"]}
    async with ScriptedRelay(extensions=("STARTTLS",), answers=answers) as relay:
        outcome = await send(relay, pem)
    assert (outcome.kind, outcome.code) == (OutcomeKind.UNAVAILABLE, "tls.refused")
    assert_nothing_leaked(relay)


@pytest.mark.fault(13)
@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("wrong", ["unknown", "name", "ended"])
async def test_a_wrong_certificate_sends_nothing(tmp_path: Path, security: str, wrong: str) -> None:
    shown = {
        "unknown": lambda: certificate(tmp_path),
        "name": lambda: certificate(tmp_path, name="other.example", address="192.0.2.1"),
        "ended": lambda: certificate(tmp_path, days=-1),
    }[wrong]()
    trusted = None if wrong == "unknown" else shown
    at_once = security == "tls"
    async with ScriptedRelay(
        extensions=("STARTTLS",), tls=server_context(shown), tls_at_once=at_once
    ) as relay:
        outcome = await send(relay, trusted, security=security)
        async with EmailChannel(settings(relay, security=security), RULES, tls=trusting(trusted)) as channel:
            with pytest.raises(ChannelError, match="证书"):
                await channel.check()
    assert (outcome.kind, outcome.code) == (OutcomeKind.UNAVAILABLE, "tls.certificate")
    assert outcome.remedy is Remedy.STOP_CHANNEL
    assert relay.bodies == []
    assert_nothing_leaked(relay)


async def test_tls_to_a_plaintext_port_is_said() -> None:
    async with ScriptedRelay() as relay:
        outcome = await send(relay, None, security="tls")
    assert (outcome.kind, outcome.code) == (OutcomeKind.UNAVAILABLE, "tls.failed")
    assert_nothing_leaked(relay)


async def test_what_is_slipped_in_before_the_handshake_is_dropped(pem: Path) -> None:
    """STARTTLS injection (RFC 3207 §4.2): plaintext behind the 220 must not be read as the secured server's answer."""
    answers = {"STARTTLS": ["220 go\r\n250-attacker.example\r\n250 AUTH PLAIN"]}
    async with ScriptedRelay(extensions=("STARTTLS",), answers=answers, tls=server_context(pem)) as relay:
        outcome = await send(relay, pem)
    assert outcome.kind is OutcomeKind.ACCEPTED
    assert_nothing_leaked(relay)
