"""Tables of the account: its token, one row for an appid; consents, and what is used of quotas."""

from datetime import datetime

from sqlmodel import Field, SQLModel

from bdnews_dispatch.db.types import BigId, UtcDateTime


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


class WeChatCredit(SQLModel, table=True):
    """What a user's consents to a template of 订阅通知 allow: `granted` less `used` messages, or any number.

    Attributes:
        lasting: a long-term template: one consent allows every message until it is taken back.
    """

    __tablename__ = "wechat_credit"
    openid: str = Field(primary_key=True, max_length=64)
    template_id: str = Field(primary_key=True, max_length=64)
    granted: int = 0
    used: int = 0
    lasting: bool = False
    updated_at: datetime = Field(sa_type=UtcDateTime)


class WeChatGrant(SQLModel, table=True):
    """A consent as the platform told of it; rows are only added.

    Attributes:
        key: of the push: one that comes twice counts once.
        number: 1: agreed to one more; 0: refused, or took it back.
    """

    __tablename__ = "wechat_grant"
    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    key: str = Field(max_length=120, unique=True)
    openid: str = Field(max_length=64, index=True)
    template_id: str = Field(max_length=64)
    number: int
    at: datetime = Field(sa_type=UtcDateTime)


class WeChatQuota(SQLModel, table=True):
    """How much of a quota is used in one of its periods.

    Attributes:
        name: `template`, `mass` (of a follower), `mass_calls`, each with the appid behind it.
        holder: the openid; empty: the account itself.
        period: in Beijing time: `2026-11`, `2026-11-23`, `2026-11-23T10:05`.
    """

    __tablename__ = "wechat_quota"
    name: str = Field(primary_key=True, max_length=80)
    holder: str = Field(primary_key=True, max_length=64)
    period: str = Field(primary_key=True, max_length=16)
    used: int = 0
