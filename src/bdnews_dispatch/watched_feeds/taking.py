"""Readings: each feed that is due is asked, and each entry that is new or changed is taken as an issue.

In: feeds that are due. Out: issues by the intake, rows of feed_entry, how it went in the feed's row. Caller: the
scheduler's tick, one process at a time; `bdnews feeds check`. A process that dies in between reads that entry again:
the intake takes the same once.
"""

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta

from sqlmodel import col, delete, select

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.errors import IssueError
from bdnews_dispatch.issues.intake import Intake, take
from bdnews_dispatch.issues.parsing import parse_detected
from bdnews_dispatch.issues.publications import Publications
from bdnews_dispatch.settings import Settings
from bdnews_dispatch.watched_feeds.fetching import Fetched, Fetcher, FetchError, open_fetcher
from bdnews_dispatch.watched_feeds.models import FeedEntry, WatchedFeed
from bdnews_dispatch.watched_feeds.reading import Entry, FeedError, read_feed

logger = logging.getLogger(__name__)

#: Octets of a feed; a file that an entry leads to may be as large as `issues.max_bytes`.
MOST_FEED = 4 * 1024 * 1024
#: For one address; and feeds that are read at once.
_SECONDS, _AT_ONCE = 20.0, 4
#: New entries of one reading; the others have their turn at the next.
_A_READING = 20
_LONGEST_WAIT = timedelta(days=1)
#: An entry that has gone from its feed is forgotten then.
_KEPT = timedelta(days=180)


@dataclass(slots=True)
class Reading:
    """How one went. `unchanged`: the server said so. `problem`: in words; "": it went well."""

    entries: int = 0
    taken: int = 0
    refused: int = 0
    unchanged: bool = False
    problem: str = ""


class FeedReader:
    """Reads feeds; `run` by a tick."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        publications: Publications,
        settings: Settings,
        *,
        seconds: float = _SECONDS,
    ) -> None:
        """Args: seconds: for one address, redirects and all."""
        self._database = database
        self._clock = clock
        self._publications = publications
        self._settings = settings
        self._seconds = seconds

    async def run(self) -> int:
        """One reading of each feed that is due. Returns: how many issues were new or corrected."""
        async with self._database.read() as session:
            due = await session.exec(
                select(WatchedFeed.id).where(
                    col(WatchedFeed.disabled_at).is_(None), col(WatchedFeed.next_at) <= self._clock()
                )
            )
            ids = [id_ for id_ in due if id_ is not None]
        at_once = asyncio.Semaphore(_AT_ONCE)

        async def one(feed_id: int) -> int:
            async with at_once:
                return (await self.read(feed_id)).taken

        return sum(await asyncio.gather(*map(one, ids)))

    async def read(self, feed_id: int) -> Reading:
        """Ask one feed now."""
        async with self._database.read() as session:
            feed = await session.get(WatchedFeed, feed_id)
        if feed is None:
            return Reading(problem="已删除")
        reading, answer = Reading(), None
        try:
            async with open_fetcher(self._settings.feeds.inside, self._seconds) as fetcher:
                answer = await fetcher.fetch(feed.url, most=MOST_FEED, known=_known(feed))
                if answer.body is None:
                    reading.unchanged = True
                else:
                    await self._take_all(fetcher, feed, answer, reading)
        except (FetchError, FeedError) as error:
            reading.problem = error.message[:300]
        except Exception:
            # Whatever a stranger's words lead a library to: the others go on, and this one is not asked at every tick.
            logger.exception("feed.broken", extra={"feed": feed_id})
            reading.problem, reading.entries = "读这个来源时出了意外的错误，详见日志", 0
        await self._keep(feed_id, reading, answer)
        return reading

    async def _take_all(self, fetcher: Fetcher, feed: WatchedFeed, answer: Fetched, reading: Reading) -> None:
        assert answer.body is not None  # noqa: S101  # of a 200
        assert feed.id is not None  # noqa: S101  # read from the database
        entries = await asyncio.to_thread(read_feed, answer.body, answer.url)
        reading.entries = len(entries)
        async with self._database.read() as session:
            rows = await session.exec(
                select(FeedEntry.key, FeedEntry.mark).where(FeedEntry.feed_id == feed.id)
            )
            seen = dict(list(rows))
        fresh = [entry for entry in entries if seen.get(entry.key) != entry.mark]
        if feed.read_at is None and not feed.backlog:
            for entry in fresh:  # what was there before is known, and not sent to anybody
                await self._see(feed.id, entry, issue_id=None, problem="")
            return
        for entry in fresh[:_A_READING]:
            try:
                issue_id, intake = await self._take(fetcher, feed, entry)
            except FetchError as error:  # the entry stays new: another time it may be there
                reading.problem = f"“{entry.title[:60]}”的文件：{error.message}"[:300]
                continue
            except (IssueError, FeedError) as error:
                reading.refused += 1
                await self._see(feed.id, entry, issue_id=None, problem=error.message)
                logger.warning("feed.entry_refused", extra={"feed": feed.id, "entry": entry.key[:12]})
                continue
            reading.taken += intake is not Intake.SAME
            await self._see(feed.id, entry, issue_id=issue_id, problem="")
        if len(fresh) > _A_READING:
            reading.problem = reading.problem or f"还有 {len(fresh) - _A_READING} 条，下次接着读"
        async with self._database.write() as session:
            await session.execute(
                delete(FeedEntry).where(
                    col(FeedEntry.feed_id) == feed.id,
                    col(FeedEntry.seen_at) < self._clock() - _KEPT,
                    col(FeedEntry.key).not_in([entry.key for entry in entries]),
                )
            )

    async def _take(self, fetcher: Fetcher, feed: WatchedFeed, entry: Entry) -> tuple[int | None, Intake]:
        """One entry, by the same way as a file.

        Raises:
            FetchError: its file is not there.
            IssueError, FeedError: it holds no issue.
        """
        publication, most = self._publications.named(feed.publication), self._settings.issues.max_bytes
        if entry.file:
            data = (await fetcher.fetch(entry.file, most=most)).body or b""
        else:
            data = await asyncio.to_thread(entry.markdown, publication.name)
        found = await asyncio.to_thread(
            parse_detected, data, self._publications, publication.key, max_bytes=most
        )
        document = found.document
        if document.date is None and entry.day is not None:
            document = document.model_copy(update={"date": entry.day})
        async with self._database.write() as session:
            taken = await take(
                session,
                self._clock,
                document,
                source_name=entry.file.rpartition("/")[2] or entry.title,
                source=data,
                publish_now=feed.publish,
                pictures=found.pictures.values(),
            )
            logger.info(
                "feed.taken", extra={"feed": feed.id, "intake": taken.intake, "issue": document.total_number}
            )
            return taken.issue.id, taken.intake

    async def _see(self, feed_id: int, entry: Entry, *, issue_id: int | None, problem: str) -> None:
        async with self._database.write() as session:
            row = await session.get(FeedEntry, (feed_id, entry.key))
            if row is None:
                row = FeedEntry(feed_id=feed_id, key=entry.key, mark="", seen_at=self._clock())
            row.mark, row.title, row.problem = entry.mark, entry.title[:200], problem[:300]
            row.issue_id = issue_id if issue_id is not None else row.issue_id
            row.seen_at = self._clock()
            session.add(row)

    async def _keep(self, feed_id: int, reading: Reading, answer: Fetched | None) -> None:
        now = self._clock()
        async with self._database.write() as session:
            row = await session.get(WatchedFeed, feed_id)
            if row is None:
                return
            every = timedelta(seconds=self._settings.feeds.every_seconds)
            row.problem = reading.problem
            if answer is None or (reading.problem and not reading.entries):
                row.failures += 1
                row.next_at = now + min(every * 2 ** min(row.failures, 10), _LONGEST_WAIT)
                logger.warning("feed.failed", extra={"feed": feed_id, "failures": row.failures})
            else:
                row.failures, row.read_at, row.next_at = 0, now, now + every
                if answer.body is not None:
                    # What was not read to its end is asked for whole the next time.
                    whole = not reading.problem
                    row.etag = answer.etag if whole else ""
                    row.last_modified = answer.last_modified if whole else ""
            session.add(row)


def _known(feed: WatchedFeed) -> dict[str, str]:
    given = {"If-None-Match": feed.etag, "If-Modified-Since": feed.last_modified}
    return {name: value for name, value in given.items() if value}
