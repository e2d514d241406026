"""The backlog: what the database says is left to do, as metrics.

In: rows. Out: gauges. Caller: `/metrics`. Scrapes are cheap and may come often; the rows are asked at most every
15 s, by statements that touch no delivery that is over and stop counting at 100,000.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, text
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.dispatch.ledger import SENDING
from bdnews_dispatch.dispatch.models import DUE, IN_DOUBT, Delivery, Dispatch
from bdnews_dispatch.dispatch.states import DispatchState
from bdnews_dispatch.subscribers.models import Channel
from bdnews_dispatch.telemetry import metrics

logger = logging.getLogger(__name__)

READ_EVERY_SECONDS = 15.0
#: Counting goes no further: beyond it, how many there are changes nothing that anybody does.
MOST_COUNTED = 100_000
#: A database that takes longer is as good as away.
PATIENCE_SECONDS = 5.0


class Backlog:
    """Keeps the gauges fresh."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._read_at = float("-inf")

    async def refresh(self) -> None:
        """Read the rows again, unless that was done a moment ago. No error: `bdnews_database_up` tells of it."""
        async with self._one_at_a_time:
            if time.monotonic() - self._read_at < READ_EVERY_SECONDS:
                return
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._read()
            except (SQLAlchemyError, TimeoutError) as error:
                logger.warning("operations.backlog_not_read", extra={"error": type(error).__name__})
                metrics.backlog_unknown()
            self._read_at = time.monotonic()

    async def _read(self) -> None:
        now = self._clock()
        async with self._database.read() as session:
            numbers = await session.exec(select(Dispatch.state, func.count()).group_by(col(Dispatch.state)))
            by_state = {state.value: 0 for state in DispatchState} | {str(s): n for s, n in numbers}
            may_send = (await session.exec(select(Dispatch.id).where(col(Dispatch.state).in_(SENDING)))).all()
            ids = [id_ for id_ in may_send if id_ is not None]
            due = await _counted(session, due_now(ids, now))
            oldest = await _oldest(session, ids, now) if due else None
            uncertain = await _counted(session, select(Delivery.id).where(text(IN_DOUBT)))
        metrics.backlog(
            due=due,
            oldest_due_seconds=max(0.0, (now - oldest).total_seconds()) if oldest else 0.0,
            uncertain=uncertain,
            dispatches=by_state,
        )


def due_now(dispatch_ids: Sequence[int], now: datetime) -> SelectOfScalar[Any]:
    """The deliveries of these dispatches that could be claimed now, by the words of their partial index."""
    return select(Delivery.id).where(
        col(Delivery.dispatch_id).in_(dispatch_ids),
        col(Delivery.channel).in_(list(Channel)),
        text(DUE),
        col(Delivery.due_at) <= now,
    )


async def _counted(session: AsyncSession, which: SelectOfScalar[Any]) -> int:
    return (await session.exec(select(func.count()).select_from(which.limit(MOST_COUNTED).subquery()))).one()


async def _oldest(session: AsyncSession, dispatch_ids: Sequence[int], now: datetime) -> datetime | None:
    """One step into the index for each dispatch and channel."""
    found: list[datetime] = []
    for dispatch_id in dispatch_ids:
        for channel in Channel:
            first = (
                select(Delivery.due_at)
                .where(
                    col(Delivery.dispatch_id) == dispatch_id,
                    col(Delivery.channel) == channel,
                    text(DUE),
                    col(Delivery.due_at) <= now,
                )
                .order_by(col(Delivery.due_at))
                .limit(1)
            )
            found += (await session.exec(first)).all()
    return min(found, default=None)
