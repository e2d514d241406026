"""The release before on the next one's schema: machines are upgraded one after the other, and nobody stops sending.

There is no next release yet; tests/next_release.py makes its migration. Today's processes are the old ones.
"""

import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from tests import postgres
from tests.acceptance.test_crashes import World, settled, started, world
from tests.acceptance.test_operations import ready
from tests.next_release import bring_forward, write_migration
from tests.ports import free_port

from bdnews_dispatch.db.engine import Backend

if TYPE_CHECKING:
    from tests.acceptance.conftest import Machine

__all__ = ["world"]  # the fixture

NUMBER = 1_200


@pytest.mark.parametrize("backend", list(Backend))
def test_old_processes_go_on_while_the_schema_moves_under_them(
    machine: "Machine", world: World, backend: Backend
) -> None:
    roles = ["serve"]
    if backend is Backend.POSTGRESQL:
        roles = ["scheduler", "worker", "worker"]
        machine.environment |= {
            "BDNEWS_DATABASE__URL": postgres.database_url(str(machine.folder)),
            "BDNEWS_SECURITY__SIGNING_KEYS": '["test:only-for-tests-and-long-enough-for-a-key"]',
        }
    world.answers_after(
        1
    )  # so that it is not over before the migration, however long the processes take to start
    dispatch = started(machine, NUMBER)
    ports = {}
    for role in roles:
        port = free_port()
        machine.environment["BDNEWS_OPERATIONS__PORT"] = str(port)
        ports[port] = machine.start(role)
    going_on(world, 50)
    versions = machine.folder / "next"
    revision = write_migration(versions)
    assert bring_forward(machine.environment["BDNEWS_DATABASE__URL"], versions) == revision
    moved_at = world.number()
    assert moved_at + 100 < NUMBER, "it fell into the run"
    world.answers_after(0.1)
    going_on(world, 100)
    port, process = ports.popitem()
    assert machine.stop(process) == 0
    world.answers_after(0.001)
    machine.environment["BDNEWS_OPERATIONS__PORT"] = str(port)
    ports[port] = machine.start(roles[-1])  # an old one that starts on the newer schema
    everybody_ready(list(ports))
    assert settled(machine, dispatch, NUMBER)["counts"]["sent"] == NUMBER
    taken = Counter(recipient for recipient, _ in world.taken())
    assert len(taken) == NUMBER, "nobody is lost"
    assert max(taken.values()) == 1, "nothing twice"
    everybody_ready(list(ports))
    assert all(process.poll() is None for process in ports.values())
    assert "无需升级" in machine.run("admin", "migrate").stdout


def going_on(world: World, number: int) -> None:
    goal, deadline = world.number() + number, time.monotonic() + 30
    while world.number() < goal:
        assert time.monotonic() < deadline, world.number()
        time.sleep(0.005)


def everybody_ready(ports: list[int]) -> None:
    deadline = time.monotonic() + 20
    while not all(ready(port) for port in ports):
        assert time.monotonic() < deadline
        time.sleep(0.05)
