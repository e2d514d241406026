"""Letters: what they say, that they arrive at least once, and when they must not be sent."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from email import message_from_bytes, policy
from pathlib import Path

import dkim  # type: ignore[import-untyped]
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlalchemy.exc import OperationalError
from sqlmodel import col, select
from tests.making import DSJ, HandClock, Station, open_station, part, read_mail, readers

from bdnews_dispatch.letters.models import Letter, LetterState
from bdnews_dispatch.letters.writing import write_letters
from bdnews_dispatch.sandbox.faults import MailFault
from bdnews_dispatch.service.letters import open_letterbox, sending_letters
from bdnews_dispatch.subscribers import people, requests
from bdnews_dispatch.subscribers.agreements import Agreement
from bdnews_dispatch.subscribers.fields import read_address
from bdnews_dispatch.subscribers.models import Cadence, Channel, Request, RequestKind, Suppression

ADDRESS = "Chen.Wei@readers.example"


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def station(tmp_path: Path, clock: HandClock) -> AsyncIterator[Station]:
    async with open_station(tmp_path, clock) as station:
        yield station


async def ask(station: Station, email: str = ADDRESS, language: str = "zh") -> Request:
    clock = station.parts.clock
    async with station.parts.database.write() as session:
        request = await requests.ask_to_subscribe(
            session,
            clock,
            DSJ,
            address=read_address(email),
            name="陈薇",
            language=language,
            agreement=Agreement(whole_issue=False, sections=["policy", "frontier"], cadence=Cadence.MONTHLY),
            origin=requests.Origin("203.0.113.0/24"),
        )
        assert request is not None
        assert request.id is not None
        await write_letters(session, clock, request.id)
        await write_letters(session, clock, request.id)  # told twice
    return request


async def letters(station: Station) -> list[Letter]:
    async with station.parts.database.read() as session:
        return list((await session.exec(select(Letter).order_by(col(Letter.id)))).all())


async def test_a_letter_says_what_it_is_about_and_carries_one_link(station: Station) -> None:
    request = await ask(station)
    async with open_letterbox(station.parts) as letterbox:
        assert await letterbox.send_due() == 1
        assert await letterbox.send_due() == 0
    (kept,) = station.sandbox.mails()
    mail = read_mail(kept)
    assert kept.recipients == (ADDRESS,)
    assert kept.sender.startswith("b+")
    assert mail["Subject"] == "请确认订阅《大数据发展动态》"
    assert mail["From"].addresses[0].addr_spec == "notice@bdnews.example"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert "List-Unsubscribe" not in mail
    assert "Precedence" not in mail
    link = station.parts.links.confirm(request.key)
    text, html = part(mail, "plain"), part(mail, "html")
    for said in ("国策要论、前沿观察", "每月一封", link, "2026年11月30日 09:00", "不必理会"):
        assert said in text, said
        assert said in html, said
    assert set(re.findall(r'href="([^"]+)"', html)) == {link}
    assert "<img" not in html
    assert "请把这个地址复制到浏览器" in html
    (letter,) = await letters(station)
    assert (letter.state, letter.attempts, letter.lease_until) == (LetterState.SENT, 1, None)


async def test_english_readers_get_english(station: Station) -> None:
    await ask(station, language="en")
    async with open_letterbox(station.parts) as letterbox:
        await letterbox.send_due()
    mail = read_mail(station.sandbox.mails()[0])
    assert mail["Subject"].startswith("Please confirm your subscription")
    assert "?lang=en" in part(mail, "plain")
    assert not re.search(r"[\u4e00-\u9fff]", part(mail, "plain").split("─")[0])


async def test_every_kind_of_letter_can_be_written(station: Station, clock: HandClock) -> None:
    await station.people(readers(1))
    await ask(station, "reader1@readers.example")
    async with station.parts.database.write() as session:
        person = await people.find_by_id(session, 1)
        new = read_address("new@readers.example")
        origin = requests.Origin()
        made = [
            await requests.ask_to_change_address(session, clock, "dsj", person, new, origin=origin),
            await requests.ask_about_data(session, clock, "dsj", person, RequestKind.EXPORT, origin=origin),
            await requests.ask_about_data(session, clock, "dsj", person, RequestKind.ERASE, origin=origin),
        ]
        for request in made:
            assert request is not None
            assert request.id is not None
            await write_letters(session, clock, request.id)
    async with open_letterbox(station.parts) as letterbox:
        assert await letterbox.send_due() == 5
    subjects = sorted(str(read_mail(mail)["Subject"]) for mail in station.sandbox.mails())
    assert len(set(subjects)) == 5
    assert all("大数据发展动态" in subject for subject in subjects)
    addressed = sorted(mail.recipients[0] for mail in station.sandbox.mails())
    assert addressed == ["new@readers.example", *["reader1@readers.example"] * 4]


async def test_refused_for_now_it_is_tried_again_with_the_same_id(station: Station, clock: HandClock) -> None:
    await ask(station)
    station.sandbox.faults.on_mail(MailFault("*", reply="450 4.2.1 try later", times=1))
    station.sandbox.faults.on_mail(MailFault("*", at="body", drop="dot", times=1))  # taken, and nothing said
    async with open_letterbox(station.parts) as letterbox:
        for seconds in (0, 30, 60):
            clock.move(seconds=seconds)
            assert await letterbox.send_due() == 1
            assert await letterbox.send_due() == 0
    one, two = (read_mail(mail) for mail in station.sandbox.mails())
    assert one["Message-ID"] == two["Message-ID"]
    (letter,) = await letters(station)
    assert (letter.state, letter.attempts) == (LetterState.SENT, 3)


async def test_a_refused_address_fails_with_its_reason(station: Station) -> None:
    await ask(station)
    station.sandbox.faults.on_mail(MailFault("*", reply="550 5.1.1 no such user"))
    async with open_letterbox(station.parts) as letterbox:
        await letterbox.send_due()
    (letter,) = await letters(station)
    assert letter.state is LetterState.FAILED
    assert "no such user" in letter.reason
    assert ADDRESS not in letter.reason


async def test_after_two_days_nobody_waits_for_it_any_more(station: Station, clock: HandClock) -> None:
    await ask(station)
    station.sandbox.faults.on_mail(MailFault("*", reply="451 later"))
    async with open_letterbox(station.parts) as letterbox:
        for _ in range(60):
            await letterbox.send_due()
            clock.move(hours=1)
    (letter,) = await letters(station)
    assert letter.state is LetterState.FAILED


async def test_what_is_over_or_suppressed_is_not_sent(station: Station, clock: HandClock) -> None:
    answered, late = await ask(station), await ask(station, "late@readers.example")
    await ask(station, "gone@readers.example")
    async with station.parts.database.write() as session:
        await requests.answer(session, clock, station.parts.publications, answered.key)
        row = await session.get(Request, late.id)
        assert row is not None
        row.expires_at = clock()
        session.add(row)
        gone = Suppression(
            channel=Channel.EMAIL, target="gone@readers.example", reason="bounce", created_at=clock()
        )
        session.add(gone)
    async with open_letterbox(station.parts) as letterbox:
        await letterbox.send_due()
    assert station.sandbox.mails() == []
    assert [letter.reason for letter in await letters(station)] == [
        "request.over",
        "request.over",
        "suppressed",
    ]


async def test_what_a_dead_worker_had_is_sent_when_its_lease_ends(station: Station, clock: HandClock) -> None:
    await ask(station)
    async with open_letterbox(station.parts) as dead:
        assert len(await dead._claim()) == 1
    async with open_letterbox(station.parts) as letterbox:
        assert await letterbox.send_due() == 0
        clock.move(minutes=16)
        assert await letterbox.send_due() == 1
    assert len(station.sandbox.mails()) == 1


async def test_a_database_that_goes_away_while_a_letter_is_sent_ends_nothing(
    station: Station, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ask(station)

    async def away(*_: object) -> None:
        raise OperationalError("UPDATE", None, OSError("away"))

    async with open_letterbox(station.parts) as letterbox:
        with monkeypatch.context() as patched:
            patched.setattr(letterbox, "_record", away)
            assert await letterbox.send_due() == 1
        clock.move(minutes=16)
        assert await letterbox.send_due() == 1
    assert len(station.sandbox.mails()) == 2, "once more: nobody knew"
    assert [letter.state for letter in await letters(station)] == [LetterState.SENT]


async def test_two_workers_send_a_letter_once(station: Station) -> None:
    for number in range(8):
        await ask(station, f"reader{number}@readers.example")
    async with open_letterbox(station.parts) as one, open_letterbox(station.parts) as two:
        tried = await asyncio.gather(*(letterbox.send_due() for letterbox in (one, two) for _ in range(2)))
    assert sum(tried) == 8
    assert len(station.sandbox.mails()) == 8


async def test_a_letter_comes_within_a_second_or_two_of_being_asked_for(tmp_path: Path) -> None:
    async with open_station(tmp_path) as station, station.worker(), sending_letters(station.parts):
        async with station.parts.database.write() as session:
            await requests.ask_to_subscribe(
                session,
                station.parts.clock,
                DSJ,
                address=read_address(ADDRESS),
                name="",
                language="zh",
                agreement=Agreement(),
                origin=requests.Origin(),
            )
        async with asyncio.timeout(20):
            while not station.sandbox.mails():
                await asyncio.sleep(0.05)
        assert "整期" in part(read_mail(station.sandbox.mails()[0]), "plain")


async def test_letters_are_signed_like_digests(tmp_path: Path, station: Station) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    file = tmp_path / "dkim.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    record = b"v=DKIM1; k=rsa; p=" + b"".join(public.splitlines()[1:-1])
    await ask(station)
    email = station.parts.settings.email.model_copy(update={"dkim_key": str(file)})
    signing = replace(station.parts, settings=station.parts.settings.model_copy(update={"email": email}))
    async with open_letterbox(signing) as letterbox:
        await letterbox.send_due()
    (kept,) = station.sandbox.mails()
    assert dkim.verify(kept.content, dnsfunc=lambda *_, **__: record)
    assert message_from_bytes(kept.content, policy=policy.default)["DKIM-Signature"]
