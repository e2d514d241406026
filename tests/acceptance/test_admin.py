"""Migrations by hand, and the way from an embedded installation to PostgreSQL, as an operator walks it."""

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from tests import postgres
from tests.acceptance.test_crashes import SAMPLE
from tests.making import readers

if TYPE_CHECKING:
    from tests.acceptance.conftest import Machine


def test_migrating_twice_does_nothing_the_second_time(machine: "Machine") -> None:
    assert "原为 空" in machine.run("admin", "migrate").stdout
    assert "无需升级" in machine.run("admin", "migrate").stdout


def test_a_server_that_is_away_is_named_without_its_password(machine: "Machine") -> None:
    machine.environment["BDNEWS_DATABASE__URL"] = "postgresql://bdnews:hush@127.0.0.1:9/news"
    said = machine.run("admin", "migrate", code=1).stderr
    assert "127.0.0.1:9/news" in said
    assert "hush" not in said


def test_moving_to_postgresql_and_going_on_there(machine: "Machine") -> None:
    csv = machine.folder / "readers.csv"
    csv.write_bytes(readers(31))
    machine.run("subscribers", "import", str(csv), "--basis", "会场登记")
    machine.run("issues", "ingest", str(SAMPLE), "--publish")
    url = postgres.database_url(str(machine.folder))
    moved = {row["table"]: row["rows"] for row in machine.json("admin", "move-to-postgres", "--to", url)}
    assert moved["subscriber"] == 31
    with closing(sqlite3.connect(machine.folder / "var" / "bdnews.db")) as file:
        names = {name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    of_the_moment = {"alembic_version", "sqlite_sequence", "node", "lease", "budget", "seat"}
    assert set(moved) == names - of_the_moment, "every table goes along"
    assert "已有数据" in machine.run("admin", "move-to-postgres", "--to", url, code=1).stderr
    key = (machine.folder / "var" / "signing.key").read_text().strip()
    machine.environment |= {
        "BDNEWS_DATABASE__URL": url,
        "BDNEWS_SECURITY__SIGNING_KEYS": f'["{key}"]',
    }
    dispatch = machine.json("dispatch", "start", "--issue", "112")["id"]
    machine.run("dispatch", "wait", str(dispatch))
    assert machine.json("dispatch", "show", str(dispatch))["counts"]["sent"] == 31
    machine.start("scheduler")
    assert "在线：web 0、worker 0、scheduler 1" in machine.run("doctor").stdout
    said = machine.run("admin", "move-to-postgres", "--to", url, code=1).stderr
    assert "只能从 SQLite 迁往 PostgreSQL" in said
