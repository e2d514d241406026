"""Deliveries in doubt: listed with what is known of them, decided one by one or together, never anything else."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.making import Station, open_station, readers

from bdnews_dispatch.dispatch.settling import DECISIONS, look, resolve, resolve_all
from bdnews_dispatch.errors import NotFoundError, StateError
from bdnews_dispatch.sandbox import MailFault


@pytest.fixture
async def station(tmp_path: Path) -> AsyncIterator[Station]:
    """Six readers; the relay hung up behind the dot of two mails, one of which it has taken."""
    async with open_station(tmp_path) as station:
        await station.people(readers(6))
        station.sandbox.faults.on_mail(MailFault("reader1@*", at="body", drop="dot", times=1))
        station.sandbox.faults.on_mail(MailFault("reader2@*", at="body", drop="dot", keep=False, times=1))
        dispatch = await station.start(await station.publish())
        async with station.worker():
            while (await station.show(dispatch))["counts"]["sent"] < 4:
                pass
            while (await station.show(dispatch))["counts"]["uncertain"] < 2:
                pass
        yield station


async def test_what_is_in_doubt_is_listed_with_what_is_known(station: Station) -> None:
    async with station.parts.database.read() as session:
        found = await look(session, mail_domain="bdnews.example", dispatch_id=1, states=["uncertain"])
        sent = await look(session, mail_domain="bdnews.example", states=["sent"], limit=2)
        lost = await look(session, mail_domain="bdnews.example", reason="lost_answer")
    assert {seen.target for seen in found} == {"reader1@readers.example", "reader2@readers.example"}
    assert {seen.code for seen in found} == {"connection.lost"}
    assert found[0].message_id == f"{found[0].key}.1@bdnews.example"
    assert len(sent) == 2
    assert {seen.id for seen in lost} == {seen.id for seen in found}


async def test_sent_or_resent_the_dispatch_ends(station: Station) -> None:
    async with station.parts.database.read() as session:
        one, two = sorted(
            await look(session, mail_domain="x", states=["uncertain"]), key=lambda seen: seen.target
        )
    async with station.parts.database.write() as session:
        assert await resolve(session, station.parts.clock, [one.key], "sent") == 1
        assert await resolve(session, station.parts.clock, [str(two.id)], "resend") == 1
    async with station.worker():
        shown = await station.until(1)
    assert shown["counts"]["sent"] == 6
    assert sorted(set(station.received())) == station.received(), "nobody has it twice"
    assert len(station.received()) == 6
    delivered = {d.key: d for d in await station.deliveries(1)}
    assert delivered[one.key].sent_at is not None
    assert delivered[one.key].reason == "decided:sent"


@pytest.mark.parametrize("decision", list(DECISIONS))
async def test_only_what_is_in_doubt_can_be_decided(station: Station, decision: str) -> None:
    async with station.parts.database.read() as session:
        [sent, *_] = await look(session, mail_domain="x", states=["sent"])
        [doubt, *_] = await look(session, mail_domain="x", states=["uncertain"])
    with pytest.raises(StateError, match=sent.key):
        async with station.parts.database.write() as session:
            await resolve(session, station.parts.clock, [doubt.key, sent.key], decision)
    with pytest.raises(NotFoundError, match="nobody"):
        async with station.parts.database.write() as session:
            await resolve(session, station.parts.clock, [doubt.key, "nobody"], decision)
    assert (await station.show(1))["counts"]["uncertain"] == 2, "all of it or nothing"


async def test_all_of_a_dispatch_at_once(station: Station) -> None:
    async with station.parts.database.write() as session:
        assert await resolve_all(session, station.parts.clock, 1, "failed") == 2
        assert await resolve_all(session, station.parts.clock, 1, "failed") == 0
    with pytest.raises(NotFoundError):
        async with station.parts.database.write() as session:
            await resolve_all(session, station.parts.clock, 99, "failed")
