"""The worker: takes jobs from the queue and does them; looks after the queue itself.

Callers: service.py (`serve`, `worker`), cli/ (`dispatch wait` where nobody else works).
"""

import asyncio
import gc
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace

from bdnews_dispatch.dispatch.planning import Planner
from bdnews_dispatch.dispatch.reconciler import Reconciler
from bdnews_dispatch.dispatch.sending import Sender
from bdnews_dispatch.messaging.outbox import Outbox
from bdnews_dispatch.messaging.queue import Job, JobKind, WorkQueue
from bdnews_dispatch.telemetry import logs, traces

logger = logging.getLogger(__name__)

#: Between two looks at the rows when nothing wakes the worker: what another process wrote is found this late at most.
LOOK_SECONDS = 0.5
#: Looks between two searches for leases that ended.
LOOKS_A_RECOVERY = 4
#: Jobs at once. Sending itself is as wide as the channels' connections; this only lets planning and two dispatches
#: go on side by side.
JOBS_AT_ONCE = 3
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
        self, *, queue: WorkQueue, outbox: Outbox, planner: Planner, sender: Sender, reconciler: Reconciler
    ) -> None:
        self._queue = queue
        self._outbox = outbox
        self._planner = planner
        self._sender = sender
        self._reconciler = reconciler
        self.looked_at = 0.0
        self._wake = asyncio.Event()
        self._feeding: set[asyncio.Task[None]] = set()
        sender.on_hungry = self._feed
        sender.on_idle = self.wake
        self._stopping = asyncio.Event()
        self._perform: dict[JobKind, Callable[[Job], Awaitable[list[Job]]]] = {
            JobKind.HANDLE_EVENTS: self._handle_events,
            JobKind.PLAN: self._plan,
            JobKind.SEND: self._send,
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
        async with self._sender, asyncio.TaskGroup() as group:
            for number in range(JOBS_AT_ONCE):
                group.create_task(self._work(), name=f"work-{number}")
            await self._look_after_queue()

    async def _look_after_queue(self) -> None:
        looks = 0
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                if looks % LOOKS_A_RECOVERY == 0:
                    await self._reconciler.recover()
                await self._reconciler.fill_queue()
                self.looked_at = time.monotonic()
            except Exception:
                logger.exception("worker.look_failed")
            looks += 1
            try:
                await asyncio.wait_for(self._wake.wait(), LOOK_SECONDS)
            except TimeoutError:
                continue

    async def _work(self) -> None:
        while not self._stopping.is_set():
            job = await self._next_job()
            if job is None:
                return
            logs.carry(logs.OfDispatch(job.pointer) if job.pointer else None)
            try:
                following = await self._perform[job.kind](job)
            except Exception:
                logger.exception("worker.job_failed", extra={"job": job.kind, "pointer": job.pointer})
                following = []
                await asyncio.sleep(REST_SECONDS)
            await self._queue.done(job)
            for after in following:
                await self._queue.put(after)

    async def _next_job(self) -> Job | None:
        """The next job; None when the worker is to stop."""
        getting = asyncio.ensure_future(self._queue.get())
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({getting, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return getting.result() if getting.done() else None
        finally:
            stopping.cancel()
            if not getting.done():
                getting.cancel()

    async def _handle_events(self, _job: Job) -> list[Job]:
        if await self._outbox.handle_waiting():
            self.wake()
        return []

    async def _plan(self, job: Job) -> list[Job]:
        slice_ = self._planner.plan_slice(job.pointer)
        more = await traces.within("planning.slice", slice_, dispatch=job.pointer)
        return [replace(job, kind=JobKind.SEND), *([job] if more else [])]

    async def _send(self, job: Job) -> list[Job]:
        return [job] if await self._sender.send_batch(job.pointer, job.urgency) else []

    def _feed(self, dispatch_id: int, urgency: int) -> None:
        """The sender has room for more of this dispatch."""
        task = asyncio.create_task(self._queue.put(Job(JobKind.SEND, dispatch_id, urgency)))
        self._feeding.add(task)
        task.add_done_callback(self._feeding.discard)
