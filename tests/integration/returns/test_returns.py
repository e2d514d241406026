"""The door for mail that comes back, over a real dialogue: only our own addresses, stored before it is taken, once."""

import asyncio
import smtplib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text, update
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
from bdnews_dispatch.returns.recording import KEPT_MAILS, Returns
from bdnews_dispatch.subscribers import agreements, people, suppressions
from bdnews_dispatch.subscribers.fields import read_address
from bdnews_dispatch.subscribers.models import Channel
from bdnews_dispatch.subscribers.requests import Origin, answer, ask_to_change_address

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
        f"unsubscribe+{local.partition('+')[2]}@{domain}",
        f"b+{site.links.of_delivery(sent.key).leave.partition('+')[2]}@{domain}",
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


async def bounce_each(site: Site, door: Door, reports: list[bytes], first: int = 200) -> None:
    """One issue for each report, which comes back for the first reader."""
    for number, report in enumerate(reports, first):
        deliveries = await site.send(await site.publish(document(number)))
        own = [d for d in deliveries if d.subscriber_id == 1][-1]
        assert (await door.give(report, door.bounces_to(own.key))).startswith("250")


async def test_what_was_refused_for_its_content_is_none_of_the_five(site: Site, door: Door) -> None:
    spam = dsn("MAILER-DAEMON@relay.example", "554 5.7.1 Message rejected as spam", status="5.7.1")
    await bounce_each(site, door, [spam, FULL, spam, FULL, spam, FULL, spam, FULL])
    assert await suppressed(site) == []
    await bounce_each(site, door, [spam, FULL], 300)
    assert await suppressed(site) == [(LIN, "soft_bounces", "returns")]


async def test_after_a_lift_they_are_counted_anew(site: Site, door: Door) -> None:
    await bounce_each(site, door, [FULL] * 5)
    old = [d for d in await site.deliveries() if d.subscriber_id == 1]
    async with site.database.write() as session:
        await suppressions.lift(session, site.clock, Channel.EMAIL, LIN, note="已腾出空间")
    assert (await door.give(UNKNOWN, door.bounces_to(old[0].key))).startswith("250")
    await bounce_each(site, door, [FULL] * 4, 300)
    assert await suppressed(site) == [], "what was sent before is the past"
    await bounce_each(site, door, [FULL], 400)
    assert await suppressed(site) == [(LIN, "soft_bounces", "returns")]


async def test_a_mail_to_the_old_address_says_nothing_of_the_new_one(site: Site, door: Door) -> None:
    sent = (await site.send(await site.publish()))[0]
    async with site.database.write() as session:
        person = await people.find_by_id(session, 1)
        request = await ask_to_change_address(
            session, site.clock, "dsj", person, read_address("lin@new.example"), origin=Origin(network="")
        )
        assert request is not None
        for key in (request.other_key or "", request.key):
            await answer(session, site.clock, load_publications(), key)
    await door.give(UNKNOWN, door.bounces_to(sent.key))
    assert (await site.deliveries())[0].state is DeliveryState.BOUNCED
    assert await suppressed(site) == []
    await door.give(arf("abuse"), door.bounces_to(sent.key))
    assert await suppressed(site) == []
    assert not await reads(site), "whoever complains reads no more"


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
    leave = f"{site.links.of_delivery(sent.key).leave}@digest.example"
    vacation = plain("r@x.example", "自动回复", "休假中", more="Auto-Submitted: auto-replied\r\n")
    await door.give(vacation, leave)
    await door.give(UNKNOWN, leave)
    assert await reads(site), "a machine leaves nobody"
    assert await suppressed(site) == [], "the address is in a header that people forward"
    assert (await site.deliveries())[0].state is DeliveryState.SENT
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


async def test_what_can_not_be_stored_is_not_taken(site: Site, door: Door) -> None:
    sent = (await site.send(await site.publish()))[0]
    async with site.database.write() as session:
        await session.execute(text("ALTER TABLE returned_mail RENAME TO elsewhere"))
    assert (await door.give(UNKNOWN, door.bounces_to(sent.key))).startswith("451")
    async with site.database.write() as session:
        await session.execute(text("ALTER TABLE elsewhere RENAME TO returned_mail"))
    assert (await suppressed(site), (await site.deliveries())[0].state) == ([], DeliveryState.SENT)
    assert (await door.give(UNKNOWN, door.bounces_to(sent.key))).startswith("250")
    assert len(await kept(site)) == 1


async def test_a_database_that_is_away(tmp_path: Path, site: Site) -> None:
    nowhere = Database("postgresql://nobody:nothing@127.0.0.1:1/nowhere")
    returns = Returns(site.clock, load_publications(), ReplyRules.load(), FreeForm.load(), soft_bounces=5)
    settings = test_settings(tmp_path, returns={"port": 0}).returns
    async with listening(settings, nowhere, site.links.signer, returns, lambda: None) as address:
        door = Door(site, address, lmtp=False)
        assert (await door.give(UNKNOWN, door.bounces_to("0" * 24))).startswith("451")
    await nowhere.close()


async def test_back_before_it_was_stored_that_it_went_out(site: Site, door: Door) -> None:
    sent = (await site.send(await site.publish()))[0]

    async def becomes(state: DeliveryState) -> None:
        async with site.database.write() as session:
            await session.execute(
                update(Delivery)
                .where(col(Delivery.id) == sent.id)
                .values(state=state, updated_at=site.clock())
            )

    await becomes(DeliveryState.IN_FLIGHT)
    assert (await door.give(UNKNOWN, door.bounces_to(sent.key))).startswith("451")
    assert await kept(site) == []
    await becomes(DeliveryState.SENT)
    assert (await door.give(UNKNOWN, door.bounces_to(sent.key))).startswith("250")
    assert (await site.deliveries())[0].state is DeliveryState.BOUNCED


async def test_each_recipient_has_its_answer(site: Site, door: Door) -> None:
    """RFC 2033 §4.2: behind the dot, LMTP answers once for each; whoever waits for them hangs otherwise."""
    sent = await site.send(await site.publish())
    to = [door.bounces_to(delivery.key).encode() for delivery in sent[:2]]
    reader, writer = await asyncio.open_connection(*door.address)
    writer.write(b"LHLO x\r\n" if door.lmtp else b"EHLO x\r\n")
    writer.write(b"MAIL FROM:<>\r\n" + b"".join(b"RCPT TO:<%b>\r\n" % address for address in to))
    writer.write(b"DATA\r\n" + UNKNOWN.rstrip(b"\r\n") + b"\r\n.\r\nNOOP\r\nQUIT\r\n")
    async with asyncio.timeout(20):
        said = (await reader.read()).decode()
    writer.close()
    behind = said.partition("354")[2].splitlines()[1:]
    assert [line[:3] for line in behind] == ["250"] * (3 if door.lmtp else 2) + ["221"]
    assert [row.delivery_id for row in await kept(site)] == [delivery.id for delivery in sent[:2]]


async def test_a_long_line_is_taken(site: Site, door: Door) -> None:
    sent = (await site.send(await site.publish()))[0]
    assert (await door.give(UNKNOWN + b"x" * 20_000, door.bounces_to(sent.key))).startswith("250")
    assert await suppressed(site) == [(LIN, "bounce", "returns")]


async def test_no_more_connections_than_memory_bears(site: Site, door: Door) -> None:
    del site
    others = [await asyncio.open_connection(*door.address) for _ in range(40)]
    for reader, _ in others:
        assert (await reader.readline()).startswith(b"220")
    reader, writer = await asyncio.open_connection(*door.address)
    assert (await reader.read()).startswith(b"421")
    for _, other in (*others, (reader, writer)):
        other.close()
        await other.wait_closed()
    async with asyncio.timeout(10):
        while True:
            reader, writer = await asyncio.open_connection(*door.address)
            greeting = await reader.readline()
            writer.close()
            if greeting.startswith(b"220"):
                break


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


async def test_a_complaint_about_a_letter_suppresses(site: Site, door: Door) -> None:
    await site.asks("victim@readers.example")
    await site.handle_events()
    async with site.database.read() as session:
        letter = (await session.exec(select(Letter))).one()
    await door.give(arf("abuse"), door.bounces_to(letter.key))
    assert await suppressed(site) == [("victim@readers.example", "complaint", "returns")]


async def test_who_writes_for_ever_fills_nothing(site: Site, door: Door) -> None:
    sent = (await site.send(await site.publish()))[0]
    for number in range(KEPT_MAILS + 1):
        assert (
            await door.give(plain("r@x.example", f"n{number}", "x"), door.bounces_to(sent.key))
        ).startswith("250")
    assert (await door.give(UNKNOWN, door.bounces_to(sent.key))).startswith("250")
    rows = await kept(site)
    assert [bool(row.raw) for row in rows] == [True] * KEPT_MAILS + [False] * 2
    assert await suppressed(site) == [(LIN, "bounce", "returns")], "what it says counts nevertheless"


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


async def test_of_an_erased_reader_no_word_is_kept(site: Site, door: Door) -> None:
    assert (await door.give(UNKNOWN, door.bounces_to("0" * 24))).startswith("250")
    (row,) = await kept(site)
    assert (row.delivery_id, row.letter_id, row.raw, row.text) == (None, None, b"", "")
    async with site.database.read() as session:
        assert (await session.exec(select(Delivery))).first() is None
