"""A large file with bad rows of twelve kinds, whoever does the work killed twice: as if nobody had been killed.

40,000 rows; a million with BDNEWS_TEST_FULL. Real processes, real SIGKILL: the command itself, then a worker.
"""

import csv
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.making import FULL

from bdnews_dispatch.subscribers.imports.packing import unpack_refused

if TYPE_CHECKING:
    from tests.acceptance.conftest import Machine, Running

ROWS = 1_000_000 if FULL else 40_000
HEADER = ["邮箱", "姓名", "openid", "栏目", "渠道", "频率", "语言", "标签", "工作单位"]
#: What makes a good row bad, and by which code it is refused.
BAD: dict[str, Callable[[list[str]], str]] = {
    "email.invalid": lambda row: ",".join(["no address", *row[1:]]),
    "email.too_long": lambda row: ",".join(["a" * 300 + "@x.example", *row[1:]]),
    "identity.missing": lambda row: ",".join(["", *row[1:]]),
    "openid.invalid": lambda row: ",".join([*row[:2], "o 1", *row[3:]]),
    "name.too_long": lambda row: ",".join([row[0], "长" * 101, *row[2:]]),
    "sections.unknown": lambda row: ",".join([*row[:3], "体育", *row[4:]]),
    "channel.unknown": lambda row: ",".join([*row[:4], "信鸽", *row[5:]]),
    "channel.unreachable": lambda row: ",".join([*row[:4], "wechat", *row[5:]]),
    "cadence.unknown": lambda row: ",".join([*row[:5], "hourly", *row[6:]]),
    "language.unknown": lambda row: ",".join([*row[:6], "fr", *row[7:]]),
    "row.too_many_cells": lambda row: ",".join([*row, "=1+1"]),
    "row.malformed": lambda row: row[0] + ',"' + ",".join(row[1:]),
}


def write_file(path: Path) -> dict[int, str]:
    """Rows in which one in thirty is bad, and one in fifty comes again. Returns: code by row number."""
    chance = random.Random(7)
    bad: dict[int, str] = {}
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(HEADER) + "\n")
        for number in range(2, ROWS + 2):
            who = chance.randrange(2, number + 1) if chance.random() < 0.02 else number
            row = [
                f"reader{who}@x{who % 50}.example",
                f"读者{number}",
                "",
                "国策要论",
                "",
                "",
                "",
                "专家",
                "甲局",
            ]
            if chance.random() < 0.03:
                bad[number] = chance.choice(sorted(BAD))
                file.write(BAD[bad[number]](row) + "\n")
            else:
                file.write(",".join(row) + "\n")
    return bad


TABLES = {
    "subscriber": "SELECT id, email, email_key, openid, name, language FROM subscriber ORDER BY id",
    "subscription": "SELECT id, subscriber_id, publication, whole_issue, sections, channel, cadence, origin, evidence, "
    "consent, ended_at IS NULL, end_reason FROM subscription ORDER BY id",
    "list_membership": "SELECT id, list_id, subscriber_id, evidence, consent, left_at FROM list_membership ORDER BY id",
    "subscriber_tag": "SELECT subscriber_id, tag FROM subscriber_tag ORDER BY 1, 2",
    "subscriber_attribute": "SELECT subscriber_id, name, value FROM subscriber_attribute ORDER BY 1, 2",
    "consent_text": "SELECT version, text FROM consent_text",
    "import_run": "SELECT id, state, rows, done, added, changed, unchanged, refused, chunk, start, kinds "
    "FROM import_run",
    "import_chunk": "SELECT count(*) FROM import_chunk",
    "import_member": "SELECT count(*) FROM import_member",
    "event": "SELECT name, key FROM event ORDER BY id",
}


def everything(machine: "Machine") -> dict[str, list[Any]]:
    with closing(sqlite3.connect(machine.folder / "var" / "bdnews.db")) as database:
        found = {table: database.execute(sql).fetchall() for table, sql in TABLES.items()}
        refused = database.execute("SELECT data FROM import_refused ORDER BY run_id, chunk, start")
        found["import_refused"] = [row for (data,) in refused for row in unpack_refused(data)]
    return found


def done(machine: "Machine") -> int:
    try:
        with closing(sqlite3.connect(f"file:{machine.folder}/var/bdnews.db?mode=ro", uri=True)) as database:
            return int(database.execute("SELECT coalesce(max(done), 0) FROM import_run").fetchone()[0])
    except sqlite3.OperationalError:  # not made yet
        return 0


def kill_once_it_is_beyond(machine: "Machine", process: "Running", beyond: int) -> int:
    """Returns: how far it had come."""
    deadline = time.monotonic() + 120
    while done(machine) <= beyond:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=40)
    return done(machine)


@pytest.fixture
def other_machine(tmp_path: Path) -> Iterator["Machine"]:
    from tests.acceptance.conftest import Machine  # noqa: PLC0415  # no module of its own

    folder = tmp_path / "other"
    folder.mkdir()
    machine = Machine(folder)
    yield machine
    machine.stop_all()


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    given = ["--list", "全部", "--basis", "会场登记，同意接收", "--map", "attr:单位=工作单位"]
    return ["subscribers", "import", str(tmp_path / "people.csv"), *given]


def test_killed_twice_is_as_if_never(
    machine: "Machine", other_machine: "Machine", tmp_path: Path, command: list[str]
) -> None:
    bad = write_file(tmp_path / "people.csv")
    assert set(bad.values()) == set(BAD)

    result = tmp_path / "result.csv"
    report = other_machine.json(*command, "--result", str(result))
    assert (report["rows"], report["refused"], report["state"]) == (ROWS, len(bad), "finished")

    mine = subprocess.Popen(
        [sys.executable, "-m", "bdnews_dispatch", *command],
        env=machine.environment,
        cwd=machine.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    first = kill_once_it_is_beyond(machine, mine, ROWS // 20)
    assert 0 < first < ROWS
    worker = machine.start("worker")
    second = kill_once_it_is_beyond(machine, worker, first)
    assert first < second < ROWS
    again = machine.run(*command)
    assert "接着做" in again.stderr

    without, killed = everything(other_machine), everything(machine)
    for table in without:
        assert killed[table] == without[table], table
    assert killed["import_chunk"] == [(0,)]

    # The result holds exactly the bad rows, as they stood in the file.
    lines = (tmp_path / "people.csv").read_text(encoding="utf-8").splitlines()
    with result.open(encoding="utf-8-sig", newline="") as file:
        heading, *rows = csv.reader(file)
    assert heading == [*HEADER, "行号", "原因", "代码"]
    assert {int(row[9]): row[11] for row in rows} == bad
    for row in rows:
        line = lines[int(row[9]) - 1]
        if row[11] == "row.malformed":
            assert row[0] == line
        else:
            assert row[:9] == line.split(",")[:9]
    killed_result = tmp_path / "killed.csv"
    machine.run("subscribers", "imports", "result", "1", "--output", str(killed_result))
    assert killed_result.read_bytes() == result.read_bytes()
