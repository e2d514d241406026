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
#: When so many are sent, all is planned and everybody takes part; from then on it is counted.
BEGINNING = 300
SECONDS_BEFORE, SECONDS_BEHIND = 5.0, 8.0
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
    seconds = SECONDS_BEFORE + SECONDS_BEHIND
    started(machine, BEGINNING + round(RATE * (seconds + 8)))
    deadline = time.monotonic() + 30
    while world.number() < BEGINNING:
        assert time.monotonic() < deadline, "it begins by itself"
        time.sleep(0.05)
    start = time.time()
    time.sleep(SECONDS_BEFORE)
    machine.stop(workers[0], signal.SIGKILL)
    time.sleep(SECONDS_BEHIND + 0.5)
    moments = world.moments()
    assert moments[-1] > start + seconds, "there was mail for the whole time"
    fewest, most = fewest_and_most(moments, start, start + seconds)
    print(f"mails in ten seconds: {fewest} to {most}")  # noqa: T201
    wanted = RATE * WINDOW_SECONDS
    assert wanted * (1 - TOLERANCE) <= fewest <= most <= wanted * (1 + TOLERANCE)
