"""The timetable: weekly and monthly moments in Beijing time, each exactly once, periods without gap or overlap."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdnews_dispatch.errors import SettingsError
from bdnews_dispatch.scheduling.timetable import Entry, read_timetable
from bdnews_dispatch.settings import load_settings
from bdnews_dispatch.subscribers.models import Cadence

BEIJING = ZoneInfo("Asia/Shanghai")
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def entry(cadence: Cadence, day: int, zone: str = "Asia/Shanghai") -> Entry:
    return Entry(cadence, day, 9, 0, ZoneInfo(zone))


def test_monday_is_monday_in_beijing() -> None:
    due = [
        moment
        for moment, _ in entry(Cadence.WEEKLY, 0).due_between(
            datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 30, 12, tzinfo=UTC)
        )
    ]
    assert [moment.astimezone(BEIJING).day for moment in due] == [2, 9, 16, 23, 30]
    assert {moment.astimezone(BEIJING).strftime("%a %H:%M") for moment in due} == {"Mon 09:00"}


def test_the_thirty_first_is_the_last_day_where_there_is_none() -> None:
    due = [
        moment.astimezone(BEIJING).strftime("%m-%d")
        for moment, _ in entry(Cadence.MONTHLY, 31).due_between(
            datetime(2027, 1, 15, tzinfo=UTC), datetime(2027, 4, 30, 12, tzinfo=UTC)
        )
    ]
    assert due == ["01-31", "02-28", "03-31", "04-30"]


@given(
    MOMENTS,
    st.integers(1, 200),
    st.sampled_from([(Cadence.WEEKLY, 0), (Cadence.WEEKLY, 6), (Cadence.MONTHLY, 31)]),
)
def test_periods_join_without_gap_or_overlap(start: datetime, days: int, which: tuple[Cadence, int]) -> None:
    timetable = entry(*which)
    runs = list(timetable.due_between(start, start + timedelta(days=days)))
    for (due, _), (later, since) in pairwise(runs):
        assert since == due < later


@given(MOMENTS, st.integers(1, 60), st.integers(1, 59))
def test_looking_in_pieces_finds_the_same(start: datetime, days: int, at: int) -> None:
    timetable = entry(Cadence.WEEKLY, 2, "America/New_York")
    end = start + timedelta(days=days)
    middle = start + (end - start) * at / 60
    assert list(timetable.due_between(start, end)) == [
        *timetable.due_between(start, middle),
        *timetable.due_between(middle, end),
    ]


@pytest.mark.parametrize("text", ["monday 9", "mon", "8 09:00 x", "mon 25:00", "32 09:00", ""])
def test_a_time_that_nobody_can_read_is_refused(text: str) -> None:
    settings = load_settings({})
    for key in ("weekly", "monthly"):
        with pytest.raises(SettingsError, match=f"schedule.{key}"):
            read_timetable(settings.schedule.model_copy(update={key: text}), BEIJING)
