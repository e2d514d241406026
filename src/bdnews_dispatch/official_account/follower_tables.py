"""Tables of followers: one-time scenes of QR codes, and which tags the platform has put on whom."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON
from sqlmodel import Field, SQLModel

from bdnews_dispatch.db.types import UtcDateTime, enum_type


class ScenePurpose(StrEnum):
    """What a scan of the code asks for."""

    #: Somebody has filled in the subscribe page: subscribe by WeChat.
    SUBSCRIBE = "subscribe"
    #: A subscriber has come by their own link: also by WeChat.
    BIND = "bind"


class WeChatScene(SQLModel, table=True):
    """What stands behind one QR code, until it is scanned once or ends.

    Attributes:
        scene: random; the code says nothing else.
        subscriber_id: of `bind`: for whom; of `subscribe`: who it became.
        wish: of `subscribe`: whole_issue, sections, cadence, language.
        network, consent: as a subscription's.
        code_url: what the picture says, as the platform gave it.
        outcome: what came of it; empty until it is scanned.
    """

    __tablename__ = "wechat_scene"
    scene: str = Field(primary_key=True, max_length=64)
    purpose: ScenePurpose = Field(sa_type=enum_type(ScenePurpose))
    publication: str = Field(max_length=40)
    subscriber_id: int | None = Field(default=None, foreign_key="subscriber.id", index=True)
    wish: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    network: str = Field(default="", max_length=50, index=True)
    consent: str = Field(default="", max_length=16)
    code_url: str = Field(default="", max_length=500)
    made_at: datetime = Field(sa_type=UtcDateTime)
    ends_at: datetime = Field(sa_type=UtcDateTime, index=True)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    outcome: str = Field(default="", max_length=20)


class WeChatTag(SQLModel, table=True):
    """The platform's tag for a section."""

    __tablename__ = "wechat_tag"
    appid: str = Field(primary_key=True, max_length=64)
    section: str = Field(primary_key=True, max_length=40)
    tag_id: int


class WeChatTagged(SQLModel, table=True):
    """A tag that the platform has put on a follower, as far as we know."""

    __tablename__ = "wechat_tagged"
    appid: str = Field(primary_key=True, max_length=64)
    openid: str = Field(primary_key=True, max_length=64, index=True)
    section: str = Field(primary_key=True, max_length=40)
