"""People are found by how their address or name begins by an index's range, on both databases, among very many.

PostgreSQL's other indexes are in the order of the server's language, which tells nothing of beginnings.
"""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from time import perf_counter

import pytest
from sqlalchemy import text
from sqlmodel import col, select
from tests import making, postgres
from tests.making import FULL

from bdnews_dispatch.db.engine import Backend, Database
from bdnews_dispatch.db.statements import begins_with, by_bytes
from bdnews_dispatch.subscribers.models import Subscriber
from bdnews_dispatch.subscribers.profiles import Wanted, find_people, suggest

ROWS = 500_000 if FULL else 60_000
FILL = """
INSERT INTO subscriber (email, email_key, name, language, no_tracking, created_at)
SELECT 'r' || n || '@readers.example', 'r' || n || '@readers.example', '读者' || n, 'zh', false, CURRENT_TIMESTAMP
FROM {numbers}
"""
NUMBERS = {
    Backend.SQLITE: "(WITH RECURSIVE up(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM up WHERE n < {rows}) SELECT n"
    " FROM up)",
    Backend.POSTGRESQL: "generate_series(1, {rows}) AS n",
}
EXPLAIN = {Backend.SQLITE: "EXPLAIN QUERY PLAN", Backend.POSTGRESQL: "EXPLAIN"}


@pytest.fixture(params=list(Backend))
async def filled(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Backend, Database]]:
    kind: Backend = request.param
    where = making.database_url(tmp_path) if kind is Backend.SQLITE else postgres.database_url(str(tmp_path))
    database = Database(where)
    async with database.write() as session:
        await session.execute(text(FILL.format(numbers=NUMBERS[kind].format(rows=ROWS))))
    async with database.write() as session:
        await session.execute(text("ANALYZE"))
    yield kind, database
    await database.close()


async def test_by_a_range_of_an_index_and_in_its_order(filled: tuple[Backend, Database]) -> None:
    kind, database = filled
    async with database.read() as session:
        for column, front in ((col(Subscriber.email_key), "r"), (col(Subscriber.name), "读者59")):
            which = select(Subscriber).where(begins_with(session, column, front))
            ordered = which.order_by(by_bytes(session, column)).limit(8)
            asked = ordered.compile(session.get_bind(), compile_kwargs={"literal_binds": True})
            connection = await session.connection()
            rows = (await connection.exec_driver_sql(f"{EXPLAIN[kind]} {asked}")).all()
            found = "\n".join(str(row[-1]) for row in rows)
            assert re.search(r"ix_subscriber_|sqlite_autoindex_subscriber", found), found
            assert not re.search(r"Seq Scan|SCAN subscriber|Sort|TEMP B-TREE", found), found


async def test_at_every_key_quickly(filled: tuple[Backend, Database]) -> None:
    """Each a few steps into indexes; a whole table of this size takes many times as long."""
    _, database = filled
    async with database.read() as session:
        await suggest(session, "r1", limit=8)
        began = perf_counter()
        for words in ("r", "r5", "r59", "r599", "读", "读者", "读者5", "nobody", "599", "o"):
            found = await suggest(session, words, limit=8)
            assert len(found) == {"nobody": 0, "o": 0, "599": 1}.get(words, 8), words
        took = (perf_counter() - began) / 10
        rooms = await find_people(session, Wanted(words="r5999"), limit=51)
    assert took < 0.1, f"{took * 1000:.1f} ms"
    assert [one.email for one in rooms][:2] == ["r5999@readers.example", "r59990@readers.example"]
