"""Holidays of China and the weekends that are worked for them (调休), as the State Council names them for each year.

In: a day. Out: what it is, by its Chinese name; whether the year is known at all. Pure. Callers: agenda.py, the
console's calendar. The arrangement for a year is published in the autumn before: what this version does not know it
says, and nothing falls over.
"""

from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import chinese_calendar


@dataclass(frozen=True, slots=True)
class Mark:
    """What is special about a day. Attributes: holiday: its name. off: a day off; else a weekend worked for it."""

    holiday: str
    off: bool


# The library looks through all its years for each day: 0.1 ms.
@lru_cache(maxsize=1_000)
def mark_of(day: date) -> Mark | None:
    """None: an ordinary day or weekend, or one of a year that is not known."""
    try:
        off, name = chinese_calendar.get_holiday_detail(day)
    except NotImplementedError:
        return None
    return Mark(chinese_calendar.Holiday(name).chinese, bool(off)) if name else None


def is_known(year: int) -> bool:
    """Whether this version knows the State Council's arrangement for the year."""
    try:
        chinese_calendar.is_workday(date(year, 1, 1))
    except NotImplementedError:
        return False
    return True
