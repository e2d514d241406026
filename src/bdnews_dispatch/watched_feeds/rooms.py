"""Watched feeds: added, switched, taken away, asked for. Rules for cli/ and web/ alike.

In: what an admin says, in the caller's transaction (`Database.write`). Out: rows of `WatchedFeed`.
"""

from collections.abc import Collection

from sqlalchemy import func
from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.errors import BdnewsError, NotFoundError, Phrase
from bdnews_dispatch.issues.publications import Publications
from bdnews_dispatch.safe_client import check_address
from bdnews_dispatch.watched_feeds.models import FeedEntry, WatchedFeed

_MOST = 50


class WatchedAlreadyError(BdnewsError):
    """This address is watched already."""


async def add(
    session: AsyncSession,
    clock: Clock,
    publications: Publications,
    url: str,
    *,
    publication: str | None = None,
    publish: bool = False,
    backlog: bool = False,
    inside: Collection[str] = (),
) -> WatchedFeed:
    """A feed to watch from now on.

    Args:
        publication: key; None: the default one.
        publish: publish its issues at once, which begins their dispatch.
        backlog: take what is in it already as well.

    Raises:
        AddressError: the address may not be asked.
        NotFoundError: there is no such publication.
        WatchedAlreadyError: it is.
        BdnewsError: there are too many, or it is too long.
    """
    check_address(url, inside, group="feeds")
    if len(url) > 500:
        raise BdnewsError("地址超过 500 个字符")
    known = publications.named(publication)
    if (await session.exec(select(WatchedFeed.id).where(WatchedFeed.url == url))).first() is not None:
        raise WatchedAlreadyError("这个地址已经在读取", hint="见下面的列表；命令行：bdnews feeds list。")
    number = (await session.exec(select(func.count()).select_from(WatchedFeed))).one()
    if number >= _MOST:
        raise BdnewsError(Phrase("最多 %(most)s 个来源", most=_MOST), hint="请先删去不用的。")
    feed = WatchedFeed(
        url=url,
        publication=known.key,
        publish=publish,
        backlog=backlog,
        next_at=clock(),
        created_at=clock(),
    )
    session.add(feed)
    await session.flush()
    return feed


async def feeds(session: AsyncSession, only: Collection[str] = ()) -> list[WatchedFeed]:
    """By number. Args: only: of these publications alone; none: of all."""
    statement = select(WatchedFeed).order_by(col(WatchedFeed.id))
    if only:
        statement = statement.where(col(WatchedFeed.publication).in_(only))
    return list(await session.exec(statement))


async def failing(session: AsyncSession, only: Collection[str] = ()) -> list[WatchedFeed]:
    """Those whose last reading went wrong. Args: only: of these publications alone; none: of all."""
    is_on = col(WatchedFeed.disabled_at).is_(None)
    statement = select(WatchedFeed).where(col(WatchedFeed.failures) > 0, is_on)
    if only:
        statement = statement.where(col(WatchedFeed.publication).in_(only))
    return list(await session.exec(statement))


async def find(session: AsyncSession, feed_id: int) -> WatchedFeed:
    """Raises: NotFoundError: there is none."""
    found = await session.get(WatchedFeed, feed_id)
    if found is None:
        raise NotFoundError(
            Phrase("没有编号为 %(id)s 的来源", id=feed_id),
            hint="见“设置 › 来源”；命令行：bdnews feeds list。",
        )
    return found


async def entries_of(session: AsyncSession, feed_id: int, limit: int = 50) -> list[FeedEntry]:
    """Seen last, first."""
    statement = (
        select(FeedEntry)
        .where(FeedEntry.feed_id == feed_id)
        .order_by(col(FeedEntry.seen_at).desc(), col(FeedEntry.key))
        .limit(limit)
    )
    return list(await session.exec(statement))


async def switch(session: AsyncSession, clock: Clock, feed_id: int, *, on: bool) -> WatchedFeed:
    """On: it is asked at once. Raises: NotFoundError."""
    feed = await find(session, feed_id)
    feed.disabled_at = None if on else clock()
    if on:
        feed.failures, feed.problem, feed.next_at = 0, "", clock()
    session.add(feed)
    return feed


async def ask_soon(session: AsyncSession, clock: Clock, feed_id: int) -> WatchedFeed:
    """At the next tick, whatever it said last. Raises: NotFoundError."""
    feed = await find(session, feed_id)
    feed.next_at, feed.etag, feed.last_modified = clock(), "", ""
    session.add(feed)
    return feed


async def remove(session: AsyncSession, feed_id: int) -> None:
    """The issues that came of it stay. Raises: NotFoundError."""
    feed = await find(session, feed_id)
    await session.execute(delete(FeedEntry).where(col(FeedEntry.feed_id) == feed_id))
    await session.delete(feed)
