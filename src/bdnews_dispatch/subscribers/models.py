"""Tables of subscribers: people, what they agreed to and asked for, their lists, and who must not be written to."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Index, Text, UniqueConstraint, text
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
    #: Two messages.
    BOTH = "both"
    #: One message: by WeChat where it reaches them, else by email.
    EITHER = "either"

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Those that it needs an address or openid for."""
        return _NEEDED[self]


_NEEDED = {
    ChannelChoice.EMAIL: (Channel.EMAIL,),
    ChannelChoice.WECHAT: (Channel.WECHAT,),
    ChannelChoice.BOTH: tuple(Channel),
    ChannelChoice.EITHER: tuple(Channel),
}


class Cadence(StrEnum):
    """How often."""

    ISSUE = "issue"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    #: No issues at all.
    BULLETINS = "bulletins"


class Subscriber(SQLModel, table=True):
    """A person who receives. `email` is as we send to it (domain in lower case); it or `openid` is set, or both."""

    __tablename__ = "subscriber"
    #: For how it begins (profiles.py). PostgreSQL's is COLLATE "C", and there is one of `email_key`: migration 0023.
    __table_args__ = (Index("ix_subscriber_name", "name"),)
    id: int | None = Field(default=None, primary_key=True)
    email: str | None = Field(default=None, max_length=254)
    #: The address with its case folded: who is already here.
    email_key: str | None = Field(default=None, max_length=254, unique=True)
    openid: str | None = Field(default=None, max_length=64, unique=True)
    #: Since when the openid is theirs; None: from the beginning.
    bound_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    name: str = Field(default="", max_length=100)
    language: str = Field(default="zh", max_length=8)
    no_tracking: bool = False
    created_at: datetime = Field(sa_type=UtcDateTime)
    #: By a person, as far as can be told; kept by tracking, for segments.
    last_opened_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    #: They had everything about them erased: the row stands for anonymous counts alone.
    erased_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class ConsentText(SQLModel, table=True):
    """A sentence that people agreed to, kept for as long as anybody's agreement names it."""

    __tablename__ = "consent_text"
    #: The front of its SHA-256.
    version: str = Field(max_length=16, primary_key=True)
    language: str = Field(max_length=8)
    text: str = Field(sa_type=Text)
    first_used_at: datetime = Field(sa_type=UtcDateTime)


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
        # Who came and who left on a day.
        Index("ix_subscription_began_at", "began_at"),
        Index(
            "ix_subscription_ended_at",
            "ended_at",
            sqlite_where=text("ended_at IS NOT NULL"),
            postgresql_where=text("ended_at IS NOT NULL"),
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
    #: Nothing goes out before; they agree all the same.
    paused_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    #: How it came about: `form`, `import`, `admin`, `preferences`, `wechat`, `undo`.
    origin: str = Field(max_length=40)
    #: What shows it: file and row, the mail whose link was used, …
    evidence: str = Field(default="", max_length=255)
    #: Where it came from: a network, never a whole address.
    network: str = Field(default="", max_length=50)
    #: The text they saw; see `ConsentText`. Empty where there was none (an admin, a file).
    consent: str = Field(default="", max_length=16)
    began_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    end_reason: str = Field(default="", max_length=100)


class MailingList(SQLModel, table=True):
    """A list, by name. A public one is offered on the pages; a private one is the admins' own."""

    __tablename__ = "mailing_list"
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=100, unique=True)
    #: One sentence for readers.
    description: str = Field(default="", max_length=200)
    public: bool = False
    created_at: datetime = Field(sa_type=UtcDateTime)


class ListMembership(SQLModel, table=True):
    """Who is on which list, from when to when, and how that came about. Append-only, as subscriptions are."""

    __tablename__ = "list_membership"
    __table_args__ = (
        Index(
            "uq_list_membership_current",
            "list_id",
            "subscriber_id",
            unique=True,
            sqlite_where=text("left_at IS NULL"),
            postgresql_where=text("left_at IS NULL"),
        ),
    )
    id: int | None = Field(default=None, primary_key=True)
    list_id: int = Field(foreign_key="mailing_list.id")
    subscriber_id: int = Field(foreign_key="subscriber.id", index=True)
    #: These as a subscription's.
    origin: str = Field(default="", max_length=40)
    evidence: str = Field(default="", max_length=255)
    network: str = Field(default="", max_length=50)
    consent: str = Field(default="", max_length=16)
    joined_at: datetime = Field(sa_type=UtcDateTime)
    left_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    leave_reason: str = Field(default="", max_length=100)


class SubscriberTag(SQLModel, table=True):
    """A word that an admin has put on a person."""

    __tablename__ = "subscriber_tag"
    #: A tag's people in the order of their numbers: the first fifty are a step into it.
    __table_args__ = (Index("ix_subscriber_tag_tag_subscriber_id", "tag", "subscriber_id"),)
    subscriber_id: int = Field(foreign_key="subscriber.id", primary_key=True)
    tag: str = Field(max_length=40, primary_key=True, index=True)


class SubscriberAttribute(SQLModel, table=True):
    """A fact about a person that an admin or a file has given: unit, region, … Text by name."""

    __tablename__ = "subscriber_attribute"
    __table_args__ = (Index("ix_subscriber_attribute_name_value", "name", "value"),)
    subscriber_id: int = Field(foreign_key="subscriber.id", primary_key=True)
    name: str = Field(max_length=40, primary_key=True)
    value: str = Field(max_length=200)


class Segment(SQLModel, table=True):
    """People by a rule: who fits it when a dispatch begins. See segments.py for the rule's form."""

    __tablename__ = "segment"
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=100, unique=True)
    rule: dict[str, Any] = Field(sa_type=JSON)
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)


class RequestKind(StrEnum):
    """What somebody asks for by a page, and confirms by a mail."""

    SUBSCRIBE = "subscribe"
    CHANGE_ADDRESS = "change_address"
    EXPORT = "export"
    ERASE = "erase"


class Request(SQLModel, table=True):
    """Something asked for that waits for an answer to a fresh mail. Nothing follows from it before.

    Attributes:
        key: of the mail's links.
        email, email_key: whose answer is awaited; of a change of address, the new one.
        other_key: of a change of address: of the link in the mail to the old one.
        wish: what the page held: of a subscription its sections, channel, cadence, name, language, lists.
        network, consent: as a subscription's.
        answered_at, other_answered_at: when the mail, and the mail to the old address, were answered.
        done_at: when it was carried out.
    """

    __tablename__ = "request"
    __table_args__ = (
        Index("ix_request_email_key_requested_at", "email_key", "requested_at"),
        Index("ix_request_network_requested_at", "network", "requested_at"),
    )
    id: int | None = Field(default=None, primary_key=True)
    key: str = Field(max_length=24, unique=True)
    other_key: str | None = Field(default=None, max_length=24, unique=True)
    kind: RequestKind = Field(sa_type=enum_type(RequestKind))
    publication: str = Field(max_length=40)
    subscriber_id: int | None = Field(default=None, foreign_key="subscriber.id", index=True)
    email: str = Field(max_length=254)
    email_key: str = Field(max_length=254)
    language: str = Field(default="zh", max_length=8)
    wish: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    network: str = Field(default="", max_length=50)
    consent: str = Field(default="", max_length=16)
    requested_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    answered_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    other_answered_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    done_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Suppression(SQLModel, table=True):
    """An address or openid that must not be written to, whoever asks."""

    __tablename__ = "suppression"
    __table_args__ = (
        UniqueConstraint("channel", "target"),
        Index("ix_suppression_created_at_id", "created_at", "id"),
    )
    id: int | None = Field(default=None, primary_key=True)
    channel: Channel = Field(sa_type=enum_type(Channel))
    #: The folded address, or the openid.
    target: str = Field(max_length=254)
    reason: str = Field(max_length=100)
    #: Who says so: `smtp`, `returns`, `wechat`, `admin`, `import`, `erasure`.
    source: str = Field(default="", max_length=20)
    #: What shows it: the number of a returned mail, an admin's note.
    evidence: str = Field(default="", max_length=200)
    created_at: datetime = Field(sa_type=UtcDateTime)


class LiftedSuppression(SQLModel, table=True):
    """A suppression that no longer holds, and why."""

    __tablename__ = "lifted_suppression"
    __table_args__ = (Index("ix_lifted_suppression_created_at_id", "created_at", "id"),)
    id: int | None = Field(default=None, primary_key=True)
    channel: Channel = Field(sa_type=enum_type(Channel))
    target: str = Field(max_length=254, index=True)
    reason: str = Field(max_length=100)
    source: str = Field(default="", max_length=20)
    evidence: str = Field(default="", max_length=200)
    created_at: datetime = Field(sa_type=UtcDateTime)
    lifted_at: datetime = Field(sa_type=UtcDateTime)
    note: str = Field(default="", max_length=200)


class Follower(SQLModel, table=True):
    """What the platform has told us of a WeChat user: following or not, and the window for 客服 messages."""

    __tablename__ = "follower"
    openid: str = Field(max_length=64, primary_key=True)
    following: bool = True
    window_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    window_left: int = 0
    #: Of the links to their own pages, which must not name the openid. None: none was needed yet.
    key: str | None = Field(default=None, max_length=24, index=True)
    updated_at: datetime = Field(sa_type=UtcDateTime)
