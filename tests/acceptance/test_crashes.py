"""Workers that are killed at random instants: nothing is lost, nothing goes out twice, and what is in doubt is listed.

The instants come from CRASH_SEED (printed; set it to see the same again). Real processes, a real SMTP dialogue, and a
relay that writes down what it took.
"""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.making import FULL, readers

if TYPE_CHECKING:
    from tests.acceptance.conftest import Machine, Running

SAMPLE = Path(__file__).parents[2] / "config" / "samples" / "dsj-sample.md"
CONNECTIONS = 10
LEASE_SECONDS = 2


class World:
    """What the relay has taken."""

    def __init__(self, machine: "Machine", *, connections: int = CONNECTIONS) -> None:
        self.file = machine.folder / "taken.tsv"
        self.file.touch()
        self.port = machine.smtp_port
        command = [sys.executable, "-m", "tests.acceptance.recording_relay", str(self.port), str(self.file)]
        self.process = subprocess.Popen(command, cwd=Path(__file__).parents[2])
        machine.environment |= {
            "BDNEWS_EMAIL__HOST": "127.0.0.1",
            "BDNEWS_EMAIL__PORT": str(self.port),
            "BDNEWS_EMAIL__CONNECTIONS": str(connections),
            "BDNEWS_DELIVERY__ALLOW": "everybody",
            "BDNEWS_DELIVERY__LEASE_SECONDS": str(LEASE_SECONDS),
        }

    def answers_after(self, seconds: float) -> None:
        """From now on the relay takes so long for each mail."""
        fresh = self.file.with_suffix(".new")
        fresh.write_text(str(seconds))
        fresh.replace(self.file.with_suffix(".seconds"))

    def number(self) -> int:
        return self.file.read_bytes().count(b"\n")

    def moments(self) -> list[float]:
        """When each mail's dot came, in that order."""
        lines = self.file.read_text(encoding="utf-8").splitlines()
        return sorted(float(line.split("\t")[2]) for line in lines)

    def taken(self) -> list[tuple[str, str]]:
        """Recipient and Message-ID of each mail."""
        lines = self.file.read_text(encoding="utf-8").splitlines()
        return [(line.split("\t")[0], line.split("\t")[1]) for line in lines]


@pytest.fixture
def world(machine: "Machine") -> Iterator[World]:
    world = World(machine)
    yield world
    world.process.kill()
    world.process.wait()


def started(machine: "Machine", number: int) -> str:
    csv = machine.folder / "readers.csv"
    csv.write_bytes(readers(number))
    machine.run("subscribers", "import", str(csv), "--basis", "会场登记")
    machine.run("issues", "ingest", str(SAMPLE), "--publish")
    return str(machine.json("dispatch", "start", "--issue", "112")["id"])


def killed_again_and_again(machine: "Machine", world: World, kills: int) -> None:
    """Workers, each killed a random moment after its first mail; then one that is left alone."""
    seed = int(os.environ.get("CRASH_SEED", random.SystemRandom().randrange(10**9)))
    print(f"CRASH_SEED={seed}")  # noqa: T201  # to see the same again
    chance = random.Random(seed)  # instants, no secrets
    for _ in range(kills):
        worker = machine.start("worker")
        before = world.number()
        deadline = time.monotonic() + 30
        while world.number() == before:
            assert time.monotonic() < deadline, "a worker goes on by itself where another one died"
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.3))
        machine.stop(worker, signal.SIGKILL)
    machine.start("worker")


def settled(machine: "Machine", dispatch: str, number: int) -> dict[str, Any]:
    """The dispatch, when everything is sent or in doubt."""
    deadline = time.monotonic() + 150
    while True:
        shown: dict[str, Any] = machine.json("dispatch", "show", dispatch)
        counts = shown["counts"]
        if counts["sent"] + counts["uncertain"] == number:
            return shown
        assert time.monotonic() < deadline, shown
        time.sleep(0.5)


@pytest.mark.fault(1, 5)
def test_twenty_kills_of_twenty_thousand(machine: "Machine", world: World) -> None:
    number, kills = (20_000, 20) if FULL else (2_500, 5)
    dispatch = started(machine, number)
    killed_again_and_again(machine, world, kills)
    counts = settled(machine, dispatch, number)["counts"]
    taken = Counter(recipient for recipient, _ in world.taken())
    assert max(taken.values()) == 1, "nothing twice"
    assert counts["uncertain"] <= kills * CONNECTIONS, "at most one for each open connection and kill"
    in_doubt = machine.json(
        "deliveries", "list", "--dispatch", dispatch, "--state", "uncertain", "--addresses", "--limit", "1000"
    )
    listed = {row["address"] for row in in_doubt}
    assert len(listed) == counts["uncertain"], "each one is listed"
    everybody = {f"reader{n}@readers.example" for n in range(1, number + 1)}
    assert everybody - set(taken) <= listed, "nobody is lost whom the ledger does not name"
    with sqlite3.connect(machine.folder / "var" / "bdnews.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    print(f"kills={kills} uncertain={counts['uncertain']} of which taken={len(listed & set(taken))}")  # noqa: T201


def test_with_resend_a_repeat_has_the_same_message_id(machine: "Machine", world: World) -> None:
    machine.environment["BDNEWS_DELIVERY__UNCERTAIN"] = "resend"
    number, kills = (3_000, 4) if FULL else (1_500, 3)
    dispatch = started(machine, number)
    killed_again_and_again(machine, world, kills)
    assert settled(machine, dispatch, number)["counts"]["uncertain"] == 0
    taken = world.taken()
    by_recipient: dict[str, set[str]] = {}
    for recipient, message_id in taken:
        by_recipient.setdefault(recipient, set()).add(message_id)
    assert set(by_recipient) == {f"reader{n}@readers.example" for n in range(1, number + 1)}, "nobody is lost"
    assert len(taken) - number <= kills * CONNECTIONS, "repeats: at most what was in flight"
    assert all(len(ids) == 1 for ids in by_recipient.values()), "a receiver can drop the repeat"


@pytest.mark.fault(3)
def test_sigterm_in_mid_run_leaves_nothing_in_doubt(machine: "Machine", world: World) -> None:
    number = 4_000 if FULL else 2_500
    dispatch = started(machine, number)
    for _ in range(3):
        worker = machine.start("worker")
        before = world.number()
        while world.number() < before + 200:
            time.sleep(0.005)
        began = time.monotonic()
        assert machine.stop(worker) == 0
        assert time.monotonic() - began < 30
        counts = machine.json("dispatch", "show", dispatch)["counts"]
        assert counts["uncertain"] == counts["in_flight"] == counts["claimed"] == 0, counts
        assert counts["sent"] == world.number()
    machine.start("worker")
    assert settled(machine, dispatch, number)["counts"]["uncertain"] == 0
    assert len({recipient for recipient, _ in world.taken()}) == len(world.taken()) == number


def stopped_between_commits(machine: "Machine", worker: "Running") -> None:
    """SIGSTOP at an instant at which it does not hold SQLite's writer lock: in the middle of a commit it would keep
    everybody out until it wakes, which is safe, and no test of leases.
    """
    for _ in range(100):
        worker.send_signal(signal.SIGSTOP)
        time.sleep(0.02)
        database = sqlite3.connect(machine.folder / "var" / "bdnews.db", isolation_level=None, timeout=0)
        try:
            database.execute("BEGIN IMMEDIATE")
            database.execute("ROLLBACK")
        except sqlite3.OperationalError:
            worker.send_signal(signal.SIGCONT)
            time.sleep(0.01)
        else:
            return
        finally:
            database.close()
    raise AssertionError("it holds the lock whenever one looks")


@pytest.mark.fault(2)
def test_a_worker_that_slept_beyond_its_lease_sends_nothing_that_another_has(
    machine: "Machine", world: World
) -> None:
    """SIGSTOP, as a suspended machine does: when it wakes, its gates stay shut."""
    number = 4_000 if FULL else 2_500
    dispatch = started(machine, number)
    sleeper = machine.start("worker")
    while world.number() < 100:
        time.sleep(0.005)
    stopped_between_commits(machine, sleeper)
    time.sleep(LEASE_SECONDS + 1)
    before = world.number()
    machine.start("worker")
    deadline = time.monotonic() + 30
    while world.number() < before + 500:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    sleeper.send_signal(signal.SIGCONT)
    counts = settled(machine, dispatch, number)["counts"]
    taken = Counter(recipient for recipient, _ in world.taken())
    assert max(taken.values()) == 1
    assert counts["uncertain"] <= CONNECTIONS
    assert number - len(taken) <= counts["uncertain"]
