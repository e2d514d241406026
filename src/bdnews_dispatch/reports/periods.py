"""A year in months. Pure: in: a year or none, today. Out: days and months. Callers: pages, the API, commands."""

from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

#: Of what is shown where no year is named.
MONTHS = 12


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """One month of a calendar."""

    year: int
    month: int

    @classmethod
    def of(cls, day: date) -> "Month":
        return cls(day.year, day.month)

    @property
    def first(self) -> date:
        return date(self.year, self.month, 1)

    @property
    def last(self) -> date:
        return date(self.year, self.month, monthrange(self.year, self.month)[1])

    def before(self, months: int) -> "Month":
        """So many months earlier; later where the number is negative."""
        number = self.year * 12 + self.month - 1 - months
        return Month(number // 12, number % 12 + 1)

    def __str__(self) -> str:
        return f"{self.year}-{self.month:02}"


def days_of(year: int | None, today: date) -> tuple[date, date]:
    """A year's first and last day; without a year the last twelve months, this one as far as it has come."""
    if year is None:
        return Month.of(today).before(MONTHS - 1).first, today
    return date(year, 1, 1), date(year, 12, 31)


def months_of(first: date, last: date) -> Sequence[Month]:
    """All months that have a day between these, both included."""
    start, end = Month.of(first), Month.of(last)
    number = (end.year - start.year) * 12 + end.month - start.month
    return [start.before(-place) for place in range(number + 1)]
