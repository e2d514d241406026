"""Deleting or emptying very many rows: a thousand a transaction, and behind each as much time for everybody else.

In: which rows. Out: how many went, or would. Caller: retention. Whatever ends it half-way, it goes on where it was.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Delete, Update, and_, case, delete, func, inspect, true, tuple_, update
from sqlalchemy import select as sa_select
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.db.engine import Database

#: Rows a transaction. Measured: on SQLite, where nobody else writes meanwhile, some 10 ms.
BATCH = 1_000
#: As many of a table's oldest rows are looked at to tell people how many are due.
GLANCE = 10_000
#: The longest rest behind a batch, in seconds; otherwise it is as long as the batch was.
LONGEST_REST = 1.0


def _nothing(_ids: Sequence[int]) -> Sequence[Any]:
    return ()


@dataclass(frozen=True, slots=True)
class Doomed:
    """Rows that are to be deleted, or emptied.

    Attributes:
        table: has `id`.
        too_old: the rows' age.
        also: what else must hold.
        in_order: rows are only ever added, each with the time of then: looking ends with a batch in which none is too
            old, so that no index on the time is needed and the young ones are not read.
        indexed: an index leads to those that are too old.
        values: what the rows hold then; None: they are deleted.
        first: statements for rows that name these, by ids; in the same transaction.
    """

    table: type[SQLModel]
    too_old: ColumnElement[bool]
    also: ColumnElement[bool] | None = None
    in_order: bool = False
    indexed: bool = False
    values: Mapping[str, Any] | None = None
    first: Callable[[Sequence[int]], Sequence[Any]] = _nothing

    @property
    def which(self) -> ColumnElement[bool]:
        """All that must hold."""
        return self.too_old if self.also is None else and_(self.too_old, self.also)

    @property
    def id(self) -> Any:
        """The table's key."""
        return col(self.table.id)  # type: ignore[attr-defined]  # see `table`


async def count(session: AsyncSession, doomed: Doomed) -> int:
    """How many rows there are; reads the whole table where nothing helps."""
    statement = select(func.count()).select_from(doomed.table).where(doomed.which)
    return int((await session.exec(statement)).one())


@dataclass(frozen=True, slots=True)
class Glance:
    """How many rows there are; `more`: of those that were looked at, and there may be others."""

    number: int
    more: bool


async def glance(session: AsyncSession, doomed: Doomed) -> Glance:
    """How many of the table's oldest rows there are, at a bounded cost."""
    if doomed.indexed:
        due_ones = select(doomed.id).where(doomed.which).limit(GLANCE + 1).subquery()
        found = int((await session.exec(select(func.count()).select_from(due_ones))).one())
        return Glance(min(found, GLANCE), found > GLANCE)
    oldest = (
        select(case((doomed.which, 1), else_=0).label("due"), doomed.too_old.label("old"))
        .select_from(doomed.table)
        .order_by(doomed.id)
        .limit(GLANCE + 1)
        .subquery()
    )
    looked_at = select(
        func.count(), func.coalesce(func.sum(oldest.c.due), 0), func.max(case((oldest.c.old, 0), else_=1))
    )
    rows, due, any_young = (await session.exec(looked_at)).one()
    # Rows in order: behind a young one there is no old one.
    return Glance(int(due), rows > GLANCE and not (doomed.in_order and any_young))


async def sweep(database: Database, doomed: Doomed) -> int:
    """Delete or empty them. Returns: how many."""
    return await _all(_in_order(database, doomed) if doomed.in_order else _as_found(database, doomed))


async def clear(database: Database, table: type[SQLModel], over: ColumnElement[bool]) -> int:
    """Delete rows of a table that has no `id`, along its key. Returns: how many."""
    keys = inspect(table).primary_key
    key = tuple_(*keys)
    behind: ColumnElement[bool] = true()

    async def batch() -> int | None:
        nonlocal behind
        async with database.read() as session:
            page = sa_select(*keys).where(over, behind).order_by(*keys).limit(BATCH)
            found = (await session.execute(page)).all()
        if not found:
            return None
        last = tuple_(*found[-1])
        async with database.write_beside() as session:
            gone = await session.execute(delete(table).where(over, behind, key <= last))
        behind = key > last
        return int(gone.rowcount)  # type: ignore[attr-defined]  # a DELETE's result has it

    return await _all(batch)


async def _all(batches: Callable[[], Any]) -> int:
    deleted = 0
    while True:
        began = time.perf_counter()
        number = await batches()
        if number is None:
            return deleted
        deleted += number
        await asyncio.sleep(min(time.perf_counter() - began, LONGEST_REST))


def _as_found(database: Database, doomed: Doomed) -> Callable[[], Any]:
    """Looked for before anything is locked, and on from where the last batch ended: what stays for years, as the proof
    of an agreement or a mail that is empty by now, is read once a night, while nobody waits for it.
    """
    behind = 0

    async def batch() -> int | None:
        nonlocal behind
        page = select(doomed.id).where(doomed.which).limit(BATCH)
        if not doomed.indexed:
            page = page.where(doomed.id > behind).order_by(doomed.id)
        async with database.read() as session:
            found = (await session.exec(page)).all()
        if not found:
            return None
        behind = found[-1]
        async with database.write_beside() as session:
            still = select(doomed.id).where(doomed.id.in_(found), doomed.which).with_for_update()
            return await _delete(session, doomed, (await session.exec(still)).all())

    return batch


def _in_order(database: Database, doomed: Doomed) -> Callable[[], Any]:
    behind = 0

    async def batch() -> int | None:
        nonlocal behind
        page = (
            select(doomed.id, doomed.too_old.label("old"))
            .where(doomed.id > behind)
            .order_by(doomed.id)
            .limit(BATCH)
        )
        async with database.read() as session:
            rows = (await session.exec(page)).all()
        ids = [id_ for id_, is_old in rows if is_old]
        if not ids:
            return None
        behind = rows[-1][0]
        async with database.write_beside() as session:
            return await _delete(session, doomed, ids)

    return batch


async def _delete(session: AsyncSession, doomed: Doomed, ids: Sequence[int]) -> int:
    for first in doomed.first(ids):
        await session.execute(first.execution_options(synchronize_session=False))
    statement: Delete | Update = delete(doomed.table)
    if doomed.values is not None:
        statement = update(doomed.table).values(**doomed.values)
    gone = await session.execute(
        statement.where(doomed.id.in_(ids), doomed.which).execution_options(synchronize_session=False)
    )
    return int(gone.rowcount)  # type: ignore[attr-defined]  # their results have it
