"""Files that are no issues, in the folder of a real scheduler: set aside with a reason, and in nobody's way."""

import gzip
import io
import json
import re
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.acceptance.test_crashes import SAMPLE

if TYPE_CHECKING:
    from tests.acceptance.conftest import Machine

MEGABYTE = 1024 * 1024


def most_memory(pid: int) -> int:
    """The most that the process has ever had, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def zip_bomb() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("issue.md", bytes(300 * MEGABYTE))
    return file.getvalue()


@pytest.mark.fault(18)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory of another process is Linux's")
def test_bad_files_are_set_aside_and_hold_nobody_up(machine: "Machine") -> None:
    machine.environment["BDNEWS_ISSUES__MAX_BYTES"] = str(16 * MEGABYTE)  # so that the long line is parsed
    scheduler = machine.start("scheduler")
    before = most_memory(scheduler.pid)
    folder = machine.folder / "issues"
    sample = SAMPLE.read_bytes()
    bad = {
        "a-zip.md": zip_bomb(),
        "b-gzip.md": gzip.compress(bytes(300 * MEGABYTE), compresslevel=1),
        "c-huge.md": b"x" * (17 * MEGABYTE),
        "d-binary.md": bytes(range(256)) * 4096,
        "e-empty.md": b"",
        "f-malformed.md": b"\xff\xfe\xff" + sample[:500],
    }
    (folder / "g-one-line.md").write_bytes("# 题目\n\n".encode() + "数据，要素".encode() * 700_000)
    (folder / "half.md.part").write_bytes(sample[: len(sample) // 2])
    for name, content in bad.items():
        (folder / name).write_bytes(content)
    began = time.monotonic()
    (folder / "z-good.md").write_bytes(sample)
    while not (folder / "accepted" / "z-good.md").exists():
        assert time.monotonic() < began + 5 + 0.2, "at most 5 s late, beside the time in which a file settles"
        time.sleep(0.02)
    deadline = time.monotonic() + 20
    while {path.name for path in folder.glob("*.md")}:
        assert time.monotonic() < deadline, list(folder.iterdir())
        time.sleep(0.05)
    for name, content in bad.items():
        report = json.loads((folder / "rejected" / f"{name}.report.json").read_text(encoding="utf-8"))
        assert report["code"].startswith("issue."), name
        assert report["message"]
        assert (folder / "rejected" / name).stat().st_size == len(content)
    assert (folder / "half.md.part").exists(), "who copies has not done yet"
    grown = most_memory(scheduler.pid) - before
    assert grown < 200 * MEGABYTE, f"{grown / MEGABYTE:.0f} MB"
    assert scheduler.poll() is None
