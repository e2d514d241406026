"""The scheduler: APScheduler's ticks. A tick only looks for what is due and lets it be found by the worker; what should
have run is a row in the database, so a tick that is missed or comes twice does no harm. Caller: service.py.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MISSED
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from bdnews_dispatch.issues.folder import WatchedFolder
from bdnews_dispatch.scheduling.catch_up import CatchUp
from bdnews_dispatch.scheduling.daily import Daily
from bdnews_dispatch.settings import Settings
from bdnews_dispatch.telemetry import metrics

logger = logging.getLogger(__name__)


@asynccontextmanager
async def scheduler(
    settings: Settings, catch_up: CatchUp, daily: Daily, folder: WatchedFolder, wake: Callable[[], None]
) -> AsyncIterator[None]:
    """Run the ticks while the context lasts.

    Args:
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

    sweeping: asyncio.Task[Any] | None = None

    async def look_for_retention() -> None:
        """Beside the ticks: it may take an hour."""
        nonlocal sweeping
        if sweeping is None or sweeping.done():
            sweeping = asyncio.create_task(_swept(daily), name="retention")

    ticks.add_job(look_for_runs, "interval", seconds=settings.schedule.tick_seconds, id="runs")
    ticks.add_job(look_for_files, "interval", seconds=settings.schedule.tick_seconds, id="files")
    ticks.add_job(look_for_retention, "interval", seconds=settings.schedule.tick_seconds, id="retention")
    ticks.add_listener(_log, EVENT_JOB_MISSED | EVENT_JOB_ERROR)
    folder.prepare()
    ticks.start()
    watching = asyncio.create_task(_watch(folder, look_for_files), name="watch-issues")
    try:
        await look_for_runs()
        await look_for_files()
        yield
    finally:
        ticks.shutdown(wait=False)
        beside = [task for task in (watching, sweeping) if task is not None]
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)


async def _swept(daily: Daily) -> None:
    try:
        await daily.run()
    except Exception:
        logger.exception("retention.failed")


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
