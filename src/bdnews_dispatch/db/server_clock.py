"""One clock for all machines: PostgreSQL's. A host whose own clock is wrong ends no lease early and runs nothing twice.

In: the server's time, asked again and again. Out: a `Clock`. Caller: parts.py (once), service/ (while it runs).
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from bdnews_dispatch.db.engine import Database

logger = logging.getLogger(__name__)

#: Between two questions; in between the machine's steady clock counts on.
ASK_SECONDS = 30.0
_NOW = text("SELECT extract(epoch FROM clock_timestamp())::float8")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ServerClock:
    """A `Clock` that shows the server's time, as of the last `ask`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ahead = 0.0

    def __call__(self) -> datetime:
        return _EPOCH + timedelta(seconds=time.monotonic() + self._ahead)

    async def ask(self) -> None:
        """Set it by the server; half of the way there and back is taken off.

        Raises:
            SQLAlchemyError: the server is away; the clock goes on as it did.
        """
        async with self._database.engine.connect() as connection:
            await connection.execute(_NOW)  # the connection is there: what follows is one round trip
            began = time.monotonic()
            server = (await connection.execute(_NOW)).scalar_one()
            self._ahead = server - (began + time.monotonic()) / 2

    @asynccontextmanager
    async def keeping_time(self) -> AsyncIterator[None]:
        """Ask again and again while the context lasts."""
        task = asyncio.create_task(self._keep(), name="server-clock")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(ASK_SECONDS)
            try:
                await self.ask()
            except SQLAlchemyError as error:
                logger.warning("clock.server_unavailable", extra={"error": type(error).__name__})
            except Exception:
                logger.exception("clock.server_unavailable")
