"""Real `bdnews worker` processes on several hosts, one PostgreSQL, one relay behind a delay.

In: how many workers, how many connections each. Out: mails a second at the relay, and who spent which CPU. Caller:
workers.py.
"""

import asyncio
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy.engine import URL
from tests.benchmarks.hosts import Host
from tests.benchmarks.peers import cpu_seconds_with_children
from tests.benchmarks.service import SIGNING_KEY, thirty_kib, whole_issue_readers
from tests.making import Station, test_settings
from tests.postgres import Server, execute

from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.db.migrate import upgrade
from bdnews_dispatch.parts import open_parts
from bdnews_dispatch.service.worker import open_worker

TEMPLATE = "bench_filled"
STARTED = "已启动"
START_SECONDS = 90.0
_TICKS = os.sysconf("SC_CLK_TCK")


class FilledServer:
    """A PostgreSQL that keeps what it says (fsync on), with a database in which a dispatch is planned and not sent."""

    def __init__(self, readers: int) -> None:
        """Args: readers: 0: the tables are there and empty."""
        listen = (
            "'*'"  # inside the namespace there is nobody else; outside of one it is the loopback that is used
        )
        self.server = Server(fsync="on", listen_addresses=listen, shared_buffers="256MB")
        with (self.server.folder / "data" / "pg_hba.conf").open("a", encoding="ascii") as file:
            file.write("host all all 10.77.0.0/24 scram-sha-256\nhost all all 127.0.0.0/8 scram-sha-256\n")
        self._administer("SELECT pg_reload_conf()")
        self._administer(f"CREATE DATABASE {TEMPLATE}")
        self.planning_seconds = asyncio.run(_fill(self.server.url.set(database=TEMPLATE), readers))

    @contextmanager
    def database(self) -> Iterator[URL]:
        """A copy of the filled one."""
        name = f"bench_{secrets.token_hex(4)}"
        self._administer(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        try:
            yield self.server.url.set(database=name)
        finally:
            self._administer(f"DROP DATABASE {name} WITH (FORCE)")

    def _administer(self, statement: str) -> None:
        execute(self.server.url.render_as_string(hide_password=False), statement)

    @property
    def process(self) -> int:
        """The first of the server's."""
        return int((self.server.folder / "data" / "postmaster.pid").read_text().split()[0])

    def cpu_seconds(self) -> float:
        """Of the server's processes that are alive."""
        return cpu_seconds_with_children(self.process)

    def remove(self) -> None:
        self.server.remove()


async def _fill(url: URL, readers: int) -> float:
    """Returns: how long planning took, seconds."""
    words = url.render_as_string(hide_password=False)
    database = Database(words)
    await upgrade(database)
    await database.close()
    if not readers:
        return 0.0
    with tempfile.TemporaryDirectory() as folder:
        settings = test_settings(
            Path(folder), database={"url": words}, security={"signing_keys": [SIGNING_KEY]}
        )
        async with open_parts(settings) as parts:
            station = Station(parts, None)  # type: ignore[arg-type]  # nothing here goes to the sandbox
            await station.people(whole_issue_readers(readers))
            dispatch = await station.start(await station.publish(thirty_kib(1)))
            async with open_worker(parts) as worker:
                began = time.perf_counter()
                while await worker._planner.plan_slice(dispatch):
                    pass
                return time.perf_counter() - began


class Fleet:
    """Worker processes, spread over hosts."""

    def __init__(self, folder: Path, hosts: list[Host], url: URL, port: int, **settings: str | int) -> None:
        """Args: port: of the relay, at each host's `server`. settings: of the email group."""
        self._folder, self._hosts = folder, hosts
        self._url, self._port, self._settings = url, port, settings
        self._number = 0
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, number: int) -> None:
        """Start so many and wait until all say that they are up."""
        logs = [self.add() for _ in range(number)]
        deadline = time.monotonic() + START_SECONDS
        for log, worker in zip(logs, self.running, strict=True):
            while STARTED not in log.read_text(encoding="utf-8"):
                if worker.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(log.read_text(encoding="utf-8"))
                time.sleep(0.05)

    def add(self) -> Path:
        """Start one more, on the next host. Returns: its log."""
        number = self._number
        self._number += 1
        host = self._hosts[number % len(self._hosts)]
        folder = self._folder / f"worker-{number}"
        folder.mkdir()
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("BDNEWS_")},
            "PYTHONUNBUFFERED": "1",
            "BDNEWS_SERVICE__DATA_FOLDER": str(folder),
            "BDNEWS_DATABASE__URL": self._url.set(host=host.server).render_as_string(hide_password=False),
            "BDNEWS_SECURITY__SIGNING_KEYS": f'["{SIGNING_KEY}"]',
            "BDNEWS_OPERATIONS__PORT": "0",
            "BDNEWS_DELIVERY__ALLOW": "everybody",
            "BDNEWS_EMAIL__HOST": host.server,
            "BDNEWS_EMAIL__PORT": str(self._port),
            "BDNEWS_EMAIL__MESSAGES_PER_CONNECTION": "100000",
            **{f"BDNEWS_EMAIL__{name.upper()}": str(value) for name, value in self._settings.items()},
        }
        log = folder / "log"
        with log.open("w", encoding="utf-8") as output:
            command = [*host.prefix, sys.executable, "-m", "bdnews_dispatch", "worker"]
            self.running.append(
                subprocess.Popen(
                    command, env=environment, cwd=folder, stdout=output, stderr=subprocess.STDOUT
                )
            )
        return log

    def cpu_seconds(self) -> float:
        """Of those that are alive."""
        spent = 0.0
        for worker in self.running:
            with suppress(OSError):
                fields = Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()
                spent += (int(fields[11]) + int(fields[12])) / _TICKS
        return spent

    def stop(self) -> None:
        """In order, as a service manager does; nobody is left."""
        for worker in self.running:
            worker.terminate()
        for worker in self.running:
            try:
                worker.wait(15)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()


def busy_seconds() -> tuple[float, float]:
    """What all the machine's cores have worked, and what they could have."""
    line = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0]
    ticks = [int(number) for number in line.split()[1:9]]
    idle = ticks[3] + ticks[4]
    return (sum(ticks) - idle) / _TICKS, sum(ticks) / _TICKS
