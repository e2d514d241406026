"""How we use SQLite: write-ahead log, full syncs, the writer's lock taken at the start. Callers: engine.py, direct.py.

Measured: a deferred BEGIN loses updates or answers "locked" at once, whatever the timeout says; `BEGIN IMMEDIATE` for
every writing session lost none of 100 concurrent updates.
"""

import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

#: How long a writer waits for another one, in milliseconds.
BUSY_TIMEOUT_MS = 30_000
#: Of every connection.
PRAGMAS = (
    "synchronous = FULL",  # the gate must be on disk before the dot goes out
    "foreign_keys = ON",
    "cache_size = -32768",  # KiB: an index of a million addresses is some 50 MB, and its pages come in no order
    "wal_autocheckpoint = 4096",  # pages: copying them back at each 1,000 took a fifth of an import
    "secure_delete = ON",  # what a person had erased is overwritten, not only forgotten
)
#: Writers wait while the log is truncated: so long at most, so many times.
_TRUNCATE_SECONDS = 0.2
_TRUNCATE_TRIES = 5
#: What `Database.write` begins with; a reader begins deferred.
WRITING = {"sqlite_begin": "IMMEDIATE"}


def open_engine(url: URL) -> AsyncEngine:
    """An engine on the file; its folder is made if it is not there."""
    assert url.database is not None  # noqa: S101  # engine.py has looked
    Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(
        url.set(drivername="sqlite+aiosqlite"),
        pool_size=8,
        max_overflow=8,
        pool_use_lifo=True,  # the same connection again: what it has read is still in its memory
        hide_parameters=True,  # an error's words go into logs; what was to be written holds addresses
    )
    event.listen(engine.sync_engine, "connect", _prepare_connection)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _prepare_connection(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    cursor = connection.cursor()
    for pragma in (*PRAGMAS, f"busy_timeout = {BUSY_TIMEOUT_MS}"):
        cursor.execute(f"PRAGMA {pragma}")
    _write_ahead(cursor)
    cursor.close()


def _write_ahead(cursor: Any) -> None:
    """Switch to WAL, once in a file's life.

    Where two processes open a new file at the same moment, SQLite tells the second one "locked" at once, whatever the
    timeout says; so it looks again.
    """
    for _ in range(100):
        try:
            cursor.execute("PRAGMA journal_mode")
            if cursor.fetchone()[0] != "wal":
                cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            time.sleep(0.02)
        else:
            return


def truncate_log(file: Path) -> bool:
    """Copy the write-ahead log into the database and cut it to nothing: what was deleted still stands in it.

    Blocks, so call it in a thread; nobody waits longer for it than a moment.

    Returns:
        False: somebody was reading all the time.
    """
    connection = sqlite3.connect(file, timeout=_TRUNCATE_SECONDS)
    with closing(connection), suppress(sqlite3.OperationalError):
        for _ in range(_TRUNCATE_TRIES):
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()  # the most of it, in nobody's way
            busy, _pages, _copied = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:
                return True
            time.sleep(1)
    return False


def _begin(connection: Any) -> None:
    mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {mode}")
