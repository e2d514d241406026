"""Counts that take longer than a page may: the page shows the last one and says when it was made.

In: what to count, by a name. Out: the last count at once; where it is too old, another one is made behind the page's
back, for the next look. Caller: the console. Nobody looks, nothing is counted; one count at a time, and each of them at
most a twentieth of the time. What decides something is never read from here.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.db.statements import insert_new
from bdnews_dispatch.reports.models import Tally

logger = logging.getLogger(__name__)

#: Counting the same again and again takes at most this part of the time.
_SHARE = 1 / 20


@dataclass(frozen=True, slots=True)
class Wanted:
    """Something to be counted.

    Attributes:
        name: the same for the same question.
        count: answers it with plain data (JSON).
        lasts: an older count is made again.
        since: so is one from before this moment.
    """

    name: str
    count: Callable[[AsyncSession], Awaitable[Any]]
    lasts: timedelta
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """The last count, and when it was made."""

    value: Any
    at: datetime


class Tallies:
    """Keeps the counts of one process's pages; what one process has counted, all of them show."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._waiting: dict[str, Wanted] = {}
        self._asked = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="tallies")
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None  # noqa: S101  # entered
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def last(self, session: AsyncSession, wanted: Collection[Wanted]) -> dict[str, Counted]:
        """The last counts by name, and has those made again that are too old; what never was counted is not there."""
        names = [one.name for one in wanted]
        rows = (await session.exec(select(Tally).where(col(Tally.name).in_(names)))).all() if names else []
        found = {row.name: row for row in rows}
        now = self._clock()
        for one in wanted:
            row = found.get(one.name)
            if row is None or self._is_old(row, one, now):
                self._waiting.setdefault(one.name, one)
        if self._waiting:
            self._idle.clear()
            self._asked.set()
        return {name: Counted(row.value, row.counted_at) for name, row in found.items()}

    async def settled(self) -> None:
        """Wait until everything that was asked for has been counted."""
        await self._idle.wait()

    @staticmethod
    def _is_old(row: Tally, one: Wanted, now: datetime) -> bool:
        age = now - row.counted_at
        if age < timedelta(seconds=row.seconds / _SHARE):
            return False
        return age > one.lasts or (one.since is not None and row.counted_at <= one.since)

    async def _run(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            while self._waiting:
                name, one = next(iter(self._waiting.items()))
                try:
                    await self._count(one)
                except (SQLAlchemyError, TimeoutError) as error:
                    logger.warning(
                        "tallies.not_counted", extra={"tally": name, "error": type(error).__name__}
                    )
                finally:
                    del self._waiting[name]
            self._idle.set()

    async def _count(self, one: Wanted) -> None:
        at, began = self._clock(), time.monotonic()
        async with self._database.read() as session:
            value = await one.count(session)
        told = {"value": value, "counted_at": at, "seconds": time.monotonic() - began}
        async with self._database.write_beside() as session:
            await session.execute(insert_new(session, Tally).values(name=one.name, **told))
            await session.execute(update(Tally).where(col(Tally.name) == one.name).values(**told))
