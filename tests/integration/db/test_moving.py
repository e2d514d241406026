"""An embedded installation is taken over by PostgreSQL: every table, every row, and the ids that come next."""

from pathlib import Path

import pytest
from sqlalchemy import func, text
from sqlmodel import select
from tests import postgres
from tests.making import document, open_station, readers

from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.db.moving import Moved, move
from bdnews_dispatch.db.types import metadata
from bdnews_dispatch.dispatch.models import Delivery
from bdnews_dispatch.errors import StateError, StorageError

KEYS = {"signing_keys": ["test:only-for-tests-and-long-enough-for-a-key"]}
TABLES = [table for table in metadata.sorted_tables if table.name not in {"node", "lease", "budget", "seat"}]


async def test_everything_comes_over_and_goes_on(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    url = postgres.database_url(str(tmp_path))
    target = Database(url)
    told: list[Moved] = []
    async with open_station(tmp_path / "old") as station:
        await station.people(readers(62), list_name="名单")
        dispatch = await station.start(await station.publish())
        async with station.worker():
            await station.until(dispatch)
        moved = await move(station.parts.database, target, TABLES, told=told.append)
        with pytest.raises(StateError, match="已有数据"):
            await move(station.parts.database, target, TABLES, told=told.append)
    await target.close()
    rows = {done.table: done.rows for done in moved}
    assert rows["delivery"] == rows["attempt"] == rows["subscriber"] == 62
    assert set(rows) == {table.name for table in TABLES}
    assert told[: len(moved)] == moved
    async with open_station(tmp_path / "new", database={"url": url}, security=KEYS) as station:
        await station.people(readers(63))
        taken = await station.publish(document(113))
        async with station.worker():
            shown = await station.until(await station.start(taken))
        assert shown["counts"]["sent"] == 63
        async with station.parts.database.read() as session:
            assert (await session.exec(select(func.max(Delivery.id)))).one() == 62 + 63


async def test_a_row_that_cannot_come_over_keeps_all_where_it_is(tmp_path: Path) -> None:
    target = Database(postgres.database_url(str(tmp_path)))
    async with open_station(tmp_path) as station:
        await station.people(readers(3))
        async with station.parts.database.write() as session:
            await session.execute(text("UPDATE subscriber SET name = :name"), {"name": "x" * 101})
        with pytest.raises(StorageError, match="subscriber"):
            await move(station.parts.database, target, TABLES, told=lambda _: None)
    async with target.read() as session:
        for table in TABLES:
            assert (await session.execute(select(func.count()).select_from(table))).scalar_one() == 0
    await target.close()
