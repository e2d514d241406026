"""What reports cost: counting one dispatch again, and reading a year of them.

    python -m tests.benchmarks.reports [--deliveries N] [--hits N] [--dispatches N] [--database URL]

In: rows made here. Out: JSON: seconds of a count with its rows, of judging the same hits, of a year's reports, each as
a ratio to reading the same hits once (`SELECT kind, machine FROM hit`).
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from sqlmodel import col, func, select

from bdnews_dispatch.clock import system_clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.db.migrate import upgrade
from bdnews_dispatch.db.statements import insert_many
from bdnews_dispatch.dispatch.models import Delivery, Dispatch, DispatchKind, DispatchLink
from bdnews_dispatch.dispatch.states import DeliveryState, DispatchState
from bdnews_dispatch.issues.publications import Publications
from bdnews_dispatch.reports import reading
from bdnews_dispatch.reports.keeping import Keeper
from bdnews_dispatch.reports.models import Dimension, Rollup
from bdnews_dispatch.subscribers.models import Channel, Subscriber
from bdnews_dispatch.tracking.judging import Judge
from bdnews_dispatch.tracking.models import Hit, HitKind

SECTIONS = ["policy", "local", "industry", "frontier", "company"]
AGENTS = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 MicroMessenger/8.0.50",
    "Mozilla/5.0",
    "Mimecast",
]
ZONE = ZoneInfo("Asia/Shanghai")
_START = datetime(2026, 1, 5, 1, tzinfo=UTC)
_BATCH = 20_000


async def fill(database: Database, deliveries: int, hits: int) -> None:
    """One dispatch of so many deliveries, half of the hits by machines."""
    chance = random.Random(104)
    async with database.write() as session:
        dispatch = Dispatch(
            id=1,
            cause="benchmark:1",
            kind=DispatchKind.ISSUE,
            publication="dsj",
            state=DispatchState.FINISHED,
            due_at=_START,
            created_at=_START,
            finished_at=_START,
        )
        session.add(dispatch)
        await session.flush()
        links = [
            {
                "dispatch_id": 1,
                "number": n,
                "url": f"https://news.example/{n}",
                "kind": "article",
                "section": SECTIONS[n % 5],
                "place": n,
            }
            for n in range(1, 31)
        ]
        await insert_many(session, DispatchLink, links)
    for start in range(1, deliveries + 1, _BATCH):
        ids = range(start, min(start + _BATCH, deliveries + 1))
        async with database.write() as session:
            people = [
                {"id": n, "email": address, "email_key": address, "created_at": _START}
                for n in ids
                for address in [f"r{n}@d{n % 700}.example"]
            ]
            await insert_many(session, Subscriber, people)
            await insert_many(
                session,
                Delivery,
                [
                    {
                        "id": n,
                        "dispatch_id": 1,
                        "subscriber_id": n,
                        "channel": Channel.EMAIL,
                        "key": f"key-{n}",
                        "sections": chance.sample(SECTIONS, 2),
                        "state": DeliveryState.SENT,
                        "due_at": _START,
                        "sent_at": _START,
                        "updated_at": _START,
                        "untracked": n % 50 == 0,
                    }
                    for n in ids
                ],
            )
    for start in range(0, hits, _BATCH):
        rows = []
        for n in range(start, min(start + _BATCH, hits)):
            kind = HitKind.CLICK if chance.random() < 0.2 else HitKind.OPEN
            agent = chance.choice(AGENTS)
            rows.append(
                {
                    "delivery_id": chance.randrange(1, deliveries + 1),
                    "kind": kind,
                    "link": chance.randrange(1, 31) if kind is HitKind.CLICK else None,
                    "machine": "",
                    "user_agent": agent,
                    "family": "",
                    "method": "GET",
                    "announced": False,
                    "network": f"10.{n % 250}.0.0/24",
                    "seconds": chance.uniform(3, 90_000),
                    "at": _START + timedelta(seconds=n / 50),
                }
            )
        async with database.write() as session:
            await insert_many(session, Hit, rows)


async def more_dispatches(database: Database, number: int) -> None:
    """A year of dispatches with the same roll-ups as the first."""
    async with database.write() as session:
        rows = [row.model_dump() for row in (await session.exec(select(Rollup))).all()]
        for n in range(2, number + 1):
            at = _START + timedelta(days=(n - 1) * 7 % 364)
            session.add(
                Dispatch(
                    id=n,
                    cause=f"benchmark:{n}",
                    kind=DispatchKind.ISSUE,
                    publication="dsj",
                    state=DispatchState.FINISHED,
                    due_at=at,
                    created_at=at,
                    finished_at=at,
                )
            )
            await session.flush()
            await insert_many(session, Rollup, [{**row, "dispatch_id": n} for row in rows])


async def measure(url: str, deliveries: int, hits: int, dispatches: int) -> dict[str, object]:
    """Everything once."""
    database = Database(url)
    await upgrade(database)
    await fill(database, deliveries, hits)
    seconds: dict[str, float] = {}

    async def timed(name: str, work: Callable[[], Awaitable[object]]) -> object:
        began = time.perf_counter()
        result = await work()
        seconds[name] = time.perf_counter() - began
        return result

    async def read_once() -> int:
        async with database.read() as session:
            rows = await session.stream(
                select(col(Hit.kind), col(Hit.machine)).execution_options(yield_per=10_000)
            )
            return sum([1 async for _ in rows])

    keeper = Keeper(database, system_clock, Publications({}, ""), zone=ZONE, hits_kept=0)
    await timed("read_hits_once", read_once)
    await timed("judge", Judge(database, system_clock).run)
    await timed("count", lambda: keeper.count(1))
    await more_dispatches(database, dispatches)

    async def year() -> None:
        first, last = date(2026, 1, 1), date(2026, 12, 31)
        async with database.read() as session:
            await reading.over_time(session, "dsj", first, last, ZONE)
            for dimension in Dimension:
                await reading.summed(session, "dsj", dimension, first, last, ZONE)

    await timed("year", year)

    async def one() -> None:
        async with database.read() as session:
            await reading.report(session, 1)

    await timed("one_report", one)
    async with database.read() as session:
        rows = (await session.exec(select(func.count()).select_from(Rollup))).one()
    await database.close()
    once = seconds["read_hits_once"]
    return {
        "deliveries": deliveries,
        "hits": hits,
        "dispatches": dispatches,
        "hits_of_all": hits * dispatches,
        "rollup_rows": rows,
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "ratio_to_reading_hits_once": {name: round(value / once, 3) for name, value in seconds.items()},
    }


def main() -> None:
    """Print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deliveries", type=int, default=200_000)
    parser.add_argument("--hits", type=int, default=1_000_000)
    parser.add_argument("--dispatches", type=int, default=52)
    parser.add_argument("--database", default="")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = given.database or f"sqlite:///{Path(folder) / 'reports.db'}"
        found = asyncio.run(measure(url, given.deliveries, given.hits, given.dispatches))
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
