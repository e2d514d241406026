"""One writing connection of its own for the hot path, without an ORM or a thread between it and the database.

In: a function over the driver's cursor. Out: its result, once it is committed. Caller: the ledger. Measured: a group of
ten updates through SQLAlchemy and aiosqlite costs some 1.5 ms, here 0.2 ms, of which most is the disk.

All of it runs on the event loop itself, because handing a commit of 0.2 ms to a thread costs more than making it. Where
a commit has been slow, the next ones are made in a thread, so that nothing else waits for the disk.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Self, TypeVar

from bdnews_dispatch.db.sqlite import BUSY_TIMEOUT_MS, PRAGMAS
from bdnews_dispatch.errors import Phrase, StorageError

Result = TypeVar("Result")

#: The loop must not stand still for longer than this in a commit; a longer one sends so many after it to a thread.
LOOP_SECONDS = 0.005
SLOW_COMMITS = 50
#: Between two tries to get the writer's lock.
BUSY_AGAIN_SECONDS = 0.002
#: The write-ahead log is copied into the database when it is this large; SQLite itself would do so inside a commit.
CHECKPOINT_BYTES = 16 * 1024 * 1024
COMMITS_A_CHECK = 200
#: Pages of the database kept in memory, KiB.
CACHE_KIB = 32 * 1024


class DirectWriter:
    """Used as `async with DirectWriter(file) as writer: await writer.run(work)`."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._one_at_a_time = asyncio.Lock()
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger-commit")
        self._slow_commits = 0
        self._commits = 0

    async def __aenter__(self) -> Self:
        self._connection = await asyncio.to_thread(self._connect)
        return self

    async def __aexit__(self, *_: object) -> None:
        async with self._one_at_a_time:
            if self._connection is not None:
                await asyncio.to_thread(self._connection.close)
                self._connection = None
            self._thread.shutdown(wait=False)

    async def run(self, work: Callable[[sqlite3.Cursor], Result]) -> Result:
        """One transaction.

        Raises:
            StorageError: nothing of it is in the database: the disk is full, or another writer holds the lock for more
                than 30 s.
        """
        async with self._one_at_a_time:
            give_up = time.monotonic() + BUSY_TIMEOUT_MS / 1000
            while True:
                try:
                    result = await self._once(work)
                    break
                except sqlite3.Error as error:
                    busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
                    if busy and time.monotonic() < give_up:
                        await asyncio.sleep(BUSY_AGAIN_SECONDS)
                        continue
                    raise _translated(error) from error
            self._commits += 1
            if self._commits % COMMITS_A_CHECK == 0:
                await self._checkpoint()
            return result

    async def _once(self, work: Callable[[sqlite3.Cursor], Result]) -> Result:
        assert self._connection is not None  # noqa: S101  # `async with` has opened it
        cursor = self._connection.cursor()
        cursor.execute("BEGIN IMMEDIATE")
        try:
            result = work(cursor)
            began = time.perf_counter()
            if self._slow_commits:
                await self._in_thread(cursor.execute, "COMMIT")
            else:
                cursor.execute("COMMIT")
            took = time.perf_counter() - began
            self._slow_commits = SLOW_COMMITS if took > LOOP_SECONDS else max(0, self._slow_commits - 1)
        except BaseException:
            if self._connection.in_transaction:
                cursor.execute("ROLLBACK")
            raise
        return result

    async def _in_thread(self, call: Callable[..., object], *values: object) -> None:
        """Wait for it even when cancelled: a connection is never left in the middle of a call."""
        made = asyncio.get_running_loop().run_in_executor(self._thread, call, *values)
        try:
            await asyncio.shield(made)
        except asyncio.CancelledError:
            await asyncio.wait({made})
            raise

    async def _checkpoint(self) -> None:
        """Outside of any transaction, while no other commit of ours waits for it on the loop."""
        connection = self._connection
        log = self._file.with_name(self._file.name + "-wal")
        try:
            if connection is not None and log.stat().st_size > CHECKPOINT_BYTES:
                await self._in_thread(connection.execute, "PRAGMA wal_checkpoint(PASSIVE)")
        except (OSError, sqlite3.Error):
            return  # the next one will, or SQLite's own at the limit that is set below

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._file,
            isolation_level=None,
            check_same_thread=False,
            timeout=0,
            cached_statements=64,
        )
        for pragma in (
            *PRAGMAS,
            f"cache_size = -{CACHE_KIB}",
            "wal_autocheckpoint = 16384",
        ):
            connection.execute(f"PRAGMA {pragma}")
        return connection


def stored(moment: datetime | None) -> str | None:
    """A moment as `UtcDateTime` stores it."""
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def read_moment(text: str | None) -> datetime | None:
    """The moment that `stored` wrote."""
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)


def _translated(error: sqlite3.Error) -> StorageError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL or "disk" in str(error):
        return StorageError(
            "数据库所在的磁盘已满，或无法写入", hint="腾出空间后自动继续；未写入的都在内存中等待。"
        )
    if code == sqlite3.SQLITE_BUSY:
        return StorageError(
            "数据库被另一个程序占用了 30 秒以上", hint="放开后自动继续；未写入的都在内存中等待。"
        )
    return StorageError(Phrase("数据库无法写入：%(error)s", error=str(error)))
