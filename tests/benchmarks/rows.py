"""What a subscriber, a delivery, an attempt and a hit weigh on PostgreSQL: `make bench ARGS="--rows"`.

Readers are imported, a dispatch is planned and sent by the real code; only hits are inserted by SQL. Sizes are those of
`pg_total_relation_size` (table, TOAST, indexes), so they hold what updates leave behind until VACUUM reuses it. In: how
many readers. Out: bytes a row, bytes of the write-ahead log a delivery, planning time. Caller: the benchmark's main;
growth.py has the results as its constants.
"""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Any

import asyncpg
import uvloop
from tests.benchmarks.fleet import FilledServer
from tests.benchmarks.service import SIGNING_KEY
from tests.benchmarks.sink import instant_sink
from tests.making import Station, test_settings

from bdnews_dispatch.parts import open_parts
from bdnews_dispatch.service.worker import open_worker

TABLES = ("subscriber", "subscription", "delivery", "attempt", "hit")
#: A browser of a phone in WeChat: what a hit holds most of the time, 150 characters.
AGENT = (
    "Mozilla/5.0 (Linux; Android 15; V2309A Build/AP3A) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 "
    "Chrome/126.0 Mobile Safari/537.36 MicroMessenger"
)[:150]
_HITS = f"""
INSERT INTO hit (delivery_id, kind, link, machine, user_agent, at)
SELECT id, CASE WHEN id % 3 = 0 THEN 'click' ELSE 'open' END, CASE WHEN id % 3 = 0 THEN 7 END, '', '{AGENT}', now()
FROM delivery
"""


async def _sizes(connection: Any) -> dict[str, float]:
    """Bytes a row of each table, and of the indexes of a delivery alone."""
    told = {}
    for table in TABLES:
        number, octets = await connection.fetchrow(
            f"SELECT count(*), pg_total_relation_size('{table}') FROM {table}"
        )
        told[table] = round(octets / number) if number else 0
    told["delivery_indexes"] = await connection.fetchval(
        "SELECT pg_indexes_size('delivery') / greatest(count(*), 1) FROM delivery"
    )
    return told


async def _send(url: str, port: int, connection: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        settings = test_settings(
            Path(folder),
            database={"url": url},
            security={"signing_keys": [SIGNING_KEY]},
            email={"host": "127.0.0.1", "port": port, "connections": 10, "messages_per_connection": 100_000},
            delivery={"allow": "everybody"},
        )
        async with open_parts(settings) as parts, open_worker(parts) as worker:
            running = asyncio.create_task(worker.run())
            station = Station(parts, None)  # type: ignore[arg-type]  # nothing here goes to the sandbox
            while await station.show_state(1) != "finished":
                await asyncio.sleep(0.2)
            worker.stop()
            await running
    await connection.execute("CHECKPOINT")


async def _measure(server: FilledServer, port: int, readers: int) -> dict[str, Any]:
    with server.database() as url:
        words = url.render_as_string(hide_password=False)
        connection = await asyncpg.connect(words)
        planned = await _sizes(connection)
        wal = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"
        before, began = await connection.fetchval(wal), time.perf_counter()
        await _send(words, port, connection)
        seconds = time.perf_counter() - began
        after = await connection.fetchval(wal)
        await connection.execute(_HITS)
        sent = await _sizes(connection)
        for table in TABLES:
            await connection.execute(f"VACUUM FULL {table}")
        packed = await _sizes(connection)
        await connection.close()
    return {
        "readers": readers,
        "planning_us": round(server.planning_seconds / readers * 1e6),
        "sent_a_second": round(readers / seconds),
        "wal_bytes_a_delivery": round(float(after - before) / readers),
        "bytes_planned": planned,
        "bytes_sent": sent,
        "bytes_sent_packed": packed,
    }


def measure(readers: int) -> dict[str, Any]:
    server = FilledServer(readers)
    try:
        with instant_sink() as port, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_measure(server, port, readers))
    finally:
        server.remove()
