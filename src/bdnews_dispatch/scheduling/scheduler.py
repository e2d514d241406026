"""The scheduler: APScheduler's ticks. A tick only looks for what is due and lets it be found by the worker; what should
have run is a row in the database, so a tick that is missed or comes twice does no harm. Caller: service/.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MISSED
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from bdnews_dispatch.issues.folder import WatchedFolder
from bdnews_dispatch.reports.keeping import Keeper
from bdnews_dispatch.scheduling.catch_up import CatchUp
from bdnews_dispatch.scheduling.daily import Daily
from bdnews_dispatch.settings import Settings
from bdnews_dispatch.telemetry import metrics
from bdnews_dispatch.watched_feeds.taking import FeedReader
from bdnews_dispatch.webhooks.sending import Sender

logger = logging.getLogger(__name__)


@asynccontextmanager
async def scheduler(
    settings: Settings,
    catch_up: CatchUp,
    daily: Daily,
    keeper: Keeper,
    webhooks: Sender,
    feeds: FeedReader,
    folder: WatchedFolder,
    wake: Callable[[], None],
) -> AsyncIterator[None]:
    """Run the ticks while the context lasts.

    Args:
        keeper: of the reports' counts.
        webhooks: sends events to other programs.
        feeds: reads those of others.
        wake: told after a tick that made something.
    """
    # The default of one second for a late job would skip it whenever the loop stalls.
    ticks = AsyncIOScheduler(
        timezone=settings.service.timezone,
        job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
    )
    one_folder_scan = asyncio.Lock()

    async def look_for_runs() -> None:
        if await catch_up.run():
            wake()
        metrics.scheduler_ticked()

    async def look_for_files() -> None:
        async with one_folder_scan:
            while await folder.scan():  # noqa: ASYNC110  # a file that grows tells nobody when it has stopped
                await asyncio.sleep(max(settings.issues.settle_seconds / 4, 0.05))
        wake()

    async def read_feeds() -> None:
        if await feeds.run():
            wake()

    long_work = {
        "retention": _LongWork("retention", daily.run),
        "reports": _LongWork("reports", keeper.run),
        "webhooks": _LongWork("webhooks", webhooks.run),
        "feeds": _LongWork("feeds", read_feeds),
    }

    ended = asyncio.Event()

    def until_the_end(look: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        """A tick that the end of the scheduler cuts off has not failed: the next start looks anew."""

        async def tick() -> None:
            try:
                await look()
            except asyncio.CancelledError:
                if not ended.is_set():
                    raise

        return tick

    for name, look in (("runs", look_for_runs), ("files", look_for_files)):
        ticks.add_job(until_the_end(look), "interval", seconds=settings.schedule.tick_seconds, id=name)
    for name, work in long_work.items():
        ticks.add_job(work.begin, "interval", seconds=settings.schedule.tick_seconds, id=name)
    ticks.add_listener(_log, EVENT_JOB_MISSED | EVENT_JOB_ERROR)
    folder.prepare()
    ticks.start()
    watching = asyncio.create_task(_watch(folder, look_for_files), name="watch-issues")
    try:
        await look_for_runs()
        await look_for_files()
        yield
    finally:
        ended.set()
        ticks.shutdown(wait=False)
        watching.cancel()
        await asyncio.gather(watching, *(work.end() for work in long_work.values()), return_exceptions=True)


class _LongWork:
    """Work beside the ticks, that may take an hour: begun by a tick where the last one has ended."""

    def __init__(self, name: str, work: Callable[[], Awaitable[Any]]) -> None:
        self._name = name
        self._work = work
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """A tick."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(), name=self._name)

    async def end(self) -> None:
        """What is half-way is found by the next run."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            await self._work()
        except Exception:
            logger.exception("%s.failed", self._name)


async def _watch(folder: WatchedFolder, look: Callable[[], Any]) -> None:
    """Quickness for local folders: the system says when a file comes. On network folders the tick is what finds it."""
    from watchfiles import awatch  # noqa: PLC0415  # its thread starts only where a folder is watched

    async for _changes in awatch(folder.folder, recursive=False):
        try:
            await look()
        except Exception:
            logger.exception("issues.watch_failed")


def _log(event: Any) -> None:
    if event.code == EVENT_JOB_MISSED:
        logger.warning("scheduler.missed", extra={"job": event.job_id})
    else:
        logger.error("scheduler.failed", extra={"job": event.job_id, "error": type(event.exception).__name__})
