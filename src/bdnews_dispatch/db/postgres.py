"""How we use PostgreSQL: sessions over asyncpg, and single connections for what has one of its own.

In: a database URL. Out: an engine; `OneConnection`, which comes back by itself after the server was away. Callers:
engine.py; the ledger's store, the work queue, the listener for notifications.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Self, TypeVar

import asyncpg
from sqlalchemy import event
from sqlalchemy.engine import URL, ExceptionContext
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bdnews_dispatch.errors import Phrase, StorageError

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

#: A server that does not answer is away.
CONNECT_SECONDS = 5.0
COMMAND_SECONDS = 30.0
#: What every connection says of itself; the server keeps its times in its own zone, ours are UTC.
SERVER_SETTINGS = {"application_name": "bdnews", "timezone": "UTC", "lock_timeout": "30s"}
#: For a connection that finds rows by keys, again and again the same few statements. A plan is made once, and never by
#: how many rows the server believes to be there: its statistics are of before the import, or of between two dispatches.
BY_KEYS = {
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    **dict.fromkeys(("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "enable_material"), "off"),
}


def open_engine(url: URL) -> AsyncEngine:
    """An engine on the server; nothing is connected yet. A server that is away is a `SQLAlchemyError`, as all else."""
    engine = create_async_engine(
        url.set(drivername="postgresql+asyncpg"),
        pool_size=8,
        max_overflow=8,
        hide_parameters=True,  # an error's words go into logs; what was to be written holds addresses
        pool_pre_ping=True,  # after a restart of the server the pool is full of dead connections
        connect_args={
            "timeout": CONNECT_SECONDS,
            "command_timeout": COMMAND_SECONDS,
            "server_settings": SERVER_SETTINGS,
            "async_creator_fn": _connected,
        },
    )
    event.listen(engine.sync_engine, "handle_error", _not_answered)
    return engine


async def _connected(*where: Any, **options: Any) -> asyncpg.Connection:
    """The driver says of a server that is away what the system says; SQLAlchemy would let it through as it is."""
    try:
        return await asyncpg.connect(*where, **options)
    except OSError as error:  # a TimeoutError is one
        raise asyncpg.CannotConnectNowError(f"{type(error).__name__}: {error}") from error


def _not_answered(context: ExceptionContext) -> None:
    if isinstance(context.original_exception, OSError):
        context.is_disconnect = True
        raise OperationalError(context.statement, None, context.original_exception, hide_parameters=True)


async def connect(url: URL, options: Mapping[str, str] = MappingProxyType({})) -> asyncpg.Connection:
    """A connection of the driver's own. Args: options: of the server, beside ours. Raises: what the driver raises."""
    return await asyncpg.connect(
        url.set(drivername="postgresql").render_as_string(hide_password=False),
        timeout=CONNECT_SECONDS,
        command_timeout=COMMAND_SECONDS,
        server_settings={**SERVER_SETTINGS, **options},
    )


class OneConnection:
    """One connection, connected when it is needed and again after it was lost. Used as `async with`."""

    def __init__(self, url: URL, options: Mapping[str, str] = MappingProxyType({})) -> None:
        """Args: options: of the server, for this connection."""
        self._url = url
        self._options = options
        self._connection: asyncpg.Connection | None = None
        self._one_at_a_time = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Connect. A server that went away since the process looked at it is back soon: `run` connects again."""
        with suppress(StorageError):
            await self.run(_nothing)
        return self

    async def __aexit__(self, *_: object) -> None:
        async with self._one_at_a_time:
            if self._connection is not None:
                connection, self._connection = self._connection, None
                await connection.close(timeout=CONNECT_SECONDS)

    async def run(self, work: Callable[[asyncpg.Connection], Awaitable[Result]]) -> Result:
        """Let `work` use the connection, alone.

        Raises:
            StorageError: the server is away or refuses; whether a transaction was committed can't be known.
        """
        async with self._one_at_a_time:
            try:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await connect(self._url, self._options)
                return await work(self._connection)
            except (asyncpg.PostgresError, *_UNSPOKEN, OSError, TimeoutError) as error:
                if not isinstance(error, asyncpg.PostgresError) or isinstance(error, _LOST):
                    self._drop()
                raise _translated(error) from error
            except BaseException:  # cancelled in the middle: the connection may still be in a transaction
                self._drop()
                raise

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


#: The driver's own: it is used wrongly, or lost its place in the dialogue when the server went away in the middle.
_UNSPOKEN = (asyncpg.InterfaceError, asyncpg.InternalClientError)
_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
)


async def _nothing(_connection: object) -> None:
    return


def _translated(error: Exception) -> StorageError:
    if isinstance(error, asyncpg.DiskFullError):
        return StorageError("数据库服务器的磁盘已满", hint="腾出空间后自动继续；未写入的都在内存中等待。")
    if isinstance(error, asyncpg.InvalidPasswordError | asyncpg.InvalidAuthorizationSpecificationError):
        return StorageError("数据库拒绝了用户名或密码", hint="请检查设置 database.url。")
    if isinstance(error, asyncpg.InvalidCatalogNameError):
        return StorageError("数据库服务器上没有这个数据库", hint="请检查设置 database.url，或先建立数据库。")
    if isinstance(error, (OSError, TimeoutError, *_UNSPOKEN, *_LOST)):
        return StorageError(
            Phrase("数据库暂不可用（%(kind)s）", kind=type(error).__name__),
            hint="恢复后自动继续；未写入的都在内存中等待。",
        )
    return StorageError(Phrase("数据库无法写入：%(error)s", error=str(error)))
