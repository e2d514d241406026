"""Opens and clicks under load: what was answered is stored, also where the process is killed, and beside a dispatch."""

import asyncio
import os
import random
import signal
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from itertools import cycle
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from tests.acceptance.test_crashes import World, settled, started, world
from tests.making import FULL

from bdnews_dispatch.links import Links, Signer, kept_key

if TYPE_CHECKING:
    from tests.acceptance.conftest import Machine

__all__ = ["world"]

KILLS = 10 if FULL else 2
BURST_SECONDS, READERS = (60.0, 20_000) if FULL else (2.0, 1_200)
CONNECTIONS = 32


class Load:
    """Asks without end, over connections that stay; counts what was answered."""

    def __init__(self, port: int, paths: Sequence[str]) -> None:
        self._port, self._paths = port, cycle(paths)
        self.answered = self.failed = 0

    async def run(self, seconds: float, *, at_least: int = 0) -> None:
        """Until then and until so many were answered, or until the server is gone."""
        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(self._connection(asyncio.get_running_loop().time() + seconds, at_least))

    async def _connection(self, until: float, at_least: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            while asyncio.get_running_loop().time() < until or self.answered < at_least:
                asked = (
                    f"GET {next(self._paths)} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Mozilla/5.0\r\n\r\n"
                )
                writer.write(asked.encode())
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
                await reader.readexactly(length)
                if head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 302")):
                    self.answered += 1
                else:
                    self.failed += 1
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # killed
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


def paths_of(machine: "Machine", number: int) -> list[str]:
    """Pixels and clicks of that many deliveries."""
    links = Links(machine.base_url, Signer([kept_key(machine.folder / "var")]))
    with sqlite3.connect(machine.folder / "var" / "bdnews.db") as database:
        keys = [row[0] for row in database.execute("SELECT key FROM delivery LIMIT ?", (number,))]
    assert keys
    return [urlsplit(url).path for key in keys for url in (links.pixel(key), f"{links.click(key)}/1")]


def stored(machine: "Machine") -> int:
    with sqlite3.connect(machine.folder / "var" / "bdnews.db") as database:
        return int(database.execute("SELECT count(*) FROM hit").fetchone()[0])


@pytest.fixture
def sent(machine: "Machine", world: World) -> list[str]:
    dispatch = started(machine, 50)
    worker = machine.start("worker")
    settled(machine, dispatch, 50)
    machine.stop(worker)
    return paths_of(machine, 50)


def test_what_was_answered_is_stored_though_the_process_is_killed(
    machine: "Machine", sent: list[str]
) -> None:
    seed = int(os.environ.get("CRASH_SEED", random.SystemRandom().randrange(10**9)))
    print(f"CRASH_SEED={seed}")  # noqa: T201  # to see the same again
    chance = random.Random(seed)  # instants, no secrets
    answered = 0
    for _ in range(KILLS):
        web = machine.start("web")
        load = Load(machine.web_port, sent)

        async def killed(load: Load = load, web: object = web) -> None:
            running = asyncio.create_task(load.run(60))
            while load.answered < 100:
                await asyncio.sleep(0.01)
            await asyncio.sleep(chance.uniform(0, 0.5))
            web.send_signal(signal.SIGKILL)  # type: ignore[attr-defined]  # a process
            await running

        asyncio.run(killed())
        web.wait(timeout=10)
        answered += load.answered
        assert load.failed == 0
        assert stored(machine) >= answered, "an answer means that it is stored"
    # Stored, and the answer was still on its way when the process died: at most one for each connection and kill.
    assert stored(machine) - answered <= KILLS * CONNECTIONS


@pytest.mark.fault(21)
def test_a_burst_beside_a_dispatch(machine: "Machine", world: World) -> None:
    """No error, nothing dropped, and the dispatch goes on; its rate beside: `make bench ARGS="--hits"`."""
    dispatch = started(machine, READERS)
    machine.start("web")
    machine.start("worker")
    while world.number() < 100:
        pass
    load = Load(machine.web_port, paths_of(machine, 100))
    before = world.number()
    asyncio.run(load.run(BURST_SECONDS, at_least=100))
    during = world.number() - before
    assert load.failed == 0
    assert load.answered >= 100
    assert stored(machine) == load.answered
    assert during > 0, "mails went out meanwhile"
    assert settled(machine, dispatch, READERS)["counts"]["uncertain"] == 0
    print(f"{load.answered / BURST_SECONDS:.0f} hits/s beside {during / BURST_SECONDS:.0f} mails/s")  # noqa: T201
