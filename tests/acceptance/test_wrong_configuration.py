"""A configuration that is not right stops the start: an exit code, the file, and the key by its name.

Nothing is read again while a process runs: a file that becomes wrong later stops no sending, it stops the next start.
Every kind of mistake: tests/integration/test_wrong_settings.py.
"""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bdnews_dispatch.shipped import shipped

if TYPE_CHECKING:
    from tests.acceptance.conftest import Machine


@pytest.mark.fault(22)
def test_a_wrong_setting_ends_the_whole_service(machine: "Machine") -> None:
    own = machine.folder / "own.toml"
    own.write_text('[schedule]\nweekly = "someday"\n', encoding="utf-8")
    machine.environment["BDNEWS_CONFIG"] = str(own)
    assert "错误：设置 schedule.weekly" in machine.run("serve", code=1).stderr


@pytest.mark.fault(22)
def test_a_wrong_limit_ends_a_worker(machine: "Machine") -> None:
    """Limits are read from where the program is installed: this one is installed in the test's folder."""
    installed = machine.folder / "installed"
    package = Path(__file__).parents[2] / "src" / "bdnews_dispatch"
    shutil.copytree(package, installed / "bdnews_dispatch", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("config", "templates"):
        shutil.copytree(shipped(name), installed / "bdnews_dispatch" / "_shipped" / name)
    machine.environment["PYTHONPATH"] = str(installed)
    providers = installed / "bdnews_dispatch" / "_shipped" / "config" / "providers.toml"
    text = providers.read_text(encoding="utf-8")
    providers.write_text(text.replace("connections = 4", 'connections = "four"', 1), encoding="utf-8")
    said = machine.run("worker", code=1).stderr
    assert "connections" in said
    assert str(providers) in said
