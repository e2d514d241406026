"""What requests and answers are made of: the API's own types of text, numbers and times.

Imports nothing of the API. Callers: every resource; description.py reads their schemas.
"""

import re
import unicodedata
from datetime import date, datetime
from typing import Annotated, ClassVar, Generic, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

Item = TypeVar("Item")
#: Of a page.
MOST_ITEMS = 200
HIGHEST_ID = 2**31 - 1
#: Of a table that may have more rows than 32 bits count.
HIGHEST_LONG = 2**63 - 1


def _plain(text: str) -> str:
    if any(
        unicodedata.category(character) in {"Cc", "Cs"} and character not in "\r\n\t" for character in text
    ):
        raise ValueError("不能有控制字符")
    return text


def _near(moment: datetime) -> datetime:
    """In our time: neither database takes a year 0, and neither do people."""
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValueError(f"年份应在 {_FIRST_YEAR} 与 {_LAST_YEAR} 之间")
    return moment


_FIRST_YEAR, _LAST_YEAR = 2000, 2100


def _written_day(day: object) -> object:
    """A number would count as seconds since 1970."""
    if isinstance(day, str) and not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", day):
        raise ValueError("应为日期，如 2026-12-01")
    return day


#: Text that a person wrote: no control characters, which no database and no mail takes.
Text = Annotated[str, AfterValidator(_plain)]
Id = Annotated[int, Field(ge=1, le=HIGHEST_ID)]
LongId = Annotated[int, Field(ge=1, le=HIGHEST_LONG)]
Day = Annotated[date, BeforeValidator(_written_day)]
Moment = Annotated[AwareDatetime, AfterValidator(_near)]


class Body(BaseModel):
    """What a request holds; what is not known is refused by name, and a number is no text."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Asked(BaseModel):
    """What an address holds, in its path or behind the question mark: all of it text, read as its field says."""

    model_config = ConfigDict(extra="forbid")


class Answer(BaseModel):
    """What an answer holds.

    Attributes:
        COUNTED: fields that change by themselves: they are no part of what `If-Match` compares.
    """

    model_config = ConfigDict(extra="forbid", from_attributes=True)
    COUNTED: ClassVar[frozenset[str]] = frozenset()


class Numbered(Asked):
    """A path with a number."""

    id: Id


class Page(Answer, Generic[Item]):
    """Some of many."""

    items: list[Item]
    next: str | None = Field(description="下一页的游标；最后一页是 null。")


class PageQuery(Asked):
    """Which page."""

    cursor: Text = Field(default="", max_length=200, description="上一页答复中的 next；空的是第一页。")
    limit: int = Field(default=50, ge=1, le=MOST_ITEMS)
