"""The timetable: when weekly and monthly digests are due. Pure; times as people in the publication's zone read them."""

import calendar
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from bdnews_dispatch.errors import SettingsError
from bdnews_dispatch.settings import ScheduleSettings
from bdnews_dispatch.subscribers.models import Cadence

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Entry:
    """A moment that comes again.

    Attributes:
        day: of the week from 0 (Monday), or of the month from 1.
    """

    cadence: Cadence
    day: int
    hour: int
    minute: int
    zone: ZoneInfo

    def due_between(self, after: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
        """Every due moment in (after, until], with the one before it: the period that it covers. Aware UTC."""
        day = (after.astimezone(self.zone) - timedelta(days=1)).date()
        last = until.astimezone(self.zone).date()
        while day <= last:
            due = datetime(day.year, day.month, day.day, self.hour, self.minute, tzinfo=self.zone).astimezone(
                UTC
            )
            if self._falls_on(day.year, day.month, day.day) and after < due <= until:
                yield due, self._before(due)
            day += timedelta(days=1)

    def _falls_on(self, year: int, month: int, day: int) -> bool:
        if self.cadence is Cadence.WEEKLY:
            return calendar.weekday(year, month, day) == self.day
        return day == min(self.day, calendar.monthrange(year, month)[1])

    def _before(self, due: datetime) -> datetime:
        local = due.astimezone(self.zone)
        if self.cadence is Cadence.WEEKLY:
            return (local - timedelta(days=7)).astimezone(UTC)
        year, month = (local.year, local.month - 1) if local.month > 1 else (local.year - 1, 12)
        day = min(self.day, calendar.monthrange(year, month)[1])
        return local.replace(year=year, month=month, day=day).astimezone(UTC)


def read_timetable(settings: ScheduleSettings, zone: ZoneInfo) -> tuple[Entry, ...]:
    """Raises: SettingsError: `schedule.weekly` or `schedule.monthly` is not `DAY HH:MM`."""
    return (
        _entry(Cadence.WEEKLY, "schedule.weekly", settings.weekly, zone),
        _entry(Cadence.MONTHLY, "schedule.monthly", settings.monthly, zone),
    )


def _entry(cadence: Cadence, key: str, text: str, zone: ZoneInfo) -> Entry:
    try:
        day_text, time_text = text.lower().split()
        hour, minute = (int(part) for part in time_text.split(":"))
        day = _DAYS.index(day_text) if cadence is Cadence.WEEKLY else int(day_text)
    except ValueError:
        hour = minute = day = -1
    if not (0 <= hour < 24 and 0 <= minute < 60) or (cadence is Cadence.MONTHLY and not 1 <= day <= 31):
        form = "mon 09:00" if cadence is Cadence.WEEKLY else "1 09:00"
        raise SettingsError(f"设置 {key} 的“{text}”读不懂", hint=f"应写成 {form} 这样的形式。")
    return Entry(cadence, day, hour, minute, zone)
