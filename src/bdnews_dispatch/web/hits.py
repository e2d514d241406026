"""Hits by readers, written in groups: a burst of opens costs a few commits, and an answer means that it is stored.

In: what a request touched. Out: rows of `Hit`, events. Callers: the handlers of links in mails.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Self

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.tracking.recording import Stored, Touch, record_hits
from bdnews_dispatch.web.group_commit import GroupCommit

logger = logging.getLogger(__name__)


class HitRecorder:
    """Records hits. Used as `async with`."""

    def __init__(self, database: Database, clock: Clock, wake: Callable[[], None]) -> None:
        self._clock = clock
        self._wake = wake
        self._commits: GroupCommit[AsyncSession, Touch, Stored] = GroupCommit(database.write, self._apply)

    async def __aenter__(self) -> Self:
        await self._commits.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._commits.__aexit__()

    async def note(self, touch: Touch) -> bool:
        """Record what a request touched.

        Returns:
            False: there is no such delivery, or the database can't take it now; the reader is served all the same.
        """
        try:
            stored = await self._commits.submit(touch)
        except SQLAlchemyError as error:
            logger.warning("hit.not_recorded", extra={"kind": touch.kind, "error": type(error).__name__})
            return False
        if stored is Stored.TOLD:
            self._wake()
        return stored is not Stored.UNKNOWN

    async def _apply(self, session: AsyncSession, touches: Sequence[Touch]) -> list[Stored]:
        return await record_hits(session, self._clock, touches)
