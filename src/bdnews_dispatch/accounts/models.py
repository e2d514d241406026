"""Tables of accounts: tokens of the JSON API, and what they have asked for once."""

from datetime import datetime

from sqlalchemy import JSON, Text
from sqlmodel import Field, SQLModel

from bdnews_dispatch.db.types import UtcDateTime


class ApiToken(SQLModel, table=True):
    """A token of the JSON API. The token itself is shown once and kept nowhere.

    Attributes:
        sha256: of the token. It is random and long: a slow hash would guard it no better.
        scope: names of rights; see rights.py.
        ends_at: not good from then on.
        used_at: when it was used last, to the minute.
    """

    __tablename__ = "api_token"
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=100)
    sha256: str = Field(max_length=64, unique=True)
    scope: list[str] = Field(default_factory=list, sa_type=JSON)
    created_at: datetime = Field(sa_type=UtcDateTime)
    ends_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class OnceAnswered(SQLModel, table=True):
    """An answer to a call with an Idempotency-Key: the same call again gets it again, and does nothing.

    Attributes:
        fingerprint: of method, address and body; another call with the same key is refused.
    """

    __tablename__ = "once_answered"
    token_id: int = Field(primary_key=True, foreign_key="api_token.id")
    key: str = Field(primary_key=True, max_length=200)
    fingerprint: str = Field(max_length=64)
    status: int
    location: str = Field(default="", max_length=500)
    body: str = Field(sa_type=Text)
    at: datetime = Field(sa_type=UtcDateTime, index=True)
