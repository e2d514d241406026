"""Rows a second of an import, beside plain INSERTs, and its memory: `python -m tests.benchmarks.importing`.

Each measurement is a process of its own, because memory that was taken once stays taken. The import runs as the command
does: a file from disk, into chunks, into people. The plain side is SQLAlchemy Core with lists of dictionaries in
transactions of the same size: what somebody would write who knows that every row is right and new. Rounds in turn,
medians told. In: how many rows. Out: one JSON object. No test asserts a time.
"""

import argparse
import asyncio
import gc
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sqlalchemy import insert
from tests.making import DSJ, SIGNER

from bdnews_dispatch.clock import system_clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.db.migrate import upgrade
from bdnews_dispatch.dispatch.worker import GARBAGE_THRESHOLDS
from bdnews_dispatch.issues.publications import load_publications
from bdnews_dispatch.settings import ImportsSettings
from bdnews_dispatch.subscribers.imports.receiving import CHUNK_ROWS, receive
from bdnews_dispatch.subscribers.imports.running import Importer
from bdnews_dispatch.subscribers.imports.starting import Choices, begin, choose, find_run
from bdnews_dispatch.subscribers.models import Cadence, ChannelChoice, Subscriber, Subscription

SEEN_FROM = 1_000
_DOMAINS = (
    "qq.com",
    "163.com",
    "126.com",
    "guizhou.gov.cn",
    "gzdata.com.cn",
    "example.org",
    "sina.com",
    "139.com",
)


def write_file(path: Path, rows: int) -> None:
    """Plain rows: address and name, as most lists have them. Names in no order, as people have them."""
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        file.write("邮箱,姓名\r\n")
        for n in range(rows):
            name = (n * 2_654_435_761) % 4_294_967_296  # each once, mixed
            file.write(f"u{name:08x}@{_DOMAINS[n % len(_DOMAINS)]},读者{n}\r\n")


async def import_rows(folder: Path, file: Path) -> dict[str, float]:
    """The import, from the file to its end."""
    database = Database(f"sqlite:///{folder / 'import.db'}")
    await upgrade(database)
    limits = ImportsSettings(max_bytes=2**30, max_rows=10**8, keep_days=30)
    began = time.perf_counter()
    run_id = await receive(database, system_clock, limits, DSJ, file, file_name=file.name, origin="benchmark")
    received = time.perf_counter()
    async with database.write() as session:
        await choose(session, run_id, Choices(basis="benchmark"))
        await begin(session, system_clock, run_id)
    importer = Importer(database, system_clock, load_publications(), SIGNER)
    while await importer.run_slice(run_id):
        pass
    ended = time.perf_counter()
    async with database.read() as session:
        run = await find_run(session, run_id)
    assert (run.added, run.refused) == (run.rows, 0), (run.rows, run.added, run.refused)
    await database.close()
    return {"seconds": ended - began, "receiving": received - began, "rows": run.rows}


async def insert_rows(folder: Path, file: Path) -> dict[str, float]:
    """The same people by Core, two statements a transaction."""
    database = Database(f"sqlite:///{folder / 'core.db'}")
    await upgrade(database)
    lines = (await asyncio.to_thread(file.read_text, encoding="utf-8-sig")).splitlines()[1:]
    now = system_clock()
    began = time.perf_counter()
    for start in range(0, len(lines), CHUNK_ROWS):
        people, agreed = [], []
        for number, line in enumerate(lines[start : start + CHUNK_ROWS], start + 1):
            email, name = line.split(",")
            people.append(
                {
                    "id": number,
                    "email": email,
                    "email_key": email,
                    "openid": None,
                    "name": name,
                    "language": "zh",
                    "no_tracking": False,
                    "created_at": now,
                }
            )
            agreed.append(
                {
                    "subscriber_id": number,
                    "publication": "dsj",
                    "whole_issue": True,
                    "sections": [],
                    "channel": ChannelChoice.EMAIL,
                    "cadence": Cadence.ISSUE,
                    "paused_until": None,
                    "origin": "import",
                    "evidence": f"import 1, row {number + 1}",
                    "network": "",
                    "consent": "",
                    "began_at": now,
                    "ended_at": None,
                    "end_reason": "",
                }
            )
        async with database.write() as session:
            connection = await session.connection()
            await connection.execute(insert(Subscriber), people)
            await connection.execute(insert(Subscription), agreed)
    seconds = time.perf_counter() - began
    await database.close()
    return {"seconds": seconds, "rows": len(lines)}


_SIDES = {"import": import_rows, "core": insert_rows}


def _one(side: str, rows: int) -> dict[str, float]:
    """One measurement, in this process."""
    gc.freeze()  # both sides as the command does
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "people.csv"
        write_file(file, rows)
        done = asyncio.run(_SIDES[side](Path(folder), file))
    return {**done, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def measure(rows: int, rounds: int) -> dict[str, Any]:
    """Both sides in turn, each in a process of its own; and the import of a tenth of the rows, for its memory."""

    def run(side: str, number: int) -> dict[str, float]:
        command = [
            sys.executable,
            "-m",
            "tests.benchmarks.importing",
            "--side",
            side,
            "--number",
            str(number),
        ]
        found: dict[str, float] = json.loads(
            subprocess.run(command, check=True, capture_output=True, text=True).stdout
        )
        return found

    told: dict[str, list[dict[str, float]]] = {"import": [], "core": []}
    for _ in range(rounds):
        for side, results in told.items():
            results.append(run(side, rows))
    small = run("import", max(rows // 10, SEEN_FROM))
    rates = {side: statistics.median(one["rows"] / one["seconds"] for one in of) for side, of in told.items()}
    return {
        "rows": rows,
        "rounds": rounds,
        "import_rows_a_second": round(rates["import"]),
        "core_rows_a_second": round(rates["core"]),
        "ratio": round(rates["import"] / rates["core"], 2),
        "receiving_share": round(
            statistics.median(one["receiving"] / one["seconds"] for one in told["import"]), 2
        ),
        "peak_mib": round(max(one["peak_mib"] for one in told["import"]), 1),
        "peak_mib_of_a_tenth": round(small["peak_mib"], 1),
    }


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=list(_SIDES))
    chosen = parser.parse_args()
    found = _one(chosen.side, chosen.number) if chosen.side else measure(chosen.number, chosen.rounds)
    sys.stdout.write(json.dumps(found, indent=None if chosen.side else 2) + "\n")


if __name__ == "__main__":
    main()
