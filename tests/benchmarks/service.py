"""The service end to end: claim, compose, gate, SMTP, record, from a ledger to a relay on a port.

In: a port, a number of recipients, and BENCH_DATABASE_URL for a migrated database of PostgreSQL (without it:
SQLite).
Out: a rate, CPU time and peak memory of the process that sends. Run as its own process (`python -m
tests.benchmarks.service PORT NUMBER CONNECTIONS`), so that they are its alone. Caller: the benchmark's main.
"""

import asyncio
import cProfile
import json
import os
import pstats
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import asyncpg
import uvloop
from tests.benchmarks.peers import cpu_seconds_with_children, peak_kib
from tests.making import SECTIONS, Station, document, test_settings

from bdnews_dispatch.issues.document import IssueDocument
from bdnews_dispatch.parts import open_parts
from bdnews_dispatch.service.worker import open_worker

#: With these the whole issue makes a mail of some 30 KB, as 8bit.
ARTICLES = 2
WARM_UP = 500
DATABASE_VARIABLE = "BENCH_DATABASE_URL"
PID_VARIABLE = "BENCH_DATABASE_PID"
#: Processes that share a database sign with the same key.
SIGNING_KEY = "test:only-for-tests-and-long-enough-for-a-key"


def whole_issue_readers(number: int, *, start: int = 0) -> bytes:
    """A CSV of readers of all sections: one variant."""
    chosen = "|".join(SECTIONS)
    rows = [f"reader{n}@readers.example,读者{n},{chosen},email,issue" for n in range(start, start + number)]
    return ("email,name,sections,channel,cadence\n" + "\n".join(rows) + "\n").encode()


def thirty_kib(total: int) -> IssueDocument:
    return document(total, articles=ARTICLES)


async def measure(
    port: int, number: int, connections: int, *, profile: bool = False, folder: Path | None = None
) -> dict[str, Any]:
    """Plan first, then time the sending alone: the others get their messages ready made, too."""
    elsewhere: dict[str, dict[str, Any]] = {}
    if url := os.environ.get(DATABASE_VARIABLE):
        elsewhere = {"database": {"url": url}, "security": {"signing_keys": [SIGNING_KEY]}}
    with tempfile.TemporaryDirectory(dir=folder) as name:
        settings = test_settings(
            Path(name),
            **elsewhere,
            email={
                "host": "127.0.0.1",
                "port": port,
                "connections": connections,
                "messages_per_connection": 100_000,
            },
            delivery={"allow": "everybody"},
        )
        async with open_parts(settings) as parts:
            station = Station(parts, None)  # type: ignore[arg-type]  # nothing here goes to the sandbox
            # A service runs for weeks: its templates are compiled, its libraries loaded.
            await station.people(whole_issue_readers(WARM_UP))
            await _sent(station, await station.start(await station.publish(thirty_kib(1))))
            await station.people(whole_issue_readers(number))
            dispatch = await station.start(await station.publish(thirty_kib(2)))
            async with open_worker(parts) as worker:
                while await worker._planner.plan_slice(dispatch):
                    pass
            return await _sent(station, dispatch, profile=profile)


async def _sent(station: Station, dispatch: int, *, profile: bool = False) -> dict[str, Any]:
    profiler = cProfile.Profile()
    async with open_worker(station.parts) as worker:
        spent, asked = _server_seconds(), _CALLS["statements"]
        cpu, began = time.process_time(), time.perf_counter()
        if profile:
            profiler.enable()
        running = asyncio.create_task(worker.run())
        while (await station.show_state(dispatch)) != "finished":
            await asyncio.sleep(0.05)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        # While its connections are there: a process that has ended is not counted.
        spent, asked = _server_seconds() - spent, _CALLS["statements"] - asked
        worker.stop()
        await running
    if profile:
        profiler.disable()
        pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(45)
    counts = (await station.show(dispatch))["counts"]
    number = counts["sent"]
    assert sum(counts.values()) == number, counts
    return {
        "rate": round(number / seconds),
        "cpu_us": round(cpu / number * 1e6, 1),
        "rss_mib": round(peak_kib(os.getpid()) / 1024, 1),
        **_at_the_database(number, spent, asked),
    }


#: What the sending connections have said to PostgreSQL, by `_count`.
_CALLS = Counter[str]()


def _count() -> None:
    """Count what goes to PostgreSQL by its driver: a call is a round trip at least."""
    for name in ("fetch", "execute", "fetchrow", "fetchval"):
        really = getattr(asyncpg.Connection, name)

        def counted(self: Any, *arguments: Any, really: Any = really, **options: Any) -> Any:
            _CALLS["statements"] += 1
            return really(self, *arguments, **options)

        setattr(asyncpg.Connection, name, counted)


def _server_seconds() -> float:
    """CPU of PostgreSQL's processes, where BENCH_DATABASE_PID names the first of them."""
    first = os.environ.get(PID_VARIABLE)
    return cpu_seconds_with_children(int(first)) if first else 0.0


def _at_the_database(number: int, spent: float, asked: int) -> dict[str, float]:
    if not os.environ.get(DATABASE_VARIABLE):
        return {}
    return {
        "database_cpu_us": round(spent / number * 1e6, 1),
        "statements_a_mail": round(asked / number, 3),
    }


if __name__ == "__main__":
    if os.environ.get(DATABASE_VARIABLE):
        _count()
    port, number, connections = (int(argument) for argument in sys.argv[1:4])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(measure(port, number, connections, profile="profile" in sys.argv))))  # noqa: T201
