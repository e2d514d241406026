"""The database: SQLite for one machine, PostgreSQL for many; one setting chooses. In: a URL. Out: sessions.

Callers: service/, cli/, tests. What differs between the two stands in sqlite.py and postgres.py.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.ext.asyncio import AsyncSession as SqlalchemyAsyncSession
from sqlalchemy.orm import Session as SqlalchemySession
from sqlmodel import Session as SyncSession
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.db import sqlite
from bdnews_dispatch.errors import SettingsError


class Backend(StrEnum):
    """Which database it is."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


class _CoreSession(SyncSession):
    execute = SqlalchemySession.execute  # see `_Session`


class _Session(AsyncSession):
    """SQLModel's session, whose `execute` is SQLAlchemy's own: Core statements go through it, without its warning."""

    sync_session_class = _CoreSession
    execute = SqlalchemyAsyncSession.execute


class Database:
    """One engine; a session for each unit of work.

    Attributes:
        file: of SQLite; None on PostgreSQL.
    """

    def __init__(self, url: str) -> None:
        """Args: url: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`.

        Raises:
            SettingsError: the URL is not one that this service can use.
        """
        try:
            self.url = make_url(url)
        except ArgumentError as error:
            raise SettingsError("设置 database.url 不是数据库地址", hint=_EXAMPLES) from error
        try:
            self.backend = Backend(self.url.get_backend_name())
        except ValueError:
            raise SettingsError(
                f"设置 database.url：不支持 {self.url.get_backend_name()}", hint=_EXAMPLES
            ) from None
        self.file: Path | None = None
        self.engine: AsyncEngine
        if self.backend is Backend.SQLITE:
            if not self.url.database or self.url.database == ":memory:":
                raise SettingsError("设置 database.url：SQLite 需要一个文件", hint=_EXAMPLES)
            self.file = Path(self.url.database)
            self.engine = sqlite.open_engine(self.url)
        else:
            if not self.url.database:
                raise SettingsError("设置 database.url：没有写数据库的名称", hint=_EXAMPLES)
            from bdnews_dispatch.db import postgres  # noqa: PLC0415  # a fifth of a second; most commands have SQLite

            self.engine = postgres.open_engine(self.url)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session that only reads: it sees one moment and blocks nobody."""
        engine = self.engine
        if self.backend is Backend.POSTGRESQL:
            engine = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        async with _Session(engine, expire_on_commit=False) as session, session.begin():
            yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """A session that may decide from what it reads: one at a time, in all processes; commits at the end.

        SQLite has one writer anyway; on PostgreSQL an advisory lock makes it so (ADR 0008). What writes much and locks
        its own rows takes `write_beside`.
        """
        async with self.write_beside() as session:
            if self.backend is Backend.POSTGRESQL:
                await session.execute(_ONE_AT_A_TIME)
            session.info[ALONE] = True
            yield session

    @asynccontextmanager
    async def write_beside(self) -> AsyncIterator[AsyncSession]:
        """A writing session beside others: whoever takes it locks the rows that its decision rests on."""
        engine = self.engine.execution_options(**sqlite.WRITING)
        async with _Session(engine, expire_on_commit=False) as session, session.begin():
            yield session

    async def close(self) -> None:
        await self.engine.dispose()


#: In `AsyncSession.info` of a session that decides alone: what it numbers is in the order of commits.
ALONE = "alone"
_EXAMPLES = "例如 sqlite:///var/bdnews.db 或 postgresql://bdnews:密码@主机/bdnews"
#: What decides something from what it has read holds this while it does.
DECISIONS_LOCK = 0x62646E65
_ONE_AT_A_TIME = text(f"SELECT pg_advisory_xact_lock({DECISIONS_LOCK})")
