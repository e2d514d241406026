"""What backup.sh and restore.sh can't do in a shell: read the service's settings, and treat an SQLite file with care.

Run by the Python that bdnews_dispatch is installed for.
"""

import sqlite3
import sys
from contextlib import closing, suppress
from pathlib import Path


def settings() -> None:
    """Print where the database is, a line each: kind, file or URL, password, data folder.

    The password stands apart, so that the shell can hand it on where `ps` does not show it.
    """
    from sqlalchemy.engine import make_url  # noqa: PLC0415  # slow to load; only this command needs them

    from bdnews_dispatch.errors import BdnewsError  # noqa: PLC0415
    from bdnews_dispatch.settings import load_settings  # noqa: PLC0415

    try:
        loaded = load_settings()
    except BdnewsError as error:
        sys.exit(str(error))
    url = make_url(loaded.database.url)
    if url.get_backend_name() == "sqlite":
        where, password = str(Path(url.database or "").absolute()), ""
    else:
        # Not `set`: to that, no password means the one that is there.
        libpq = url._replace(drivername="postgresql", password=None)
        where, password = libpq.render_as_string(hide_password=False), url.password or ""
    print(url.get_backend_name(), where, password, loaded.service.data_folder.absolute(), sep="\n")


def copy(source: str, target: str) -> None:
    """Copy a database that may be in use, at one moment: in one step it holds up no writer and starts never again."""
    with (
        closing(sqlite3.connect(f"file:{Path(source).as_posix()}?mode=ro", uri=True)) as live,
        closing(sqlite3.connect(target)) as kept,
    ):
        live.backup(kept)
        kept.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it
    check(target)


def check(file: str) -> None:
    """Fail where the file is damaged, or is not the service's."""
    with closing(sqlite3.connect(f"file:{Path(file).as_posix()}?mode=ro", uri=True)) as database:
        (sound,) = database.execute("PRAGMA integrity_check(1)").fetchone()
        if sound != "ok":
            sys.exit(f"damaged: {sound}")
        if database.execute("PRAGMA foreign_key_check").fetchone() is not None:
            sys.exit("damaged: rows point at rows that are not there")
        database.execute("SELECT version_num FROM alembic_version")


def is_empty(file: str) -> None:
    """Fail where the file holds anything, also where it can't be read."""
    if not Path(file).exists():
        return
    with closing(sqlite3.connect(file)) as database:
        if database.execute("SELECT 1 FROM sqlite_master").fetchone() is not None:
            sys.exit(1)


def set_aside(file: str, suffix: str) -> None:
    """Rename the file, unless somebody has it open; with what stands beside it, which would spoil its successor."""
    path = Path(file)
    if path.exists():
        with closing(sqlite3.connect(file, timeout=0)) as database:
            try:
                # SQLite leaves this mode for the last connection alone: so this tells whether there is another one.
                database.execute("PRAGMA journal_mode = DELETE")
            except sqlite3.OperationalError as error:
                if "locked" in str(error):
                    sys.exit(f"{file} is open in another process: stop the service first")
            except sqlite3.DatabaseError:
                pass  # damaged: that is why it is replaced
    for beside in ("", "-wal", "-shm", "-journal"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + beside).rename(path.with_name(f"{path.name}{suffix}{beside}"))


if __name__ == "__main__":
    commands = {command.__name__: command for command in (settings, copy, check, is_empty, set_aside)}
    try:
        commands[sys.argv[1]](*sys.argv[2:])
    except (sqlite3.Error, OSError) as error:
        sys.exit(f"{sys.argv[1]}: {error}")
