"""The work queue of many machines: pgqueuer, on the database that holds the rows.

In: jobs from any process. Out: each to one worker at a time; a worker that dies gives its jobs back after
`ABANDONED_SECONDS`. The tables of pgqueuer are engine, not truth: emptied in mid-run, they are filled again by the
reconciler. Caller: the worker.
"""

import asyncio
import json
import logging
import random
import uuid
from collections import Counter
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any, Self

from asyncpg import Connection
from pgqueuer.core.tm import TaskManager
from pgqueuer.domain.models import Job as StoredJob
from pgqueuer.domain.types import QueueEntrypoint, QueueManagerId
from pgqueuer.ports.driver import Driver, NotifyCallback
from pgqueuer.ports.repository import EntrypointExecutionParameter
from pgqueuer.queries import Queries
from sqlalchemy.engine import URL

from bdnews_dispatch.db.postgres import OneConnection
from bdnews_dispatch.errors import StorageError
from bdnews_dispatch.messaging.queue import Job, JobKind

logger = logging.getLogger(__name__)

#: pgqueuer's channel: told of every change of its table.
CHANNEL = "ch_pgqueuer"
#: Between two looks where no notification comes: one that is lost is made up for by this.
POLL_SECONDS = 1.0
#: Between two signs of life for the jobs that this worker does.
ALIVE_SECONDS = 3.0
#: A job without one for this long is given to somebody else.
ABANDONED_SECONDS = 10.0
#: Between two looks for old rows of pgqueuer's log, and how long they are kept.
SWEEP_SECONDS = 600.0
LOG_KEPT = timedelta(days=1)

_UNLIMITED = EntrypointExecutionParameter(concurrency_limit=0)
#: Its words are those of pgqueuer's index of these keys.
_IS_THERE = """
SELECT EXISTS (SELECT 1 FROM pgqueuer WHERE dedupe_key = $1
    AND status IN ('queued'::pgqueuer_status, 'picked'::pgqueuer_status))
"""
_SWEEP = "DELETE FROM pgqueuer_log WHERE created < now() - $1::interval"


class PostgresQueue:
    """Jobs as rows of pgqueuer. Used as `async with`."""

    def __init__(self, url: URL) -> None:
        self._connection = OneConnection(url)
        self._queries = Queries(_Driver(self._connection))
        self._id = QueueManagerId(uuid.uuid4())
        self._doing: dict[Job, StoredJob] = {}
        self._news = asyncio.Event()
        self._tending: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._connection.__aenter__()
        self._tending = asyncio.create_task(self._tend(), name="queue-signs-of-life")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._tending is not None:
            self._tending.cancel()
            await asyncio.gather(self._tending, return_exceptions=True)
        await self._connection.__aexit__()

    async def put(self, job: Job) -> None:
        # Every worker's reconciler puts what is there already, twice a second. An INSERT that inserts nothing is
        # notified as well, and sends every hand of every worker to look: asking first keeps that from growing with the
        # square of the workers. Where two ask at the same time, the key keeps it single.
        key = f"{job.kind.value}:{job.pointer}:{job.place}"
        if await self._connection.run(lambda connection: connection.fetchval(_IS_THERE, key)):
            return
        await self._queries.enqueue(
            job.kind.value,
            json.dumps([job.pointer, job.urgency, job.place]).encode(),
            priority=-job.rank,
            dedupe_key=key,
            on_conflict="skip",
        )

    async def get(self, kinds: Collection[JobKind] = tuple(JobKind)) -> Job:
        entrypoints = {QueueEntrypoint(kind.value): _UNLIMITED for kind in kinds}
        while True:
            news = self._news  # what is told from here on, while the question is under way too
            found = await self._queries.dequeue(
                1, entrypoints, self._id, None, timedelta(seconds=ABANDONED_SECONDS)
            )
            if found:
                job = _read(found[0])
                self._doing[job] = found[0]
                return job
            try:
                async with asyncio.timeout(POLL_SECONDS * random.uniform(0.75, 1.25)):  # noqa: S311  # no secret
                    await news.wait()
            except TimeoutError:
                continue

    async def done(self, job: Job) -> None:
        stored = self._doing.pop(job, None)
        if stored is not None:
            await self._queries.log_jobs([(stored, "successful", None)])

    async def waiting(self) -> Mapping[JobKind, int]:
        counted = Counter[str]()
        for found in await self._queries.queue_size():
            if found.status == "queued":
                counted[found.entrypoint] += found.count
        return {kind: counted[kind.value] for kind in JobKind}

    def hear(self, payload: str) -> None:
        """Pgqueuer tells of a change: where a job came, everybody who waits looks at once.

        That one is over concerns nobody who waits: each hand of each worker would look for nothing.

        Args:
            payload: pgqueuer's JSON; "" where something may have been missed.
        """
        if payload and json.loads(payload).get("operation") != "insert":
            return
        self._news.set()
        self._news = asyncio.Event()

    async def _tend(self) -> None:
        since_sweep = SWEEP_SECONDS
        while True:
            try:
                if self._doing:
                    await self._queries.update_heartbeat([stored.id for stored in self._doing.values()])
                if since_sweep >= SWEEP_SECONDS:
                    since_sweep = 0.0
                    await self._connection.run(lambda connection: connection.execute(_SWEEP, LOG_KEPT))
            except StorageError as error:
                logger.warning("queue.unavailable", extra={"error": str(error)})
            except Exception:
                logger.exception("queue.no_sign_of_life")
            await asyncio.sleep(ALIVE_SECONDS)
            since_sweep += ALIVE_SECONDS


def _read(stored: StoredJob) -> Job:
    pointer, urgency, place = json.loads(stored.payload or b"[0, 0, 0]")
    return Job(JobKind(stored.entrypoint), pointer, urgency, place)


class _Driver(Driver):
    """pgqueuer's driver over a connection that comes back by itself."""

    def __init__(self, connection: OneConnection) -> None:
        self._connection = connection
        self._shutdown = asyncio.Event()

    async def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        async def work(connection: Connection) -> list[dict[str, object]]:
            return [dict(row) for row in await connection.fetch(query, *args)]

        return await self._connection.run(work)

    async def execute(self, query: str, *args: object) -> str:
        async def work(connection: Connection) -> Any:
            return await connection.execute(query, *args)

        return str(await self._connection.run(work))

    async def notify(self, channel: str, payload: str) -> None:
        await self.execute("SELECT pg_notify($1, $2)", channel, payload)

    async def add_listener(self, channel: str, callback: NotifyCallback) -> None:
        raise NotImplementedError  # messaging/notifications.py listens

    @property
    def shutdown(self) -> asyncio.Event:
        return self._shutdown

    @property
    def tm(self) -> TaskManager:
        return TaskManager()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return
