"""What works in the background goes on, whatever happens to one round of it; a slip in the settings ends nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import pytest
from sqlalchemy import text
from tests.making import Station, open_station, readers

from bdnews_dispatch.channels.email.limits import Limit
from bdnews_dispatch.channels.outcome import Outcome, OutcomeKind
from bdnews_dispatch.clock import system_clock
from bdnews_dispatch.db.engine import Backend, Database
from bdnews_dispatch.db.server_clock import ServerClock
from bdnews_dispatch.dispatch import budgets as budgets_module
from bdnews_dispatch.dispatch.budgets import Ask, Budgets, BudgetStore, Grant, SharedPace
from bdnews_dispatch.dispatch.ledger import Ledger, Result
from bdnews_dispatch.dispatch.ledger_store import Claim, LedgerStore
from bdnews_dispatch.dispatch.planning import Planner
from bdnews_dispatch.errors import StorageError
from bdnews_dispatch.messaging.nodes import leading, present
from bdnews_dispatch.messaging.notifications import Notifications
from bdnews_dispatch.messaging.postgres_queue import PostgresQueue
from bdnews_dispatch.messaging.queue import Job, JobKind
from bdnews_dispatch.service.worker import ledger_store
from bdnews_dispatch.subscribers.models import Channel


@pytest.fixture
async def station(tmp_path: Path) -> AsyncIterator[Station]:
    """Three planned deliveries, leases of 0.6 s."""
    async with open_station(tmp_path, delivery={"lease_seconds": 0.6}) as station:
        await station.people(readers(3))
        dispatch = await station.start(await station.publish())
        parts = station.parts
        await Planner(parts.database, parts.clock, parts.publications, parts.links).plan_slice(dispatch)
        yield station


def ledger(station: Station, store: LedgerStore) -> Ledger:
    return Ledger(store, station.parts.clock, station.parts.settings.delivery, lanes=1)


async def claimed(ledger: Ledger) -> list[Claim]:
    return (await ledger.claim(1, Channel.EMAIL, 9, publication="dsj"))[0]


async def test_a_renewal_that_fails_is_not_the_last_one(station: Station) -> None:
    store = ledger_store(station.parts.database, "w")
    renew, tried = store.renew, []

    async def once_broken(claims: Sequence[Claim], lease_until: datetime) -> None:
        tried.append(lease_until)
        if len(tried) == 1:
            raise RuntimeError("the driver was surprised")
        await renew(claims, lease_until)

    store.renew = once_broken  # type: ignore[method-assign]
    async with (
        ledger(station, store) as mine,
        ledger(station, ledger_store(station.parts.database, "v")) as other,
    ):
        assert len(await claimed(mine)) == 3
        await asyncio.sleep(1.0)
        assert await other.recover() == (0, 0)


async def test_two_results_of_one_delivery_hold_up_nobody(station: Station) -> None:
    async with ledger(station, ledger_store(station.parts.database, "w")) as mine:
        first, second, _ = await claimed(mine)
        for wait in (None, 1.0):
            mine.record(Result(first, Outcome(OutcomeKind.UNAVAILABLE, "x", retry_after=wait), ""))
        async with asyncio.timeout(2):
            assert await mine.gate(second)


@pytest.fixture
def on_postgres(backend: Backend) -> None:
    if backend is Backend.SQLITE:
        pytest.skip("only many machines have it")


class Surprised:
    """Fails once with an error that nobody foresaw, then works."""

    def __init__(self, work: Callable[..., Coroutine[Any, Any, Any]]) -> None:
        self._work = work
        self.calls = 0
        self.worked = asyncio.Event()

    async def __call__(self, *values: Any, **options: Any) -> Any:
        self.calls += 1
        if self.calls == 1:
            raise RuntimeError("the driver was surprised")
        done = await self._work(*values, **options)
        self.worked.set()
        return done


@pytest.mark.usefixtures("on_postgres")
async def test_jobs_give_signs_of_life_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bdnews_dispatch.messaging.postgres_queue.ALIVE_SECONDS", 0.05)
    async with PostgresQueue(database.url) as queue:
        signs = Surprised(queue._queries.update_heartbeat)
        monkeypatch.setattr(queue._queries, "update_heartbeat", signs)
        await queue.put(Job(JobKind.PLAN, 1))
        await queue.get()
        async with asyncio.timeout(3):
            await signs.worked.wait()


@pytest.mark.usefixtures("on_postgres")
async def test_notifications_are_listened_for_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bdnews_dispatch.messaging.notifications.AGAIN_SECONDS", 0.05)
    notifications = Notifications(database.url, {"x": lambda _: heard.set()})
    heard = asyncio.Event()
    monkeypatch.setattr(notifications, "_listen_once", Surprised(notifications._listen_once))
    async with notifications, asyncio.timeout(3):
        await heard.wait()


@pytest.mark.usefixtures("on_postgres")
async def test_the_server_is_asked_for_its_time_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bdnews_dispatch.db.server_clock.ASK_SECONDS", 0.05)
    clock = ServerClock(database)
    asked = Surprised(clock.ask)
    monkeypatch.setattr(clock, "ask", asked)
    async with clock.keeping_time(), asyncio.timeout(3):
        await asked.worked.wait()


async def test_who_can_not_say_goodbye_goes_all_the_same(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        leading(
            database, system_clock, "scheduler", "a", lambda: present(database, system_clock, "b", ["x"])
        ),
        present(database, system_clock, "a", ["worker"]),
        database.write() as session,
    ):
        for table in ("node", "lease"):
            await session.execute(text(f"DROP TABLE {table}"))
    assert {record.message for record in caplog.records} >= {"node.not_seen", "lease.not_released"}


class OnceAway(BudgetStore):
    """A server that is away at the first question."""

    def __init__(self) -> None:
        self.asked: list[Ask] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    async def leave(self) -> None:
        return

    async def slowed(self) -> list[tuple[str, float, float, float]]:
        return []

    async def lease(self, asks: Sequence[Ask]) -> list[Grant]:
        self.asked += asks
        if len(self.asked) == 1:
            raise StorageError("away")
        return [Grant(0, 0, 100, 1, 0, 0, 0) for _ in asks]


async def test_a_slower_that_could_not_be_told_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budgets_module, "LATEST_SECONDS", 0.05)
    store = OnceAway()
    budgets = Budgets(store, system_clock)
    pace = budgets.pace_of(Limit("fast", messages_per_second=100))
    assert isinstance(pace, SharedPace)
    pace.slow_down(asyncio.get_running_loop().time(), 60.0)
    async with budgets, asyncio.timeout(3):
        while len(store.asked) < 3:
            pace.waiting = 1
            await asyncio.sleep(0.02)
    first, again, later = store.asked[:3]
    assert (again.refused, again.closed_for) == (first.refused, first.closed_for) == (100, 60)
    assert (later.refused, later.closed_for) == (0, 0), "told once"


async def test_a_host_that_is_no_name_is_a_setting_to_be_mended(tmp_path: Path) -> None:
    email = {"host": "smtp..example.cn", "port": 25}
    async with open_station(
        tmp_path, email=email, delivery={"allow": "everybody", "breaker_after": 1}
    ) as station:
        await station.people(readers(1))
        dispatch = await station.start(await station.publish())
        async with station.worker(), asyncio.timeout(10):
            while not (shown := await station.show(dispatch))["note"]:
                await asyncio.sleep(0.02)
    assert "smtp..example.cn" in shown["note"]
