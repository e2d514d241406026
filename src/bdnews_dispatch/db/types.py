"""Column types that keep our promises: aware UTC times, enums by their value. Callers: every models.py."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, DateTime, Enum, Integer
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator
from sqlmodel import SQLModel

# Set before any table is made: Alembic needs every constraint to have a name it can find again.
SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

#: What Alembic and tests compare and create.
metadata = SQLModel.metadata


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment. SQLite gives naive ones back, so the zone is put on again; naive input is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive time {value!r}: times are aware UTC")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


#: Of tables that grow with every mail: 2,147,483,647 rows are a few years of ten million readers.
#: (SQLite numbers rows by itself only where the type is spelled INTEGER; there it holds 64 bits anyway.)
BigId = BigInteger().with_variant(Integer, "sqlite")


def enum_type(enum: type[StrEnum]) -> Any:
    """A column for a StrEnum: text, by value, without a constraint that a new state would have to migrate."""
    return Enum(
        enum,
        values_callable=lambda e: [m.value for m in e],
        native_enum=False,
        length=32,
        create_constraint=False,
    )
