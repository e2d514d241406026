"""Table of hits: what readers and their machines did with a delivery."""

from datetime import datetime
from enum import StrEnum

from sqlmodel import Field, SQLModel

from bdnews_dispatch.db.types import BigId, UtcDateTime, enum_type


class HitKind(StrEnum):
    """What was touched."""

    OPEN = "open"
    CLICK = "click"
    PAGE_VIEW = "page_view"
    UNSUBSCRIBE = "unsubscribe"


class Hit(SQLModel, table=True):
    """One raw hit, kept as it came. `machine` names the rule by which it was no person's, or is empty."""

    __tablename__ = "hit"
    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    delivery_id: int = Field(foreign_key="delivery.id", index=True, sa_type=BigId)
    kind: HitKind = Field(sa_type=enum_type(HitKind))
    #: Of a click: the link's number.
    link: int | None = None
    machine: str = Field(default="", max_length=40)
    user_agent: str = Field(default="", max_length=200)
    at: datetime = Field(sa_type=UtcDateTime)
