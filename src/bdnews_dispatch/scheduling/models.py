"""Table of scheduled runs: what should have run is a row, so a restart forgets nothing."""

from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from bdnews_dispatch.db.types import UtcDateTime


class ScheduledRun(SQLModel, table=True):
    """One run of a timetable entry; unique by (timetable, due_at), so a tick that comes twice runs it once."""

    __tablename__ = "scheduled_run"
    __table_args__ = (UniqueConstraint("timetable", "due_at"),)
    id: int | None = Field(default=None, primary_key=True)
    timetable: str = Field(max_length=100)
    due_at: datetime = Field(sa_type=UtcDateTime)
    ran_at: datetime = Field(sa_type=UtcDateTime)
