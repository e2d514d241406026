"""One's own data by the command line, and retention by the real scheduler."""

import json
import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.acceptance.test_crashes import SAMPLE

if TYPE_CHECKING:
    from tests.acceptance.conftest import Machine

WHO = "he.jing@readers.example"
CSV = f"email,name,openid\n{WHO},何静,oReaderHeJing0000000000001\nlin@readers.example,林,\n"


def prepared(machine: "Machine") -> Path:
    csv = machine.folder / "readers.csv"
    csv.write_text(CSV, encoding="utf-8")
    machine.run("subscribers", "import", str(csv), "--basis", "会场登记")
    return csv


def test_a_copy_for_somebody_who_asked_by_letter(machine: "Machine") -> None:
    prepared(machine)
    printed = json.loads(machine.run("subscribers", "copy", WHO.upper()).stdout)
    assert (printed["person"]["name"], printed["person"]["email"]) == ("何静", WHO)
    assert json.loads(machine.run("subscribers", "copy", "oReaderHeJing0000000000001").stdout)["person"]
    file = machine.folder / "copy.json"
    assert WHO not in machine.run("subscribers", "copy", WHO, "--output", str(file)).stdout
    assert json.loads(file.read_text(encoding="utf-8"))["person"] == printed["person"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "无法写入" in machine.run("subscribers", "copy", WHO, "--output", str(file), code=1).stderr
    assert "没有使用这个邮箱" in machine.run("subscribers", "copy", "nobody@x.example", code=1).stderr


def test_erased_for_somebody_who_asked_by_telephone(machine: "Machine") -> None:
    csv = prepared(machine)
    machine.run("issues", "ingest", str(SAMPLE), "--publish")
    dispatch = machine.json("dispatch", "start", "--issue", "112")["id"]
    machine.run("dispatch", "wait", str(dispatch))
    said = machine.run("subscribers", "erase", WHO, code=1).stderr
    assert "没有删除任何内容" in said
    assert "何静" in machine.run("subscribers", "list").stdout
    assert machine.json("subscribers", "erase", WHO, "--yes") == {"id": 1, "erased": True}
    assert "何静" not in machine.run("subscribers", "list").stdout
    assert "没有使用这个邮箱" in machine.run("subscribers", "erase", WHO, "--yes", code=1).stderr
    again = machine.json("subscribers", "import", str(csv), "--basis", "会场登记")
    assert (again["refused"], again["unchanged"]) == (1, 1)
    assert [kind["code"] for kind in again["kinds"]] == ["erased"]
    csv.unlink()
    # The sandbox's mails are what has been sent: they stand for mailboxes of others, and retention clears them.
    kept = machine.folder / "var" / "sandbox"
    files = [file for file in machine.folder.rglob("*") if file.is_file() and kept not in file.parents]
    assert machine.folder / "var" / "bdnews.db" in files
    for trace in (WHO, "he.jing", "何静", "oReaderHeJing"):
        assert [file.name for file in files if trace.encode() in file.read_bytes()] == []


def test_the_scheduler_deletes_what_is_due(machine: "Machine") -> None:
    prepared(machine)
    mail = machine.folder / "var" / "sandbox" / "mail" / "00000001.json"
    mail.parent.mkdir(parents=True)
    mail.write_text("{}")
    machine.environment["BDNEWS_RETENTION__SANDBOX"] = "1"
    machine.environment["BDNEWS_SCHEDULE__TICK_SECONDS"] = "0.2"
    os.utime(mail, (time.time() - 90_000,) * 2)
    [row] = [row for row in machine.json("admin", "retention", "--dry-run") if row["rule"] == "sandbox"]
    assert row == {"rule": "sandbox", "days": 1, "rows": 1}
    assert mail.exists()
    machine.start("scheduler")
    deadline = time.monotonic() + 20
    while mail.exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    said = machine.run("admin", "retention").stdout
    assert "打开与点击" in said
    assert "400 天" in said


def test_a_time_that_is_none_stops_the_start(machine: "Machine") -> None:
    machine.environment["BDNEWS_RETENTION__AT"] = "half past three"
    assert "retention.at" in machine.run("scheduler", code=1).stderr
