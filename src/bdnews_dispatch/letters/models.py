"""Table of letters: mails to one person about their own affairs."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Index, text
from sqlmodel import Field, SQLModel

from bdnews_dispatch.db.types import UtcDateTime, enum_type


class LetterKind(StrEnum):
    """What a letter is about; confirmations share templates/email/letter/."""

    #: Confirm a subscription.
    SUBSCRIBE = "subscribe"
    #: Somebody who reads already has asked again: confirm the change, or leave it.
    SUBSCRIBE_AGAIN = "subscribe_again"
    #: To the new address, and to the old one.
    NEW_ADDRESS = "new_address"
    OLD_ADDRESS = "old_address"
    #: Confirm that a copy of one's data is made; confirm that all is erased.
    EXPORT = "export"
    ERASE = "erase"
    #: A digest or a bulletin, to the editor who wants to see it in a mailbox; `data` holds it as composed.
    TEST = "test"
    #: To an admin: something of the service needs a person; `data` holds its words.
    NOTICE = "notice"


class LetterState(StrEnum):
    """waiting → sent | failed."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"


#: The condition of the partial index; the query that wants it says the same words.
WAITING = "state = 'waiting'"


class Letter(SQLModel, table=True):
    """A letter that is to be sent, or was. At least once: who gets it twice has lost nothing.

    Attributes:
        key: in its Message-ID and its envelope sender.
        data: what its template says beside the request.
        request_id: what it asks to confirm.
        lease_until: a worker is at it; then it may be tried again.
    """

    __tablename__ = "letter"
    __table_args__ = (
        Index("ix_letter_waiting", "due_at", sqlite_where=text(WAITING), postgresql_where=text(WAITING)),
    )
    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(max_length=24, unique=True)
    kind: LetterKind = Field(sa_type=enum_type(LetterKind))
    publication: str = Field(max_length=40)
    email: str = Field(max_length=254)
    language: str = Field(default="zh", max_length=8)
    data: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    request_id: int | None = Field(default=None, foreign_key="request.id", index=True)
    state: LetterState = Field(default=LetterState.WAITING, sa_type=enum_type(LetterState))
    reason: str = Field(default="", max_length=500)
    attempts: int = 0
    due_at: datetime = Field(sa_type=UtcDateTime)
    lease_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    created_at: datetime = Field(sa_type=UtcDateTime)
    sent_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
