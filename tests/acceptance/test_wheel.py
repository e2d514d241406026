"""The wheel: it carries templates and configuration, and works without the checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_wheel_carries_what_the_code_reads(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(installed)
    for needed in (
        "bdnews_dispatch/_shipped/config/bdnews.toml",
        "bdnews_dispatch/_shipped/config/providers.toml",
        "bdnews_dispatch/_shipped/config/publications/dsj.toml",
        "bdnews_dispatch/_shipped/templates/email/digest/body.html",
        "bdnews_dispatch/db/migrations/versions/0001_first_tables.py",
        "bdnews_dispatch/web/locale/en/LC_MESSAGES/messages.po",
        "bdnews_dispatch/py.typed",
    ):
        assert needed in names
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("BDNEWS_")},
        "PYTHONPATH": str(installed),
    }
    script = (
        "import bdnews_dispatch, pathlib, runpy, sys;"
        f"assert pathlib.Path(bdnews_dispatch.__file__).is_relative_to({str(installed)!r});"
        "sys.argv = ['bdnews', 'demo', '--once'];"
        "runpy.run_module('bdnews_dispatch', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert '"finished"' in done.stdout
