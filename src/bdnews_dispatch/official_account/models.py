"""Table of the account's token: one row for an appid, shared by all processes."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from bdnews_dispatch.db.types import UtcDateTime


class WeChatToken(SQLModel, table=True):
    """The token in use.

    Attributes:
        version: counts up with each token; who writes says which one they saw.
        sealed: the token, encrypted; empty: none yet.
        ends_at: of the token.
        claimed_until: somebody is asking the platform for the next one; None: nobody.
        forced_at, forced_day, forced_count: of `force_refresh`, by the day in Beijing.
    """

    __tablename__ = "wechat_token"
    appid: str = Field(primary_key=True, max_length=64)
    version: int = 0
    sealed: str = Field(default="", max_length=4000)
    ends_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    claimed_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    forced_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    forced_day: str = Field(default="", max_length=10)
    forced_count: int = 0
