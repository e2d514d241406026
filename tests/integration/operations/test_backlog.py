"""The backlog: right figures, asked seldom, by the indexes that hold only what is not over."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text
from tests.making import HandClock, Station, open_station, readers

from bdnews_dispatch.dispatch import control
from bdnews_dispatch.dispatch.planning import Planner
from bdnews_dispatch.operations import backlog as module
from bdnews_dispatch.operations.backlog import Backlog, due_now
from bdnews_dispatch.telemetry import metrics


def gauge(name: str, **labels: str) -> float:
    found = metrics.REGISTRY.get_sample_value(name, labels)
    assert found is not None
    return found


@pytest.fixture
async def station(tmp_path: Path) -> AsyncIterator[Station]:
    async with open_station(tmp_path, HandClock()) as station:
        yield station


async def planned(station: Station, number: int) -> int:
    await station.people(readers(number))
    dispatch = await station.start(await station.publish())
    parts = station.parts
    planner = Planner(parts.database, parts.clock, parts.publications, parts.links)
    while await planner.plan_slice(dispatch):
        pass
    return dispatch


async def test_what_is_due_in_doubt_and_under_way(station: Station) -> None:
    dispatch = await planned(station, 31)
    clock = station.parts.clock
    assert isinstance(clock, HandClock)
    async with station.parts.database.write() as session:
        for state, ids in (("uncertain", "(1, 2)"), ("sent", "(3, 4, 5)"), ("claimed", "(6)")):
            await session.execute(text(f"UPDATE delivery SET state = '{state}' WHERE id IN {ids}"))
        # Deferred until later: not due.
        later = "UPDATE delivery SET state = 'deferred', due_at = '2027-01-01 00:00:00.000000' WHERE id = 7"
        await session.execute(text(later))
    clock.move(minutes=20)
    await Backlog(station.parts.database, clock).refresh()
    assert gauge("bdnews_deliveries_due") == 31 - 7
    assert gauge("bdnews_oldest_due_seconds") == 20 * 60
    assert gauge("bdnews_deliveries_uncertain") == 2
    assert gauge("bdnews_dispatches", state="sending") == 1
    assert gauge("bdnews_dispatches", state="finished") == 0
    assert gauge("bdnews_database_up") == 1
    async with station.parts.database.write() as session:
        await control.pause(session, dispatch)
    await Backlog(station.parts.database, clock).refresh()
    assert gauge("bdnews_deliveries_due") == 0, "what is paused is not late"
    assert gauge("bdnews_oldest_due_seconds") == 0
    assert gauge("bdnews_dispatches", state="paused") == 1


async def test_asked_again_only_after_a_while(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    event.listen(station.parts.database.engine.sync_engine, "before_cursor_execute", note)
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    backlog = Backlog(station.parts.database, station.parts.clock)
    await backlog.refresh()
    once = len(statements)
    assert once
    for now in (1001.0, 1014.9):  # noqa: B007  # read by the lambda
        await backlog.refresh()
    assert len(statements) == once
    now = 1015.1
    await backlog.refresh()
    assert len(statements) == 2 * once


async def test_the_statements_use_the_partial_indexes_and_stop_counting(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    dispatch = await planned(station, 31)
    monkeypatch.setattr(module, "MOST_COUNTED", 10)
    await Backlog(station.parts.database, station.parts.clock).refresh()
    assert gauge("bdnews_deliveries_due") == 10
    engine = station.parts.database.engine
    plans: list[str] = []
    async with station.parts.database.read() as session:
        seen: list[tuple[str, Any]] = []

        def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
            seen.append((statement, parameters))

        event.listen(engine.sync_engine, "before_cursor_execute", note)
        await Backlog(station.parts.database, station.parts.clock).refresh()
        event.remove(engine.sync_engine, "before_cursor_execute", note)
        connection = await session.connection()
        for statement, parameters in seen:
            if "delivery" in statement:
                rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", tuple(parameters))
                plans.append(" ".join(str(row[-1]) for row in rows))
    assert len(plans) == 4  # due, oldest by channel, in doubt
    for plan in plans:
        assert "USING INDEX ix_delivery" in plan or "USING COVERING INDEX ix_delivery" in plan, plan
        assert "SCAN delivery" not in plan or "ix_delivery_in_doubt" in plan, plan
    assert "due_at<?" in plans[0], "later ones are not even looked at"
    assert str(due_now([dispatch], station.parts.clock()))


async def test_a_database_that_is_away_is_told_of_and_found_again(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "READ_EVERY_SECONDS", 0.0)
    backlog = Backlog(station.parts.database, station.parts.clock)
    async with station.parts.database.write() as session:
        await session.execute(text("ALTER TABLE delivery RENAME TO elsewhere"))
        await session.execute(text("ALTER TABLE dispatch RENAME TO gone"))
    await backlog.refresh()
    assert gauge("bdnews_database_up") == 0
    async with station.parts.database.write() as session:
        await session.execute(text("ALTER TABLE gone RENAME TO dispatch"))
        await session.execute(text("ALTER TABLE elsewhere RENAME TO delivery"))
    await backlog.refresh()
    assert gauge("bdnews_database_up") == 1
