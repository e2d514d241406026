"""A relay that refuses, hangs up or falls silent for a share of the mails: the sums of docs/faults.md come out.

On PostgreSQL two workers send at the same time. Who is hit is chance; how many, the sandbox counts.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from sqlalchemy import func
from sqlmodel import col, select
from tests.making import FULL, Station, open_station

from bdnews_dispatch.db.engine import Backend
from bdnews_dispatch.sandbox import MailFault
from bdnews_dispatch.subscribers.models import Suppression

#: A multiple of a hundred, so that shares are whole numbers.
NUMBER = 10_000 if FULL else 200
SECONDS = 3600 if FULL else 60


@pytest.fixture
async def station(tmp_path: Path) -> AsyncIterator[Station]:
    email = {"connections": 20, "timeout_seconds": 5, "final_timeout_seconds": 5}
    async with open_station(tmp_path, email=email) as station:
        yield station


@pytest.fixture
async def workers(station: Station, backend: Backend) -> AsyncIterator[AsyncExitStack]:
    """Not at work yet: `start` puts them to it."""
    async with AsyncExitStack() as stack:
        yield stack


async def start(station: Station, workers: AsyncExitStack, domains: int = NUMBER) -> int:
    """A dispatch to NUMBER readers, and workers for it. Args: domains: of the readers; each has a pace of its own."""
    rows = (f"r{n}@d{n % domains}.example,policy,email,issue" for n in range(NUMBER))
    await station.people("\n".join(["email,sections,channel,cadence", *rows]).encode())
    dispatch = await station.start(await station.publish())
    for _ in range(2 if station.parts.database.backend is Backend.POSTGRESQL else 1):
        await workers.enter_async_context(station.worker())
    return dispatch


def nobody_twice(station: Station) -> int:
    """Returns: how many have got their mail."""
    received = station.received()
    assert len(set(received)) == len(received), "twice"
    return len(received)


def faults(station: Station, *which: MailFault) -> Sequence[MailFault]:
    return [station.sandbox.faults.on_mail(fault) for fault in which]


async def suppressed(station: Station) -> int:
    async with station.parts.database.read() as session:
        return (await session.exec(select(func.count()).select_from(Suppression))).one()


@pytest.mark.fault(8)
async def test_a_fifth_refused_for_now_gets_it_in_the_end(station: Station, workers: AsyncExitStack) -> None:
    set_ = faults(
        station,
        MailFault("*", reply="421 4.3.2 closing", every=20),
        MailFault("*", reply="450 4.2.1 mailbox busy", every=20),
        MailFault("*", at="data", reply="451 4.3.0 local error", every=20),
        MailFault("*", at="body", reply="452 4.3.1 no space just now", every=20),
    )
    shown = await station.until(await start(station, workers), seconds=SECONDS)
    assert sum(fault.hits for fault in set_) >= NUMBER // 5 * 0.9
    assert all(fault.hits for fault in set_)
    assert shown["counts"]["sent"] == nobody_twice(station) == NUMBER
    assert await suppressed(station) == 0, "no false bounce"


@pytest.mark.fault(9)
async def test_a_twentieth_refused_for_good_and_exactly_those(
    station: Station, workers: AsyncExitStack
) -> None:
    unknown = {f"r{n}@d{n}.example" for n in range(7, NUMBER, 40)}
    full = {f"r{n}@d{n}.example" for n in range(27, NUMBER, 40)}
    for address in unknown:
        station.sandbox.faults.on_mail(MailFault(address, reply="550 5.1.1 no such user"))
    for address in full:
        station.sandbox.faults.on_mail(MailFault(address, at="body", reply="552 5.2.2 mailbox full"))
    dispatch = await start(station, workers)
    shown = await station.until(dispatch, seconds=SECONDS)
    assert shown["counts"] == {
        **shown["counts"],
        "sent": NUMBER - len(unknown | full),
        "failed": len(unknown | full),
    }
    failed = {d.subscriber_id for d in await station.deliveries(dispatch) if d.state == "failed"}
    assert await addresses(station, failed) == unknown | full
    assert nobody_twice(station) == NUMBER - NUMBER // 20
    assert not set(station.received()) & (unknown | full)
    assert await suppressed(station) == len(unknown), "a full mailbox is emptied some day"


async def addresses(station: Station, ids: set[int]) -> set[str]:
    from bdnews_dispatch.subscribers.models import Subscriber  # noqa: PLC0415

    async with station.parts.database.read() as session:
        found = await session.exec(select(Subscriber.email).where(col(Subscriber.id).in_(ids)))
        return {str(address) for address in found}


@pytest.mark.fault(10)
async def test_a_tenth_dropped_before_the_dot_is_never_in_doubt(
    station: Station, workers: AsyncExitStack
) -> None:
    """In the middle of a message: test_every_step.py. A relay that hangs up there when the dot is under way already
    leaves it in doubt, as behind the dot.
    """
    set_ = faults(
        station,
        MailFault("*", at="rcpt", drop="command", every=20),
        MailFault("*", at="data", drop="command", every=20),
    )
    shown = await station.until(await start(station, workers), seconds=SECONDS)
    assert sum(fault.hits for fault in set_) >= NUMBER // 10 * 0.9
    assert shown["counts"]["sent"] == nobody_twice(station) == NUMBER
    assert shown["counts"]["uncertain"] == 0


@pytest.mark.fault(11)
@pytest.mark.parametrize("taken", [True, False], ids=["taken", "not-taken"])
async def test_what_is_dropped_behind_the_dot_is_in_doubt_and_nothing_else(
    station: Station, workers: AsyncExitStack, taken: bool
) -> None:
    [fault] = faults(station, MailFault("*", at="body", drop="dot", keep=taken, every=50))
    dispatch = await start(station, workers)
    async with asyncio.timeout(SECONDS):
        while (counts := (await station.show(dispatch))["counts"])["sent"] + counts["uncertain"] < NUMBER:
            await asyncio.sleep(0.05)
    assert counts["uncertain"] == fault.hits >= NUMBER // 50
    doubted = {d.subscriber_id for d in await station.deliveries(dispatch) if d.state == "uncertain"}
    got = nobody_twice(station)
    assert got == (NUMBER if taken else NUMBER - fault.hits)
    assert len(await addresses(station, doubted) & set(station.received())) == (fault.hits if taken else 0)
    assert (await station.show(dispatch))["state"] == "sending", "a person decides what is in doubt"
