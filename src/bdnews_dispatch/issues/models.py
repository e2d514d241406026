"""Tables of issues: the issue, each text it has had, and the pictures in them."""

import datetime as dt
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, UniqueConstraint
from sqlmodel import Field, SQLModel

from bdnews_dispatch.db.types import UtcDateTime, enum_type


class IssueState(StrEnum):
    """review → published → withdrawn; withdrawn may be published again."""

    REVIEW = "review"
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"


class Issue(SQLModel, table=True):
    """One edition of a publication, known by its total number."""

    __tablename__ = "issue"
    __table_args__ = (UniqueConstraint("publication", "total_number"),)
    id: int | None = Field(default=None, primary_key=True)
    publication: str = Field(max_length=40)
    total_number: int
    number: int | None = None
    date: dt.date | None = None
    title: str = Field(max_length=200)
    state: IssueState = Field(default=IssueState.REVIEW, sa_type=enum_type(IssueState))
    #: The revision that readers see.
    revision: int = 1
    created_at: dt.datetime = Field(sa_type=UtcDateTime)
    published_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)


class IssueRevision(SQLModel, table=True):
    """A text that an issue has had; append-only. A correction is a new revision and never goes out by itself."""

    __tablename__ = "issue_revision"
    __table_args__ = (UniqueConstraint("issue_id", "revision"),)
    id: int | None = Field(default=None, primary_key=True)
    issue_id: int = Field(foreign_key="issue.id")
    revision: int
    #: SHA-256 of the document's canonical JSON: the same text again is no correction.
    fingerprint: str = Field(max_length=64)
    document: dict[str, Any] = Field(sa_type=JSON)
    source_name: str = Field(default="", max_length=255)
    source: bytes = b""
    #: The revision that came in, where this is that one with edits; None where it came in itself.
    base: int | None = None
    created_at: dt.datetime = Field(sa_type=UtcDateTime)


class Picture(SQLModel, table=True):
    """A picture of one or several issues, as it is shown; the one that came lies in its revision's `source`.

    Attributes:
        digest: SHA-256 of the bytes that came, in hexadecimal; documents name it so.
        mime: `image/jpeg` or `image/png`.
        width, height: in pixels.
    """

    __tablename__ = "picture"
    digest: str = Field(primary_key=True, max_length=64)
    mime: str = Field(max_length=20)
    width: int
    height: int
    content: bytes
    stored_at: dt.datetime = Field(sa_type=UtcDateTime)


class EditKind(StrEnum):
    """What an editor changed of an issue as it was read."""

    TITLE = "title"
    SOURCE = "source"
    NOTE = "note"
    #: Its section, and in front of which article it stands there.
    PLACE = "place"
    #: It is not in the issue: the contents name it and the text has nothing of it, or it is not to go out.
    OMITTED = "omitted"
    #: A warning has been looked at, and holds nothing to mend.
    CHECKED = "checked"


class IssueEdit(SQLModel, table=True):
    """One correction by hand, over the text of a revision that came in; kept when it is undone.

    Attributes:
        revision: the one that came in.
        place: of the article in it, from 1; 0 for a warning.
        value: a text, of what is left out its title; for a place {"section", "before"}; for a warning {"line", "code"}.
        actor: who, as the audit log calls them.
    """

    __tablename__ = "issue_edit"
    id: int | None = Field(default=None, primary_key=True)
    issue_id: int = Field(foreign_key="issue.id", index=True)
    revision: int
    kind: EditKind = Field(sa_type=enum_type(EditKind))
    place: int
    value: Any = Field(sa_type=JSON)
    actor: str = Field(max_length=40)
    at: dt.datetime = Field(sa_type=UtcDateTime)
    undone_by: str = Field(default="", max_length=40)
    undone_at: dt.datetime | None = Field(default=None, sa_type=UtcDateTime)
