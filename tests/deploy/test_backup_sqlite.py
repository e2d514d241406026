"""backup.sh and restore.sh, the real ones, on a database that the service made."""

import asyncio
import os
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.deploy.files import BIN, DEPLOY, clean_environment, run
from tests.making import Station, open_station, readers

from bdnews_dispatch.subscribers.audience import people

BACKUP, RESTORE = DEPLOY / "backup" / "backup.sh", DEPLOY / "backup" / "restore.sh"


class Installation:
    """A service's folder and where its backups go."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "var"
        self.database = self.data / "bdnews.db"
        self.key = self.data / "signing.key"
        self.backups = folder / "backups"
        self.environment = clean_environment(
            BDNEWS_SERVICE__DATA_FOLDER=str(self.data),
            BDNEWS_DATABASE__URL=f"sqlite:///{self.database}",
            PYTHON=sys.executable,
        )

    def back_up(self, *options: str) -> Path:
        done = run(BACKUP, *options, self.backups, env=self.environment)
        assert done.returncode == 0, done.stderr
        return Path(done.stdout.strip())

    def restore(self, *arguments: str | Path, code: int = 0) -> str:
        done = run(RESTORE, *arguments, env=self.environment)
        assert done.returncode == code, done.stderr
        return done.stderr

    def lose_everything(self) -> None:
        shutil.rmtree(self.data)

    def subscribers(self) -> int:
        with closing(sqlite3.connect(self.database)) as database:
            return int(database.execute("SELECT count(*) FROM subscriber").fetchone()[0])


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


@pytest.fixture
async def station(installation: Installation) -> AsyncIterator[Station]:
    """A service with ten readers, which is running."""
    async with open_station(installation.data) as station:
        await station.people(readers(10))
        await station.publish()
        yield station


async def with_readers(installation: Installation, number: int = 10) -> None:
    """Make the database, and stop."""
    async with open_station(installation.data) as station:
        await station.people(readers(number))


async def test_what_was_backed_up_comes_back_with_the_key_that_signed_the_links(
    installation: Installation,
) -> None:
    await with_readers(installation)
    key = installation.key.read_bytes()
    backup = installation.back_up()
    installation.lose_everything()

    installation.restore(backup)

    assert installation.key.read_bytes() == key
    assert installation.key.stat().st_mode & 0o077 == 0
    async with (
        open_station(installation.data) as station,  # the service opens it as its own
        station.parts.database.read() as session,
    ):
        assert len(await people(session, range(1, 100), publication="dsj")) == 10


async def test_a_backup_while_readers_are_written_holds_one_moment(
    installation: Installation, station: Station
) -> None:
    stop = asyncio.Event()
    batches = 0

    async def write() -> None:
        nonlocal batches
        while not stop.is_set():
            await station.people(readers(20, start=11 + 20 * batches))
            batches += 1

    writing = asyncio.create_task(write())
    backups = []
    try:
        async with asyncio.timeout(60):
            for _ in range(2):
                before = batches
                while batches == before:
                    await asyncio.sleep(0.01)
                backups.append(await asyncio.to_thread(installation.back_up))
    finally:
        stop.set()
        await writing

    counts = []
    for backup in backups:
        with closing(sqlite3.connect(backup / "bdnews.sqlite3")) as database:
            counts.append(int(database.execute("SELECT count(*) FROM subscriber").fetchone()[0]))
            (without,) = database.execute(
                "SELECT count(*) FROM subscriber WHERE id NOT IN (SELECT subscriber_id FROM subscription)"
            ).fetchone()
            assert without == 0
        assert not list(backup.glob("*-wal"))
        assert (counts[-1] - 10) % 20 == 0, "half a transaction"
    assert counts[0] < counts[1] <= 10 + 20 * batches


@pytest.mark.parametrize("file", ["bdnews.sqlite3", "signing.key", "SHA256SUMS"])
async def test_a_damaged_backup_is_refused_and_changes_nothing(installation: Installation, file: str) -> None:
    await with_readers(installation)
    backup = installation.back_up()
    damaged = bytearray((backup / file).read_bytes())
    damaged[len(damaged) // 2] ^= 0xFF
    (backup / file).write_bytes(damaged)
    installation.lose_everything()

    said = installation.restore(backup, code=1)

    assert "damaged" in said
    assert not installation.data.exists()


async def test_damage_from_before_the_backup_is_not_backed_up(installation: Installation) -> None:
    await with_readers(installation)
    older = installation.back_up()
    with closing(sqlite3.connect(installation.database)) as database:
        database.execute("PRAGMA journal_mode = DELETE")
        root, size = (
            database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'subscriber'").fetchone()[0],
            database.execute("PRAGMA page_size").fetchone()[0],
        )
    with installation.database.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(os.urandom(size))

    done = run(BACKUP, installation.backups, env=installation.environment)

    assert done.returncode == 1
    assert "could not be copied" in done.stderr
    assert list(installation.backups.iterdir()) == [older]


async def test_a_database_with_content_is_replaced_only_when_told_and_then_set_aside(
    installation: Installation,
) -> None:
    await with_readers(installation, 10)
    backup = installation.back_up()
    await with_readers(installation, 25)

    said = installation.restore(backup, code=1)
    assert "--replace" in said
    assert installation.subscribers() == 25

    installation.restore("--replace", backup)
    assert installation.subscribers() == 10
    (aside,) = installation.data.glob("bdnews.db.before-restore-*")
    with closing(sqlite3.connect(aside)) as database:
        assert database.execute("SELECT count(*) FROM subscriber").fetchone() == (25,)


async def test_nothing_is_replaced_under_a_running_service(
    installation: Installation, station: Station
) -> None:
    backup = installation.back_up()

    said = await asyncio.to_thread(installation.restore, "--replace", backup, code=1)

    assert "stop the service" in said
    await station.people(readers(5, start=100))
    assert installation.subscribers() == 15


async def test_a_log_that_a_lost_database_left_does_not_spoil_the_restored_one(
    installation: Installation,
) -> None:
    await with_readers(installation)
    backup = installation.back_up()
    await with_readers(installation, 40)
    copies = [installation.database, Path(f"{installation.database}-wal")]
    with closing(sqlite3.connect(installation.database)) as database:
        database.execute("UPDATE subscriber SET name = 'after'")
        database.commit()
        left = copies[1].read_bytes()
    installation.database.unlink()
    copies[1].write_bytes(left)

    installation.restore(backup)

    assert installation.subscribers() == 10
    with closing(sqlite3.connect(installation.database)) as database:
        assert database.execute("SELECT count(*) FROM subscriber WHERE name = 'after'").fetchone() == (0,)


async def test_another_signing_key_is_not_lost(installation: Installation) -> None:
    await with_readers(installation)
    backup = installation.back_up()
    installation.lose_everything()
    installation.data.mkdir()
    installation.key.write_text("new:" + "x" * 40, encoding="ascii")

    assert "signing.key is another one" in installation.restore(backup, code=1)
    assert not installation.database.exists()

    installation.restore("--replace", backup)
    assert installation.key.read_bytes() == (backup / "signing.key").read_bytes()
    (aside,) = installation.data.glob("signing.key.before-restore-*")
    assert aside.read_text(encoding="ascii").startswith("new:")


async def test_so_many_are_kept_and_a_failed_one_costs_none(installation: Installation) -> None:
    await with_readers(installation)
    old = [installation.backups / f"bdnews-2026010{day}T000000Z" for day in range(1, 5)]
    for folder in old:
        folder.mkdir(parents=True)
        (folder / "SHA256SUMS").touch()
    somebody_elses = installation.backups / "bdnews-notes"
    somebody_elses.mkdir()

    installation.environment["BDNEWS_DATABASE__URL"] = "sqlite:///nowhere.db"
    assert run(BACKUP, "--keep", "1", installation.backups, env=installation.environment).returncode == 1
    assert all(folder.exists() for folder in old)

    installation.environment["BDNEWS_DATABASE__URL"] = f"sqlite:///{installation.database}"
    newest = installation.back_up("--keep", "3")
    assert sorted(installation.backups.iterdir()) == sorted([*old[2:], newest, somebody_elses])
    assert newest.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["backup.sh"], "usage"),
        (["backup.sh", "--keep", "0", "x"], "--keep"),
        (["backup.sh", "--force", "x"], "--force"),
        (["restore.sh"], "usage"),
        (["restore.sh", "/nowhere"], "not a backup"),
    ],
)
def test_wrong_words_are_explained(
    installation: Installation, arguments: list[str], word: str, tmp_path: Path
) -> None:
    done = run(DEPLOY / "backup" / arguments[0], *arguments[1:], env=installation.environment)
    assert done.returncode == 1
    assert word in done.stderr
    assert not done.stdout


def test_a_wrong_setting_is_explained(installation: Installation) -> None:
    installation.environment["BDNEWS_DATABASE__URI"] = "x"
    done = run(BACKUP, installation.backups, env=installation.environment)
    assert done.returncode == 1
    assert "database.uri" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_scripts_have_no_fault_that_shellcheck_knows() -> None:
    done = run(BIN / "shellcheck", "--enable=all", "--exclude=SC2250,SC2310,SC2312", BACKUP, RESTORE)
    assert done.returncode == 0, done.stdout
