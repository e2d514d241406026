"""Tables of messaging: events, and which handler has dealt with which; the processes that are there, and who leads."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, UniqueConstraint
from sqlmodel import Field, SQLModel

from bdnews_dispatch.db.types import BigId, UtcDateTime


class Event(SQLModel, table=True):
    """Something that happened. Written in the transaction that made it true; names are dotted and never reused."""

    __tablename__ = "event"
    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    name: str = Field(max_length=64)
    #: The same thing told twice has the same key, and is one event.
    key: str = Field(max_length=200, unique=True)
    payload: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    created_at: datetime = Field(sa_type=UtcDateTime)
    #: Every handler of its name has done its work.
    handled_at: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)


class EventHandling(SQLModel, table=True):
    """One handler's work on one event; the row commits together with what the handler did."""

    __tablename__ = "event_handling"
    __table_args__ = (UniqueConstraint("event_id", "handler"),)
    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    event_id: int = Field(foreign_key="event.id", index=True, sa_type=BigId)
    handler: str = Field(max_length=100)
    attempts: int = 0
    done_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    retry_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_error: str = Field(default="", max_length=500)


class Node(SQLModel, table=True):
    """A process of the service, as long as it gives signs of life."""

    __tablename__ = "node"
    name: str = Field(max_length=64, primary_key=True)
    #: With spaces between: `scheduler web worker`.
    roles: str = Field(max_length=100)
    host: str = Field(max_length=100)
    started_at: datetime = Field(sa_type=UtcDateTime)
    seen_at: datetime = Field(sa_type=UtcDateTime)


class Lease(SQLModel, table=True):
    """What one process alone may do, and until when it may without renewing it."""

    __tablename__ = "lease"
    name: str = Field(max_length=64, primary_key=True)
    holder: str = Field(max_length=64)
    until: datetime = Field(sa_type=UtcDateTime)
