"""Days of people, moments of the ledger."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bdnews_dispatch.clock import BEIJING, midnight, whole_day

NEW_YORK = ZoneInfo("America/New_York")


def test_a_day_in_beijing_is_told_in_utc() -> None:
    start, end = whole_day(date(2026, 12, 1), BEIJING)
    assert (start, end) == (datetime(2026, 11, 30, 16, tzinfo=UTC), datetime(2026, 12, 1, 16, tzinfo=UTC))


def test_a_day_is_as_long_as_it_is_there() -> None:
    start, end = whole_day(date(2026, 11, 1), NEW_YORK)
    assert end - start == timedelta(hours=25)


@pytest.mark.parametrize("zone", [BEIJING, NEW_YORK])
@pytest.mark.parametrize("day", [date.min, date.max])
def test_the_ends_of_the_calendar_are_moments_as_well(day: date, zone: ZoneInfo) -> None:
    start, end = whole_day(day, zone)
    assert start <= end
    assert abs(midnight(day, zone).date() - day) <= timedelta(days=2)
