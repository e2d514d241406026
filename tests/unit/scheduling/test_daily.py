"""The latest moment at a time of day, as people in the zone read it."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from bdnews_dispatch.errors import SettingsError
from bdnews_dispatch.scheduling.daily import last_due, read_time_of_day

SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
AT = dt.time(3, 30)


def utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[misc,arg-type]  # parts of a date


@pytest.mark.parametrize(
    ("now", "zone", "due"),
    [
        (utc(2026, 11, 22, 19, 30), SHANGHAI, utc(2026, 11, 22, 19, 30)),
        (utc(2026, 11, 22, 19, 29, 59), SHANGHAI, utc(2026, 11, 21, 19, 30)),
        (utc(2026, 11, 23, 15, 59), SHANGHAI, utc(2026, 11, 22, 19, 30)),
        (utc(2026, 11, 23, 16, 1), SHANGHAI, utc(2026, 11, 22, 19, 30)),
        (utc(2026, 3, 29, 12), BERLIN, utc(2026, 3, 29, 1, 30)),
        (utc(2026, 3, 29, 1, 29), BERLIN, utc(2026, 3, 28, 2, 30)),
    ],
)
def test_the_latest(now: dt.datetime, zone: ZoneInfo, due: dt.datetime) -> None:
    assert last_due(now, AT, zone) == due


def test_a_time_of_day() -> None:
    assert read_time_of_day("03:30") == AT


@pytest.mark.parametrize("text", ["", "3", "24:00", "03:60", "3:30:00", "mon 03:30", "-1:00"])
def test_what_is_none_names_its_key(text: str) -> None:
    with pytest.raises(SettingsError, match=r"retention\.at"):
        read_time_of_day(text)
