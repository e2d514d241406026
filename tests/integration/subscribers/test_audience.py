"""Whom a dispatch may reach, slice by slice; and WeChat's windows."""

from tests.making import DSJ, HandClock, import_csv, readers

from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.subscribers import agreements, followers
from bdnews_dispatch.subscribers.audience import people as persons
from bdnews_dispatch.subscribers.audience import slice_of
from bdnews_dispatch.subscribers.models import Channel, Suppression
from bdnews_dispatch.subscribers.targeting import Target


async def fill(database: Database, clock: HandClock, csv: bytes, list_name: str | None = None) -> None:
    await import_csv(database, clock, DSJ, csv, list_name=list_name, origin_name="t.csv")


async def test_slices_hold_everybody_once_in_order(database: Database, clock: HandClock) -> None:
    await fill(database, clock, readers(25))
    seen: list[int] = []
    async with database.read() as session:
        while part := await slice_of(session, "dsj", after_id=seen[-1] if seen else 0, limit=7):
            seen += [person.subscriber_id for person in part]
    assert seen == sorted(set(seen))
    assert len(seen) == 25


async def test_lists_give_everybody_once(database: Database, clock: HandClock) -> None:
    await fill(database, clock, readers(4), "甲")
    await fill(database, clock, readers(4, start=3), "乙")
    await fill(database, clock, readers(2, start=50))
    async with database.read() as session:
        both = await slice_of(
            session, "dsj", after_id=0, limit=100, target=Target(lists=["甲", "乙"]), now=clock()
        )
        none = await slice_of(session, "dsj", after_id=0, limit=100, target=Target(lists=["丙"]), now=clock())
    assert [person.name for person in both] == [f"读者{n}" for n in range(1, 7)]
    assert none == []


async def test_who_left_is_not_in_it_but_can_still_be_looked_up(database: Database, clock: HandClock) -> None:
    await fill(database, clock, readers(2))
    async with database.write() as session:
        await agreements.unsubscribe(session, clock, 1, "dsj", reason="", origin="page")
    async with database.read() as session:
        assert [p.subscriber_id for p in await slice_of(session, "dsj", after_id=0, limit=9)] == [2]
        found = await persons(session, [1, 2, 99], publication="dsj")
    assert set(found) == {1, 2}
    assert found[1].sections == frozenset()


async def test_suppressed_channels_and_followers(database: Database, clock: HandClock) -> None:
    await fill(database, clock, readers(1, channel="both") + b"Upper@Case.example,U,,*,email,issue\n")
    async with database.write() as session:
        session.add(
            Suppression(channel=Channel.EMAIL, target="upper@case.example", reason="t", created_at=clock())
        )
        await followers.unfollow(session, clock, "oReader000000000000000000001")
        await followers.unfollow(session, clock, f"oReader{1:021d}")
    async with database.read() as session:
        first, second = await slice_of(session, "dsj", after_id=0, limit=9)
    assert (first.following, first.suppressed) == (False, frozenset())
    assert (second.following, second.suppressed) == (True, frozenset({Channel.EMAIL}))


async def test_a_window_closes_by_time_and_by_use(database: Database, clock: HandClock) -> None:
    async with database.write() as session:
        await followers.touched(session, clock, "oA", text=True)
        await session.flush()
        assert [await followers.take_from_window(session, clock, "oA") for _ in range(6)] == [True] * 5 + [
            False
        ]
        await followers.follow(session, clock, "oB")
        await session.flush()
        assert await followers.open_windows(session, clock, ["oA", "oB"]) == {"oB"}
        clock.move(seconds=61)
        assert await followers.open_windows(session, clock, ["oA", "oB"]) == frozenset()


async def test_a_short_window_never_makes_a_long_one_smaller(database: Database, clock: HandClock) -> None:
    async with database.write() as session:
        await followers.touched(session, clock, "oA", text=True)
        await followers.touched(session, clock, "oA", text=False)
        await session.flush()
        clock.move(hours=47)
        assert [await followers.take_from_window(session, clock, "oA") for _ in range(6)].count(True) == 5


async def test_leaving_closes_the_window(database: Database, clock: HandClock) -> None:
    async with database.write() as session:
        await followers.touched(session, clock, "oA", text=True)
        await followers.unfollow(session, clock, "oA")
        await session.flush()
        assert not await followers.open_windows(session, clock, ["oA"])
