"""Tables of watched feeds: where they are and how the last reading went; which entries have been seen."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from bdnews_dispatch.db.types import UtcDateTime


class WatchedFeed(SQLModel, table=True):
    """A feed.

    Attributes:
        publication: key; whose issues its entries are.
        publish: an issue of it is published at once; else it waits for a person.
        backlog: what is in it at the first reading is taken as well.
        etag, last_modified: of the last answer that was read to its end; empty: ask for the whole.
        read_at: last reading that went well, 304 included.
        failures: in a row; `problem` says what the last one was.
        next_at: not asked before.
        disabled_at: switched off by a person.
    """

    __tablename__ = "watched_feed"
    id: int | None = Field(default=None, primary_key=True)
    url: str = Field(max_length=500, unique=True)
    publication: str = Field(max_length=40)
    publish: bool = False
    backlog: bool = False
    etag: str = Field(default="", max_length=200)
    last_modified: str = Field(default="", max_length=60)
    read_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    failures: int = 0
    problem: str = Field(default="", max_length=300)
    next_at: datetime = Field(sa_type=UtcDateTime)
    disabled_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    created_at: datetime = Field(sa_type=UtcDateTime)


class FeedEntry(SQLModel, table=True):
    """An entry that has been seen.

    Attributes:
        key: SHA-256 of its id.
        mark: SHA-256 of what it said; where it says something else, it is taken again.
        issue_id: what it became; None: it was there before the feed was watched, or it could not be taken.
        problem: why it could not.
    """

    __tablename__ = "feed_entry"
    feed_id: int = Field(primary_key=True, foreign_key="watched_feed.id")
    key: str = Field(primary_key=True, max_length=64)
    mark: str = Field(max_length=64)
    title: str = Field(default="", max_length=200)
    issue_id: int | None = Field(default=None, foreign_key="issue.id")
    problem: str = Field(default="", max_length=300)
    seen_at: datetime = Field(sa_type=UtcDateTime)
