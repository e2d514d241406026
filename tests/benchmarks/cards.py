"""Template messages a second over a platform that answers after 50 ms, beside what so many connections allow.

In: a number of followers, connections. Out: a rate, its ratio to connections ÷ 0.05 s, and to a bare client that makes
the same calls over as many connections and keeps no ledger. The stand-in and the longer way are processes of their own;
what sends is this one. Caller: the benchmark's main (`--cards`).
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
from tests.acceptance.test_card_crashes import openid
from tests.benchmarks.sink import delaying
from tests.making import Station, document, readers, test_settings
from tests.ports import free_port

from bdnews_dispatch.clock import system_clock
from bdnews_dispatch.official_account.account import open_account
from bdnews_dispatch.parts import open_parts
from bdnews_dispatch.sandbox.in_its_place import with_sandbox_account
from bdnews_dispatch.service.worker import open_worker
from bdnews_dispatch.settings import Settings

MILLISECONDS = 50.0
CONNECTIONS = (4, 8, 16)


def measure(number: int, rounds: int) -> dict[str, Any]:
    """Each number of connections in turn, round after round; medians."""
    rates: dict[tuple[int, str], list[float]] = {
        (connections, who): [] for connections in CONNECTIONS for who in ("ours", "bare")
    }
    for _ in range(rounds):
        for (connections, who), several in rates.items():
            command = [sys.executable, "-m", "tests.benchmarks.cards", str(number), str(connections), who]
            done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
            several.append(json.loads(done.stdout)["rate"])
    found = {which: statistics.median(several) for which, several in rates.items()}
    return {
        "answers_after_ms": MILLISECONDS,
        "by_connections": {
            str(connections): {
                "rate": round(found[connections, "ours"], 1),
                "allowed": connections / MILLISECONDS * 1000,
                "ratio": round(found[connections, "ours"] / (connections / MILLISECONDS * 1000), 3),
                "bare": round(found[connections, "bare"], 1),
                "ratio_to_bare": round(found[connections, "ours"] / found[connections, "bare"], 3),
            }
            for connections in CONNECTIONS
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


async def _measured(number: int, connections: int, who: str) -> dict[str, Any]:
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
                if who == "bare":
                    return await _bare(settings, number, connections)
                async with open_parts(settings) as parts:
                    return await _sent(Station(parts, None), number)  # type: ignore[arg-type]  # it is elsewhere
        finally:
            sandbox.terminate()
            await sandbox.wait()


async def _bare(settings: Settings, number: int, connections: int) -> dict[str, Any]:
    """The same calls, one after the other on each connection."""
    account = with_sandbox_account(settings).wechat
    async with open_account(account, system_clock, None) as opened:
        await opened.client.token()
        left = iter(range(1, number + 1))
        values = {
            "thing1": "大数据发展动态",
            "character_string2": "112",
            "date3": "2026年11月20日",
            "thing4": "国策要论",
        }

        async def one_connection() -> None:
            for n in left:
                data = {
                    "touser": openid(n),
                    "template_id": account.template_id,
                    "url": f"http://news.example/w/{n}",
                    "client_msg_id": f"bare{n}",
                    "data": {name: {"value": value} for name, value in values.items()},
                }
                await opened.client.post("message/template/send", data=data)

        began = time.perf_counter()
        await asyncio.gather(*(one_connection() for _ in range(connections)))
        return {"rate": number / (time.perf_counter() - began)}


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
        print(json.dumps(runner.run(_measured(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))))  # noqa: T201
