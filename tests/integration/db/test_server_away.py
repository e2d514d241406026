"""PostgreSQL away, in every way in which it can be: callers who expect a database's error get one."""

import asyncio

import asyncpg
import pytest
from asyncpg import Connection
from sqlalchemy import make_url, text
from sqlalchemy.exc import SQLAlchemyError
from tests import postgres

from bdnews_dispatch.db import postgres as ours
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.errors import StorageError


@pytest.fixture
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return postgres.database_url(str(tmp_path_factory.mktemp("away")))


async def ask(database: Database, statement: str = "SELECT 1") -> None:
    async with database.read() as session:
        await session.execute(text(statement))


async def test_nobody_listens() -> None:
    database = Database("postgresql://bdnews:secret@127.0.0.1:1/bdnews")
    with pytest.raises(SQLAlchemyError) as raised:
        await ask(database)
    assert "secret" not in str(raised.value)
    await database.close()


async def test_it_takes_nobody_in(url: str) -> None:
    database = Database(url)
    postgres.execute(
        postgres.server_url().render_as_string(hide_password=False),
        f"ALTER DATABASE {database.url.database} ALLOW_CONNECTIONS false",
    )
    with pytest.raises(SQLAlchemyError):
        await ask(database)
    await database.close()


async def test_it_does_not_answer(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "COMMAND_SECONDS", 0.3)
    database = Database(url)
    with pytest.raises(SQLAlchemyError):
        await ask(database, "SELECT pg_sleep(3)")
    await ask(database)
    await database.close()


async def test_it_does_not_even_greet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "CONNECT_SECONDS", 0.3)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        database = Database(f"postgresql://bdnews:secret@127.0.0.1:{port}/bdnews")
        with pytest.raises(SQLAlchemyError):
            await ask(database)
        await database.close()


async def test_a_connection_that_is_opened_while_the_server_is_away_is_made_when_it_is_back(url: str) -> None:
    """A worker that has just started must not end because the server is started anew at that moment."""
    away = make_url("postgresql://bdnews:secret@127.0.0.1:1/bdnews")

    async def one(connection: Connection) -> int:
        return int(await connection.fetchval("SELECT 1"))

    async with ours.OneConnection(away) as connection:
        with pytest.raises(StorageError):
            await connection.run(one)
        connection._url = make_url(url)
        assert await connection.run(one) == 1


async def test_a_driver_that_lost_its_place_is_left(url: str) -> None:
    """Where the server goes away in the middle of a dialogue, the driver may be stuck in it for ever."""
    pids = []

    async def who(connection: Connection) -> None:
        pids.append(await connection.fetchval("SELECT pg_backend_pid()"))

    async def stuck(_: Connection) -> None:
        raise asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress")

    async with ours.OneConnection(make_url(url)) as connection:
        await connection.run(who)
        with pytest.raises(StorageError, match="暂不可用"):
            await connection.run(stuck)
        await connection.run(who)
    assert pids[0] != pids[1]
