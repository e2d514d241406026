"""Settings → the scheduler and what its ticks do."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import time

from bdnews_dispatch.db.engine import Backend
from bdnews_dispatch.issues.folder import WatchedFolder
from bdnews_dispatch.messaging.nodes import leading
from bdnews_dispatch.official_account.account import open_account
from bdnews_dispatch.official_account.tags import mend_tags
from bdnews_dispatch.parts import Parts
from bdnews_dispatch.privacy.retention import Retention
from bdnews_dispatch.reports.keeping import Keeper
from bdnews_dispatch.scheduling.catch_up import CatchUp
from bdnews_dispatch.scheduling.daily import Daily
from bdnews_dispatch.scheduling.scheduler import scheduler
from bdnews_dispatch.scheduling.timetable import Entry
from bdnews_dispatch.service.returns import open_mailbox, reading
from bdnews_dispatch.service.roles import Role, node_name
from bdnews_dispatch.watched_feeds.taking import FeedReader
from bdnews_dispatch.webhooks.sending import Sender as WebhookSender


def folder_of(parts: Parts) -> WatchedFolder:
    """The watched folder for incoming issues."""
    issues = parts.settings.issues
    return WatchedFolder(
        parts.database,
        parts.clock,
        parts.publications,
        folder=issues.folder,
        review=issues.review,
        settle_seconds=issues.settle_seconds,
        max_bytes=issues.max_bytes,
    )


def open_keeper(parts: Parts) -> Keeper:
    """What keeps the reports' counts."""
    settings = parts.settings
    return Keeper(
        parts.database,
        parts.clock,
        parts.publications,
        zone=settings.service.timezone,
        hits_kept=settings.retention.hits,
    )


def _tags_of(parts: Parts) -> Callable[[], Awaitable[object]] | None:
    """What mends the account's tags; None where they are not kept."""
    account = parts.settings.wechat
    if not (account.tags and account.appid):
        return None

    async def mend() -> None:
        async with open_account(account, parts.clock, parts.database) as opened:
            await mend_tags(parts.database, opened.client, parts.publications.named(None), afresh=True)

    return mend


def scheduling(
    parts: Parts, timetable: Sequence[Entry], retention_at: time, wake: Callable[[], None]
) -> AbstractAsyncContextManager[None]:
    """The scheduler; of several on PostgreSQL one leads, and another one when that is gone.

    Args:
        retention_at: when in the day what has been kept long enough is deleted, in the service's zone.
        wake: tells the worker that there is work.
    """
    settings, database, clock = parts.settings, parts.database, parts.clock
    mailbox = open_mailbox(parts, wake)
    catch_up = CatchUp(database, clock, parts.publications, timetable, settings.schedule.catch_up_days)
    daily = Daily(
        database,
        clock,
        Retention(database, clock, settings),
        at=retention_at,
        zone=settings.service.timezone,
        then=_tags_of(parts),
    )
    webhooks = WebhookSender(database, clock, parts.links.signer, inside=settings.webhooks.inside)
    feeds = FeedReader(database, clock, parts.publications, settings)

    @asynccontextmanager
    async def ticks() -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if mailbox is not None:
                await stack.enter_async_context(reading(mailbox))
            await stack.enter_async_context(
                scheduler(
                    settings, catch_up, daily, open_keeper(parts), webhooks, feeds, folder_of(parts), wake
                )
            )
            yield

    if database.backend is Backend.SQLITE:
        return ticks()
    return leading(database, clock, Role.SCHEDULER, node_name(), ticks)
