"""Tables of mass sends: written before the platform is called, so that a dead worker's call is made again, not a second
one.
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, text
from sqlmodel import Field, SQLModel, col

from bdnews_dispatch.db.types import UtcDateTime, enum_type
from bdnews_dispatch.dispatch.models import HELD, Delivery
from bdnews_dispatch.dispatch.states import DeliveryState
from bdnews_dispatch.subscribers.models import Channel


class MassState(StrEnum):
    """Of a mass send."""

    #: Its members have passed the gate; the call is to be made, or to be made again.
    READY = "ready"
    SENT = "sent"
    #: The platform refused it; its members went back.
    REFUSED = "refused"
    #: An admin of the account must confirm it; its members are in doubt until a person has decided.
    AWAITED = "awaited"


class MassDraft(SQLModel, table=True):
    """A draft for one set of sections of a dispatch, in the draft box of an account."""

    __tablename__ = "mass_draft"
    dispatch_id: int = Field(primary_key=True, foreign_key="dispatch.id")
    appid: str = Field(primary_key=True, max_length=64)
    sections: str = Field(primary_key=True, max_length=250)
    media_id: str = Field(max_length=200)
    made_at: datetime = Field(sa_type=UtcDateTime)


class MassCover(SQLModel, table=True):
    """A cover that is permanent material of an account. `digest`: SHA-256 of the file."""

    __tablename__ = "mass_cover"
    appid: str = Field(primary_key=True, max_length=64)
    digest: str = Field(primary_key=True, max_length=64)
    media_id: str = Field(max_length=200)


class MassPicture(SQLModel, table=True):
    """A picture of an issue that an account has taken for its articles. `url`: where the platform shows it; empty:
    it does not take this one.
    """

    __tablename__ = "mass_picture"
    appid: str = Field(primary_key=True, max_length=64)
    digest: str = Field(primary_key=True, max_length=64)
    url: str = Field(max_length=500)


class MassSend(SQLModel, table=True):
    """One call of mass/send. While it is ready, its members are the deliveries whose `worker` is `mass-ID`.

    Attributes:
        sections: joined by commas, as in `MassDraft`.
        client_msg_id: the same for every try.
        members: how many passed the gate.
        msg_id: the platform's, once it is sent.
        due_at: of the next try; where it was refused: the account sends none of this dispatch before.
        lease_until: somebody is calling.
        outcome: the platform's last code, or how the job ended: `send success`, `err(10001)` …
        sent_count, error_count: as the platform reports them; None: not yet.
    """

    __tablename__ = "mass_send"
    id: int | None = Field(default=None, primary_key=True)
    dispatch_id: int = Field(foreign_key="dispatch.id", index=True)
    appid: str = Field(max_length=64)
    sections: str = Field(max_length=250)
    media_id: str = Field(max_length=200)
    client_msg_id: str = Field(max_length=32, unique=True)
    state: MassState = Field(default=MassState.READY, sa_type=enum_type(MassState), index=True)
    members: int
    msg_id: str | None = Field(default=None, max_length=32, index=True)
    tries: int = 0
    due_at: datetime = Field(sa_type=UtcDateTime)
    lease_until: datetime = Field(sa_type=UtcDateTime)
    outcome: str = Field(default="", max_length=100)
    sent_count: int | None = None
    error_count: int | None = None
    created_at: datetime = Field(sa_type=UtcDateTime)


class MassReport(SQLModel, table=True):
    """MASSSENDJOBFINISH as it came, also where it came before our own call had its answer."""

    __tablename__ = "mass_report"
    msg_id: str = Field(primary_key=True, max_length=32)
    status: str = Field(max_length=100)
    sent_count: int = 0
    error_count: int = 0
    at: datetime = Field(sa_type=UtcDateTime)


def worker_of(send_id: int) -> str:
    """What stands in `Delivery.worker` of its members: no lease of a worker ends them."""
    return f"mass-{send_id}"


def members_of(send: MassSend) -> tuple[ColumnElement[bool], ...]:
    """The members of a send that is ready, by the index of what is held: by the dispatch it would be all of it, in
    each of some ten statements a set. No lease ends them; the worker's name is of this send alone.
    """
    assert send.id is not None  # noqa: S101  # flushed
    return (
        text(f"delivery.{HELD}"),  # type: ignore[return-value]  # a condition in words
        col(Delivery.lease_until).is_(None),
        col(Delivery.channel) == Channel.WECHAT,
        col(Delivery.state) == DeliveryState.IN_FLIGHT,
        col(Delivery.worker) == worker_of(send.id),
    )
