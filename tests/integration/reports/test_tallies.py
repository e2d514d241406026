"""Counts that pages show with their moment: there at once or not yet, made again when they are old."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlmodel.ext.asyncio.session import AsyncSession
from tests.integration.web.readers_site import Site

from bdnews_dispatch.reports.tallies import Counted, Tallies, Wanted


@pytest.fixture
async def tallies(site: Site) -> AsyncIterator[Tallies]:
    async with Tallies(site.database, site.clock) as tallies:
        yield tallies


class Counting:
    """Counts how often it was asked to count."""

    def __init__(self) -> None:
        self.times = 0

    async def __call__(self, _: AsyncSession) -> dict[str, int]:
        self.times += 1
        return {"times": self.times}


async def last(site: Site, tallies: Tallies, *wanted: Wanted) -> dict[str, Counted]:
    async with site.database.read() as session:
        found = await tallies.last(session, wanted)
    await tallies.settled()
    return found


def values(found: dict[str, Counted]) -> Sequence[int]:
    return [one.value["times"] for one in found.values()]


async def test_the_first_look_finds_nothing_and_the_next_one_what_was_counted(
    site: Site, tallies: Tallies
) -> None:
    count = Counting()
    wanted = Wanted("people", count, timedelta(minutes=1))
    assert await last(site, tallies, wanted) == {}
    began = site.clock()
    found = await last(site, tallies, wanted)
    assert values(found) == [1]
    assert began - found["people"].at < timedelta(seconds=1)
    assert count.times == 1, "it is fresh"


async def test_what_is_old_is_shown_and_counted_again(site: Site, tallies: Tallies) -> None:
    wanted = Wanted("people", Counting(), timedelta(minutes=1))
    await last(site, tallies, wanted)
    site.clock.move(minutes=2)
    assert values(await last(site, tallies, wanted)) == [1]
    assert values(await last(site, tallies, wanted)) == [2]


async def test_a_count_from_before_the_end_is_made_again(site: Site, tallies: Tallies) -> None:
    count = Counting()
    await last(site, tallies, Wanted("dispatch:1", count, timedelta(hours=1)))
    site.clock.move(minutes=2)
    ended = Wanted("dispatch:1", count, timedelta(hours=1), since=site.clock())
    site.clock.move(minutes=2)
    assert values(await last(site, tallies, ended)) == [1]
    assert values(await last(site, tallies, ended)) == [2]
    assert count.times == 2


async def test_another_process_shows_the_same(site: Site, tallies: Tallies) -> None:
    wanted = Wanted("people", Counting(), timedelta(minutes=1))
    await last(site, tallies, wanted)
    async with Tallies(site.database, site.clock) as other:
        assert values(await last(site, other, wanted)) == [1]


async def test_one_that_fails_is_in_nobodys_way(site: Site, tallies: Tallies) -> None:
    async def fail(session: AsyncSession) -> int:
        await session.execute(text("SELECT 1"))
        raise OperationalError("SELECT 1", None, Exception("away"))

    wrong = Wanted("wrong", fail, timedelta(minutes=1))
    right = Wanted("right", Counting(), timedelta(minutes=1))
    assert await last(site, tallies, wrong, right) == {}
    assert set(await last(site, tallies, wrong, right)) == {"right"}
