"""The door for mail that comes back, over a real dialogue: only our own addresses, stored before it is taken, once."""

import asyncio
import smtplib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from sqlmodel import col, select
from tests.integration.web.readers_site import RunningClock, Site, open_site
from tests.making import document, test_settings
from tests.unit.returns.samples import arf, dsn, plain, samples

from bdnews_dispatch.channels.email.replies import ReplyRules
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.dispatch.models import Delivery
from bdnews_dispatch.dispatch.states import DeliveryState
from bdnews_dispatch.errors import NotFoundError
from bdnews_dispatch.issues.publications import load_publications
from bdnews_dispatch.letters.models import Letter
from bdnews_dispatch.returns.free_form import FreeForm
from bdnews_dispatch.returns.listener import listening
from bdnews_dispatch.returns.models import ReturnedMail
from bdnews_dispatch.returns.recording import Returns
from bdnews_dispatch.subscribers import agreements, suppressions
from bdnews_dispatch.subscribers.models import Channel

LIN = "lin.zhiyuan@readers.example"
UNKNOWN = dsn("MAILER-DAEMON@relay.example", f"550 5.1.1 <{LIN}>: User unknown", status="5.1.1")
FULL = dsn("MAILER-DAEMON@relay.example", "552 5.2.2 mailbox full", status="5.2.2")


@pytest.fixture
async def site(database: Database, tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(database, RunningClock(), tmp_path) as site:
        yield site


class Door:
    """A client of the listener."""

    def __init__(self, site: Site, address: tuple[str, int], *, lmtp: bool) -> None:
        self.site, self.address, self.lmtp = site, address, lmtp

    async def give(self, raw: bytes, *recipients: str) -> str:
        """The last answer, as `250 …`."""
        return await asyncio.to_thread(self._give, raw, recipients)

    def _give(self, raw: bytes, recipients: tuple[str, ...]) -> str:
        kind = smtplib.LMTP if self.lmtp else smtplib.SMTP
        with kind(*self.address, timeout=20) as client:
            client.ehlo_or_helo_if_needed()
            client.mail("")
            for recipient in recipients:
                code, said = client.rcpt(recipient)
                if code != 250:
                    return f"{code} {said.decode()}"
            code, said = client.data(raw)
            return f"{code} {said.decode()}"

    def bounces_to(self, key: str) -> str:
        return f"{self.site.links.of_delivery(key).verp}@digest.example"


@pytest.fixture(params=["smtp", "lmtp"])
async def door(site: Site, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Door]:
    values = {"port": 0, "protocol": request.param, "max_bytes": 100_000}
    settings = test_settings(tmp_path, returns=values).returns
    returns = Returns(site.clock, load_publications(), ReplyRules.load(), FreeForm.load(), soft_bounces=5)

    def wake() -> None:
        site.woken.append(1)

    async with listening(settings, site.database, site.links.signer, returns, wake) as address:
        yield Door(site, address, lmtp=request.param == "lmtp")


async def kept(site: Site) -> list[ReturnedMail]:
    async with site.database.read() as session:
        return list((await session.exec(select(ReturnedMail).order_by(col(ReturnedMail.id)))).all())


async def suppressed(site: Site) -> list[tuple[str, str, str]]:
    async with site.database.read() as session:
        return [(row.target, row.reason, row.source) for row in await suppressions.listing(session)]


async def reads(site: Site, subscriber_id: int = 1) -> bool:
    async with site.database.read() as session:
        return await agreements.current(session, subscriber_id, "dsj") is not None


async def test_a_hard_bounce_is_stored_once_and_the_next_issue_skips_its_reader(
    site: Site, door: Door
) -> None:
    first = (await site.send(await site.publish()))[0]
    for _ in range(5):
        assert (await door.give(UNKNOWN, door.bounces_to(first.key))).startswith("250")
    (row,) = await kept(site)
    assert (row.kind, row.verdict, row.status, row.delivery_id) == ("bounce", "hard", "5.1.1", first.id)
    assert LIN not in row.text
    assert row.raw.startswith(b"From: MAILER-DAEMON")
    (delivery, *_) = await site.deliveries()
    assert (delivery.state, delivery.reason) == (DeliveryState.BOUNCED, "hard:5.1.1")
    assert (await site.events()).count("delivery.bounced") == 1
    assert await suppressed(site) == [(LIN, "bounce", "returns")]
    assert await reads(site), "the subscription is the reader's; the address may be mended"
    assert site.woken
    await site.send(await site.publish(document(113)))
    newest = [d for d in await site.deliveries() if d.subscriber_id == 1][-1]
    assert (newest.state, newest.reason) == (DeliveryState.SKIPPED, "suppressed")


async def test_nobody_is_suppressed_by_a_forged_bounce(site: Site, door: Door) -> None:
    sent = (await site.send(await site.publish()))[0]
    good = door.bounces_to(sent.key)
    local, _, domain = good.partition("@")
    wrong = [
        f"b+{sent.key}@{domain}",
        f"{local[:-1]}{'0' if local[-1] != '0' else '1'}@{domain}",
        f"b+{sent.key}.@{domain}",
        f"digest@{domain}",
        f"unsubscribe+{sent.key}@{domain}",
        f"postmaster@{domain}",
    ]
    for address in wrong:
        assert (await door.give(UNKNOWN, address)).startswith("550"), address
    assert await kept(site) == []
    assert await suppressed(site) == []
    assert (await door.give(UNKNOWN, good.upper())).startswith("250"), "some relays change the case"
    assert len(await kept(site)) == 1


async def test_five_soft_ones_in_a_row_and_none_between(site: Site, door: Door) -> None:
    for number in range(7):
        deliveries = await site.send(await site.publish(document(200 + number)))
        own = [d for d in deliveries if d.subscriber_id == 1][-1]
        if number == 1:
            continue  # this one arrives
        before = await suppressed(site)
        await door.give(FULL.replace(b"relay.example", b"relay%d.example" % number), door.bounces_to(own.key))
        assert before == []
        assert (await suppressed(site) != []) == (number == 6), number
    assert await suppressed(site) == [(LIN, "soft_bounces", "returns")]
    assert await reads(site)


async def test_a_complaint_ends_what_they_read(site: Site, door: Door) -> None:
    sent = (await site.send(await site.publish()))[0]
    assert (await door.give(arf("abuse"), door.bounces_to(sent.key))).startswith("250")
    assert not await reads(site)
    assert await suppressed(site) == [(LIN, "complaint", "returns")]
    assert (await site.deliveries())[0].state is DeliveryState.COMPLAINED
    assert {"delivery.complained", "subscriber.unsubscribed"} <= set(await site.events())


async def test_rate_policy_and_machines_never_count(site: Site, door: Door) -> None:
    sent = (await site.send(await site.publish()))[0]
    harmless = [
        sample
        for sample in samples()
        if sample[2] not in {"complaint", "unsubscribe"} and sample[3] in {"", "blocked"}
    ]
    assert len(harmless) > 15
    for _, raw, _, _ in harmless:
        assert (await door.give(raw, door.bounces_to(sent.key))).startswith("250")
    assert len(await kept(site)) == len(harmless)
    assert await suppressed(site) == []
    assert await reads(site)


async def test_one_mail_to_leave(site: Site, door: Door) -> None:
    sent = (await site.send(await site.publish()))[0]
    leave = f"unsubscribe+{site.links.of_delivery(sent.key).verp.partition('+')[2]}@digest.example"
    vacation = plain("r@x.example", "自动回复", "休假中", more="Auto-Submitted: auto-replied\r\n")
    await door.give(vacation, leave)
    assert await reads(site), "a machine leaves nobody"
    assert (await door.give(plain(f"Lin <{LIN}>", "unsubscribe", ""), leave)).startswith("250")
    assert not await reads(site)
    async with site.database.read() as session:
        ended = await agreements.last_ended(session, 1, "dsj")
    assert ended is not None
    assert ended.end_reason == "mailto"


async def test_a_letter_that_can_not_arrive_suppresses_too(site: Site, door: Door) -> None:
    await site.asks("nobody@readers.example")
    await site.handle_events()
    async with site.database.read() as session:
        letter = (await session.exec(select(Letter))).one()
    await door.give(UNKNOWN, door.bounces_to(letter.key))
    assert await suppressed(site) == [("nobody@readers.example", "bounce", "returns")]
    (row,) = await kept(site)
    assert row.letter_id == letter.id


async def test_what_can_not_be_stored_is_not_taken(
    site: Site, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = (await site.send(await site.publish()))[0]

    async def away(*_: Any, **__: Any) -> None:
        raise OperationalError("INSERT", None, OSError("away"))

    with monkeypatch.context() as patched:
        patched.setattr(Returns, "take", away)
        assert (await door.give(UNKNOWN, door.bounces_to(sent.key))).startswith("451")
    assert (await door.give(UNKNOWN, door.bounces_to(sent.key))).startswith("250")
    assert len(await kept(site)) == 1


async def test_too_large_and_smuggled(site: Site, door: Door) -> None:
    sent = (await site.send(await site.publish()))[0]
    large = UNKNOWN + b"x" * 60 + b"\r\n" * 100_000
    assert (await door.give(large, door.bounces_to(sent.key))).startswith("552")
    assert await kept(site) == []
    reader, writer = await asyncio.open_connection(*door.address)
    hello = b"LHLO x\r\n" if door.lmtp else b"EHLO x\r\n"
    to = door.bounces_to(sent.key).encode()
    smuggled = b"\n.\nMAIL FROM:<>\r\nRCPT TO:<" + to + b">\r\nDATA\r\nSubject: two\r\n\r\nx\r\n.\r\n"
    writer.write(hello + b"MAIL FROM:<>\r\nRCPT TO:<" + to + b">\r\nDATA\r\n")
    writer.write(plain("postmaster@x.example", "one", "1").rstrip(b"\r\n") + smuggled + b"QUIT\r\n")
    await writer.drain()
    async with asyncio.timeout(20):
        await reader.read()
    writer.close()
    assert len(await kept(site)) <= 1, "one mail, not two"


async def test_a_suppression_is_lifted_with_a_note_and_both_stay_known(site: Site) -> None:
    async with site.database.write() as session:
        for _ in range(2):
            await suppressions.suppress(
                session,
                site.clock,
                Channel.EMAIL,
                LIN,
                reason="bounce",
                source="returns",
                evidence="returned_mail:1",
            )
        await suppressions.lift(session, site.clock, Channel.EMAIL, LIN, note="来电确认 已修好")
        assert not await suppressions.is_suppressed(session, Channel.EMAIL, LIN)
        with pytest.raises(NotFoundError):
            await suppressions.lift(session, site.clock, Channel.EMAIL, LIN, note="x")
        (past,) = await suppressions.listing(session, target=LIN, lifted=True)
    assert (past.reason, past.evidence, past.note) == ("bounce", "returned_mail:1", "来电确认 已修好")
    assert past.lifted_at is not None


async def test_an_unknown_key_is_kept_and_moves_nothing(site: Site, door: Door) -> None:
    assert (await door.give(UNKNOWN, door.bounces_to("0" * 24))).startswith("250")
    (row,) = await kept(site)
    assert (row.delivery_id, row.letter_id) == (None, None)
    async with site.database.read() as session:
        assert (await session.exec(select(Delivery))).first() is None
