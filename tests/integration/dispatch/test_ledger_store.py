"""The ledger's rows, in both databases: from every state only along the arrows of the state machine; what somebody else
has claimed since is not touched; a group that is written again counts once; the partial indexes are used.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text, update
from sqlmodel import col, select
from tests.making import Station, open_station, readers

from bdnews_dispatch.channels.outcome import Outcome, OutcomeKind
from bdnews_dispatch.db.engine import Backend
from bdnews_dispatch.dispatch import ledger_postgres, ledger_sqlite
from bdnews_dispatch.dispatch.ledger_store import (
    Claim,
    GivenBack,
    Group,
    LedgerStore,
    Settled,
    Skipped,
    Suppressed,
)
from bdnews_dispatch.dispatch.models import Attempt, Delivery, Dispatch
from bdnews_dispatch.dispatch.states import DELIVERY_TRANSITIONS, DeliveryState, DispatchState
from bdnews_dispatch.service.worker import ledger_store, open_worker
from bdnews_dispatch.subscribers.models import Channel, Suppression

HELD = (DeliveryState.CLAIMED, DeliveryState.IN_FLIGHT)
ACCEPTED = Outcome(OutcomeKind.ACCEPTED, "250", "ok", "smtp")
REFUSED = Outcome(OutcomeKind.REFUSED, "550", "no", "smtp")
UNANSWERED = [DeliveryState.UNCERTAIN, DeliveryState.PLANNED, DeliveryState.SENT]


@pytest.fixture
async def station(tmp_path: Path) -> AsyncIterator[Station]:
    """Three planned deliveries."""
    async with open_station(tmp_path) as station:
        await station.people(readers(3))
        dispatch = await station.start(await station.publish())
        async with open_worker(station.parts) as worker:
            while await worker._planner.plan_slice(dispatch):
                pass
        yield station


@pytest.fixture
async def store(station: Station) -> AsyncIterator[LedgerStore]:
    async with ledger_store(station.parts.database, "w") as store:
        yield store


async def put(
    station: Station, state: DeliveryState, *, worker: str | None = None, number: int = 1, epoch: int = 1
) -> Claim:
    """Bring a delivery into the state, and give the claim that holds it."""
    async with station.parts.database.write() as session:
        await session.execute(
            update(Delivery)
            .where(col(Delivery.id) == number)
            .values(
                state=state,
                epoch=epoch,
                worker=worker if state in HELD else None,
                lease_until=station.parts.clock() if state in HELD else None,
            )
        )
    return Claim(number, epoch, 1, number, Channel.EMAIL, "k", (), 0, None)


async def row(station: Station, number: int = 1) -> Delivery:
    async with station.parts.database.read() as session:
        found = await session.get(Delivery, number)
        assert found is not None
        return found


async def attempts(station: Station) -> list[Attempt]:
    async with station.parts.database.read() as session:
        return list(await session.exec(select(Attempt).order_by(col(Attempt.id))))


async def set_dispatch(station: Station, state: DispatchState) -> None:
    async with station.parts.database.write() as session:
        await session.execute(update(Dispatch).values(state=state))


Do = Callable[[LedgerStore, Station, Claim], Awaitable[Any]]


async def claim(store: LedgerStore, station: Station, limit: int = 9) -> list[Claim]:
    now = station.parts.clock()
    claims, _ = await store.claim(
        1, Channel.EMAIL, limit, publication="dsj", moment=now, lease_until=now + timedelta(seconds=60)
    )
    return claims


def write(**parts: Callable[[Claim, Any], Any]) -> Do:
    async def do(store: LedgerStore, station: Station, held: Claim) -> Any:
        now = station.parts.clock()
        group: dict[str, Any] = {name: [make(held, now)] for name, make in parts.items()}
        return await store.write(Group(now, **group))

    return do


def recover(unanswered: DeliveryState) -> Do:
    async def do(store: LedgerStore, station: Station, _held: Claim) -> Any:
        return await store.recover(station.parts.clock() + timedelta(seconds=1), unanswered, [])

    return do


async def claim_it(store: LedgerStore, station: Station, _held: Claim) -> Any:
    return await claim(store, station)


def settled(state: DeliveryState) -> Do:
    return write(settled=lambda held, now: Settled(held, REFUSED, state, "x", now))


BY_WORKER: dict[str, Do] = {
    "gate": write(gates=lambda held, _: held),
    "accepted": write(accepted=lambda held, _: (held, ACCEPTED)),
    "skip": write(skipped=lambda held, _: Skipped(held, "suppressed")),
    "give back": write(given_back=lambda held, now: GivenBack(held, "x", now)),
    **{state.value: settled(state) for state in (DeliveryState.FAILED, DeliveryState.DEFERRED)},
    **{f"unanswered {state.value}": settled(state) for state in UNANSWERED},
}
RECOVERIES = {f"recover {state.value}": recover(state) for state in UNANSWERED}


@pytest.mark.parametrize(
    "dispatch_state", [DispatchState.SENDING, DispatchState.PAUSED, DispatchState.CANCELLED]
)
async def test_only_along_the_arrows(
    station: Station, store: LedgerStore, dispatch_state: DispatchState
) -> None:
    await set_dispatch(station, dispatch_state)
    moves = set()
    for state in DeliveryState:
        for name, do in {"claim": claim_it, **BY_WORKER, **RECOVERIES}.items():
            held = await put(station, state, worker="another" if name in RECOVERIES else "w")
            await do(store, station, held)
            then = (await row(station)).state
            if then is not state:
                assert then in DELIVERY_TRANSITIONS[state], (name, state, then)
                moves.add((name, state, then))
    sending = dispatch_state is DispatchState.SENDING
    assert (("gate", DeliveryState.CLAIMED, DeliveryState.IN_FLIGHT) in moves) == sending
    assert (("claim", DeliveryState.PLANNED, DeliveryState.CLAIMED) in moves) == sending
    assert ("accepted", DeliveryState.IN_FLIGHT, DeliveryState.SENT) in moves
    assert ("accepted", DeliveryState.UNCERTAIN, DeliveryState.SENT) in moves
    back = DeliveryState.CANCELLED if dispatch_state is DispatchState.CANCELLED else DeliveryState.PLANNED
    assert ("give back", DeliveryState.CLAIMED, back) in moves
    assert ("skip", DeliveryState.CLAIMED, DeliveryState.SKIPPED) in moves
    assert ("recover uncertain", DeliveryState.CLAIMED, back) in moves
    for state in UNANSWERED:
        assert (f"recover {state.value}", DeliveryState.IN_FLIGHT, state) in moves


@pytest.mark.fault(2)
@pytest.mark.parametrize("name", BY_WORKER)
@pytest.mark.parametrize("change", [{"worker": "another"}, {"epoch": 2}])
async def test_what_another_worker_has_is_not_touched(
    station: Station, store: LedgerStore, name: str, change: dict[str, Any]
) -> None:
    for state in HELD:
        held = await put(station, state, worker=change.get("worker", "w"), epoch=change.get("epoch", 1))
        before = await row(station)
        await BY_WORKER[name](store, station, held._replace(epoch=1))
        assert await row(station) == before
    assert await attempts(station) == []


@pytest.mark.parametrize("name", ["accepted", "failed", "deferred"])
async def test_a_group_written_again_counts_once(station: Station, store: LedgerStore, name: str) -> None:
    held = await put(station, DeliveryState.IN_FLIGHT, worker="w")
    for _ in range(2):
        await BY_WORKER[name](store, station, held)
    assert (await row(station)).attempts == 1
    assert len(await attempts(station)) == 1


async def test_a_whole_group_at_once(station: Station, store: LedgerStore) -> None:
    one, two, three = await claim(store, station)
    now = station.parts.clock()
    assert await store.write(Group(now, gates=[one, two, three])) == [True] * 3
    words = "乱码\ud800与\0空" * 200
    told = Outcome(OutcomeKind.REFUSED, "550", words, "smtp")
    group = Group(
        now,
        gates=[one],  # in flight already: a gate opens once
        accepted=[(one, ACCEPTED._replace(reference="q1"))],
        settled=[Settled(two, told, DeliveryState.FAILED, "550", None)],
        given_back=[GivenBack(three, "later", now + timedelta(seconds=5))],
        suppressed=[Suppressed(Channel.EMAIL, "reader2@readers.example", "smtp:550")] * 2,
    )
    assert await store.write(group) == [False]
    rows = [await row(station, number) for number in (1, 2, 3)]
    assert [found.state for found in rows] == ["sent", "failed", "planned"]
    assert rows[0].sent_at == now
    assert rows[0].mode == "smtp"
    assert rows[2].due_at == now + timedelta(seconds=5)
    tried = {found.delivery_id: found for found in await attempts(station)}
    assert (tried[1].outcome, tried[1].reference, tried[2].outcome) == ("accepted", "q1", "refused")
    assert tried[2].text.startswith("乱码?与?空" if "\ud800" not in tried[2].text else "x")
    async with station.parts.database.read() as session:
        assert len((await session.exec(select(Suppression))).all()) == 1


async def test_two_workers_never_claim_the_same(station: Station, store: LedgerStore) -> None:
    async with ledger_store(station.parts.database, "v") as other:
        taken = await asyncio.gather(*(claim(who, station, 1) for who in (store, other) for _ in range(3)))
    ids = [held.delivery_id for claims in taken for held in claims]
    assert sorted(ids) == [1, 2, 3]
    assert all(held.epoch == 1 for claims in taken for held in claims)


async def test_who_reads_comes_with_the_claim(station: Station, store: LedgerStore) -> None:
    async with station.parts.database.write() as session:
        session.add(
            Suppression(
                channel=Channel.EMAIL,
                target="reader1@readers.example",
                reason="x",
                created_at=station.parts.clock(),
            )
        )
    now = station.parts.clock()
    claims, people = await store.claim(
        1, Channel.EMAIL, 9, publication="dsj", moment=now, lease_until=now + timedelta(seconds=60)
    )
    assert [people[held.subscriber_id].name for held in claims] == ["读者1", "读者2", "读者3"]
    assert people[1].suppressed == {Channel.EMAIL}
    assert people[2].suppressed == frozenset()
    assert people[1].sections
    assert [set(held.sections) == people[held.subscriber_id].sections for held in claims] == [True] * 3


async def test_a_renewed_lease_is_not_taken_back(station: Station, store: LedgerStore) -> None:
    claims = await claim(store, station)
    later = station.parts.clock() + timedelta(seconds=120)
    await store.renew(claims[:2], later + timedelta(seconds=60))
    async with ledger_store(station.parts.database, "v") as other:
        assert await other.recover(later, DeliveryState.UNCERTAIN, []) == (1, 0)
    much_later, own = later + timedelta(days=1), [held.delivery_id for held in claims]
    assert await store.recover(much_later, DeliveryState.UNCERTAIN, own) == (0, 0), "its own"
    assert await store.recover(much_later, DeliveryState.UNCERTAIN, own[:1]) == (1, 0), (
        "claimed, and never heard of"
    )


SQLITE = [
    (ledger_sqlite.CLAIM, "ix_delivery_due"),
    (ledger_sqlite.RECOVER_CLAIMED, "ix_delivery_held"),
    (ledger_sqlite.RECOVER_IN_FLIGHT, "ix_delivery_held"),
]


async def test_the_partial_indexes_are_used(station: Station, backend: Backend) -> None:
    if backend is not Backend.SQLITE:
        pytest.skip("PostgreSQL chooses by size: test_plans.py asks it at a million rows")
    values = {
        "dispatch": 1,
        "channel": "email",
        "now": "2030-01-01 00:00:00.000000",
        "lease": "",
        "worker": "w",
        "limit": 9,
        "state": "uncertain",
        "held": "[1, 2]",
        "recent": "2030-01-01 00:00:00.000000",
    }
    for query, index in SQLITE:
        async with station.parts.database.read() as session:
            plan = str((await session.execute(text(f"EXPLAIN QUERY PLAN {query}"), values)).all())
        assert index in plan
        assert "SCAN delivery" not in plan
        assert "TEMP B-TREE" not in plan, "in the index's own order"


def test_both_speak_of_the_same_statements() -> None:
    names = {
        "CLAIM",
        "GATES",
        "GIVE_BACK",
        "CARD_GATE",
        "MAIL_INSTEAD",
        "PASS_ON",
        "SKIP",
        "RENEW",
        "SUPPRESS",
        "RECOVER_CLAIMED",
        "RECOVER_IN_FLIGHT",
    }
    for module in (ledger_sqlite, ledger_postgres):
        assert names <= set(vars(module))
