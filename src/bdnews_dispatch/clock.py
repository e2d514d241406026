"""Time, passed in: aware UTC inside, Asia/Shanghai where people read or schedule."""

from collections.abc import Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

Clock = Callable[[], datetime]
BEIJING = ZoneInfo("Asia/Shanghai")


def system_clock() -> datetime:
    """Now, in aware UTC. The only place that asks the machine."""
    return datetime.now(UTC)


def beijing(moment: datetime) -> datetime:
    """The same moment as a reader in China sees it on a clock."""
    return moment.astimezone(BEIJING)
