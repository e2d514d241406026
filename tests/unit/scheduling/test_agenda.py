"""Days in Beijing with their holidays; runs that are still to come; a file that calendar programs can read."""

import datetime as dt

import chinese_calendar
import pytest
from icalendar import Calendar

from bdnews_dispatch.bulletins.models import DraftState
from bdnews_dispatch.clock import BEIJING
from bdnews_dispatch.dispatch.states import DispatchState
from bdnews_dispatch.scheduling.agenda import Item, Kind, Span, days, runs
from bdnews_dispatch.scheduling.calendar_file import write_calendar
from bdnews_dispatch.scheduling.holidays import is_known, mark_of
from bdnews_dispatch.scheduling.timetable import Entry
from bdnews_dispatch.subscribers.models import Cadence

WEEKLY = Entry(Cadence.WEEKLY, 0, 9, 0, BEIJING)
MONTHLY = Entry(Cadence.MONTHLY, 1, 9, 0, BEIJING)
LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
#: The first year whose holidays the installed library does not know.
UNKNOWN = max(chinese_calendar.constants.holidays).year + 1


def at(year: int, month: int, day: int, hour: int = 9, minute: int = 0) -> dt.datetime:
    """In Beijing, as aware UTC."""
    return dt.datetime(year, month, day, hour, minute, tzinfo=BEIJING).astimezone(dt.UTC)


def item(moment: dt.datetime, key: str = "issue:1", **changes: object) -> Item:
    values: dict[str, object] = {"state": DispatchState.SCHEDULED, "title": "总第112期《大数据发展动态》"}
    return Item(Kind.DISPATCH, key, moment, LONG_AGO, "dsj", 7, **{**values, **changes})  # type: ignore[arg-type]


def month(year: int, number: int) -> Span:
    last = dt.date(year + number // 12, number % 12 + 1, 1) - dt.timedelta(days=1)
    return Span.of_days(dt.date(year, number, 1), last)


def test_national_day_is_a_holiday_and_the_saturday_after_it_is_worked() -> None:
    shown = {day.date.day: day.mark for day in days((), dt.date(2026, 10, 1), dt.date(2026, 10, 31))}
    off = {number for number, mark in shown.items() if mark is not None and mark.off}
    assert off == {1, 2, 3, 4, 5, 6, 7}
    assert {mark.holiday for mark in shown.values() if mark is not None} == {"国庆节"}
    worked = shown[10]
    assert worked is not None
    assert not worked.off
    assert shown[11] is None, "an ordinary Sunday has no mark"


def test_of_a_year_that_is_not_known_nothing_is_said() -> None:
    assert is_known(UNKNOWN - 1)
    assert not is_known(UNKNOWN)
    assert mark_of(dt.date(UNKNOWN, 10, 1)) is None
    assert [day.mark for day in days((), dt.date(UNKNOWN, 10, 1), dt.date(UNKNOWN, 10, 3))] == [None] * 3
    assert mark_of(dt.date(1949, 10, 1)) is None
    (run,) = runs(month(UNKNOWN, 10), LONG_AGO, [MONTHLY], ["dsj"])
    assert run.on_holiday == ""


def test_a_month_begins_and_ends_at_midnight_in_beijing() -> None:
    span = month(2026, 11)
    assert span.start == dt.datetime(2026, 10, 31, 16, tzinfo=dt.UTC)
    assert span.end == dt.datetime(2026, 11, 30, 16, tzinfo=dt.UTC)
    late, early = item(at(2026, 11, 30, 23, 59)), item(at(2026, 12, 1, 0, 1))
    november = days([late, early], dt.date(2026, 11, 1), dt.date(2026, 11, 30))
    assert [len(day.items) for day in november] == [0] * 29 + [1]
    assert november[-1].items == (late,)


def test_a_run_at_midnight_is_of_one_month_alone() -> None:
    midnight = [Entry(Cadence.MONTHLY, 1, 0, 0, BEIJING)]
    found = [
        [run.at for run in runs(month(2026, number), LONG_AGO, midnight, ["dsj"])] for number in (10, 11, 12)
    ]
    assert found == [[at(2026, number, 1, 0)] for number in (10, 11, 12)]


def test_runs_on_a_holiday_say_so_by_its_name() -> None:
    found = list(runs(month(2026, 10), LONG_AGO, [WEEKLY, MONTHLY], ["dsj"]))
    warned = {run.at.astimezone(BEIJING).day: run.on_holiday for run in found}
    assert warned == {1: "国庆节", 5: "国庆节", 12: "", 19: "", 26: ""}


def test_a_run_that_was_due_is_no_more_to_come() -> None:
    now = at(2026, 11, 16)
    coming = [run.at for run in runs(month(2026, 11), now, [WEEKLY], ["dsj", "other"])]
    assert coming == [at(2026, 11, 23), at(2026, 11, 23), at(2026, 11, 30), at(2026, 11, 30)]


def read(*items: Item) -> Calendar:
    body = write_calendar(
        items,
        base_url="https://news.example.cn",
        path_of=lambda one: f"/console/dispatches/{one.id}",
        publication_name=lambda key: {"dsj": "大数据发展动态"}[key],
    )
    found = Calendar.from_ical(body)
    assert isinstance(found, Calendar)
    return found


def test_a_calendar_program_reads_what_when_and_where() -> None:
    calendar = read(item(at(2026, 10, 1), on_holiday="国庆节"))
    (event,) = calendar.events
    assert event.start == at(2026, 10, 1)
    assert str(event["SUMMARY"]) == "总第112期《大数据发展动态》（待开始）（当天放假：国庆节）"
    assert event["URL"] == "https://news.example.cn/console/dispatches/7"
    assert event["STATUS"] == "CONFIRMED"
    assert event["TRANSP"] == "TRANSPARENT"
    assert str(event["UID"]).endswith("@news.example.cn")
    assert calendar["VERSION"] == "2.0"
    assert calendar["REFRESH-INTERVAL"].params["VALUE"] == "DURATION"


def test_a_run_and_the_dispatch_that_it_makes_are_one_event() -> None:
    (run,) = runs(
        month(2026, 10), at(2026, 10, 27), [WEEKLY, Entry(Cadence.MONTHLY, 31, 9, 0, BEIJING)], ["dsj"]
    )
    made = item(run.at, run.key, state=DispatchState.FINISHED, ends=run.at + dt.timedelta(hours=1))
    before, after = read(run).events[0], read(made).events[0]
    assert before["UID"] == after["UID"]
    assert str(before["SUMMARY"]) == "每月一封的读者：《大数据发展动态》"
    assert after.end == run.at + dt.timedelta(hours=1)


@pytest.mark.parametrize(
    ("state", "status", "words"),
    [
        (DispatchState.CANCELLED, "CANCELLED", "（已取消）"),
        (DispatchState.FINISHED, "CONFIRMED", "（已结束）"),
    ],
)
def test_a_dispatch_says_how_it_stands(state: DispatchState, status: str, words: str) -> None:
    (event,) = read(item(at(2026, 11, 2), state=state)).events
    assert event["STATUS"] == status
    assert words in str(event["SUMMARY"])


def test_drafts_are_tentative_and_issues_are_no_sending() -> None:
    draft = Item(
        Kind.DRAFT, "draft:1", at(2026, 11, 2), LONG_AGO, "dsj", 1, "停电；通知,\n二", DraftState.WAITING
    )
    issue = Item(Kind.ISSUE, "published:1", at(2026, 11, 3), LONG_AGO, "dsj", 1, "总第1期")
    (event,) = read(draft, issue).events
    assert event["STATUS"] == "TENTATIVE"
    assert str(event["SUMMARY"]) == "快讯待批准：停电；通知,\n二"


def test_the_same_items_give_the_same_file() -> None:
    items = [item(at(2026, 11, day), f"issue:{day}") for day in range(1, 20)]
    written = {
        write_calendar(items, base_url="https://x.example", path_of=lambda _: "/", publication_name=str)
        for _ in range(2)
    }
    assert len(written) == 1
    assert len({str(event["UID"]) for event in read(*items).events}) == len(items)
