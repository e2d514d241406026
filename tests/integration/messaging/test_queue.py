"""The work queue, in memory and on PostgreSQL: what any queue must do, and what that of many machines survives."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from pgqueuer.queries import Queries
from sqlalchemy import text

from bdnews_dispatch.db.engine import Backend, Database
from bdnews_dispatch.messaging.notifications import Notifications
from bdnews_dispatch.messaging.postgres_queue import CHANNEL, PostgresQueue
from bdnews_dispatch.messaging.queue import Job, JobKind, MemoryQueue, WorkQueue

SOON = 0.3


@pytest.fixture
async def queues(database: Database) -> AsyncIterator[list[WorkQueue]]:
    """The queue as two workers see it; in memory there is one worker."""
    if database.backend is Backend.SQLITE:
        yield [MemoryQueue()]
        return
    async with AsyncExitStack() as stack:
        found = [await stack.enter_async_context(PostgresQueue(database.url)) for _ in range(2)]
        for queue in found:
            listeners = {CHANNEL: queue.hear}
            await stack.enter_async_context(Notifications(database.url, listeners))
        yield list(found)


@pytest.fixture
def queue(queues: list[WorkQueue]) -> WorkQueue:
    return queues[0]


async def nothing_in(queue: WorkQueue, *kinds: JobKind) -> bool:
    try:
        async with asyncio.timeout(SOON):
            await queue.get(kinds or tuple(JobKind))
    except TimeoutError:
        return True
    return False


async def test_the_first_by_kind_and_urgency_goes_first_then_the_oldest(queue: WorkQueue) -> None:
    for job in (
        Job(JobKind.SEND, 1, 2),
        Job(JobKind.SEND, 2, 1),
        Job(JobKind.PLAN, 3),
        Job(JobKind.SEND_URGENT, 5),
        Job(JobKind.HANDLE_EVENTS),
        Job(JobKind.SEND, 4, 2),
    ):
        await queue.put(job)
    assert [(await queue.get()).pointer for _ in range(6)] == [0, 5, 3, 2, 1, 4]


async def test_a_hand_gets_only_what_it_asks_for(queue: WorkQueue) -> None:
    await queue.put(Job(JobKind.SEND, 1))
    await queue.put(Job(JobKind.PLAN, 2))
    assert (await queue.get([JobKind.SEND])).pointer == 1
    assert await nothing_in(queue, JobKind.SEND, JobKind.HANDLE_EVENTS)
    assert (await queue.get([JobKind.PLAN, JobKind.SEND])).pointer == 2


async def test_the_same_job_is_there_once(queue: WorkQueue) -> None:
    job = Job(JobKind.SEND, 1)
    for _ in range(3):
        await queue.put(job)
    assert await queue.get() == job
    await queue.put(job)
    assert await nothing_in(queue), "not beside itself"
    await queue.done(job)
    await queue.put(job)
    assert await queue.get() == job


async def test_each_place_is_a_job(queue: WorkQueue) -> None:
    jobs = [Job(JobKind.SEND, 1, 2, place) for place in range(3)]
    for job in jobs:
        await queue.put(job)
    assert [await queue.get() for _ in jobs] == jobs


async def test_dispatches_take_turns(queue: WorkQueue) -> None:
    turns = [Job(JobKind.SEND, pointer, 2) for pointer in (1, 2, 3)]
    for job in turns:
        await queue.put(job)
    seen = []
    for _ in range(6):
        job = await queue.get()
        seen.append(job.pointer)
        await queue.done(job)
        await queue.put(job)
    assert seen == [1, 2, 3, 1, 2, 3]


async def test_who_waits_gets_what_comes(queues: list[WorkQueue]) -> None:
    waiting = asyncio.create_task(queues[-1].get())
    await asyncio.sleep(0.2)
    await queues[0].put(Job(JobKind.PLAN, 9))
    async with asyncio.timeout(0.7):
        assert (await waiting).pointer == 9


async def test_no_job_goes_to_two(queues: list[WorkQueue]) -> None:
    for pointer in range(20):
        await queues[0].put(Job(JobKind.SEND, pointer))
    taken = await asyncio.gather(*(queues[n % len(queues)].get() for n in range(20)))
    assert sorted(job.pointer for job in taken) == list(range(20))


@pytest.fixture
def shared(database: Database, queues: list[WorkQueue]) -> list[WorkQueue]:
    if database.backend is Backend.SQLITE:
        pytest.skip("one process has its queue in its memory")
    return queues


async def run(database: Database, statement: str) -> None:
    async with database.write() as session:
        await session.execute(text(statement))


async def test_what_a_dead_worker_did_goes_to_another(database: Database, shared: list[WorkQueue]) -> None:
    job = Job(JobKind.SEND, 1)
    await shared[0].put(job)
    await shared[0].get()
    assert await nothing_in(shared[1])
    await run(database, "UPDATE pgqueuer SET heartbeat = now() - interval '1 minute'")
    assert await shared[1].get() == job


async def test_signs_of_life_keep_a_job(
    database: Database, shared: list[WorkQueue], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bdnews_dispatch.messaging.postgres_queue.ALIVE_SECONDS", 0.05)
    async with PostgresQueue(database.url) as queue:
        await queue.put(Job(JobKind.SEND, 1))
        await queue.get()
        await run(database, "UPDATE pgqueuer SET heartbeat = now() - interval '1 minute'")
        await asyncio.sleep(SOON)
        assert await nothing_in(shared[1])


async def test_who_waits_looks_when_a_job_comes_and_not_for_what_others_do_with_theirs(
    database: Database, shared: list[WorkQueue], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    async def dequeue(self: Queries, *arguments: Any, **options: Any) -> Any:
        nonlocal asked
        asked += 1
        return await really(self, *arguments, **options)

    await asyncio.sleep(SOON)  # both are listening
    really = Queries.dequeue
    monkeypatch.setattr("bdnews_dispatch.messaging.postgres_queue.POLL_SECONDS", 60)
    waiting = asyncio.create_task(shared[1].get([JobKind.PLAN]))
    monkeypatch.setattr(Queries, "dequeue", dequeue)
    for pointer in range(5):
        await shared[0].put(Job(JobKind.SEND, pointer))
        doing = await shared[0].get([JobKind.SEND])
        for _ in range(3):
            await shared[0].put(doing)  # a reconciler does not know that it is there
        await shared[0].done(doing)
    await asyncio.sleep(SOON)
    assert asked <= 5 + 1 + 5, "its own five; one to begin with, and one for each that came"
    await shared[0].put(Job(JobKind.PLAN, 9))
    async with asyncio.timeout(SOON):
        assert (await waiting).pointer == 9


@pytest.mark.fault(7)
async def test_emptied_tables_do_no_harm(database: Database, shared: list[WorkQueue]) -> None:
    doing = Job(JobKind.SEND, 1)
    await shared[0].put(doing)
    await shared[0].get()
    await run(database, "TRUNCATE pgqueuer, pgqueuer_log, pgqueuer_statistics, pgqueuer_schedules")
    await shared[0].done(doing)
    await shared[0].put(doing)
    assert await shared[1].get() == doing


async def test_old_rows_of_the_log_are_swept(database: Database, shared: list[WorkQueue]) -> None:
    await shared[0].put(Job(JobKind.SEND, 1))
    await run(database, "UPDATE pgqueuer_log SET created = now() - interval '2 days'")
    async with PostgresQueue(database.url):
        await asyncio.sleep(SOON)
    async with database.read() as session:
        assert (await session.execute(text("SELECT count(*) FROM pgqueuer_log"))).scalar_one() == 0
