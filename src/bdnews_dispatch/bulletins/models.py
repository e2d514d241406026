"""Tables of bulletins: as they were sent, and as they are written."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, Text
from sqlmodel import Field, SQLModel

from bdnews_dispatch.db.types import UtcDateTime, enum_type


class Bulletin(SQLModel, table=True):
    """An editor's out-of-cycle notice: a title and a text in Markdown."""

    __tablename__ = "bulletin"
    id: int | None = Field(default=None, primary_key=True)
    publication: str = Field(max_length=40)
    #: SHA-256 over all that makes it this bulletin; the same one sent twice by a nervous hand is one.
    fingerprint: str = Field(max_length=64, unique=True)
    title: str = Field(max_length=200)
    body: str = Field(sa_type=Text)
    urgent: bool = False
    #: Commercial content: 广告 goes in front of the subject (Order 38, art. 14).
    ad: bool = False
    created_at: datetime = Field(sa_type=UtcDateTime)


class DraftState(StrEnum):
    """draft → waiting → sent; given back, or changed while it waits, it is a draft again."""

    DRAFT = "draft"
    #: For a second person.
    WAITING = "waiting"
    SENT = "sent"
    DISCARDED = "discarded"


class BulletinDraft(SQLModel, table=True):
    """A bulletin that is being written.

    Attributes:
        sections: keys; empty: whatever somebody reads.
        whom: names of lists and segments, by field: list, segment, except_list, except_segment.
        at: when it is to go out; None: once it may.
        version: one more with each change; who saves over another one's is told.
        writers: everybody who has changed it, as the audit log calls them: none of them is its second person.
        decided_by: who approved it or gave it back; `words` say why.
        bulletin_id: what was sent.
    """

    __tablename__ = "bulletin_draft"
    id: int | None = Field(default=None, primary_key=True)
    publication: str = Field(max_length=40)
    title: str = Field(max_length=200)
    body: str = Field(sa_type=Text)
    urgent: bool = False
    ad: bool = False
    sections: list[str] = Field(default_factory=list, sa_type=JSON)
    whom: dict[str, list[str]] = Field(default_factory=dict, sa_type=JSON)
    at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    state: DraftState = Field(default=DraftState.DRAFT, sa_type=enum_type(DraftState), index=True)
    version: int = 1
    writers: list[str] = Field(default_factory=list, sa_type=JSON)
    asked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    decided_by: str = Field(default="", max_length=40)
    decided_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    words: str = Field(default="", max_length=300)
    bulletin_id: int | None = Field(default=None, foreign_key="bulletin.id")
    created_at: datetime = Field(sa_type=UtcDateTime)
    changed_at: datetime = Field(sa_type=UtcDateTime)
