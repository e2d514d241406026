"""A small pool of connections to one relay: bounded, last in first out, checked when they have stood idle.

Called by channel.py. A connection that is given back in doubt is closed, never used again.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import aiosmtplib

from bdnews_dispatch.channels.email.connection import Connection

#: Relays drop a silent client after 5 minutes (RFC 5321 §4.5.3.2.7), busy ones sooner: ask before using one
#: this old.
IDLE_CHECK_SECONDS = 10.0


class ConnectionPool:
    """Hands out connections, at most `limit` at a time; who comes later waits.

    Args:
        connect: opens a new one; its error goes to whoever asked.
        limit: how many at a time.
        messages_per_connection: then a connection is closed with QUIT and a new one is opened.
    """

    def __init__(
        self, connect: Callable[[], Awaitable[Connection]], *, limit: int, messages_per_connection: int
    ) -> None:
        self._connect = connect
        self._slots = asyncio.Semaphore(limit)
        self._messages = messages_per_connection
        self._idle: list[Connection] = []
        self._closed = False

    @contextlib.asynccontextmanager
    async def connection(self, *, fresh: bool = False) -> AsyncIterator[Connection]:
        """A connection for one message.

        Args:
            fresh: a new one, whatever stands idle.

        Raises:
            RelayError: a new one was needed and can't be had.
        """
        async with self._slots:
            connection = (None if fresh else await self._take_idle()) or await self._connect()
            try:
                yield connection
                await self._give_back(connection)
            except BaseException:
                connection.abort()
                raise

    async def close(self) -> None:
        """QUIT on all that stand idle; those in use are closed when they come back."""
        self._closed = True
        idle, self._idle = self._idle, []
        await asyncio.gather(*(connection.quit() for connection in idle))

    async def _take_idle(self) -> Connection | None:
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_open:
                connection.abort()
                continue
            if now - connection.idle_since < IDLE_CHECK_SECONDS:
                return connection
            try:
                await connection.reset()
            except (aiosmtplib.SMTPException, OSError):
                connection.abort()
            except BaseException:
                connection.abort()
                raise
            else:
                return connection
        return None

    async def _give_back(self, connection: Connection) -> None:
        connection.sent += 1
        if not connection.is_open:
            connection.abort()
            return
        if self._closed or connection.sent >= self._messages:
            await connection.quit()
            return
        if connection.in_transaction:
            try:
                await connection.reset()
            except (aiosmtplib.SMTPException, OSError):
                connection.abort()
                return
        connection.idle_since = asyncio.get_running_loop().time()
        self._idle.append(connection)
