"""Template messages a second over a platform that answers after 50 ms, beside what so many connections allow.

In: a number of followers, connections. Out: a rate and its ratio to connections ÷ 0.05 s. The stand-in and the longer
way are processes of their own; what sends is this one. Caller: the benchmark's main (`--cards`).
"""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop
from tests.acceptance.conftest import free_port
from tests.acceptance.test_card_crashes import openid
from tests.benchmarks.sink import delaying
from tests.making import Station, document, readers, test_settings

from bdnews_dispatch.parts import open_parts
from bdnews_dispatch.service import open_worker

MILLISECONDS = 50.0
CONNECTIONS = (4, 8, 16)


def measure(number: int, rounds: int) -> dict[str, Any]:
    """Each number of connections in turn, round after round; medians."""
    rates: dict[int, list[float]] = {connections: [] for connections in CONNECTIONS}
    for _ in range(rounds):
        for connections in CONNECTIONS:
            command = [sys.executable, "-m", "tests.benchmarks.cards", str(number), str(connections)]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
            rates[connections].append(json.loads(done.stdout)["rate"])
    found = {connections: statistics.median(several) for connections, several in rates.items()}
    return {
        "answers_after_ms": MILLISECONDS,
        "by_connections": {
            str(connections): {
                "rate": round(rate, 1),
                "allowed": connections / MILLISECONDS * 1000,
                "ratio": round(rate / (connections / MILLISECONDS * 1000), 3),
            }
            for connections, rate in found.items()
        },
    }


def _follow(folder: Path, number: int) -> None:
    rows = [
        {
            "openid": openid(n),
            "following": True,
            "since": None,
            "message_until": None,
            "message_left": 0,
            "action_until": None,
            "action_left": 0,
        }
        for n in range(1, number + 1)
    ]
    (folder / "wechat").mkdir(parents=True)
    (folder / "wechat" / "followers.json").write_text(json.dumps(rows), encoding="utf-8")


async def _measured(number: int, connections: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _follow(folder / "var" / "sandbox", number)
        http, smtp = free_port(), free_port()
        environment = {
            "BDNEWS_SERVICE__DATA_FOLDER": str(folder / "var"),
            "BDNEWS_SANDBOX__HTTP_PORT": str(http),
            "BDNEWS_SANDBOX__SMTP_PORT": str(smtp),
            "PYTHONUNBUFFERED": "1",
        }
        sandbox = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bdnews_dispatch", "sandbox"), stdout=subprocess.DEVNULL, env=environment
        )
        try:
            with delaying(http, MILLISECONDS) as port:
                await _listening(http)
                settings = test_settings(
                    folder,
                    sandbox={"http_port": port, "smtp_port": smtp},
                    wechat={"modes": ["template"], "connections": connections},
                )
                async with open_parts(settings) as parts:
                    return await _sent(Station(parts, None), number)  # type: ignore[arg-type]  # it is elsewhere
        finally:
            sandbox.terminate()
            await sandbox.wait()


async def _listening(port: int) -> None:
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise TimeoutError("the sandbox did not start")


async def _sent(station: Station, number: int) -> dict[str, Any]:
    """From the first card to the last, planned before."""
    await station.people(readers(number, channel="wechat"))
    dispatch = await station.start(await station.publish(document()))
    async with open_worker(station.parts) as worker:
        while await worker._planner.plan_slice(dispatch):
            pass
    async with open_worker(station.parts) as worker:
        began = time.perf_counter()
        running = asyncio.create_task(worker.run())
        while (await station.show_state(dispatch)) != "finished":
            await asyncio.sleep(0.05)
        seconds = time.perf_counter() - began
        worker.stop()
        await running
    counts = (await station.show(dispatch))["counts"]
    assert counts["sent"] == number, counts
    return {"rate": number / seconds}


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(_measured(int(sys.argv[1]), int(sys.argv[2])))))  # noqa: T201
