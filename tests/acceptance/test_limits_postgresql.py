"""A provider's limit holds for four worker processes together, also while one of them is killed."""

import signal
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from tests.acceptance.test_crashes import World, started
from tests.benchmarks.windows import WINDOW_SECONDS, fewest_and_most
from tests.postgres import database_url

if TYPE_CHECKING:
    from tests.acceptance.conftest import Machine

WORKERS = 4
RATE = 100
#: The issue's bound: within 5 % in every window of ten seconds.
TOLERANCE = 0.05
#: Until all of them take part; from then on it is counted.
BEGINNING_SECONDS = 2.0
SECONDS_BEFORE, SECONDS_BEHIND = 8.0, 13.0
LIMIT = f"""
[[provider]]
name = "readers"
domains = ["readers.example"]
messages_per_second = {RATE}
"""


@pytest.fixture
def world(machine: "Machine") -> Iterator[World]:
    providers = machine.folder / "providers.toml"
    providers.write_text(LIMIT)
    machine.environment |= {
        "BDNEWS_DATABASE__URL": database_url(str(machine.folder)),
        "BDNEWS_SECURITY__SIGNING_KEYS": '["test:only-for-tests-and-long-enough-for-a-key"]',
        "BDNEWS_EMAIL__PROVIDERS": str(providers),
    }
    world = World(machine, connections=4)
    yield world
    machine.stop_all()
    world.process.kill()
    world.process.wait()


def test_a_hundred_a_second_while_one_of_four_is_killed(machine: "Machine", world: World) -> None:
    workers = [machine.start("worker") for _ in range(WORKERS)]
    seconds = BEGINNING_SECONDS + SECONDS_BEFORE + SECONDS_BEHIND
    started(machine, round(RATE * (seconds + 15)))
    deadline = time.monotonic() + 30
    while world.number() < RATE:
        assert time.monotonic() < deadline, "it begins by itself"
        time.sleep(0.05)
    first = world.moments()[0]
    time.sleep(max(0.0, first + BEGINNING_SECONDS + SECONDS_BEFORE - time.time()))
    machine.stop(workers[0], signal.SIGKILL)
    time.sleep(max(0.0, first + seconds + 0.5 - time.time()))
    moments = world.moments()
    assert moments[-1] > first + seconds, "there was mail for the whole time"
    fewest, most = fewest_and_most(moments, first + BEGINNING_SECONDS, first + seconds)
    print(f"mails in ten seconds: {fewest} to {most}")  # noqa: T201
    wanted = RATE * WINDOW_SECONDS
    assert wanted * (1 - TOLERANCE) <= fewest <= most <= wanted * (1 + TOLERANCE)
