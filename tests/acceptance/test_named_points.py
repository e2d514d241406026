"""A worker that dies at each named point of a delivery's way: claim, body, gate, dot, 250, commit."""

import signal
import sqlite3
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from tests.acceptance.stopping_worker import POINTS
from tests.acceptance.test_crashes import CONNECTIONS, LEASE_SECONDS, World, settled, started, world
from tests.making import FULL

if TYPE_CHECKING:
    from tests.acceptance.conftest import Machine

__all__ = ["world"]  # the fixture

NUMBER = 10_000 if FULL else 400
#: The how many-th time it stops there.
TIMES = dict.fromkeys(POINTS, 20) | {"claim": 1, "commit": 3}


def in_doubt(machine: "Machine") -> int:
    with sqlite3.connect(machine.folder / "var" / "bdnews.db") as database:
        [number] = database.execute("SELECT count(*) FROM delivery WHERE state = 'uncertain'").fetchone()
    return int(number)


@pytest.mark.fault(1, 5)
def test_killed_at_each_point(machine: "Machine", world: World) -> None:
    """Who dies has claimed all that is left, so that the next one goes on with what the lease gives back."""
    machine.environment["BDNEWS_DELIVERY__BATCH"] = str(NUMBER)
    world.answers_after(0.05)  # so that the dot is out for a while without its answer
    dispatch = started(machine, NUMBER)
    module = "tests.acceptance.stopping_worker"
    worker = machine.start(POINTS[0], str(TIMES[POINTS[0]]), module=module)
    for point, following in zip(POINTS, (*POINTS[1:], None), strict=True):
        deadline = time.monotonic() + 30
        while not (machine.folder / point).exists():
            assert time.monotonic() < deadline, point
            time.sleep(0.005)
        time.sleep(0.2)  # what the relay has, it says
        before = world.number()
        successor = (
            machine.start(following, str(TIMES[following]), module=module)
            if following
            else machine.start("worker")
        )
        machine.stop(worker, signal.SIGKILL)
        died_at = time.monotonic()
        while world.number() == before:
            assert time.monotonic() < died_at + LEASE_SECONDS + 3, f"nobody goes on behind {point}"
            time.sleep(0.005)
        if point == "claim":
            assert in_doubt(machine) == 0, "nothing had begun"
        worker = successor
    world.answers_after(0.001)
    counts = settled(machine, dispatch, NUMBER)["counts"]
    taken = Counter(recipient for recipient, _ in world.taken())
    assert max(taken.values()) == 1, "nothing twice"
    assert counts["uncertain"] == in_doubt(machine) <= (len(POINTS) - 1) * CONNECTIONS
    assert NUMBER - len(taken) <= counts["uncertain"], "nobody is lost whom the ledger does not name"
    with sqlite3.connect(machine.folder / "var" / "bdnews.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
