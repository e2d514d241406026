"""What decides and what works side by side: each of these once lost a delivery, or doubled one, on PostgreSQL.

With SQLite nobody writes while somebody decides; there the same tests say that nothing else has changed.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession
from tests import postgres
from tests.making import Station, open_station, readers

from bdnews_dispatch.channels.outcome import Outcome, OutcomeKind
from bdnews_dispatch.db.engine import Backend
from bdnews_dispatch.db.statements import insert_many
from bdnews_dispatch.dispatch import planning
from bdnews_dispatch.dispatch.control import cancel, find_dispatch, finish_if_done
from bdnews_dispatch.dispatch.ledger import Ledger, Result
from bdnews_dispatch.dispatch.ledger_store import Claim
from bdnews_dispatch.dispatch.models import Delivery, Dispatch
from bdnews_dispatch.dispatch.planning import Planner
from bdnews_dispatch.dispatch.states import DeliveryState
from bdnews_dispatch.errors import StorageError
from bdnews_dispatch.service.worker import ledger_store
from bdnews_dispatch.subscribers.agreements import unsubscribe
from bdnews_dispatch.subscribers.models import Channel, Suppression

BUSY = Outcome(OutcomeKind.DEFERRED, "450", "busy", "smtp")
AWAY = Outcome(OutcomeKind.UNAVAILABLE, "connect.refused", "", "smtp")


@pytest.fixture
async def station(tmp_path: Path) -> AsyncIterator[Station]:
    async with open_station(tmp_path) as station:
        yield station


def planner(station: Station) -> Planner:
    return Planner(
        station.parts.database, station.parts.clock, station.parts.publications, station.parts.links
    )


async def planned(station: Station, number: int = 3) -> int:
    await station.people(readers(number))
    dispatch_id = await station.start(await station.publish())
    while await planner(station).plan_slice(dispatch_id):
        pass
    return dispatch_id


def ledger(station: Station, worker: str = "w") -> Ledger:
    parts = station.parts
    return Ledger(ledger_store(parts.database, worker), parts.clock, parts.settings.delivery, lanes=1)


async def claim(ledger: Ledger, dispatch_id: int) -> list[Claim]:
    claims, _ = await ledger.claim(dispatch_id, Channel.EMAIL, 9, publication="dsj")
    return claims


async def states(station: Station, dispatch_id: int) -> list[str]:
    return [str(delivery.state) for delivery in await station.deliveries(dispatch_id)]


async def recorded(station: Station, dispatch_id: int, *wanted: str) -> None:
    async with asyncio.timeout(5):
        while await states(station, dispatch_id) != list(wanted):
            await asyncio.sleep(0.01)


async def test_a_dispatch_is_not_finished_while_a_delivery_goes_from_one_state_to_another(
    station: Station, backend: Backend
) -> None:
    """Held when it was looked for among those that are due, due when it was looked for among those that are held."""
    if backend is Backend.SQLITE:
        pytest.skip("nobody writes while somebody decides")
    dispatch_id = await planned(station, 1)
    loop, asked, deferred = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    async with ledger(station) as worker:
        [held] = await claim(worker, dispatch_id)
        engine = station.parts.database.engine.sync_engine

        def after(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if "FROM delivery" in statement and not asked.is_set():
                asked.set()

        event.listen(engine, "after_cursor_execute", after)

        async def defer() -> None:
            await asked.wait()
            worker.record(Result(held, BUSY, ""))
            await recorded(station, dispatch_id, "deferred")
            deferred.set()

        deferring = loop.create_task(defer())
        async with station.parts.database.write() as session:
            original = session.exec

            async def slowly(statement: Any, **options: Any) -> Any:
                found = await original(statement, **options)
                if asked.is_set():
                    await deferred.wait()
                return found

            session.exec = slowly  # type: ignore[method-assign]
            dispatch = await find_dispatch(session, dispatch_id)
            await finish_if_done(session, station.parts.clock, dispatch)
        event.remove(engine, "after_cursor_execute", after)
        await deferring
    assert await states(station, dispatch_id) == ["deferred"]
    assert await station.show_state(dispatch_id) == "sending", "or nobody would ever claim it"


async def test_two_dispatches_of_an_issue_planned_together_reach_everybody_once(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    await station.people(readers(5), list_name="甲")
    await station.people(readers(5), list_name="乙")
    taken = await station.publish()
    ids = [await station.start(taken, lists=[name]) for name in ("甲", "乙")]

    async def slowly(session: AsyncSession, table: Any, rows: Sequence[Any]) -> None:
        await asyncio.sleep(0.2)
        await insert_many(session, table, rows)

    monkeypatch.setattr(planning, "insert_many", slowly)
    await asyncio.gather(*(planner(station).plan_slice(dispatch_id) for dispatch_id in ids))
    both = [state for dispatch_id in ids for state in await states(station, dispatch_id)]
    assert sorted(both) == ["planned"] * 5 + ["skipped"] * 5


async def while_it_is_cancelled(
    station: Station, dispatch_id: int, meanwhile: Callable[[], Awaitable[object]]
) -> None:
    """Cancel it, and let something happen before that is committed."""
    async with station.parts.database.write() as session:
        await cancel(session, station.parts.clock, dispatch_id)
        doing = asyncio.ensure_future(meanwhile())
        await asyncio.sleep(0.3)
    await doing
    async with station.worker():
        await recorded(station, dispatch_id, *["cancelled"] * 3)


async def test_what_is_given_back_while_its_dispatch_is_cancelled_is_cancelled(station: Station) -> None:
    """Else it would count as reached, and its reader would be left out when the issue is sent again."""
    dispatch_id = await planned(station)
    async with ledger(station) as worker:
        held = await claim(worker, dispatch_id)

        async def give_back() -> None:
            for one in held:
                worker.record(Result(one, AWAY, ""))
            await asyncio.sleep(0.2)

        await while_it_is_cancelled(station, dispatch_id, give_back)


async def test_what_a_dead_worker_held_is_cancelled_with_its_dispatch(station: Station) -> None:
    dispatch_id = await planned(station)
    async with ledger(station, "dead") as dead, ledger(station) as worker:
        await claim(dead, dispatch_id)
        async with station.parts.database.write() as session:
            past = station.parts.clock() - timedelta(seconds=1)
            await session.execute(update(Delivery).values(lease_until=past))
        await while_it_is_cancelled(station, dispatch_id, worker.recover)


async def test_a_claim_whose_answer_was_lost_comes_back(station: Station, backend: Backend) -> None:
    """The rows say that this worker has them, the worker has never heard of it."""
    if backend is Backend.SQLITE:
        pytest.skip("a commit there has no answer that could be lost")
    dispatch_id = await planned(station)
    database = station.parts.database
    url = database.url.render_as_string(hide_password=False)
    async with ledger(station) as worker:
        async with database.write_beside() as session:
            await session.execute(text("LOCK TABLE subscriber IN ACCESS EXCLUSIVE MODE"))
            claiming = asyncio.ensure_future(claim(worker, dispatch_id))
            await asyncio.sleep(0.3)  # the claim is made, and waits for whom it is for
            postgres.execute(
                url,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE wait_event_type = 'Lock' AND datname = current_database()",
            )
            with pytest.raises(StorageError):
                await claiming
        again = await claim(worker, dispatch_id)
        if not again:
            async with database.write() as session:
                past = station.parts.clock() - timedelta(seconds=1)
                await session.execute(update(Delivery).values(lease_until=past))
            await worker.recover()
            again = await claim(worker, dispatch_id)
        assert len(again) == 3, "nobody else is there to take them back"


async def test_what_this_worker_holds_is_not_taken_back_from_it(station: Station) -> None:
    dispatch_id = await planned(station)
    async with ledger(station) as worker:
        held = await claim(worker, dispatch_id)
        async with station.parts.database.write() as session:
            past = station.parts.clock() - timedelta(days=1)
            await session.execute(update(Delivery).values(lease_until=past))
        assert await worker.recover() == (0, 0)
        assert await worker.gate(held[0])
        assert await worker.recover() == (0, 0)


async def test_what_is_resent_needs_a_dispatch_that_sends(station: Station) -> None:
    """A delivery put back into a dispatch that is cancelled would wait for ever."""
    from bdnews_dispatch.dispatch.settling import resolve_all  # noqa: PLC0415
    from bdnews_dispatch.errors import StateError  # noqa: PLC0415

    dispatch_id = await planned(station, 2)
    async with station.parts.database.write() as session:
        await session.execute(
            update(Delivery).where(col(Delivery.id) == 1).values(state=DeliveryState.UNCERTAIN)
        )
        await cancel(session, station.parts.clock, dispatch_id)
    with pytest.raises(StateError, match="取消"):
        async with station.parts.database.write() as session:
            await resolve_all(session, station.parts.clock, dispatch_id, "resend")
    async with station.parts.database.write() as session:
        assert await resolve_all(session, station.parts.clock, dispatch_id, "failed") == 1
    async with station.parts.database.read() as session:
        assert (await find_dispatch(session, dispatch_id)).state == "cancelled"
        assert isinstance(await session.get(Dispatch, dispatch_id), Dispatch)


async def test_who_has_left_does_not_hold_up_the_others(station: Station) -> None:
    """A shut gate takes the rest of the dispatch out of the stock: it has to be claimed again at once."""
    await station.people(readers(60))
    dispatch_id = await planned(station, 60)
    async with station.parts.database.write() as session:
        for number in (5, 20, 40):
            await session.execute(
                text("UPDATE subscription SET ended_at = :now WHERE subscriber_id = :id"),
                {"id": number, "now": station.parts.clock().isoformat(" ")}
                if station.parts.database.file
                else {"id": number, "now": station.parts.clock()},
            )
    began = asyncio.get_running_loop().time()
    async with station.worker(delivery={"batch": 40}, email={"connections": 1}):
        counts = (await station.until(dispatch_id))["counts"]
    assert (counts["sent"], counts["cancelled"]) == (57, 3)
    assert asyncio.get_running_loop().time() - began < 4, "a turn lasts five seconds"


async def test_who_was_suppressed_since_planning_is_skipped_and_has_not_failed(station: Station) -> None:
    dispatch_id = await planned(station, 3)
    async with station.parts.database.write() as session:
        now = station.parts.clock()
        target = "reader2@readers.example"
        session.add(Suppression(channel=Channel.EMAIL, target=target, reason="bounce", created_at=now))
        await session.execute(text("UPDATE subscriber SET email = NULL WHERE id = 3"))
    async with station.worker():
        await station.until(dispatch_id)
    found = [(str(d.state), d.reason, d.attempts) for d in await station.deliveries(dispatch_id)]
    assert found == [("sent", "", 1), ("skipped", "suppressed", 0), ("skipped", "no_address", 0)]


async def test_what_is_cancelled_at_the_gate_says_why(station: Station) -> None:
    dispatch_id = await planned(station, 2)
    shut = Outcome(OutcomeKind.GATE_CLOSED)
    async with ledger(station) as worker:
        left, other = await claim(worker, dispatch_id)
        async with station.parts.database.write() as session:
            now = station.parts.clock()
            await unsubscribe(session, station.parts.clock, left.subscriber_id, "dsj", reason="", origin="t")
        worker.record(Result(left, shut, ""))
        await recorded(station, dispatch_id, "cancelled", "claimed")
        async with station.parts.database.write() as session:
            await cancel(session, lambda: now, dispatch_id)
        worker.record(Result(other, shut, ""))
        await recorded(station, dispatch_id, "cancelled", "cancelled")
    reasons = [delivery.reason for delivery in await station.deliveries(dispatch_id)]
    assert reasons == ["not_wanted", "dispatch_cancelled"]
