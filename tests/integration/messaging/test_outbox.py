"""Events and their handlers: each in effect once, also when one dies half-way."""

from contextlib import AbstractAsyncContextManager

import pytest
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from tests.making import HandClock

from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.messaging.models import Event, EventHandling
from bdnews_dispatch.messaging.outbox import Outbox, has_waiting, record
from bdnews_dispatch.subscribers.models import MailingList


async def tell(database: Database, clock: HandClock, key: str = "thing:1") -> None:
    async with database.write() as session:
        await record(session, clock, "thing.happened", key, number=1)


async def names(database: Database) -> list[str]:
    async with database.read() as session:
        return list((await session.exec(select(MailingList.name).order_by(MailingList.name))).all())


async def test_told_twice_is_one_event(database: Database) -> None:
    clock = HandClock()
    await tell(database, clock)
    await tell(database, clock)
    async with database.read() as session:
        assert len((await session.exec(select(Event))).all()) == 1


async def test_an_event_goes_with_the_change_that_it_tells_of(database: Database) -> None:
    clock = HandClock()
    with pytest.raises(RuntimeError):
        async with database.write() as session:
            await record(session, clock, "thing.happened", "k")
            raise RuntimeError("the change failed")
    async with database.read() as session:
        assert not await has_waiting(session, clock)


async def test_a_handler_that_dies_half_way_runs_again_and_does_no_harm(database: Database) -> None:
    clock = HandClock()
    calls: list[str] = []

    async def first(session: AsyncSession, event: Event) -> None:
        calls.append("first")
        session.add(MailingList(name=f"first {event.payload['number']}", created_at=clock()))

    async def second(session: AsyncSession, event: Event) -> None:
        calls.append("second")
        session.add(MailingList(name="second", created_at=clock()))
        await session.flush()
        if calls.count("second") < 3:
            raise RuntimeError("died half-way")

    outbox = Outbox(database, clock, {"thing.happened": (first, second)})
    await tell(database, clock)
    assert await outbox.handle_waiting() == 0
    assert await names(database) == ["first 1"], "what the dead one wrote is gone, the other's work is kept"
    assert await outbox.handle_waiting() == 0
    assert calls == ["first", "second"], "it waits before it tries again"
    async with database.read() as session:
        assert not await has_waiting(session, clock)
    clock.move(seconds=6)
    assert await outbox.handle_waiting() == 0
    clock.move(seconds=11)
    assert await outbox.handle_waiting() == 1
    assert await names(database) == ["first 1", "second"]
    assert calls == ["first", "second", "second", "second"]
    async with database.read() as session:
        failed = (await session.exec(select(EventHandling).where(EventHandling.handler == "second"))).one()
        assert failed.attempts == 3
        assert "died half-way" in failed.last_error
    assert await outbox.handle_waiting() == 0


async def test_a_failing_event_does_not_hold_up_the_others(database: Database) -> None:
    clock = HandClock()

    async def handler(session: AsyncSession, event: Event) -> None:
        if event.key == "bad":
            raise RuntimeError("bad")
        session.add(MailingList(name=event.key, created_at=clock()))

    outbox = Outbox(database, clock, {"thing.happened": (handler,)})
    for key in ("bad", "good"):
        await tell(database, clock, key)
    assert await outbox.handle_waiting() == 1
    assert await names(database) == ["good"]


async def test_an_event_that_nobody_handles_is_done(database: Database) -> None:
    clock = HandClock()
    await tell(database, clock)
    assert await Outbox(database, clock, {}).handle_waiting() == 1
    async with database.read() as session:
        assert (await session.exec(select(Event.id).where(col(Event.handled_at).is_(None)))).all() == []


async def test_those_that_nobody_handles_are_done_together(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = HandClock()

    async def handler(session: AsyncSession, event: Event) -> None:
        session.add(MailingList(name=event.key, created_at=clock()))

    async with database.write() as session:
        for number in range(30):
            await record(session, clock, "thing.told", f"told:{number}")
    await tell(database, clock)
    transactions = 0
    write = database.write

    def counted() -> AbstractAsyncContextManager[AsyncSession]:
        nonlocal transactions
        transactions += 1
        return write()

    monkeypatch.setattr(database, "write", counted)
    assert await Outbox(database, clock, {"thing.happened": (handler,)}).handle_waiting() == 31
    assert transactions == 1 + 1, "of thirty one; of the other its handler's, with which it is done"
    assert await names(database) == ["thing:1"]
    async with database.read() as session:
        assert not await has_waiting(session, clock)


async def test_the_last_one_to_succeed_need_not_be_the_last_one(database: Database) -> None:
    clock = HandClock()
    calls: list[str] = []

    async def first(session: AsyncSession, event: Event) -> None:
        calls.append("first")
        if calls.count("first") < 2:
            raise RuntimeError("not yet")

    async def second(session: AsyncSession, event: Event) -> None:
        calls.append("second")

    outbox = Outbox(database, clock, {"thing.happened": (first, second)})
    await tell(database, clock)
    assert await outbox.handle_waiting() == 0
    assert calls == ["first", "second"], "one that fails holds up no other one"
    async with database.read() as session:
        assert (await session.exec(select(Event.id).where(col(Event.handled_at).is_not(None)))).all() == []
    clock.move(seconds=6)
    assert await outbox.handle_waiting() == 1
    assert calls == ["first", "second", "first"]
    async with database.read() as session:
        assert (await session.exec(select(Event.id).where(col(Event.handled_at).is_(None)))).all() == []
    assert await outbox.handle_waiting() == 0
