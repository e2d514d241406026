"""Tables of hits: what readers and their machines did with a delivery."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Double
from sqlmodel import Field, SQLModel

from bdnews_dispatch.db.types import BigId, UtcDateTime, enum_type


class HitKind(StrEnum):
    """What was touched."""

    OPEN = "open"
    CLICK = "click"
    PAGE_VIEW = "page_view"
    UNSUBSCRIBE = "unsubscribe"


class Hit(SQLModel, table=True):
    """One raw hit, with what is needed to judge again who made it.

    Attributes:
        link: of a click, its number.
        machine: the rule by which it was no person's (`scanner.named`); empty: a person, as far as can be told.
        family: of the User-Agent.
        method, announced, network, seconds: see `machines.Trace`.
    """

    __tablename__ = "hit"
    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    delivery_id: int = Field(foreign_key="delivery.id", index=True, sa_type=BigId)
    kind: HitKind = Field(sa_type=enum_type(HitKind))
    link: int | None = None
    machine: str = Field(default="", max_length=40)
    user_agent: str = Field(default="", max_length=200)
    family: str = Field(default="", max_length=40)
    method: str = Field(default="", max_length=8)
    announced: bool = False
    network: str = Field(default="", max_length=50)
    seconds: float | None = Field(default=None, sa_type=Double)
    at: datetime = Field(sa_type=UtcDateTime)


class Judging(SQLModel, table=True):
    """How far hits have been judged together, and by which rules; other rules begin again. One row."""

    __tablename__ = "judging"
    id: int = Field(default=1, primary_key=True)
    rules: str = Field(default="", max_length=16)
    through: int = Field(default=0, sa_type=BigId)
