"""The database can't be written for a while: no dot goes out without its gate, nothing is lost, work goes on by itself.

A full disk is a limit on the size of files that the worker may write, set from outside while it runs. A locked database
is another process that holds the writer's lock for longer than anybody waits.
"""

import resource
import sqlite3
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from tests.acceptance.test_crashes import World, settled, started, world
from tests.acceptance.test_operations import ask, ready
from tests.making import FULL
from tests.ports import free_port

if TYPE_CHECKING:
    from tests.acceptance.conftest import Machine

__all__ = ["world"]  # the fixture

NUMBER = 4_000 if FULL else 2_500


def stands_still(world: World, seconds: float = 1.0) -> bool:
    before = world.number()
    time.sleep(seconds)
    return world.number() == before


def nobody_twice_nobody_lost(machine: "Machine", world: World, dispatch: str) -> None:
    counts = settled(machine, dispatch, NUMBER)["counts"]
    assert counts["uncertain"] == 0, counts
    taken = Counter(recipient for recipient, _ in world.taken())
    assert len(taken) == NUMBER
    assert max(taken.values()) == 1
    with sqlite3.connect(machine.folder / "var" / "bdnews.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.fault(6)
@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="limits of another process are Linux's")
def test_a_full_disk(machine: "Machine", world: World) -> None:
    port = free_port()
    machine.environment["BDNEWS_OPERATIONS__PORT"] = str(port)
    dispatch = started(machine, NUMBER)
    worker = machine.start("worker")
    while world.number() < 300:
        time.sleep(0.005)
    soft, hard = resource.prlimit(worker.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (4096, hard))
    time.sleep(0.5)
    assert stands_still(world), "no gate, no dot"
    assert world.number() < NUMBER
    time.sleep(3)
    assert stands_still(world)
    assert worker.poll() is None
    status, said = ask(port, "/ready")
    assert status == 503
    assert "磁盘已满" in said
    resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (soft, hard))
    deadline = time.monotonic() + 20
    while not ready(port):
        assert time.monotonic() < deadline, ask(port, "/ready")
        time.sleep(0.1)
    nobody_twice_nobody_lost(machine, world, dispatch)


@pytest.mark.fault(6)
def test_a_database_that_somebody_locks_for_half_a_minute(machine: "Machine", world: World) -> None:
    dispatch = started(machine, NUMBER)
    worker = machine.start("worker")
    while world.number() < 300:
        time.sleep(0.005)
    other = sqlite3.connect(machine.folder / "var" / "bdnews.db", isolation_level=None, timeout=30)
    other.execute("BEGIN IMMEDIATE")
    time.sleep(0.3)
    assert stands_still(world)
    time.sleep(31)
    assert stands_still(world)
    assert worker.poll() is None
    log = next(machine.folder.glob("worker-*.log")).read_text(encoding="utf-8")
    assert "数据库被另一个程序占用" in log, log
    other.execute("ROLLBACK")
    other.close()
    nobody_twice_nobody_lost(machine, world, dispatch)
