"""Tables of webhooks: endpoints, each with a place in the events; what it answered lately."""

from datetime import datetime

from sqlalchemy import JSON
from sqlmodel import Field, SQLModel

from bdnews_dispatch.db.types import BigId, UtcDateTime


class Webhook(SQLModel, table=True):
    """An endpoint of another program.

    Attributes:
        names: of events; a name that ends in `.*` is all of that kind; empty: all.
        rotation: of its secret, which is made from the service's own keys and stands nowhere.
        rotated_at: until a day behind this the secret before signs as well.
        cursor: the last event that it has taken, or does not want.
        failing_since, failures: since it last took one.
        next_at: no try before.
        disabled_at: switched off, by a person or behind days of failure (`why`).
    """

    __tablename__ = "webhook"
    id: int | None = Field(default=None, primary_key=True)
    url: str = Field(max_length=500)
    description: str = Field(default="", max_length=200)
    names: list[str] = Field(default_factory=list, sa_type=JSON)
    rotation: int = 0
    rotated_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    cursor: int = Field(default=0, sa_type=BigId)
    failures: int = 0
    failing_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    next_at: datetime = Field(sa_type=UtcDateTime)
    disabled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    why: str = Field(default="", max_length=200)
    created_at: datetime = Field(sa_type=UtcDateTime)


class WebhookTry(SQLModel, table=True):
    """One request, kept for a month. `status`: of HTTP; 0: there was no answer, `error` says why."""

    __tablename__ = "webhook_try"
    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    webhook_id: int = Field(foreign_key="webhook.id", index=True)
    event_id: int = Field(sa_type=BigId)
    at: datetime = Field(sa_type=UtcDateTime, index=True)
    status: int
    error: str = Field(default="", max_length=200)
    seconds: float
