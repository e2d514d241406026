"""The units: what systemd says of them, and that none is less hardened than the others."""

import json
import shutil
from pathlib import Path

import pytest
from tests.deploy.files import DEPLOY, directives, run, unit_environment, units, values

from bdnews_dispatch.service.roles import DRAIN_SECONDS
from bdnews_dispatch.settings import load_settings

SYSTEMD = DEPLOY / "systemd"
ROLES = ["bdnews.service", "bdnews-web.service", "bdnews-worker@.service", "bdnews-scheduler.service"]
#: `systemd-analyze security` says "OK" up to here: 0 is shut, 10 is open. What is left is network and one own folder.
MOST_EXPOSED = 2.0

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")


def hardening(unit: Path) -> list[tuple[str, str]]:
    pairs = [(name, value) for section, name, value in directives(unit) if section == "Service"]
    return pairs[pairs.index(("StateDirectory", "bdnews")) :]


def test_the_hardening_of_all_units_is_one() -> None:
    assert len(units()) == 6
    first = hardening(units()[0])
    assert len(first) > 25
    for unit in units():
        assert hardening(unit) == first, unit.name


@pytest.mark.parametrize("name", ROLES)
def test_a_role_has_time_to_drain(name: str) -> None:
    (seconds,) = values(SYSTEMD / name, "TimeoutStopSec")
    assert int(seconds) > DRAIN_SECONDS + 5


@pytest.mark.parametrize("unit", units(), ids=lambda unit: unit.name)
def test_nobody_is_root_and_what_is_written_lies_in_the_state_folder(unit: Path) -> None:
    assert values(unit, "User") == values(unit, "Group") == ["bdnews"]
    assert values(unit, "WorkingDirectory") == ["/var/lib/bdnews"]
    # The defaults are relative: they end in the one folder that is not read-only.
    settings = load_settings({"BDNEWS_CONFIG": ""})
    assert not settings.service.data_folder.is_absolute()
    assert not settings.issues.folder.is_absolute()


def test_two_workers_of_one_machine_and_the_other_roles_use_ports_of_their_own() -> None:
    web, worker, scheduler = (
        load_settings({**unit_environment(SYSTEMD / name), "BDNEWS_CONFIG": ""}).model_dump()
        for name in ROLES[1:]
    )
    assert worker["operations"]["port"] == 9471
    assert len({web["web"]["port"], worker["operations"]["port"], scheduler["operations"]["port"]}) == 3


def test_a_role_starts_what_it_needs() -> None:
    for name in ROLES[1:]:
        assert values(SYSTEMD / name, "Requires") == ["bdnews-migrate.service"]
        assert "bdnews-migrate.service" in values(SYSTEMD / name, "After")[0].split()
    # Remaining, it would take every role down with it when it is run again.
    assert not values(SYSTEMD / "bdnews-migrate.service", "RemainAfterExit")


def test_the_backup_s_command_is_one_that_the_script_knows() -> None:
    (command,) = values(SYSTEMD / "bdnews-backup.service", "ExecStart")
    assert command.startswith("/opt/bdnews/backup/backup.sh --keep 14 /var/lib/bdnews/")
    assert values(SYSTEMD / "bdnews-backup.timer", "Persistent") == ["yes"]


@needs_systemd
def test_systemd_understands_every_line(tmp_path: Path) -> None:
    """Its only remark may be that the service is not installed here: so the programs get a stand-in."""
    for unit in SYSTEMD.iterdir():
        text = unit.read_text(encoding="utf-8")
        for program in ("/opt/bdnews/bin/bdnews", "/opt/bdnews/backup/backup.sh"):
            text = text.replace(f"={program}", "=/bin/true")
        (tmp_path / unit.name).write_text(text, encoding="utf-8")
    names = [f"{unit.stem}1.service" if unit.stem.endswith("@") else unit.name for unit in SYSTEMD.iterdir()]
    shutil.copy(tmp_path / "bdnews-worker@.service", tmp_path / "bdnews-worker@1.service")
    done = run("systemd-analyze", "verify", "--man=no", *(tmp_path / name for name in names))
    said = [line for line in done.stderr.splitlines() if "bdnews" in line]
    assert (done.returncode, said) == (0, [])


@needs_systemd
@pytest.mark.parametrize("unit", units(), ids=lambda unit: unit.name)
def test_systemd_finds_no_unit_exposed(unit: Path) -> None:
    done = run("systemd-analyze", "security", "--offline=yes", "--no-pager", "--json=short", unit)
    assert done.returncode == 0, done.stderr
    exposed = sum(float(row["exposure"] or 0) for row in json.loads(done.stdout))
    assert exposed <= MOST_EXPOSED, [row["name"] for row in json.loads(done.stdout) if row["exposure"]]
