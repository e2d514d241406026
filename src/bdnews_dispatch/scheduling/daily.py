"""Once a day, at a time of day: retention, and what else is daily. In: `[retention] at`. Out: a row of scheduled_run,
and the work done.

Caller: the scheduler's tick. Days on which nobody was there are made up for once, by the latest moment; a restart in
the middle leaves the rest to the next day.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.db.statements import insert_new
from bdnews_dispatch.errors import SettingsError
from bdnews_dispatch.privacy.retention import Retention
from bdnews_dispatch.scheduling.models import ScheduledRun

_TIMETABLE = "retention"


def read_time_of_day(text: str) -> time:
    """Raises: SettingsError: `retention.at` is not `HH:MM`."""
    try:
        hour, minute = (int(part) for part in text.split(":"))
        return time(hour, minute)
    except ValueError:
        raise SettingsError(f"设置 retention.at 的“{text}”读不懂", hint="应写成 03:30 这样的形式。") from None


def last_due(now: datetime, at: time, zone: ZoneInfo) -> datetime:
    """The latest moment at or before now at which it is so late in the zone. Aware UTC."""
    local = now.astimezone(zone)
    due = datetime.combine(local.date(), at, tzinfo=zone)
    if due > local:
        due = datetime.combine(local.date() - timedelta(days=1), at, tzinfo=zone)
    return due.astimezone(UTC)


async def last_clean_up(session: AsyncSession) -> ScheduledRun | None:
    """The latest run of retention; None: there has been none."""
    statement = (
        select(ScheduledRun)
        .where(ScheduledRun.timetable == _TIMETABLE)
        .order_by(col(ScheduledRun.due_at).desc())
        .limit(1)
    )
    return (await session.exec(statement)).first()


class Daily:
    """Runs retention where it is due and has not run; behind it `then`, which may fail until tomorrow."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        retention: Retention,
        *,
        at: time,
        zone: ZoneInfo,
        then: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._retention = retention
        self._at = at
        self._zone = zone
        self._then = then

    async def run(self) -> bool:
        """Returns: whether it was due."""
        due = last_due(self._clock(), self._at, self._zone)
        known = select(ScheduledRun.id).where(
            ScheduledRun.timetable == _TIMETABLE, ScheduledRun.due_at == due
        )
        async with self._database.read() as session:
            if (await session.exec(known)).first() is not None:
                return False
        async with self._database.write() as session:
            written = await session.exec(
                insert_new(session, ScheduledRun)
                .values(timetable=_TIMETABLE, due_at=due, ran_at=self._clock())
                .returning(col(ScheduledRun.id))
            )
            if written.first() is None:
                return False
        await self._retention.run()
        if self._then is not None:
            await self._then()
        return True
