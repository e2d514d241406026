"""Keeps what was counted up to date: hits judged, dispatches counted again, days of growth closed.

In: the rows. Out: `rollup`, `growth`. Caller: the scheduler, every few seconds. Whatever ends it half-way, the next run
finds what was left; two at once write the same.
"""

import time
from collections.abc import Mapping
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Update, delete, func, update
from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock, whole_day
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.db.statements import insert_many, insert_new
from bdnews_dispatch.dispatch.models import Dispatch, DispatchChange
from bdnews_dispatch.dispatch.states import DispatchState
from bdnews_dispatch.issues.publications import Publications
from bdnews_dispatch.reports.counting import count_dispatch
from bdnews_dispatch.reports.growth import count_day, count_held, first_day
from bdnews_dispatch.reports.models import CountedDispatch, Growth, Rollup
from bdnews_dispatch.tracking.judging import Judge

#: Counting one dispatch again and again takes at most this part of the time.
_SHARE = 1 / 20
#: And looking for the first reader of a publication this part: where it has none, that is through all agreements.
_SELDOM = 1 / 1_000
_RUNNING = (DispatchState.PLANNING, DispatchState.SENDING, DispatchState.PAUSED)


class Keeper:
    """Counts what is due.

    Args:
        zone: in which days begin.
        hits_kept: days after which hits are deleted: an older dispatch keeps what was counted. 0: for ever.
    """

    def __init__(
        self, database: Database, clock: Clock, publications: Publications, *, zone: ZoneInfo, hits_kept: int
    ) -> None:
        self._database = database
        self._clock = clock
        self._publications = publications
        self._zone = zone
        self._hits_kept = hits_kept
        self._judge = Judge(database, clock)
        self._not_before: dict[int, float] = {}
        self._look_again: dict[str, float] = {}

    async def run(self) -> int:
        """Judge, count, close. Returns: how many dispatches were counted."""
        await self._judge.run()
        counted = 0
        for dispatch_id in await self._due():
            if self._not_before.get(dispatch_id, 0.0) > time.monotonic():
                continue
            began = time.monotonic()
            await self.count(dispatch_id)
            took = time.monotonic() - began
            self._not_before[dispatch_id] = began + took / _SHARE
            counted += 1
        await self._close_days()
        return counted

    async def count(self, dispatch_id: int) -> None:
        """Count one dispatch now. What becomes known meanwhile has it counted once more."""
        async with self._database.write_beside() as session:
            await session.execute(
                delete(DispatchChange).where(col(DispatchChange.dispatch_id) == dispatch_id)
            )
            await session.execute(
                insert_new(session, CountedDispatch).values(dispatch_id=dispatch_id, counting=True)
            )
            await session.execute(_counted(dispatch_id).values(counting=True))
            at = self._clock()
        async with self._database.read() as session:
            rows = await count_dispatch(session, dispatch_id)
        async with self._database.write_beside() as session:
            await session.execute(delete(Rollup).where(col(Rollup.dispatch_id) == dispatch_id))
            await insert_many(session, Rollup, rows)
            await session.execute(_counted(dispatch_id).values(counting=False, counted_at=at))

    async def _due(self) -> list[int]:
        """Those that run, that finished or changed since they were counted, or were left in the middle."""
        counted_at = col(CountedDispatch.counted_at)
        new = or_(
            counted_at.is_(None),
            col(CountedDispatch.counting),
            col(Dispatch.finished_at) >= counted_at,
            col(Dispatch.state).in_(_RUNNING),
            col(DispatchChange.dispatch_id).is_not(None),
        )
        statement = (
            select(Dispatch.id)
            .outerjoin(CountedDispatch, col(CountedDispatch.dispatch_id) == col(Dispatch.id))
            .outerjoin(DispatchChange, col(DispatchChange.dispatch_id) == col(Dispatch.id))
            .where(col(Dispatch.state) != DispatchState.SCHEDULED, new)
            .order_by(col(Dispatch.id))
        )
        if self._hits_kept:
            kept_since = self._clock() - timedelta(days=self._hits_kept)
            statement = statement.where(or_(col(Dispatch.created_at) > kept_since, counted_at.is_(None)))
        async with self._database.read() as session:
            return [id_ for id_ in (await session.exec(statement)).all() if id_ is not None]

    async def _close_days(self) -> None:
        """Growth of every day that is over.

        All days together are who has an agreement now: who was erased since is in no agreement any more and left on
        the last of the days that are closed here; what was written when its day was closed already counts there.
        """
        today = self._clock().astimezone(self._zone).date()
        for publication in self._publications:
            day = await self._first_open_day(publication)
            while day is not None and day < today:
                await self._close(publication, day, last=day + timedelta(days=1) == today)
                day += timedelta(days=1)

    async def _first_open_day(self, publication: str) -> date | None:
        """The day behind the last one that was closed, or the first on which anybody agreed to anything."""
        async with self._database.read() as session:
            last = await _last_closed_day(session, publication)
            if last is not None:
                return last + timedelta(days=1)
            began = time.monotonic()
            if self._look_again.get(publication, 0.0) > began:
                return None
            found = await first_day(session, publication, self._zone)
        self._look_again[publication] = began + (time.monotonic() - began) / _SELDOM
        return found

    async def _close(self, publication: str, day: date, *, last: bool) -> None:
        async with self._database.read() as session:
            changes = await count_day(session, publication, day, self._zone)
            if last:
                held = await count_held(session, publication, whole_day(day, self._zone)[1])
                changes = _mended(changes, await _counted_before(session, publication, day), held)
        async with self._database.write_beside() as session:
            for section, (joined, gone) in changes.items():
                row = {
                    "day": day,
                    "publication": publication,
                    "section": section,
                    "joined": joined,
                    "gone": gone,
                }
                await session.execute(insert_new(session, Growth).values(row))


def _counted(dispatch_id: int) -> Update:
    return update(CountedDispatch).where(col(CountedDispatch.dispatch_id) == dispatch_id)


def _mended(
    changes: Mapping[str, tuple[int, int]], before: Mapping[str, int], held: Mapping[str, int]
) -> dict[str, tuple[int, int]]:
    """With what is missing between those who were there before the day and those who are there behind it."""
    mended = {}
    for section in sorted({*changes, *before, *held}):
        joined, gone = changes.get(section, (0, 0))
        missing = held.get(section, 0) - before.get(section, 0) - joined + gone
        joined, gone = joined + max(missing, 0), gone + max(-missing, 0)
        if joined or gone or section == "":
            mended[section] = (joined, gone)
    return mended


async def _counted_before(session: AsyncSession, publication: str, day: date) -> dict[str, int]:
    """Section → people, by the days before this one."""
    statement = (
        select(col(Growth.section), func.sum(col(Growth.joined) - col(Growth.gone)))
        .where(col(Growth.publication) == publication, col(Growth.day) < day)
        .group_by(col(Growth.section))
    )
    return {section: int(net) for section, net in (await session.exec(statement)).all()}


async def _last_closed_day(session: AsyncSession, publication: str) -> date | None:
    statement = (
        select(col(Growth.day))
        .where(Growth.publication == publication, Growth.section == "")
        .order_by(col(Growth.day).desc())
        .limit(1)
    )
    return (await session.exec(statement)).first()
