"""The service end to end: claim, compose, gate, SMTP, record, from a ledger on SQLite to a relay on a port.

In: a port, a number of recipients. Out: a rate, CPU time and peak memory of the process that sends. Run as its own
process (`python -m tests.benchmarks.service PORT NUMBER`), so that they are its alone. Caller: the benchmark's main.
"""

import asyncio
import cProfile
import json
import pstats
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop
from sqlmodel import select
from tests.making import SECTIONS, Station, document, test_settings

from bdnews_dispatch.dispatch.models import Delivery, Dispatch
from bdnews_dispatch.dispatch.worker import Worker
from bdnews_dispatch.issues.document import IssueDocument
from bdnews_dispatch.parts import open_parts
from bdnews_dispatch.service import open_worker

#: With these the whole issue makes a mail of some 30 KB, as 8bit.
ARTICLES = 5


def whole_issue_readers(number: int) -> bytes:
    rows = [f"reader{n}@readers.example,读者{n},{'|'.join(SECTIONS)},email,issue" for n in range(number)]
    return ("email,name,sections,channel,cadence\n" + "\n".join(rows) + "\n").encode()


def thirty_kib() -> IssueDocument:
    return document(articles=ARTICLES)


async def measure(
    port: int, number: int, connections: int, *, profile: bool = False, folder: Path | None = None
) -> dict[str, Any]:
    """Plan first, then time the sending alone: the others get their messages ready made, too."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        settings = test_settings(
            Path(name),
            email={"host": "127.0.0.1", "port": port, "connections": connections, "messages_per_connection": 100_000},
            delivery={"allow": "everybody"},
        )
        async with open_parts(settings) as parts:
            station = Station(parts, None)  # type: ignore[arg-type]  # nothing here goes to the sandbox
            await station.people(whole_issue_readers(number))
            dispatch = await station.start(await station.publish(thirty_kib()))
            async with open_worker(parts) as worker:
                planner = worker._planner
                while await planner.plan_slice(dispatch):
                    pass
                return await _timed(station, worker, dispatch, number, profile=profile)


async def _timed(station: Station, worker: Worker, dispatch: int, number: int, *, profile: bool) -> dict[str, Any]:
    profiler = cProfile.Profile()
    cpu, began = time.process_time(), time.perf_counter()
    if profile:
        profiler.enable()
    running = asyncio.create_task(worker.run())
    while True:
        async with station.parts.database.read() as session:
            state = (await session.exec(select(Dispatch.state).where(Dispatch.id == dispatch))).one()
        if state == "finished":
            break
        await asyncio.sleep(0.05)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    worker.stop()
    await running
    if profile:
        profiler.disable()
        pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(45)
    async with station.parts.database.read() as session:
        states = (await session.exec(select(Delivery.state))).all()
    assert states.count("sent") == number, {state: states.count(state) for state in set(states)}  # type: ignore[arg-type]
    return {
        "rate": round(number / seconds),
        "cpu_us": round(cpu / number * 1e6, 1),
        "rss_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


if __name__ == "__main__":
    port, number, connections = (int(argument) for argument in sys.argv[1:4])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(measure(port, number, connections, profile="profile" in sys.argv))))  # noqa: T201
