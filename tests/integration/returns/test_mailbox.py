"""The mailbox for mail that comes back, on a real IMAP server: read once, marked when it is stored, never lost."""

import asyncio
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from imapclient import IMAPClient
from pydantic import SecretStr
from sqlalchemy.exc import OperationalError
from sqlmodel import select
from tests.integration.web.conftest import sent, site
from tests.integration.web.readers_site import Site
from tests.making import test_settings
from tests.ports import free_port
from tests.unit.returns.samples import dsn, plain

from bdnews_dispatch.channels.email.replies import ReplyRules
from bdnews_dispatch.dispatch.models import Delivery
from bdnews_dispatch.dispatch.states import DeliveryState
from bdnews_dispatch.issues.publications import load_publications
from bdnews_dispatch.returns.free_form import FreeForm
from bdnews_dispatch.returns.mailbox import Mailbox, MailboxError, Polled
from bdnews_dispatch.returns.models import ReturnedMail
from bdnews_dispatch.returns.recording import Recorded, Returns
from bdnews_dispatch.returns.taking import Taker
from bdnews_dispatch.sandbox.scripted_relay import certificate
from bdnews_dispatch.settings import MailboxSettings
from bdnews_dispatch.telemetry.metrics import REGISTRY

__all__ = ["sent", "site"]  # fixtures
UNKNOWN = dsn("MAILER-DAEMON@relay.example", "550 5.1.1 User unknown", status="5.1.1")
SECRET = "geheim-geheim"


@dataclass(frozen=True)
class Server:
    """A running server, empty; its user is `bounces`."""

    port: int
    settings: MailboxSettings

    @contextmanager
    def client(self) -> Iterator[IMAPClient]:
        with IMAPClient("127.0.0.1", self.port, ssl=False) as client:
            context = ssl.create_default_context(cafile=self.settings.ca_file)
            client.starttls(context)
            client.login("bounces", SECRET)
            client.select_folder("INBOX")
            yield client

    def put(self, *mails: bytes) -> None:
        with self.client() as client:
            for mail in mails:
                client.append("INBOX", mail)

    def flags(self, folder: str = "INBOX") -> list[bool]:
        """Of each mail in a folder: whether it was read."""
        with self.client() as client:
            client.select_folder(folder)
            found = client.fetch(client.search("ALL"), ["FLAGS"])
            return [b"\\Seen" in found[number][b"FLAGS"] for number in sorted(found)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    pem = str(certificate(tmp_path))
    port = free_port()
    command = ["--host", "127.0.0.1", "--port", str(port), "--cert", pem, "--key", pem]
    user = ["dict", "--demo-user", "bounces", "--demo-password", SECRET]
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("pymap")), *command, *user],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert time.monotonic() < deadline
                assert process.poll() is None
                time.sleep(0.05)
        yield Server(
            port,
            MailboxSettings(
                host="127.0.0.1",
                port=port,
                security="starttls",
                username="bounces",
                password=SecretStr(SECRET),
                ca_file=pem,
                folder="INBOX",
                done="",
                every_seconds=5,
                timeout_seconds=10,
            ),
        )
    finally:
        process.kill()
        process.wait()


def returns_of(site: Site, tmp_path: Path) -> Returns:
    settings = test_settings(tmp_path)
    return Returns(
        site.clock,
        load_publications(),
        ReplyRules.load(None),
        FreeForm.load(),
        soft_bounces=settings.returns.soft_bounces,
    )


def mailbox(
    site: Site, tmp_path: Path, settings: MailboxSettings, *, max_bytes: int = 2_000_000, **changes: Any
) -> Mailbox:
    taker = Taker(site.database, site.links.signer, returns_of(site, tmp_path), lambda: None, way="imap")
    return Mailbox(settings.model_copy(update=changes), taker, max_bytes=max_bytes)


def to(delivery: Delivery, site: Site, raw: bytes, *, field: str = "Delivered-To") -> bytes:
    """As a server delivers it: the envelope's recipient in a field of its own."""
    address = site.links.of_delivery(delivery.key).verp + "@digest.example"
    return f"{field}: <{address}>\r\n".encode() + raw


async def stored(site: Site) -> list[tuple[str, str, str]]:
    async with site.database.read() as session:
        rows = (await session.exec(select(ReturnedMail).order_by("id"))).all()
        return [(row.way, row.kind.value, row.verdict) for row in rows]


async def states(site: Site) -> list[DeliveryState]:
    return [delivery.state for delivery in await site.deliveries()]


async def test_a_bounce_in_the_mailbox_counts_once(
    site: Site, sent: list[Delivery], server: Server, tmp_path: Path
) -> None:
    server.put(
        to(sent[0], site, UNKNOWN),
        plain("friend@mail.example", "hello", "not about ours"),
        to(sent[1], site, plain("x@mail.example", "自动回复：休假", "我在休假"), field="X-Original-To"),
    )
    box = mailbox(site, tmp_path, server.settings)
    assert await box.poll() == Polled(taken=2, not_ours=1)
    assert await stored(site) == [("imap", "bounce", "hard"), ("imap", "auto_reply", "")]
    assert (await states(site))[:2] == [DeliveryState.BOUNCED, DeliveryState.SENT]
    assert server.flags() == [True, True, True]
    assert await box.poll() == Polled()
    server.put(*[to(sent[0], site, UNKNOWN)] * 4)
    assert await box.poll() == Polled(taken=4)
    assert len(await stored(site)) == 2, "the same mail again is no other one"


async def test_an_address_that_we_did_not_sign_counts_for_nothing(
    site: Site, sent: list[Delivery], server: Server, tmp_path: Path
) -> None:
    address = site.links.of_delivery(sent[0].key).verp
    forged = address[:-4] + ("0000" if not address.endswith("0000") else "1111")
    server.put(f"Delivered-To: {forged}@digest.example\r\n".encode() + UNKNOWN)
    assert await mailbox(site, tmp_path, server.settings).poll() == Polled(not_ours=1)
    assert await stored(site) == []
    assert (await states(site))[0] is DeliveryState.SENT


async def test_what_was_taken_is_moved(
    site: Site, sent: list[Delivery], server: Server, tmp_path: Path
) -> None:
    server.put(to(sent[0], site, UNKNOWN), plain("friend@mail.example", "hello", "not ours"))
    box = mailbox(site, tmp_path, server.settings, done="Done")
    assert await box.poll() == Polled(taken=1, not_ours=1)
    assert server.flags() == [True]
    assert server.flags("Done") == [True]


async def test_a_mail_that_could_not_be_stored_stays_unread(
    site: Site, sent: list[Delivery], server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.put(to(sent[0], site, UNKNOWN))
    box = mailbox(site, tmp_path, server.settings)

    async def away(*_: object, **__: object) -> Recorded:
        raise OperationalError("INSERT", None, Exception("away"))

    with monkeypatch.context() as patched:
        patched.setattr(Returns, "take", away)
        assert await box.poll() == Polled(waiting=1)
    assert server.flags() == [False]
    assert await box.poll() == Polled(taken=1)
    assert (await states(site))[0] is DeliveryState.BOUNCED


async def test_a_huge_mail_is_read_by_its_front(
    site: Site, sent: list[Delivery], server: Server, tmp_path: Path
) -> None:
    huge = to(sent[0], site, UNKNOWN) + b"x" * 3_000_000
    server.put(huge)
    box = mailbox(site, tmp_path, server.settings, max_bytes=20_000)
    assert await box.poll() == Polled(taken=1, cut=1)
    assert await stored(site) == [("imap", "bounce", "hard")]


async def test_wrong_certificates_passwords_and_hosts_are_told_and_tell_no_secret(
    site: Site, server: Server, tmp_path: Path
) -> None:
    failed = REGISTRY.get_sample_value("bdnews_mailbox_polls_total", {"result": "failed"}) or 0
    for change, words in (
        ({"ca_file": ""}, "不能安全地连上"),
        ({"password": SecretStr("wrong-secret")}, "拒绝"),
        ({"folder": "Nowhere"}, "拒绝"),
        ({"port": free_port()}, "连不上"),
        ({"security": "tls", "timeout_seconds": 2.0}, "连"),
    ):
        with pytest.raises(MailboxError, match=words) as raised:
            await mailbox(site, tmp_path, server.settings, **change).poll()
        told = f"{raised.value} {raised.value.hint}"
        assert SECRET not in told
        assert "wrong-secret" not in told
    assert REGISTRY.get_sample_value("bdnews_mailbox_polls_total", {"result": "failed"}) == failed + 5


async def test_it_looks_again_and_again_and_after_a_failure(
    site: Site, sent: list[Delivery], server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rests: list[float] = []
    real = asyncio.sleep

    async def short(seconds: float) -> None:
        rests.append(seconds)
        await real(0.01 if seconds >= 5 else seconds)

    monkeypatch.setattr("bdnews_dispatch.returns.mailbox.asyncio.sleep", short)
    box = mailbox(site, tmp_path, replace(server).settings)
    broken = mailbox(site, tmp_path, server.settings, port=free_port())
    looking = [asyncio.create_task(box.run()), asyncio.create_task(broken.run())]
    server.put(to(sent[0], site, UNKNOWN))
    async with asyncio.timeout(20):
        while (await states(site))[0] is not DeliveryState.BOUNCED or 40 not in rests:
            await real(0.02)
    for task in looking:
        task.cancel()
    await asyncio.gather(*looking, return_exceptions=True)
    assert {10, 20, 40} <= set(rests), "twice as long after each failure"
