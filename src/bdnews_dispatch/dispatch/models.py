"""Tables of dispatch: the dispatch, the links in its digests, the ledger of deliveries, and each attempt."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Double, Index, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from bdnews_dispatch.db.types import BigId, UtcDateTime, enum_type
from bdnews_dispatch.dispatch.states import DeliveryState, DispatchState
from bdnews_dispatch.subscribers.models import Cadence, Channel


class DispatchKind(StrEnum):
    """What a dispatch sends."""

    ISSUE = "issue"
    #: What was published in a week or a month, for those who chose that cadence.
    PERIOD = "period"
    BULLETIN = "bulletin"


class Dispatch(SQLModel, table=True):
    """One send of an issue, of a period's issues, or of a bulletin.

    Attributes:
        cause: what made it, as a unique key: the same cause makes one dispatch, however often it is told.
        issues: [{"id", "revision"}] in the order of publication.
        lists: names of lists; with no segments either, empty means everybody.
        segments, excluded_segments: {"name", "rule"} each, as the segment was when the dispatch began.
        excluded_lists: names; who is on one of them gets nothing.
        sections: of a bulletin: whom it concerns; empty means everybody.
        planned_through: the last subscriber id that planning has dealt with.
        note: why it was paused, in words.
    """

    __tablename__ = "dispatch"
    id: int | None = Field(default=None, primary_key=True)
    cause: str = Field(max_length=200, unique=True)
    kind: DispatchKind = Field(sa_type=enum_type(DispatchKind))
    publication: str = Field(max_length=40)
    issues: list[dict[str, int]] = Field(default_factory=list, sa_type=JSON)
    bulletin_id: int | None = Field(default=None, foreign_key="bulletin.id")
    cadence: Cadence | None = Field(default=None, sa_type=enum_type(Cadence))
    lists: list[str] = Field(default_factory=list, sa_type=JSON)
    segments: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)
    excluded_lists: list[str] = Field(default_factory=list, sa_type=JSON)
    excluded_segments: list[dict[str, Any]] = Field(default_factory=list, sa_type=JSON)
    sections: list[str] = Field(default_factory=list, sa_type=JSON)
    urgent: bool = False
    state: DispatchState = Field(
        default=DispatchState.SCHEDULED, sa_type=enum_type(DispatchState), index=True
    )
    due_at: datetime = Field(sa_type=UtcDateTime)
    planned_through: int = 0
    planned_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    note: str = Field(default="", max_length=500)
    created_at: datetime = Field(sa_type=UtcDateTime)
    finished_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class DispatchChange(SQLModel, table=True):
    """Something became known of a dispatch since it was counted; see changes.py."""

    __tablename__ = "dispatch_change"
    dispatch_id: int = Field(primary_key=True, foreign_key="dispatch.id")


class DispatchLink(SQLModel, table=True):
    """A link that stands in the digests of a dispatch: a click names its number, never an address."""

    __tablename__ = "dispatch_link"
    __table_args__ = (UniqueConstraint("dispatch_id", "number"),)
    id: int | None = Field(default=None, primary_key=True)
    dispatch_id: int = Field(foreign_key="dispatch.id")
    number: int
    url: str = Field(sa_type=Text)
    kind: str = Field(max_length=20)
    section: str | None = Field(default=None, max_length=40)
    place: int | None = None


#: The conditions of the partial indexes. A query that wants one says the same words; a delivery that is over is in none
#: of them, so that the ledger of a million stays as quick as that of a thousand.
DUE = "state IN ('planned', 'deferred')"
HELD = "state IN ('claimed', 'in_flight')"
IN_DOUBT = "state = 'uncertain'"
#: What is looked at one by one beside these; a delivery that goes well by mail is never in it.
APART = "state IN ('deferred', 'failed', 'delivered')"


def _partial(name: str, *columns: str, where: str) -> Index:
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


class Delivery(SQLModel, table=True):
    """One dispatch × subscriber × channel: a row of the ledger.

    Attributes:
        key: in links and mail ids; says nothing about anybody but when the delivery was planned.
        sections: what this digest holds, as a sorted list of section keys.
        reason: why it was skipped, failed, cancelled or deferred: a dotted name.
        worker, epoch, lease_until: who has claimed it; `epoch` grows with each claim, so an old one fails at the gate.
        mode: how it went out (`smtp`, `custom`, `template`).
        called_at: of a mode whose calls are made again under the same id: when the first of them was made.
        untracked: its reader is not to be counted: no pixel, plain links, left out of rates.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        UniqueConstraint("dispatch_id", "subscriber_id", "channel"),
        _partial("ix_delivery_due", "dispatch_id", "channel", "due_at", where=DUE),
        _partial("ix_delivery_held", "lease_until", where=HELD),
        _partial("ix_delivery_in_doubt", "dispatch_id", where=IN_DOUBT),
        _partial("ix_delivery_apart", "dispatch_id", "state", "updated_at", where=APART),
    )
    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    dispatch_id: int = Field(foreign_key="dispatch.id")
    subscriber_id: int = Field(foreign_key="subscriber.id", index=True)
    channel: Channel = Field(sa_type=enum_type(Channel))
    key: str = Field(max_length=24, unique=True)
    sections: list[str] = Field(default_factory=list, sa_type=JSON)
    state: DeliveryState = Field(sa_type=enum_type(DeliveryState))
    reason: str = Field(default="", max_length=100)
    worker: str | None = Field(default=None, max_length=40)
    epoch: int = 0
    lease_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    due_at: datetime = Field(sa_type=UtcDateTime)
    attempts: int = 0
    mode: str = Field(default="", max_length=20)
    untracked: bool = False
    called_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    first_tried_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    sent_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)


class Attempt(SQLModel, table=True):
    """What came of one try."""

    __tablename__ = "attempt"
    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    delivery_id: int = Field(foreign_key="delivery.id", index=True, sa_type=BigId)
    at: datetime = Field(sa_type=UtcDateTime)
    outcome: str = Field(max_length=20)
    code: str = Field(default="", max_length=64)
    text: str = Field(default="", max_length=500)
    mode: str = Field(default="", max_length=20)
    reference: str = Field(default="", max_length=100)


def counts_template() -> dict[str, int]:
    """Every state with zero, in the order of the state machine."""
    return {state.value: 0 for state in DeliveryState}


class Budget(SQLModel, table=True):
    """What all workers together may give a provider, or the relay: see budgets.py. Times are seconds since 1970.

    Attributes:
        promised_until: slots of its rate are given away up to here.
        slowed_rate, slowed_at: since it said "slower"; 0 where it did not.
        closed_until: it wants nothing before.
    """

    __tablename__ = "budget"
    name: str = Field(max_length=100, primary_key=True)
    promised_until: float = Field(default=0.0, sa_type=Double)
    slowed_rate: float = Field(default=0.0, sa_type=Double)
    slowed_at: float = Field(default=0.0, sa_type=Double)
    closed_until: float = Field(default=0.0, sa_type=Double)


class Seat(SQLModel, table=True):
    """How many connections of a budget a worker has, until when, and how many it would use."""

    __tablename__ = "seat"
    budget: str = Field(max_length=100, primary_key=True, foreign_key="budget.name")
    worker: str = Field(max_length=64, primary_key=True)
    wanted: int
    held: int
    until: float = Field(sa_type=Double)
