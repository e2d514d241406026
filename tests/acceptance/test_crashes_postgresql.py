"""Three workers on PostgreSQL, and everything dies in turn: workers, the server, the queue's own tables.

Nothing is lost, nothing goes out twice, and what is in doubt is listed.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from tests.acceptance.test_crashes import LEASE_SECONDS, World, settled, started
from tests.making import FULL
from tests.postgres import Server, execute

if TYPE_CHECKING:
    from tests.acceptance.conftest import Machine

CONNECTIONS = 3
WORKERS = 3
#: The fault table's size; without BDNEWS_TEST_FULL a part of it, so that all tests take less than a quarter of an hour.
NUMBER, KILLS, STOPS, CRASHES = (14_000, 20, 5, 2) if FULL else (4_000, 4, 2, 1)
#: What the relay takes for each mail when few are left while faults are still to come: they must fall into the run,
#: however slow the machine is.
SLOW_SECONDS = 1.0


@pytest.fixture
def server(machine: "Machine") -> Iterator[Server]:
    """A server of this test's own: it is going to be crashed."""
    server = Server()
    machine.environment |= {
        "BDNEWS_DATABASE__URL": server.url.render_as_string(hide_password=False),
        "BDNEWS_SECURITY__SIGNING_KEYS": '["test:only-for-tests-and-long-enough-for-a-key"]',
    }
    yield server
    machine.stop_all()
    server.remove()


@pytest.fixture
def world(machine: "Machine", server: Server) -> Iterator[World]:
    assert server.url.port
    world = World(machine, connections=CONNECTIONS)
    world.answers_after(0.06)  # so that it is not over before the last fault
    yield world
    world.process.kill()
    world.process.wait()


class Workers:
    """So many at once; who dies is replaced."""

    def __init__(self, machine: "Machine", world: World, chance: random.Random) -> None:
        self.machine, self.world, self.chance = machine, world, chance
        self.running = [machine.start("worker") for _ in range(WORKERS)]

    def progress(self, number: int = 1, seconds: float = 60) -> None:
        """Wait until so many more are sent, and then a random moment."""
        if self.world.number() > NUMBER // 2:
            self.world.answers_after(SLOW_SECONDS)
        goal, deadline = self.world.number() + number, time.monotonic() + seconds
        while self.world.number() < goal:
            assert time.monotonic() < deadline, "it goes on by itself"
            time.sleep(0.005)
        time.sleep(self.chance.uniform(0, 0.3))

    def kill_one(self) -> None:
        victim = self.running.pop(self.chance.randrange(WORKERS))
        self.machine.stop(victim, signal.SIGKILL)
        self.running.append(self.machine.start("worker"))

    def stop_one_beyond_its_lease(self) -> None:
        sleeper = self.chance.choice(self.running)
        sleeper.send_signal(signal.SIGSTOP)
        time.sleep(LEASE_SECONDS + 1)
        self.progress()
        sleeper.send_signal(signal.SIGCONT)


def end(machine: "Machine", world: World, dispatch: str, number: int, most_in_doubt: int) -> None:
    shown: dict[str, Any] = settled(machine, dispatch, number)
    counts = shown["counts"]
    taken = Counter(recipient for recipient, _ in world.taken())
    assert max(taken.values()) == 1, "nothing twice"
    options = ("--dispatch", dispatch, "--state", "uncertain", "--addresses", "--limit", "5000")
    listed = {row["address"] for row in machine.json("deliveries", "list", *options)}
    assert len(listed) == counts["uncertain"], "each one is listed"
    everybody = {f"reader{n}@readers.example" for n in range(1, number + 1)}
    assert everybody - set(taken) <= listed, "nobody is lost whom the ledger does not name"
    print(f"uncertain={counts['uncertain']} of which taken={len(listed & set(taken))}")  # noqa: T201
    assert counts["uncertain"] <= most_in_doubt


@pytest.mark.fault(1, 2, 4, 7)
def test_everything_dies_in_turn(machine: "Machine", server: Server, world: World) -> None:
    """Kill -9 × 20, SIGSTOP beyond the lease × 5, the server crashed × 2, the queue emptied: in one run, in full."""
    seed = int(os.environ.get("CRASH_SEED", random.SystemRandom().randrange(10**9)))
    print(f"CRASH_SEED={seed}")  # noqa: T201  # to see the same again
    chance = random.Random(seed)  # instants, no secrets
    faults = ["kill"] * KILLS + ["stop"] * STOPS + ["server"] * CRASHES + ["empty"]
    chance.shuffle(faults)
    dispatch = started(machine, NUMBER)
    workers = Workers(machine, world, chance)
    for fault in faults:
        workers.progress()
        match fault:
            case "kill":
                workers.kill_one()
            case "stop":
                workers.stop_one_beyond_its_lease()
            case "server":
                server.stop("immediate")
                time.sleep(1)
                server.start()
            case "empty":
                execute(
                    server.url.render_as_string(hide_password=False),
                    "TRUNCATE pgqueuer, pgqueuer_log, pgqueuer_statistics",
                )
    print(f"sent when the faults were over: {world.number()} of {NUMBER}")  # noqa: T201
    assert world.number() < NUMBER, "the faults fell into the run"
    world.answers_after(0.002)
    end(machine, world, dispatch, NUMBER, most_in_doubt=(KILLS + STOPS) * CONNECTIONS)
    assert all(worker.poll() is None for worker in workers.running), "who was not killed lives"


@pytest.mark.fault(4)
def test_a_server_that_is_away_for_longer_than_a_lease(
    machine: "Machine", server: Server, world: World
) -> None:
    """In order, as for an upgrade of the server, and not back for a while: nobody dies of it, nobody sends unseen."""
    number, away = (10_000, 30.0) if FULL else (1_500, 3.0 * LEASE_SECONDS)
    dispatch = started(machine, number)
    running = [machine.start(role) for role in ("scheduler", "worker", "worker")]
    while world.number() < 200:
        time.sleep(0.005)
    server.stop("fast")
    time.sleep(0.5)
    before = world.number()
    time.sleep(away)
    assert world.number() == before < number, "no gate, no dot"
    assert all(process.poll() is None for process in running)
    server.start()
    back_at = time.monotonic()
    while world.number() == before:
        assert time.monotonic() < back_at + 15, "it goes on by itself"
        time.sleep(0.01)
    world.answers_after(0.002)
    end(machine, world, dispatch, number, most_in_doubt=2 * CONNECTIONS)
    assert all(process.poll() is None for process in running)
