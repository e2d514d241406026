"""Workers that are killed while cards go out, over a platform that answers after 50 ms: none lost, none twice.

Template messages carry a client_msg_id and mass sends a clientmsgid: what was in flight is sent again under the same
one, and nothing is left for a person to decide. Instants come from CRASH_SEED, as in test_crashes.py.
"""

import json
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.benchmarks.sink import delaying
from tests.making import FULL, readers

if TYPE_CHECKING:
    from tests.acceptance.conftest import Machine

SAMPLE = Path(__file__).parents[2] / "config" / "samples" / "dsj-sample.md"
MILLISECONDS = 50.0
LEASE_SECONDS = 2
READERS, KILLS, MASS_KILLS = (2_000, 20, 5) if FULL else (400, 2, 1)


def openid(number: int) -> str:
    return f"oReader{number:021d}"


def follow(machine: "Machine", number: int) -> None:
    """All of them follow; no window is open."""
    folder = machine.folder / "var" / "sandbox" / "wechat"
    folder.mkdir(parents=True)
    nothing = dict.fromkeys(("since", "message_until", "action_until"))
    rows = [
        {"openid": openid(n), "following": True, "message_left": 0, "action_left": 0, **nothing}
        for n in range(1, number + 1)
    ]
    (folder / "followers.json").write_text(json.dumps(rows))


def cards(machine: "Machine") -> list[dict[str, str]]:
    """What readers have got."""
    folder = machine.folder / "var" / "sandbox" / "wechat"
    return [json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("[0-9]*.json"))]


def number_of_cards(machine: "Machine") -> int:
    return len(list((machine.folder / "var" / "sandbox" / "wechat").glob("[0-9]*.json")))


@pytest.mark.parametrize("mode", ["template", "mass"])
def test_kills_while_cards_go_out(machine: "Machine", mode: str) -> None:
    seed = int(os.environ.get("CRASH_SEED", random.SystemRandom().randrange(10**9)))
    print(f"CRASH_SEED={seed}")  # noqa: T201  # to see the same again
    chance = random.Random(seed)  # instants, no secrets
    kills = MASS_KILLS if mode == "mass" else KILLS
    machine.environment |= {
        "BDNEWS_WECHAT__MODES": f'["{mode}"]',
        "BDNEWS_DELIVERY__LEASE_SECONDS": str(LEASE_SECONDS),
    }
    follow(machine, READERS)
    machine.start("sandbox", until="http")
    with delaying(machine.http_port, MILLISECONDS) as port:
        machine.environment["BDNEWS_SANDBOX__HTTP_PORT"] = str(port)
        csv = machine.folder / "readers.csv"
        csv.write_bytes(readers(READERS, channel="wechat"))
        machine.run("subscribers", "import", str(csv), "--basis", "会场登记")
        machine.run("issues", "ingest", str(SAMPLE), "--publish")
        dispatch = str(machine.json("dispatch", "start", "--issue", "112")["id"])
        for _ in range(kills):
            worker = machine.start("worker")
            before, deadline = number_of_cards(machine), time.monotonic() + 90
            while number_of_cards(machine) == before:
                assert time.monotonic() < deadline, "a worker goes on where another one died"
                time.sleep(0.005)
            time.sleep(chance.uniform(0, 0.2))
            machine.stop(worker, signal.SIGKILL)
        machine.start("worker")
        shown = machine.json("dispatch", "wait", dispatch, "--timeout", "240")
    assert shown["state"] == "finished"
    assert shown["counts"]["sent"] + shown["counts"]["delivered"] == READERS
    got = Counter(card["openid"] for card in cards(machine))
    assert len(got) == READERS, "nobody is lost"
    assert max(got.values()) == 1, "nobody gets it twice"
    assert {card["mode"] for card in cards(machine)} == {mode}
