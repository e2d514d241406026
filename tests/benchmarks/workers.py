"""One, two, four, eight workers behind a round trip of 50 ms: how much more is it each time? And a limit that four of
them keep while one is killed.

    make bench ARGS="--workers"                  a table of rates: 1, 2, 4, 8 workers × 4 and 16 connections
    make bench ARGS="--limit"                    100 a second for one domain, two minutes, a kill in each

The hosts are network namespaces where the machine allows it, else addresses of the loopback; the relay is a sink behind
delaying_relay.py; the database is a real PostgreSQL with fsync. Rates are those of a stretch in which all are up and
nobody has run dry. Caller: the benchmark's main, as a process of its own (`python -m tests.benchmarks.workers`).
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from bisect import bisect_left
from pathlib import Path
from typing import Any

from tests.benchmarks.fleet import FilledServer, Fleet, busy_seconds
from tests.benchmarks.hosts import Host, in_namespaces, namespaces_can_be_made, on_loopback
from tests.benchmarks.sink import delaying, instant_sink
from tests.benchmarks.windows import WINDOW_SECONDS, fewest_and_most

ROUND_TRIP_MS = 50.0
WORKERS = (1, 2, 4, 8)
CONNECTIONS = (4, 16)
#: After the last one is up, and what is counted.
WARM_SECONDS, COUNTED_SECONDS = 3.0, 10.0
READERS = 40_000
LIMITED_WORKERS = 4
LIMIT = 100
LIMITED_SECONDS = 120.0
KILLS = 3
_INSIDE = "BENCH_HOSTS"


def measure(*arguments: str) -> dict[str, Any]:
    """Run this module in a network of its own where that can be had."""
    inside = namespaces_can_be_made()
    command = ["unshare", "--net"] if inside else []
    done = subprocess.run(
        [*command, sys.executable, "-m", "tests.benchmarks.workers", *arguments],
        stdout=subprocess.PIPE,
        env=os.environ | {_INSIDE: "namespaces" if inside else "loopback"},
        check=True,
    )
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def one_run(
    server: FilledServer, hosts: list[Host], workers: int, connections: int, round_trip_ms: float
) -> dict[str, float]:
    """A fleet's rate, and the CPU of a mail."""
    with tempfile.TemporaryDirectory() as name, server.database() as url:
        file = Path(name) / "moments"
        file.touch()
        with instant_sink(file) as sink, delaying(sink, round_trip_ms, _everywhere(hosts)) as port:
            fleet = Fleet(Path(name), hosts, url, port, connections=connections)
            try:
                fleet.start(workers)
                time.sleep(WARM_SECONDS)
                start, spent, cores = time.time(), _spent(server, fleet), busy_seconds()
                time.sleep(COUNTED_SECONDS)
                end, spent_then, cores_then = time.time(), _spent(server, fleet), busy_seconds()
                time.sleep(0.5)
            finally:
                fleet.stop()
        moments = [float(line) for line in file.read_text().splitlines()]
    number = bisect_left(moments, end) - bisect_left(moments, start)
    if not moments or moments[-1] < end:
        raise RuntimeError("the readers have run out: fewer workers, or more readers")
    return {
        "rate": number / (end - start),
        "worker_us": (spent_then[0] - spent[0]) / number * 1e6,
        "postgres_us": (spent_then[1] - spent[1]) / number * 1e6,
        "machine_busy": (cores_then[0] - cores[0]) / (cores_then[1] - cores[1]),
    }


def _everywhere(hosts: list[Host]) -> str:
    return hosts[0].server if hosts[0].prefix else "0.0.0.0"  # noqa: S104  # for all addresses of the loopback


def _spent(server: FilledServer, fleet: Fleet) -> tuple[float, float]:
    return fleet.cpu_seconds(), server.cpu_seconds()


def rates(
    server: FilledServer,
    hosts: list[Host],
    *,
    workers: list[int],
    connections: list[int],
    rounds: int,
    round_trip_ms: float,
) -> list[dict[str, float]]:
    """A row for each number of workers and of connections: medians over rounds, which run in turn."""
    cases = [(number, each) for each in connections for number in workers]
    results: dict[tuple[int, int], list[dict[str, float]]] = {case: [] for case in cases}
    for turn in range(rounds):
        for case in cases:
            told = one_run(server, hosts, *case, round_trip_ms)
            results[case].append(told)
            _say(f"{turn + 1}/{rounds} workers={case[0]} connections={case[1]}: {told['rate']:.0f}/s")
    rows = []
    for number, each in cases:
        ones = results[number, each]
        alone = results[min(workers), each]
        rows.append(
            {
                "workers": number,
                "connections": each,
                "limit_of_the_way": round(number * each * 1000 / round_trip_ms),
                **{name: round(statistics.median(one[name] for one in ones), 3) for name in ones[0]},
                "to_linear": round(
                    statistics.median(
                        one["rate"] / first["rate"] * min(workers) / number
                        for one, first in zip(ones, alone, strict=True)
                    ),
                    3,
                ),
            }
        )
    return rows


def limited(server: FilledServer, hosts: list[Host], round_trip_ms: float, seconds: float) -> dict[str, Any]:
    """Four workers, one domain, 100 a second; one after the other is killed and a new one takes its place."""
    with tempfile.TemporaryDirectory() as name, server.database() as url:
        folder = Path(name)
        providers = folder / "providers.toml"
        providers.write_text(
            f'[[provider]]\nname = "readers"\ndomains = ["readers.example"]\nmessages_per_second = {LIMIT}\n'
        )
        file = folder / "moments"
        file.touch()
        with instant_sink(file) as sink, delaying(sink, round_trip_ms, _everywhere(hosts)) as port:
            fleet = Fleet(folder, hosts, url, port, connections=8, providers=str(providers))
            try:
                fleet.start(LIMITED_WORKERS)
                time.sleep(WARM_SECONDS)
                start = time.time()
                for _ in range(KILLS):
                    time.sleep(seconds / (KILLS + 1))
                    victim = fleet.running.pop(0)
                    victim.send_signal(signal.SIGKILL)
                    victim.wait()
                    fleet.add()
                time.sleep(max(0.0, start + seconds - time.time()))
                end = time.time()
            finally:
                fleet.stop()
        moments = sorted(float(line) for line in file.read_text().splitlines())
    fewest, most = fewest_and_most(moments, start, end)
    wanted = LIMIT * WINDOW_SECONDS
    return {
        "workers": LIMITED_WORKERS,
        "limit": LIMIT,
        "seconds": round(end - start),
        "kills": KILLS,
        "average": round((bisect_left(moments, end) - bisect_left(moments, start)) / (end - start), 2),
        "fewest_in_ten_seconds": fewest,
        "most_in_ten_seconds": most,
        "worst": round(max(1 - fewest / wanted, most / wanted - 1), 3),
    }


def _say(words: str) -> None:
    print(words, file=sys.stderr)  # noqa: T201  # progress


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--limit", action="store_true")
    parser.add_argument("--workers", type=int, nargs="*", default=list(WORKERS))
    parser.add_argument("--connections", type=int, nargs="*", default=list(CONNECTIONS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=LIMITED_SECONDS, help="of a limited run")
    parser.add_argument("--round-trip-ms", type=float, default=ROUND_TRIP_MS)
    parser.add_argument("--readers", type=int, default=READERS)
    arguments = parser.parse_args()
    kind = os.environ.get(_INSIDE, "loopback")
    with in_namespaces() if kind == "namespaces" else on_loopback() as hosts:
        server = FilledServer(arguments.readers)
        try:
            load = os.getloadavg()[0]
            if arguments.limit:
                told: dict[str, Any] = limited(server, hosts, arguments.round_trip_ms, arguments.seconds)
            else:
                told = {
                    "rows": rates(
                        server,
                        hosts,
                        workers=arguments.workers,
                        connections=arguments.connections,
                        rounds=arguments.rounds,
                        round_trip_ms=arguments.round_trip_ms,
                    )
                }
        finally:
            server.remove()
    told |= {"hosts": kind, "round_trip_ms": arguments.round_trip_ms, "load_before": load}
    print(json.dumps(told))  # noqa: T201


if __name__ == "__main__":
    _main()
