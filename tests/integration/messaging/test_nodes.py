"""Who is there and who leads: one at a time, and another one within ten seconds."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta

import pytest
from tests.making import HandClock

from bdnews_dispatch.clock import system_clock
from bdnews_dispatch.db.engine import Backend, Database
from bdnews_dispatch.db.server_clock import ServerClock
from bdnews_dispatch.messaging import nodes
from bdnews_dispatch.messaging.nodes import GONE_AFTER, LEASE, hold, leading, number_there, present, release


async def there(database: Database, clock: HandClock, role: str) -> int:
    async with database.read() as session:
        return await number_there(session, clock, role)


async def test_a_process_is_seen_while_it_lives(database: Database, clock: HandClock) -> None:
    async with present(database, clock, "a", ["web", "worker"]), present(database, clock, "b", ["worker"]):
        assert [await there(database, clock, role) for role in ("worker", "web", "scheduler")] == [2, 1, 0]
        clock.move(seconds=GONE_AFTER.total_seconds() + 1)
        assert await there(database, clock, "worker") == 0, "no sign of life"
    clock.move(hours=-1)
    assert await there(database, clock, "worker") == 0, "they have said that they go"


async def test_signs_of_life_come_by_themselves(
    database: Database, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes, "ALIVE_SECONDS", 0.02)
    async with present(database, clock, "a", ["worker"]):
        clock.move(hours=1)
        async with asyncio.timeout(5):
            while not await there(database, clock, "worker"):
                await asyncio.sleep(0.02)


async def test_a_lease_has_one_holder_until_it_ends(database: Database, clock: HandClock) -> None:
    assert await hold(database, clock, "x", "a")
    assert not await hold(database, clock, "x", "b")
    assert await hold(database, clock, "y", "b"), "another lease"
    clock.move(seconds=LEASE.total_seconds() - 1)
    assert await hold(database, clock, "x", "a"), "renewed"
    clock.move(seconds=2)
    assert not await hold(database, clock, "x", "b")
    clock.move(seconds=LEASE.total_seconds())
    assert await hold(database, clock, "x", "b")
    assert not await hold(database, clock, "x", "a")
    await release(database, clock, "x", "a")
    clock.move(seconds=1)
    assert not await hold(database, clock, "x", "a"), "who does not hold it can't give it up"
    await release(database, clock, "x", "b")
    clock.move(seconds=1)
    assert await hold(database, clock, "x", "a")


async def test_of_many_who_ask_at_once_one_gets_it(database: Database, clock: HandClock) -> None:
    got = await asyncio.gather(*(hold(database, clock, "x", str(n)) for n in range(8)))
    assert sum(got) == 1


def ticking(ticks: list[str], name: str) -> Callable[[], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lead() -> AsyncIterator[None]:
        ticks.append(f"{name} leads")
        try:
            yield
        finally:
            ticks.append(f"{name} ends")

    return lead


async def test_another_one_leads_within_ten_seconds(database: Database) -> None:
    ticks: list[str] = []
    async with leading(database, system_clock, "scheduler", "b", ticking(ticks, "b")):
        await until(ticks, "b leads", 3)
        first = asyncio.create_task(stand_still(database, ticks))
        await asyncio.sleep(0.5)
    assert ticks == ["b leads", "b ends"]
    await until(ticks, "a leads", 10)
    first.cancel()


async def test_one_that_died_is_followed_within_ten_seconds(database: Database) -> None:
    assert await hold(database, system_clock, "scheduler", "dead")
    ticks: list[str] = []
    async with leading(database, system_clock, "scheduler", "a", ticking(ticks, "a")):
        await until(ticks, "a leads", 10)


async def test_who_has_lost_the_lease_stops(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "LEAD_SECONDS", 0.05)
    ticks: list[str] = []
    async with leading(database, system_clock, "scheduler", "a", ticking(ticks, "a")):
        await until(ticks, "a leads", 3)
        later = HandClock(system_clock() + timedelta(hours=1))
        assert await hold(database, later, "scheduler", "b"), "a was suspended, say"
        await until(ticks, "a ends", 3)


async def stand_still(database: Database, ticks: list[str]) -> None:
    async with leading(database, system_clock, "scheduler", "a", ticking(ticks, "a")):
        await asyncio.Event().wait()


async def until(ticks: list[str], tick: str, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while tick not in ticks:
            await asyncio.sleep(0.02)


@pytest.mark.fault(16)
async def test_the_servers_clock_is_everybodys(database: Database, backend: Backend) -> None:
    if backend is Backend.SQLITE:
        pytest.skip("one machine has one clock")
    clock = ServerClock(database)
    assert abs(clock() - system_clock()) > timedelta(days=1), "not asked yet"
    await clock.ask()
    assert abs(clock() - system_clock()) < timedelta(seconds=1), "the server is this machine"
