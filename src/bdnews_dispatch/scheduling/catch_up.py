"""Catch-up: runs that should be there and are not, among them those that were due while the service was down.

In: the timetable and the rows of scheduled_run. Out: dispatches, started once.
Caller: the scheduler's tick.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlmodel import col, select

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.db.statements import insert_new
from bdnews_dispatch.dispatch.starting import start_period
from bdnews_dispatch.issues.publications import Publications
from bdnews_dispatch.scheduling.models import ScheduledRun
from bdnews_dispatch.scheduling.timetable import Entry


class CatchUp:
    """Starts what is due by the timetable and has not run."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        publications: Publications,
        timetable: Sequence[Entry],
        days: int,
    ) -> None:
        """Args: days: how far back a missed run is still made."""
        self._database = database
        self._clock = clock
        self._publications = publications
        self._timetable = timetable
        self._reach = timedelta(days=days)

    async def run(self) -> int:
        """Returns: how many runs were made."""
        made = 0
        now = self._clock()
        for key in self._publications:
            for entry in self._timetable:
                for due, since in entry.due_between(now - self._reach, now):
                    made += await self._run_once(key, entry, due_at=due, since=since)
        return made

    async def _run_once(self, publication: str, entry: Entry, *, due_at: datetime, since: datetime) -> bool:
        timetable = f"{entry.cadence}:{publication}"
        async with self._database.read() as session:
            known = await session.exec(
                select(ScheduledRun.id).where(
                    ScheduledRun.timetable == timetable, ScheduledRun.due_at == due_at
                )
            )
            if known.first() is not None:
                return False
        async with self._database.write() as session:
            written = await session.exec(
                insert_new(session, ScheduledRun)
                .values(timetable=timetable, due_at=due_at, ran_at=self._clock())
                .returning(col(ScheduledRun.id))
            )
            if written.first() is None:
                return False
            started = await start_period(
                session, self._clock, publication, entry.cadence, since=since, until=due_at
            )
            return started is not None
