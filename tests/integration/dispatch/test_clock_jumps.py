"""A clock that jumps by an hour, there and back: no lease ends early, no scheduled run is lost or made twice."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from sqlmodel import col, select
from tests.making import HandClock, Station, document, open_station, readers

from bdnews_dispatch.clock import system_clock
from bdnews_dispatch.db.engine import Backend
from bdnews_dispatch.dispatch.models import Attempt, Dispatch
from bdnews_dispatch.issues.intake import take
from bdnews_dispatch.sandbox import MailFault
from bdnews_dispatch.scheduling.catch_up import CatchUp
from bdnews_dispatch.scheduling.timetable import read_timetable

LEASE_SECONDS = 2.0
NUMBER = 40
HOUR = dt.timedelta(hours=1)


class JumpingClock:
    """The machine's, and so much ahead of it."""

    ahead = dt.timedelta()

    def __call__(self) -> dt.datetime:
        return system_clock() + self.ahead


@pytest.fixture
def jumping() -> JumpingClock:
    return JumpingClock()


@pytest.fixture
async def station(tmp_path: Path, jumping: JumpingClock) -> AsyncIterator[Station]:
    delivery = {"lease_seconds": LEASE_SECONDS}
    async with open_station(tmp_path, jumping, delivery=delivery, email={"connections": 2}) as station:
        yield station


@pytest.mark.fault(16)
@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["ahead", "back"])
async def test_no_lease_ends_early(station: Station, jumping: JumpingClock, jump: dt.timedelta) -> None:
    """Whoever held a delivery goes on holding it: each is claimed once, and sent by who claimed it."""
    station.sandbox.faults.on_mail(MailFault("*", at="body", delay_seconds=0.2))
    await station.people(readers(NUMBER))
    dispatch = await station.start(await station.publish())
    number = 2 if station.parts.database.backend is Backend.POSTGRESQL else 1
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(station.worker()) for _ in range(number)]
        await station.sandbox.arrived(mails=4)
        for ahead in (jump, dt.timedelta()):
            jumping.ahead = ahead
            for _ in range(20):  # they look for leases that ended before anybody could renew his
                for worker in workers:
                    worker.wake()
                await asyncio.sleep(0.02)
            await asyncio.sleep(LEASE_SECONDS)
        shown = await station.until(dispatch)
    assert shown["counts"]["sent"] == NUMBER
    assert len(set(station.received())) == len(station.received()) == NUMBER
    assert {delivery.epoch for delivery in await station.deliveries(dispatch)} == {1}
    async with station.parts.database.read() as session:
        assert {*(await session.exec(select(Attempt.outcome))).all()} == {"accepted"}


@pytest.mark.fault(16)
@pytest.mark.parametrize("minutes", [-10, 10], ids=["over the moment", "back over the moment"])
async def test_no_run_is_lost_or_made_twice(station: Station, minutes: int) -> None:
    """A weekly run is due at 09:00 on Monday in Beijing; the clock stands just before or behind it, and jumps."""
    clock = HandClock()
    parts = station.parts
    timetable = read_timetable(parts.settings.schedule, parts.settings.service.timezone)
    runs = [CatchUp(parts.database, clock, parts.publications, timetable, days=7) for _ in range(2)]

    async def look() -> int:
        """Two who lead at the same time, as after a jump of the lease's clock."""
        return sum(await asyncio.gather(*(run.run() for run in runs)))

    due = dt.datetime(2026, 11, 30, 1, tzinfo=dt.UTC)
    clock.now = due - dt.timedelta(days=3)
    async with parts.database.write() as session:
        await take(session, clock, document(), source_name="a", source=b"", publish_now=True)
    await look()  # what was due in the week before
    made = 0
    for moment in (due + dt.timedelta(minutes=minutes), HOUR, -HOUR, -HOUR, HOUR, HOUR):
        clock.now = moment if isinstance(moment, dt.datetime) else clock.now + moment
        made += await look()
    assert made == 1
    async with parts.database.read() as session:
        causes = (await session.exec(select(Dispatch.cause).where(col(Dispatch.kind) == "period"))).all()
    assert [cause for cause in causes if "2026-11-30" in cause] == ["weekly:dsj:2026-11-30T01:00:00+00:00"]
