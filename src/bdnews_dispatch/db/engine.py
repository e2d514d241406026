"""Engine and sessions. In: a database URL. Out: `Database`. Callers: service.py, cli/, tests.

The SQLite recipe was measured: a deferred BEGIN loses updates or answers "locked" at once, whatever the timeout says;
`BEGIN IMMEDIATE` for every writing session lost none of 100 concurrent updates.
"""

import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.ext.asyncio import AsyncSession as SqlalchemyAsyncSession
from sqlalchemy.orm import Session as SqlalchemySession
from sqlmodel import Session as SyncSession
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.errors import SettingsError

#: How long a writer waits for another one, in milliseconds.
BUSY_TIMEOUT_MS = 30_000


class _CoreSession(SyncSession):
    execute = SqlalchemySession.execute  # see `_Session`


class _Session(AsyncSession):
    """SQLModel's session, whose `execute` is SQLAlchemy's own: Core statements go through it, without its warning."""

    sync_session_class = _CoreSession
    execute = SqlalchemyAsyncSession.execute


class Database:
    """One engine; a session for each unit of work."""

    def __init__(self, url: str) -> None:
        """Args: url: `sqlite:///FILE`.

        Raises:
            SettingsError: the URL is not one that this service can use.
        """
        try:
            parsed = make_url(url)
        except ArgumentError as error:
            raise SettingsError(
                "设置 database.url 不是数据库地址", hint="例如 sqlite:///var/bdnews.db"
            ) from error
        if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
            raise SettingsError(
                f"设置 database.url：暂不支持 {parsed.get_backend_name()}", hint="请使用 sqlite:///文件路径。"
            )
        self.file = Path(parsed.database)
        self.url = parsed.set(drivername="sqlite+aiosqlite")
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.engine: AsyncEngine = create_async_engine(
            self.url,
            pool_size=8,
            max_overflow=8,
            hide_parameters=True,  # an error's words go into logs; what was to be written holds addresses
        )
        event.listen(self.engine.sync_engine, "connect", _prepare_connection)
        event.listen(self.engine.sync_engine, "begin", _begin)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session that only reads: it sees one moment and blocks nobody."""
        async with _Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """A session whose transaction takes the writer's lock at once and commits at the end."""
        engine = self.engine.execution_options(sqlite_begin="IMMEDIATE")
        async with _Session(engine, expire_on_commit=False) as session, session.begin():
            yield session

    async def close(self) -> None:
        await self.engine.dispose()


def _prepare_connection(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    cursor = connection.cursor()
    for pragma in (
        "synchronous = FULL",  # the gate must be on disk before the dot goes out
        "foreign_keys = ON",
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    _write_ahead(cursor)
    cursor.close()


def _write_ahead(cursor: Any) -> None:
    """Switch to WAL, once in a file's life.

    Where two processes open a new file at the same moment, SQLite tells the second one "locked" at once, whatever the
    timeout says; so it looks again.
    """
    for _ in range(100):
        try:
            cursor.execute("PRAGMA journal_mode")
            if cursor.fetchone()[0] != "wal":
                cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            time.sleep(0.02)
        else:
            return


def _begin(connection: Any) -> None:
    mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {mode}")
