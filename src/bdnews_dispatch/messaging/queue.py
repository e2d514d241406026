"""The work queue: jobs are pointers at rows, the rows are the truth.

A job says "look at this dispatch", never "send this mail": a job lost or doubled does no harm, and the reconciler
makes every job again from the rows. One small protocol; the embedded service has it in memory, many machines have it on
PostgreSQL (postgres_queue.py). One conformance suite runs on both.
"""

import asyncio
import heapq
import itertools
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, Self


class JobKind(StrEnum):
    """What there is to do. The order is the priority: the first goes first."""

    HANDLE_EVENTS = "handle_events"
    #: A turn at sending an urgent bulletin.
    SEND_URGENT = "send_urgent"
    PLAN = "plan"
    #: A turn at sending anything else.
    SEND = "send"
    #: The mass messages of a dispatch on WeChat.
    MASS = "mass"
    #: A turn at an import of subscribers.
    IMPORT = "import"


_PRIORITY = {kind: place for place, kind in enumerate(JobKind)}
#: Steps of urgency within a kind.
_URGENCIES = 10


@dataclass(frozen=True, slots=True)
class Job:
    """A pointer: `kind` says what to do, `pointer` is the id of the row (0 where there is only one thing).

    Attributes:
        urgency: smaller goes first among jobs of the same kind; at most 9.
        place: of a turn at sending: so many workers may send one dispatch at the same time, each has a place.
    """

    kind: JobKind
    pointer: int = 0
    urgency: int = 0
    place: int = 0

    @property
    def rank(self) -> int:
        """Smaller goes first."""
        return _PRIORITY[self.kind] * _URGENCIES + self.urgency


class WorkQueue(Protocol):
    """What the worker and the reconciler need of a queue. Used as `async with`.

    On PostgreSQL each method raises `StorageError` while the server is away.
    """

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_: object) -> None: ...

    async def put(self, job: Job) -> None:
        """Add the job, unless the same one (kind, pointer, place) is there already, waiting or being done."""

    async def get(self, kinds: Collection[JobKind] = ...) -> Job:
        """The first of these kinds by rank, then by age, that nobody else does; waits for one."""

    async def done(self, job: Job) -> None:
        """The job has been dealt with; the same one may be given out again."""

    async def waiting(self) -> Mapping[JobKind, int]:
        """How many jobs of each kind wait, every kind named. Raises: whatever says that the queue can't be used."""


class MemoryQueue:
    """The queue of one process. Nothing is kept over a restart; the reconciler fills it again."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Job]] = []
        self._there: set[tuple[JobKind, int, int]] = set()
        self._order = itertools.count()
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    async def put(self, job: Job) -> None:
        async with self._changed:
            name = (job.kind, job.pointer, job.place)
            if name not in self._there:
                self._there.add(name)
                heapq.heappush(self._heap, (job.rank, next(self._order), job))
                self._changed.notify_all()

    async def get(self, kinds: Collection[JobKind] = tuple(JobKind)) -> Job:
        async with self._changed:
            await self._changed.wait_for(lambda: any(entry[2].kind in kinds for entry in self._heap))
            first = min(entry for entry in self._heap if entry[2].kind in kinds)
            self._heap.remove(first)
            heapq.heapify(self._heap)
            return first[2]

    async def done(self, job: Job) -> None:
        async with self._changed:
            self._there.discard((job.kind, job.pointer, job.place))

    async def waiting(self) -> Mapping[JobKind, int]:
        counted = Counter(entry[2].kind for entry in self._heap)
        return {kind: counted[kind] for kind in JobKind}
