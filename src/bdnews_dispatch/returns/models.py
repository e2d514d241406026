"""Table of mail that came back, as evidence."""

from datetime import datetime

from sqlalchemy import LargeBinary
from sqlmodel import Field, SQLModel

from bdnews_dispatch.db.types import BigId, UtcDateTime, enum_type
from bdnews_dispatch.returns.reading import Kind


class ReturnedMail(SQLModel, table=True):
    """One mail that came back, once, however often it was handed over.

    Attributes:
        fingerprint: SHA-256 of the mail and of whom it was sent to.
        way: how it came: `smtp`, `lmtp`.
        delivery_id, letter_id: which of ours it is about.
        verdict: of a bounce: `hard`, `soft`, `blocked`.
        rule: which of our rules said so.
        raw: the front of it, personal: erased with its person. Empty where it is about nobody we know.
    """

    __tablename__ = "returned_mail"
    id: int | None = Field(default=None, primary_key=True, sa_type=BigId)
    fingerprint: str = Field(max_length=64, unique=True)
    way: str = Field(max_length=20)
    kind: Kind = Field(sa_type=enum_type(Kind))
    delivery_id: int | None = Field(default=None, foreign_key="delivery.id", index=True, sa_type=BigId)
    letter_id: int | None = Field(default=None, foreign_key="letter.id", index=True)
    status: str = Field(default="", max_length=16)
    code: int = 0
    verdict: str = Field(default="", max_length=16)
    rule: str = Field(default="", max_length=64)
    text: str = Field(default="", max_length=500)
    raw: bytes = Field(default=b"", sa_type=LargeBinary)
    received_at: datetime = Field(sa_type=UtcDateTime)
