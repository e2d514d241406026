"""From SQLite to PostgreSQL: every table, row by row, in one transaction that is only kept where both say the same.

In: a database of SQLite that nobody writes to, an empty one of PostgreSQL. Out: the same rows there, with their ids.
Caller: cli/admin.py.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Table, func, select, text
from sqlalchemy.exc import DBAPIError
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.db.statements import copy_rows
from bdnews_dispatch.errors import StateError, StorageError

ROWS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Moved:
    """A table that is there now. `checksum`: SHA-256 over all rows in the order of their key, on both sides."""

    table: str
    rows: int
    checksum: str


async def move(
    source: Database, target: Database, tables: Sequence[Table], *, told: Callable[[Moved], None]
) -> list[Moved]:
    """Copy the tables, in this order; nobody else writes to the source meanwhile.

    Args:
        tables: those that others refer to first.
        told: called after each table.

    Raises:
        StateError: the target is not empty.
        StorageError: a row can't be taken over, or the copies differ; the target is as it was before.
    """
    moved = []
    async with (
        source.write() as old,
        target.write() as new,
    ):  # `write` keeps every other writer of the source out
        for table in tables:
            if await _number(new, table):
                raise StateError(
                    f"目标数据库的 {table.name} 表中已有数据",
                    hint="请换一个空的数据库；没有写入任何内容。",
                )
        for table in tables:
            done = await _move(old, new, table)
            moved.append(done)
            told(done)
    return moved


async def _move(old: AsyncSession, new: AsyncSession, table: Table) -> Moved:
    rows = 0
    checksum = hashlib.sha256()
    async for part in _parts(old, table):
        rows += len(part)
        checksum.update(_canonical(part))
        try:
            await copy_rows(new, table, part)
        except DBAPIError as error:
            raise StorageError(
                f"表 {table.name} 中有目标数据库不能接受的数据：{error.orig}",
                hint="请先在原处改正这一行；目标数据库没有任何改动。",
            ) from error
    there = hashlib.sha256()
    async for part in _parts(new, table):
        there.update(_canonical(part))
    number = await _number(new, table)
    if (number, there.digest()) != (rows, checksum.digest()):
        raise StorageError(
            f"表 {table.name} 复制后不一致：原有 {rows} 行，现有 {number} 行",
            hint="目标数据库没有任何改动；请报告这个错误。",
        )
    column = table.autoincrement_column
    if column is not None and rows:
        # The names are those of our own tables.
        await new.execute(
            text(
                f"SELECT setval(pg_get_serial_sequence('{table.name}', '{column.name}'),"
                f" (SELECT max({column.name}) FROM {table.name}))"
            )
        )
    return Moved(table.name, rows, checksum.hexdigest())


async def _parts(session: AsyncSession, table: Table) -> AsyncIterator[list[Mapping[str, Any]]]:
    """All rows by their key, some at a time."""
    keys = list(table.primary_key.columns)
    result = await session.stream(select(table).order_by(*keys).execution_options(yield_per=ROWS_AT_ONCE))
    async for part in result.mappings().partitions(ROWS_AT_ONCE):
        yield [dict(row) for row in part]


async def _number(session: AsyncSession, table: Table) -> int:
    return int((await session.execute(select(func.count()).select_from(table))).scalar_one())


def _canonical(rows: Sequence[Mapping[str, Any]]) -> bytes:
    return "\n".join(json.dumps(row, default=_plain, sort_keys=True) for row in rows).encode()


def _plain(value: Any) -> str:
    return (
        value.hex()
        if isinstance(value, bytes)
        else value.isoformat()
        if hasattr(value, "isoformat")
        else str(value)
    )
