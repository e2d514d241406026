"""The ledger's statements on the real tables: from every state only along the arrows of the state machine; nothing that
somebody else has claimed since is touched; and the partial indexes are used.
"""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.making import Station, open_station, readers

from bdnews_dispatch.db.direct import stored
from bdnews_dispatch.dispatch import ledger_sql as sql
from bdnews_dispatch.dispatch.states import DELIVERY_TRANSITIONS, DeliveryState, DispatchState
from bdnews_dispatch.service import open_worker
from bdnews_dispatch.subscribers.models import Channel

NOW = "2030-01-01 00:00:00.000000"
OWN = {"id": 1, "epoch": 1, "worker": "w", "now": NOW}
CLAIM = {"dispatch": 1, "channel": "email", "now": NOW, "lease": NOW, "worker": "w", "limit": 9}
NEW_STATES = ["failed", "deferred", "uncertain"]
BY_WORKER = ["gate", "accepted", "give back", *NEW_STATES]
RECOVERIES = {
    "recover claimed": sql.RECOVER_CLAIMED,
    "recover hold": sql.RECOVER_HOLD,
    "recover resend": sql.RECOVER_RESEND,
    "recover assume sent": sql.RECOVER_ASSUME_SENT,
}
HELD = (DeliveryState.CLAIMED, DeliveryState.IN_FLIGHT)


def run(cursor: sqlite3.Cursor, statement: str) -> None:
    match statement:
        case "claim":
            cursor.execute(sql.CLAIM, CLAIM).fetchall()
        case "gate":
            cursor.execute(sql.GATES[Channel.EMAIL], (NOW, 1, 1, "w"))
        case "accepted":
            cursor.execute(sql.ACCEPTED, ("smtp", NOW, NOW, NOW, 1, 1, "w"))
        case "give back":
            cursor.execute(sql.GIVE_BACK, OWN | {"reason": "x", "due": NOW})
        case _ if statement in RECOVERIES:
            cursor.execute(RECOVERIES[statement], {"now": NOW, "worker": "another"})
        case then:
            values = OWN | {"state": then, "reason": "x", "due": None, "mode": "", "sent": None}
            cursor.execute(sql.OTHER_RESULT, values)


@pytest.fixture
async def station(tmp_path: Path) -> AsyncIterator[Station]:
    """One planned delivery."""
    async with open_station(tmp_path) as station:
        await station.people(readers(1))
        dispatch = await station.start(await station.publish())
        async with open_worker(station.parts) as worker:
            while await worker._planner.plan_slice(dispatch):
                pass
        yield station


def begin(station: Station, state: DeliveryState, worker: str | None) -> sqlite3.Connection:
    connection = sqlite3.connect(station.parts.database.file)
    connection.execute(
        "UPDATE delivery SET state = ?, worker = ?, epoch = 1, lease_until = ? WHERE id = 1",
        (state.value, worker, stored(station.parts.clock()) if worker else None),
    )
    return connection


@pytest.mark.parametrize(
    "dispatch_state", [DispatchState.SENDING, DispatchState.PAUSED, DispatchState.CANCELLED]
)
async def test_only_along_the_arrows(station: Station, dispatch_state: DispatchState) -> None:
    moves = set()
    for state in DeliveryState:
        for statement in ("claim", *BY_WORKER, *RECOVERIES):
            connection = begin(station, state, "w" if state in HELD else None)
            connection.execute("UPDATE dispatch SET state = ?", (dispatch_state.value,))
            run(connection.cursor(), statement)
            then = DeliveryState(connection.execute("SELECT state FROM delivery").fetchone()[0])
            connection.rollback()
            connection.close()
            if then is not state:
                assert then in DELIVERY_TRANSITIONS[state], (statement, state, then)
                moves.add((statement, state, then))
    sending = dispatch_state is DispatchState.SENDING
    assert (("gate", DeliveryState.CLAIMED, DeliveryState.IN_FLIGHT) in moves) == sending
    assert (("claim", DeliveryState.PLANNED, DeliveryState.CLAIMED) in moves) == sending
    assert ("accepted", DeliveryState.IN_FLIGHT, DeliveryState.SENT) in moves
    assert ("accepted", DeliveryState.UNCERTAIN, DeliveryState.SENT) in moves


@pytest.mark.parametrize("statement", BY_WORKER)
@pytest.mark.parametrize("change", ["worker = 'another'", "epoch = 2"])
async def test_what_another_worker_has_is_not_touched(station: Station, statement: str, change: str) -> None:
    for state in HELD:
        connection = begin(station, state, "w")
        connection.execute(f"UPDATE delivery SET {change}")  # of this test
        before = connection.execute("SELECT * FROM delivery").fetchone()
        run(connection.cursor(), statement)
        assert connection.execute("SELECT * FROM delivery").fetchone() == before
        connection.close()


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (sql.CLAIM, "ix_delivery_due"),
        (sql.RECOVER_CLAIMED, "ix_delivery_held"),
        (sql.RECOVER_HOLD, "ix_delivery_held"),
    ],
)
async def test_the_partial_indexes_are_used(station: Station, query: str, index: str) -> None:
    with sqlite3.connect(station.parts.database.file) as connection:
        plan = str(connection.execute(f"EXPLAIN QUERY PLAN {query}", CLAIM).fetchall())
    assert index in plan
    assert "SCAN delivery" not in plan
    assert "TEMP B-TREE" not in plan, "in the index's own order"
