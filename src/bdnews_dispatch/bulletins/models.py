"""Table of bulletins."""

from datetime import datetime

from sqlalchemy import Text
from sqlmodel import Field, SQLModel

from bdnews_dispatch.db.types import UtcDateTime


class Bulletin(SQLModel, table=True):
    """An editor's out-of-cycle notice: a title and a text in Markdown."""

    __tablename__ = "bulletin"
    id: int | None = Field(default=None, primary_key=True)
    publication: str = Field(max_length=40)
    #: SHA-256 over all that makes it this bulletin; the same one sent twice by a nervous hand is one.
    fingerprint: str = Field(max_length=64, unique=True)
    title: str = Field(max_length=200)
    body: str = Field(sa_type=Text)
    urgent: bool = False
    #: Commercial content: 广告 goes in front of the subject (Order 38, art. 14).
    ad: bool = False
    created_at: datetime = Field(sa_type=UtcDateTime)
