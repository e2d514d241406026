"""The work queue: jobs are pointers at rows, the rows are the truth.

A job says "look at this dispatch", never "send this mail": a job lost or doubled does no harm, and the reconciler
makes every job again from the rows. One small protocol; the embedded service has it in memory.
"""

import asyncio
import heapq
import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class JobKind(StrEnum):
    """What there is to do. The order is the priority: the first goes first."""

    HANDLE_EVENTS = "handle_events"
    PLAN = "plan"
    SEND = "send"


_PRIORITY = {kind: place for place, kind in enumerate(JobKind)}


@dataclass(frozen=True, slots=True)
class Job:
    """A pointer: `kind` says what to do, `pointer` is the id of the row (0 where there is only one thing).

    Attributes:
        urgency: smaller goes first among jobs of the same kind.
    """

    kind: JobKind
    pointer: int = 0
    urgency: int = 0


class WorkQueue(Protocol):
    """What the worker and the reconciler need of a queue."""

    async def put(self, job: Job) -> None:
        """Add the job, unless the same one (kind and pointer) is waiting already."""

    async def get(self) -> Job:
        """The most urgent job that nobody else works on; waits for one."""

    async def done(self, job: Job) -> None:
        """The job has been dealt with; the same one may be given out again."""

    async def waiting(self) -> Mapping[JobKind, int]:
        """How many jobs of each kind wait, every kind named. Raises: whatever says that the queue can't be used."""


class MemoryQueue:
    """The queue of one process. Nothing is kept over a restart; the reconciler fills it again."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, int, Job]] = []
        self._waiting: set[tuple[JobKind, int]] = set()
        self._running: set[tuple[JobKind, int]] = set()
        self._again: dict[tuple[JobKind, int], Job] = {}
        self._order = itertools.count()
        self._changed = asyncio.Condition()

    async def put(self, job: Job) -> None:
        async with self._changed:
            self._put(job)

    def _put(self, job: Job) -> None:
        name = (job.kind, job.pointer)
        if name in self._running:
            self._again[name] = job
            return
        if name in self._waiting:
            return
        self._waiting.add(name)
        heapq.heappush(self._heap, (_PRIORITY[job.kind], job.urgency, next(self._order), job))
        self._changed.notify()

    async def get(self) -> Job:
        async with self._changed:
            await self._changed.wait_for(lambda: self._heap)
            job = heapq.heappop(self._heap)[3]
            self._waiting.discard((job.kind, job.pointer))
            self._running.add((job.kind, job.pointer))
            return job

    async def done(self, job: Job) -> None:
        async with self._changed:
            name = (job.kind, job.pointer)
            self._running.discard(name)
            again = self._again.pop(name, None)
            if again is not None:
                self._put(again)

    async def waiting(self) -> Mapping[JobKind, int]:
        counted = Counter(kind for kind, _ in self._waiting)
        return {kind: counted[kind] for kind in JobKind}
