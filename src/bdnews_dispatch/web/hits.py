"""Hits by readers, written in groups: a burst of opens costs a few commits, and an answer means that it is stored.

In: what a request touched. Out: rows of `Hit`, events. Callers: the handlers of links in mails.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Self

from aiohttp import web
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.tracking.machines import machine_of_request
from bdnews_dispatch.tracking.models import HitKind
from bdnews_dispatch.tracking.recording import Touch, record_hits
from bdnews_dispatch.web.group_commit import GroupCommit

logger = logging.getLogger(__name__)

#: More of a User-Agent is not looked at.
_LONGEST_AGENT = 400


class HitRecorder:
    """Records hits. Used as `async with`."""

    def __init__(self, database: Database, clock: Clock, wake: Callable[[], None]) -> None:
        self._clock = clock
        self._wake = wake
        self._commits: GroupCommit[AsyncSession, Touch, bool] = GroupCommit(database.write, self._apply)

    async def __aenter__(self) -> Self:
        await self._commits.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._commits.__aexit__()

    async def note(
        self, request: web.Request, delivery_key: str, kind: HitKind, *, link: int | None = None
    ) -> bool:
        """Record what the request touched.

        Returns:
            False: there is no such delivery, or the database can't take it now; the reader is served all the same.
        """
        machine = machine_of_request(request.method, request.headers)
        user_agent = request.headers.get("User-Agent", "")[:_LONGEST_AGENT]
        try:
            known = await self._commits.submit(Touch(delivery_key, kind, link, user_agent, machine))
        except SQLAlchemyError as error:
            logger.warning("hit.not_recorded", extra={"kind": kind, "error": type(error).__name__})
            return False
        if known and not machine:
            self._wake()
        return known

    async def _apply(self, session: AsyncSession, touches: Sequence[Touch]) -> list[bool]:
        return await record_hits(session, self._clock, touches)
