"""Tables of subscribers: people, what they agreed to, the lists they are on, and who must not be written to."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from bdnews_dispatch.db.types import UtcDateTime, enum_type


class Channel(StrEnum):
    """How a message goes out."""

    EMAIL = "email"
    WECHAT = "wechat"


class ChannelChoice(StrEnum):
    """How a subscriber wants to be reached."""

    EMAIL = "email"
    WECHAT = "wechat"
    BOTH = "both"

    @property
    def channels(self) -> tuple[Channel, ...]:
        return tuple(Channel) if self is ChannelChoice.BOTH else (Channel(self.value),)


class Cadence(StrEnum):
    """How often."""

    ISSUE = "issue"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class Subscriber(SQLModel, table=True):
    """A person who receives. `email` is as we send to it (domain in lower case); it or `openid` is set, or both."""

    __tablename__ = "subscriber"
    id: int | None = Field(default=None, primary_key=True)
    email: str | None = Field(default=None, max_length=254)
    #: The address with its case folded: who is already here.
    email_key: str | None = Field(default=None, max_length=254, unique=True)
    openid: str | None = Field(default=None, max_length=64, unique=True)
    name: str = Field(default="", max_length=100)
    language: str = Field(default="zh", max_length=8)
    no_tracking: bool = False
    created_at: datetime = Field(sa_type=UtcDateTime)


class Subscription(SQLModel, table=True):
    """What a subscriber agreed to, from when to when. Append-only: a change ends one row and begins another."""

    __tablename__ = "subscription"
    __table_args__ = (
        Index(
            "uq_subscription_current",
            "subscriber_id",
            "publication",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
    )
    id: int | None = Field(default=None, primary_key=True)
    subscriber_id: int = Field(foreign_key="subscriber.id", index=True)
    publication: str = Field(max_length=40)
    #: The whole issue, not personalised (a right by PIPL art. 24); `sections` then says nothing.
    whole_issue: bool = False
    sections: list[str] = Field(default_factory=list, sa_type=JSON)
    channel: ChannelChoice = Field(sa_type=enum_type(ChannelChoice))
    cadence: Cadence = Field(sa_type=enum_type(Cadence))
    #: How it came about: `import`, `admin`, `preferences`, `undo`.
    origin: str = Field(max_length=40)
    #: What shows it: file and row, token's purpose, …
    evidence: str = Field(default="", max_length=255)
    began_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    end_reason: str = Field(default="", max_length=100)


class MailingList(SQLModel, table=True):
    """A list that an admin keeps, by name."""

    __tablename__ = "mailing_list"
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=100, unique=True)
    created_at: datetime = Field(sa_type=UtcDateTime)


class ListMembership(SQLModel, table=True):
    """Who is on which list."""

    __tablename__ = "list_membership"
    __table_args__ = (UniqueConstraint("list_id", "subscriber_id"),)
    id: int | None = Field(default=None, primary_key=True)
    list_id: int = Field(foreign_key="mailing_list.id")
    subscriber_id: int = Field(foreign_key="subscriber.id", index=True)
    joined_at: datetime = Field(sa_type=UtcDateTime)


class Suppression(SQLModel, table=True):
    """An address or openid that must not be written to, whoever asks."""

    __tablename__ = "suppression"
    __table_args__ = (UniqueConstraint("channel", "target"),)
    id: int | None = Field(default=None, primary_key=True)
    channel: Channel = Field(sa_type=enum_type(Channel))
    #: The folded address, or the openid.
    target: str = Field(max_length=254)
    reason: str = Field(max_length=100)
    created_at: datetime = Field(sa_type=UtcDateTime)


class Follower(SQLModel, table=True):
    """What the platform has told us of a WeChat user: following or not, and the window for 客服 messages."""

    __tablename__ = "follower"
    openid: str = Field(max_length=64, primary_key=True)
    following: bool = True
    window_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    window_left: int = 0
    updated_at: datetime = Field(sa_type=UtcDateTime)
