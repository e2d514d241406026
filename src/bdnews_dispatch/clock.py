"""Time, passed in: aware UTC inside, Asia/Shanghai where people read or schedule."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

Clock = Callable[[], datetime]
BEIJING = ZoneInfo("Asia/Shanghai")
_A_DAY = timedelta(days=1)


def system_clock() -> datetime:
    """Now, in aware UTC. The only place that asks the machine."""
    return datetime.now(UTC)


def beijing(moment: datetime) -> datetime:
    """The same moment as a reader in China sees it on a clock."""
    return moment.astimezone(BEIJING)


def midnight(day: date, zone: tzinfo) -> datetime:
    """The first moment of a day there, in aware UTC. The calendar's first and last day count as their neighbours: in
    UTC they lie outside of it.
    """
    inside = min(max(day, date.min + _A_DAY), date.max - _A_DAY)
    return datetime.combine(inside, time(), zone).astimezone(UTC)


def whole_day(day: date, zone: tzinfo) -> tuple[datetime, datetime]:
    """The first moment of a day and of the next one there, in aware UTC."""
    return midnight(day, zone), midnight(min(day, date.max - _A_DAY) + _A_DAY, zone)
