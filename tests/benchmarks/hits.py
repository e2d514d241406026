"""Opens and clicks a second on one core, each stored before its answer, beside the same handlers that store nothing.

In: a number of hits, connections. Out: rates and their ratio. The server is a process on one core; the load comes from
another one. Caller: the benchmark's main (`--hits`).
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import cycle
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import uvloop
from aiohttp import web
from sqlmodel import func, select
from tests.making import document, open_station, readers
from tests.ports import free_port

from bdnews_dispatch.dispatch.models import Delivery
from bdnews_dispatch.parts import open_parts
from bdnews_dispatch.service.worker import open_worker
from bdnews_dispatch.settings import load_settings
from bdnews_dispatch.tracking.models import Hit
from bdnews_dispatch.tracking.recording import Touch
from bdnews_dispatch.web import keys
from bdnews_dispatch.web.app import make_web_app

READERS, CONNECTIONS = 500, 64
_AGENT = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148"


class Nothing:
    """A recorder that stores nothing."""

    async def note(self, touch: Touch) -> bool:
        del touch
        return True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


def measure(number: int, rounds: int) -> dict[str, Any]:
    """Both in turn, round after round; medians."""
    rates: dict[str, list[float]] = {"stored": [], "nothing": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        asyncio.run(_prepare(folder))
        for _ in range(rounds):
            for what, several in rates.items():
                several.append(_one(folder, what, number))
        stored = asyncio.run(_stored(folder))
    found = {what: statistics.median(several) for what, several in rates.items()}
    return {
        "hits_a_second": {what: round(rate) for what, rate in found.items()},
        "ratio": round(found["stored"] / found["nothing"], 3),
        "answered_is_stored": stored == rounds * number,
        "connections": CONNECTIONS,
    }


def _one(folder: Path, what: str, number: int) -> float:
    port = free_port()
    core = ["taskset", "-c", "0"] if (os.cpu_count() or 1) > 1 else []
    server = subprocess.Popen(
        [*core, sys.executable, "-m", "tests.benchmarks.hits", "serve", what, str(port), str(folder)],
        stdout=subprocess.PIPE,
    )
    try:
        assert server.stdout is not None
        server.stdout.readline()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_load(folder, port, number))
    finally:
        server.terminate()
        server.wait()


def _settings(folder: Path) -> Any:
    return load_settings(
        {},
        overrides={
            "service": {"data_folder": str(folder)},
            "database": {"url": f"sqlite:///{folder}/bdnews.db"},
            "web": {"base_url": "http://127.0.0.1"},
        },
    )


async def _prepare(folder: Path) -> None:
    """A dispatch whose deliveries may be opened; the paths that are asked for, half of them clicks."""
    async with open_station(
        folder,
        service={"data_folder": str(folder)},
        database={"url": f"sqlite:///{folder}/bdnews.db"},
        web={"base_url": "http://127.0.0.1"},
    ) as station:
        await station.people(readers(READERS))
        dispatch = await station.start(await station.publish(document()))
        async with open_worker(station.parts) as worker:
            while await worker._planner.plan_slice(dispatch):
                pass
        async with station.parts.database.read() as session:
            found = list(await session.exec(select(Delivery.key)))
        links = station.parts.links
        paths = [urlsplit(links.pixel(key)).path for key in found]
        paths += [f"{urlsplit(links.click(key)).path}/1" for key in found]
    (folder / "paths.json").write_text(json.dumps(paths))


async def _stored(folder: Path) -> int:
    async with open_parts(_settings(folder)) as parts, parts.database.read() as session:
        return int((await session.exec(select(func.count()).select_from(Hit))).one())


async def _serve(what: str, port: int, folder: Path) -> None:
    settings = _settings(folder)
    async with open_parts(settings) as parts:
        app = make_web_app(
            settings=settings,
            database=parts.database,
            clock=parts.clock,
            publications=parts.publications,
            links=parts.links,
            wake=lambda: None,
        )
        if what == "nothing":
            app[keys.HITS] = Nothing()  # type: ignore[misc]  # what the handlers ask of it
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        print("ready", flush=True)  # noqa: T201
        await asyncio.Event().wait()


async def _load(folder: Path, port: int, number: int) -> float:
    paths = cycle(json.loads((folder / "paths.json").read_text()))
    requests = [
        f"GET {next(paths)} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: {_AGENT}\r\n\r\n".encode()
        for _ in range(number)
    ]
    left = iter(requests)

    async def one_connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in left:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 302")), head
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            if length:
                await reader.readexactly(length)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(one_connection() for _ in range(CONNECTIONS)))
    return number / (time.perf_counter() - began)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as main:
        main.run(_serve(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])))
