"""News between processes: PostgreSQL's LISTEN and NOTIFY. A hint to look at the rows, never the news itself.

In: notifications. Out: calls. What came while the connection was away is lost, so after each new connection everybody
is told to look. Caller: service/ (worker).
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Self

import asyncpg
from sqlalchemy.engine import URL

from bdnews_dispatch.db.postgres import connect

logger = logging.getLogger(__name__)

#: Between two tries to connect, and between two signs of life.
AGAIN_SECONDS = 1.0
ALIVE_SECONDS = 10.0

#: Gets the payload; "" where something may have been missed.
Listener = Callable[[str], None]


class Notifications:
    """Listens for as long as it is open. Used as `async with`."""

    def __init__(self, url: URL, listeners: Mapping[str, Listener]) -> None:
        """Args: listeners: by channel."""
        self._url = url
        self._listeners = listeners
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._listen(), name="notifications")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _listen(self) -> None:
        while True:
            try:
                await self._listen_once()
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
                logger.warning("notifications.lost", extra={"error": type(error).__name__})
            except Exception:
                logger.exception("notifications.lost")
            await asyncio.sleep(AGAIN_SECONDS)

    async def _listen_once(self) -> None:
        connection = await connect(self._url)
        try:
            for channel in self._listeners:
                await connection.add_listener(channel, self._hear)
            for listener in self._listeners.values():
                listener("")
            while True:
                await asyncio.sleep(ALIVE_SECONDS)
                await connection.execute("SELECT 1")
        finally:
            connection.terminate()

    def _hear(self, _connection: object, _pid: int, channel: str, payload: str) -> None:
        self._listeners[channel](payload)
