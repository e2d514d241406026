"""The worker: takes jobs from the queue and does them; looks after the queue itself.

Callers: service/ (`serve`, `worker`), cli/ (`dispatch wait` where nobody else works).
"""

import asyncio
import gc
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from typing import Any, TypeVar

from bdnews_dispatch.dispatch.mass.job import MassJob
from bdnews_dispatch.dispatch.planning import Planner
from bdnews_dispatch.dispatch.reconciler import Reconciler, sending_job
from bdnews_dispatch.dispatch.sending import Sender
from bdnews_dispatch.errors import StorageError
from bdnews_dispatch.messaging.outbox import Outbox
from bdnews_dispatch.messaging.queue import Job, JobKind, WorkQueue
from bdnews_dispatch.subscribers.imports.running import Importer
from bdnews_dispatch.telemetry import logs, traces

Result = TypeVar("Result")

logger = logging.getLogger(__name__)

#: Between two looks at the rows when nothing wakes the worker: what another process wrote is found this late at most.
LOOK_SECONDS = 0.5
#: And this soon at least: a thousand events a second don't make a thousand looks.
SOONEST_LOOK_SECONDS = 0.02
#: Looks between two searches for leases that ended.
LOOKS_A_RECOVERY = 4
#: How many jobs of which kinds at once. Sending itself is as wide as the channels' connections: a hand at it keeps one
#: dispatch in stock. An urgent bulletin has a hand of its own and waits for nobody.
HANDS: tuple[tuple[JobKind, ...], ...] = (
    (JobKind.HANDLE_EVENTS, JobKind.PLAN),
    (JobKind.SEND_URGENT,),
    (JobKind.SEND_URGENT, JobKind.SEND),
    (JobKind.SEND_URGENT, JobKind.SEND),
    (JobKind.SEND,),
    (JobKind.MASS,),
    (JobKind.IMPORT,),
)
#: A turn at sending lasts so long; then the next dispatch that waits has its own.
TURN_SECONDS = 5.0
#: Between two slices of an import nothing is locked for so long: whoever sends goes first.
IMPORT_REST_SECONDS = 0.02
#: Looks between two searches for what imports have left behind.
LOOKS_A_TIDYING = 600
#: Python looks for garbage after so many new objects, by generation; its own 700 are a dozen mails.
GARBAGE_THRESHOLDS = (20_000, 20, 50)
#: After a job failed.
REST_SECONDS = 1.0


class Worker:
    """Runs until stopped.

    Attributes:
        looked_at: when it last looked at all the rows and could, by `time.monotonic`; 0: not yet.
    """

    def __init__(
        self,
        *,
        queue: WorkQueue,
        outbox: Outbox,
        planner: Planner,
        sender: Sender,
        reconciler: Reconciler,
        importer: Importer,
        masses: MassJob,
    ) -> None:
        self._queue = queue
        self._outbox = outbox
        self._planner = planner
        self._sender = sender
        self._reconciler = reconciler
        self._importer = importer
        self._masses = masses
        self.looked_at = 0.0
        self._wake = asyncio.Event()
        self._hungry: dict[int, asyncio.Event] = {}
        sender.on_hungry = self._feed
        sender.on_idle = self.wake
        self._stopping = asyncio.Event()
        self._perform: dict[JobKind, Callable[[Job], Awaitable[list[Job]]]] = {
            JobKind.HANDLE_EVENTS: self._handle_events,
            JobKind.PLAN: self._plan,
            JobKind.SEND_URGENT: self._send,
            JobKind.SEND: self._send,
            JobKind.MASS: self._send_masses,
            JobKind.IMPORT: self._import,
        }

    def wake(self) -> None:
        """Something was written: look at once."""
        self._wake.set()

    async def jobs_waiting(self) -> Mapping[JobKind, int]:
        """How many jobs of each kind wait in its queue."""
        return await self._queue.waiting()

    def breakers(self) -> Mapping[str, bool]:
        """Of each way out, whether its breaker has opened and nothing has got through since."""
        return self._sender.breakers()

    @property
    def unwritable(self) -> StorageError | None:
        """Why the ledger can't be written just now, and so nothing is sent; None: it can."""
        return self._sender.unwritable

    def stop(self) -> None:
        """Claim nothing more; finish what is on the wire."""
        self._sender.stop()
        self._stopping.set()
        self._wake.set()

    async def run(self) -> None:
        """Work until `stop`, then drain."""
        # What is loaded by now lives as long as the process; looking through it for garbage again and again took a
        # tenth of the time that a mail takes.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GARBAGE_THRESHOLDS)
        async with self._queue, self._sender, asyncio.TaskGroup() as group:
            for number, kinds in enumerate(HANDS):
                group.create_task(self._work(kinds), name=f"hand-{number}")
            await self._look_after_queue()

    async def _look_after_queue(self) -> None:
        looks = 0
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                if looks % LOOKS_A_RECOVERY == 0:
                    await self._reconciler.recover()
                await self._reconciler.fill_queue()
                if looks % LOOKS_A_TIDYING == 0:
                    await self._reconciler.tidy()
                self.looked_at = time.monotonic()
            except Exception:
                logger.exception("worker.look_failed")
            looks += 1
            await asyncio.sleep(SOONEST_LOOK_SECONDS)
            try:
                await asyncio.wait_for(self._wake.wait(), LOOK_SECONDS)
            except TimeoutError:
                continue

    async def _work(self, kinds: Collection[JobKind]) -> None:
        while not self._stopping.is_set():
            try:
                job = await self._unless_stopping(self._queue.get(kinds))
                if job is None:
                    return
                of_dispatch = job.pointer and job.kind is not JobKind.IMPORT
                logs.carry(logs.OfDispatch(job.pointer) if of_dispatch else None)
                following = await self._do(job)
                await self._queue.done(job)
                for after in following:
                    await self._queue.put(after)
            except StorageError as error:  # the queue is away; what was not put is found by the reconciler
                logger.warning("worker.queue_unavailable", extra={"error": str(error)})
                await asyncio.sleep(REST_SECONDS)

    async def _do(self, job: Job) -> list[Job]:
        try:
            return await self._perform[job.kind](job)
        except Exception:
            logger.exception("worker.job_failed", extra={"job": job.kind, "pointer": job.pointer})
            await asyncio.sleep(REST_SECONDS)
            return []

    async def _unless_stopping(
        self, work: Coroutine[Any, Any, Result], seconds: float | None = None
    ) -> Result | None:
        """What the work gives; None when the worker is to stop, or the time is over."""
        working = asyncio.ensure_future(work)
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED, timeout=seconds)
            return working.result() if working.done() else None
        finally:
            stopping.cancel()
            if not working.done():
                working.cancel()

    async def _handle_events(self, job: Job) -> list[Job]:
        if not await self._outbox.handle_waiting():
            return []
        self.wake()
        return [job]  # what came meanwhile

    async def _plan(self, job: Job) -> list[Job]:
        slice_ = self._planner.plan_slice(job.pointer)
        more = await traces.within("planning.slice", slice_, dispatch=job.pointer)
        return [sending_job(job.pointer, job.urgency), *([job] if more else [])]

    async def _send_masses(self, job: Job) -> list[Job]:
        await traces.within("mass", self._masses.run(job.pointer), dispatch=job.pointer)
        self.wake()
        return []

    async def _import(self, job: Job) -> list[Job]:
        """A turn at an import: slices, with a rest between them, so that sending does not wait for it."""
        loop = asyncio.get_running_loop()
        turn_ends = loop.time() + TURN_SECONDS
        while not self._stopping.is_set():
            if not await traces.within("import.slice", self._importer.run_slice(job.pointer)):
                self.wake()
                return []
            if loop.time() >= turn_ends:
                return [job]
            await asyncio.sleep(IMPORT_REST_SECONDS)
        return []

    async def _send(self, job: Job) -> list[Job]:
        """A turn: keep the dispatch in stock until nothing of it is due, or the turn is over."""
        if job.pointer in self._hungry:
            return []  # it has a hand here already
        hungry = self._hungry[job.pointer] = asyncio.Event()
        loop = asyncio.get_running_loop()
        turn_ends = loop.time() + TURN_SECONDS
        try:
            while not self._stopping.is_set():
                hungry.clear()
                claimed = await self._sender.send_batch(job.pointer, job.urgency)
                enough = self._sender.has_enough(job.pointer)
                if not claimed and not enough:
                    return []
                left = turn_ends - loop.time()
                if left <= 0 or (enough and not await self._unless_stopping(hungry.wait(), left)):
                    return [job]
            return []
        finally:
            del self._hungry[job.pointer]

    def _feed(self, dispatch_id: int) -> None:
        """The sender has room for more of this dispatch."""
        if (hungry := self._hungry.get(dispatch_id)) is not None:
            hungry.set()
