"""Tables of what was counted. Each row can be counted again from the ledger and the hits; none of them is a truth."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Double
from sqlmodel import Field, SQLModel

from bdnews_dispatch.db.types import UtcDateTime, enum_type


class Dimension(StrEnum):
    """By what a dispatch is counted."""

    ALL = "all"
    CHANNEL = "channel"
    #: Of email; the hundred with most people, and `*` for the others.
    DOMAIN = "domain"
    #: As people are on lists when it is counted.
    LIST = "list"
    #: That a digest holds; clicks are those on its articles.
    SECTION = "section"
    #: Number of a link in the digest: clicks alone.
    ARTICLE = "article"
    #: Why nothing was sent.
    REASON = "reason"
    #: Hours after the send: when people first opened and first clicked.
    HOUR = "hour"


class Rollup(SQLModel, table=True):
    """A dispatch by one value of a dimension.

    Attributes:
        planned, skipped, cancelled, failed, uncertain, sent, delivered, bounced, complained: deliveries. `sent` is what
            the other side took; `delivered` of these has not come back.
        people: who has got it, each once.
        untracked: of these, who is not to be counted: they are left out of every rate.
        opened, clicked, unsubscribed: of people.
        machine_opened, machine_clicked: people for whom only machines did so.
    """

    __tablename__ = "rollup"
    dispatch_id: int = Field(primary_key=True, foreign_key="dispatch.id")
    dimension: Dimension = Field(primary_key=True, sa_type=enum_type(Dimension))
    value: str = Field(primary_key=True, max_length=200)
    planned: int = 0
    skipped: int = 0
    cancelled: int = 0
    failed: int = 0
    uncertain: int = 0
    sent: int = 0
    delivered: int = 0
    bounced: int = 0
    complained: int = 0
    people: int = 0
    untracked: int = 0
    opened: int = 0
    clicked: int = 0
    unsubscribed: int = 0
    machine_opened: int = 0
    machine_clicked: int = 0


class CountedDispatch(SQLModel, table=True):
    """When a dispatch was counted last; `counting` while that goes on: whoever died in it is followed by another."""

    __tablename__ = "counted_dispatch"
    dispatch_id: int = Field(primary_key=True, foreign_key="dispatch.id")
    counted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    counting: bool = False


class Growth(SQLModel, table=True):
    """Who joined and who left on a day that is over, in the publication's time zone.

    Attributes:
        section: its key; "" counts people with any agreement at all, and says that the day was counted.
    """

    __tablename__ = "growth"
    day: date = Field(primary_key=True)
    publication: str = Field(primary_key=True, max_length=40)
    section: str = Field(primary_key=True, max_length=40)
    joined: int = 0
    gone: int = 0


class Tally(SQLModel, table=True):
    """What a page shows of very many rows, as it was counted last; see tallies.py.

    Attributes:
        value: plain data; what it means is known to who counts it.
        seconds: how long counting took.
    """

    __tablename__ = "tally"
    name: str = Field(primary_key=True, max_length=100)
    value: Any = Field(sa_type=JSON)
    counted_at: datetime = Field(sa_type=UtcDateTime)
    seconds: float = Field(sa_type=Double)
