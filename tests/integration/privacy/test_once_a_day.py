"""Retention is due once a day, whoever asks how often; days without the service are made up for once."""

import asyncio
import datetime as dt
from pathlib import Path

import pytest
from sqlmodel import select
from tests.integration.web.readers_site import Site
from tests.making import test_settings as settings_of

from bdnews_dispatch.privacy.retention import Retention
from bdnews_dispatch.scheduling.daily import Daily, read_time_of_day
from bdnews_dispatch.scheduling.models import ScheduledRun


@pytest.fixture
def ran() -> list[dt.datetime]:
    return []


@pytest.fixture
def daily(site: Site, tmp_path: Path, ran: list[dt.datetime]) -> Daily:
    """At 03:30 in Beijing; the clock begins at 09:00 there."""
    settings = settings_of(tmp_path)

    class Told(Retention):
        async def run(self) -> dict[str, int]:
            ran.append(site.clock.now)
            return await super().run()

    return Daily(
        site.database,
        site.clock,
        Told(site.database, site.clock, settings),
        at=read_time_of_day("03:30"),
        zone=settings.service.timezone,
    )


async def test_once_a_day(site: Site, daily: Daily, ran: list[dt.datetime]) -> None:
    assert await daily.run()
    assert not await daily.run()
    site.clock.move(hours=18)  # 03:00 in Beijing
    assert not await daily.run()
    site.clock.move(minutes=31)
    assert await daily.run()
    assert not await daily.run()
    assert len(ran) == 2


async def test_days_that_nobody_was_there_are_made_up_for_once(
    site: Site, daily: Daily, ran: list[dt.datetime]
) -> None:
    await daily.run()
    site.clock.move(days=5)
    assert await daily.run()
    assert not await daily.run()
    assert len(ran) == 2
    async with site.database.read() as session:
        rows = (await session.exec(select(ScheduledRun).where(ScheduledRun.timetable == "retention"))).all()
    assert [row.due_at.isoformat() for row in rows] == [
        "2026-11-22T19:30:00+00:00",
        "2026-11-27T19:30:00+00:00",
    ]


async def test_of_many_that_ask_at_the_same_moment_one_does_it(daily: Daily, ran: list[dt.datetime]) -> None:
    assert sum(await asyncio.gather(*(daily.run() for _ in range(5)))) == 1
    assert len(ran) == 1
