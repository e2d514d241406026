"""A small pool of lines to one relay: bounded, last in first out, checked when they have stood idle, closed when long.

Called by channel.py. A line that is given back in doubt is closed, never used again.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from bdnews_dispatch.channels.email.line import Line

#: Relays drop a silent client after 5 minutes (RFC 5321 §4.5.3.2.7), busy ones sooner: ask before using one this old.
IDLE_CHECK_SECONDS = 10.0
#: A connection that nobody needs is a slot of the relay that somebody else could have: then it is closed with QUIT.
IDLE_EXPIRY_SECONDS = 30.0


class LinePool:
    """Hands out lines, at most `limit` at a time; who comes later waits.

    Args:
        connect: opens a new one; its error goes to whoever asked.
        limit: how many at a time.
        messages_per_connection: then a line is closed with QUIT and a new one is opened.
    """

    def __init__(
        self, connect: Callable[[], Awaitable[Line]], *, limit: int, messages_per_connection: int
    ) -> None:
        self._connect = connect
        self._slots = asyncio.Semaphore(limit)
        self._messages = messages_per_connection
        self._idle: list[Line] = []
        self._expiring: asyncio.Task[None] | None = None
        self._closed = False

    @contextlib.asynccontextmanager
    async def line(self, *, fresh: bool = False) -> AsyncIterator[Line]:
        """A line.

        Args:
            fresh: a new one, whatever stands idle.

        Raises:
            RelayError: a new one was needed and can't be had.
        """
        async with self._slots:
            line = (None if fresh else await self._take_idle()) or await self._connect()
            try:
                yield line
                await self._give_back(line)
            except BaseException:
                line.drop()
                raise

    def is_spent(self, line: Line) -> bool:
        """Whether no other mail may go over the line."""
        return not line.is_open or line.retired or line.sent >= self._messages

    async def close(self) -> None:
        """QUIT on all that stand idle; those in use are closed when they come back."""
        self._closed = True
        if self._expiring is not None:
            self._expiring.cancel()
            await asyncio.gather(self._expiring, return_exceptions=True)
        idle, self._idle = self._idle, []
        await asyncio.gather(*(line.quit() for line in idle))

    async def _take_idle(self) -> Line | None:
        now = asyncio.get_running_loop().time()
        while self._idle:
            line = self._idle.pop()
            if not line.is_open:
                line.drop()
                continue
            if now - line.idle_since < IDLE_CHECK_SECONDS:
                return line
            try:
                if await line.reset():
                    return line
            except BaseException:
                line.drop()
                raise
            line.drop()
        return None

    async def _give_back(self, line: Line) -> None:
        if not line.is_open:
            line.drop()
        elif self._closed or self.is_spent(line):
            await line.quit()
        else:
            line.idle_since = asyncio.get_running_loop().time()
            self._idle.append(line)
            if self._expiring is None or self._expiring.done():
                self._expiring = asyncio.create_task(self._expire(), name="idle-lines")

    async def _expire(self) -> None:
        """While any line stands idle: say goodbye to those that have stood too long."""
        while self._idle:
            oldest = self._idle[0].idle_since
            await asyncio.sleep(max(0.0, oldest + IDLE_EXPIRY_SECONDS - asyncio.get_running_loop().time()))
            over = asyncio.get_running_loop().time() - IDLE_EXPIRY_SECONDS
            expired = [line for line in self._idle if line.idle_since <= over]
            self._idle = [line for line in self._idle if line.idle_since > over]
            for line in expired:
                await line.quit()
