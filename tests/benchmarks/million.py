"""A million deliveries planned and sent to a sink that answers at once: is the last as cheap as the first, in what
memory?

Planning and sending go on side by side, as they do in the service. Out: peak memory, rate and CPU time a delivery in
ten parts of the whole. Caller: the benchmark's main.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop
from sqlalchemy import text
from tests.benchmarks.peers import peak_kib
from tests.benchmarks.service import whole_issue_readers
from tests.benchmarks.sink import instant_sink
from tests.making import Station, document, test_settings

from bdnews_dispatch.parts import open_parts
from bdnews_dispatch.service.worker import open_worker

PARTS = 10
#: Readers imported at once.
FILE = 100_000


def measure(number: int) -> dict[str, Any]:
    with instant_sink() as port:
        command = [sys.executable, "-m", "tests.benchmarks.million", str(port), str(number)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


async def _fill(folder: Path, number: int) -> None:
    """Readers, and a dispatch that is due; in a process of its own, whose memory is not counted."""
    async with open_parts(test_settings(folder)) as parts:
        station = Station(parts, None)  # type: ignore[arg-type]  # nothing here goes to the sandbox
        for start in range(0, number, FILE):
            await station.people(whole_issue_readers(min(FILE, number - start), start=start))
        await station.start(await station.publish(document(1, articles=1)))


async def _send(folder: Path, port: int, number: int) -> dict[str, Any]:
    settings = test_settings(
        folder,
        email={"host": "127.0.0.1", "port": port, "connections": 10, "messages_per_connection": 100_000},
        delivery={"allow": "everybody"},
    )
    marks: list[tuple[int, float, float]] = []
    async with open_parts(settings) as parts, open_worker(parts) as worker:
        station = Station(parts, None)  # type: ignore[arg-type]  # see above
        running = asyncio.create_task(worker.run())
        began = time.perf_counter()
        planned_after = 0.0
        sent = 0
        while sent < number:
            async with parts.database.read() as session:
                # Sent ones in the order of attempts: a count that costs nothing.
                sent = (await session.execute(text("SELECT coalesce(max(id), 0) FROM attempt"))).scalar_one()
            marks.append((sent, time.perf_counter() - began, time.process_time()))
            if not planned_after and await station.show_state(1) == "sending":
                planned_after = time.perf_counter() - began
            await asyncio.sleep(0.5)
        while await station.show_state(1) != "finished":
            await asyncio.sleep(0.2)
        worker.stop()
        await running
    parts_told = [
        _between(marks, number * part // PARTS, number * (part + 1) // PARTS) for part in range(PARTS)
    ]
    return {
        "deliveries": number,
        "seconds": round(marks[-1][1], 1),
        "planned_after_seconds": round(planned_after, 1),
        "rss_mib": round(peak_kib(os.getpid()) / 1024, 1),
        "parts": parts_told,
        "cpu_us_last_to_first_part_after_planning": _growth(parts_told, planned_after),
    }


def _between(marks: list[tuple[int, float, float]], low: int, high: int) -> dict[str, float]:
    first = next(mark for mark in marks if mark[0] >= low)
    last = next(mark for mark in marks if mark[0] >= high)
    rows = max(last[0] - first[0], 1)
    return {
        "until": last[0],
        "at_seconds": round(last[1], 1),
        "rate": round(rows / max(last[1] - first[1], 0.001)),
        "cpu_us": round((last[2] - first[2]) / rows * 1e6, 1),
    }


def _growth(parts: list[dict[str, float]], planned_after: float) -> float | None:
    """Cost of the last part to that of the first in which nothing was planned beside it."""
    alone = [part for part in parts if part["at_seconds"] > planned_after][1:]
    return round(alone[-1]["cpu_us"] / alone[0]["cpu_us"], 2) if len(alone) > 1 else None


def _main() -> None:
    port, number = map(int, sys.argv[1:3])
    with tempfile.TemporaryDirectory() as name:
        if len(sys.argv) > 3:
            asyncio.run(_fill(Path(sys.argv[3]), number))
            return
        fill = [sys.executable, "-m", "tests.benchmarks.million", str(port), str(number), name]
        subprocess.run(fill, check=True)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            print(json.dumps(runner.run(_send(Path(name), port, number))))  # noqa: T201


if __name__ == "__main__":
    _main()
