"""compose.yaml: the specification's schema, and our own rules."""

from typing import Any

import pytest
from tests.deploy.files import BIN, DEPLOY, compose_services, run

from bdnews_dispatch.service.roles import DRAIN_SECONDS

SERVICES = compose_services()
ROLES = ["web", "worker", "scheduler"]
#: Made by the operator; README.md says how. Not in the repository.
OWN = {"secrets", "issues", "backups"}

every_service = pytest.mark.parametrize("name", SERVICES)


def service(name: str) -> dict[str, Any]:
    return SERVICES[name]


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


def test_the_schema_is_kept() -> None:
    done = run(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")
    assert done.returncode == 0, done.stdout


def test_there_are_all_parts() -> None:
    assert set(SERVICES) == {"postgres", "migrate", *ROLES, "nginx", "backup"}
    assert service("worker")["deploy"]["replicas"] == 2


@every_service
def test_nobody_is_root_or_can_become_it(name: str) -> None:
    user, _, group = service(name)["user"].partition(":")
    assert int(user) > 0
    assert int(group) > 0
    assert service(name)["cap_drop"] == ["ALL"]
    assert "cap_add" not in service(name)
    assert not service(name).get("privileged")
    assert service(name)["security_opt"] == ["no-new-privileges:true"]
    assert service(name)["read_only"] is True


@every_service
def test_images_are_fixed(name: str) -> None:
    image, _, tag = service(name)["image"].rpartition(":")
    assert image
    assert tag[0].isdigit()
    assert tag.count(".") >= 1, "a whole version"


@every_service
def test_nobody_takes_the_whole_machine(name: str) -> None:
    assert set(service(name)["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}


@every_service
def test_what_stays_is_watched(name: str) -> None:
    once = service(name)["restart"] == "no"
    assert once == (name in {"migrate", "backup"})
    assert (
        service(name)["healthcheck"] == {"disable": True} if once else "test" in service(name)["healthcheck"]
    )


@pytest.mark.parametrize("name", ROLES)
def test_a_role_starts_behind_the_migration_and_has_time_to_drain(name: str) -> None:
    assert service(name)["depends_on"] == {
        "postgres": {"condition": "service_healthy"},
        "migrate": {"condition": "service_completed_successfully"},
    }
    assert seconds(service(name)["stop_grace_period"]) > DRAIN_SECONDS


def test_secrets_are_files_and_have_no_default() -> None:
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    assert "${" not in text
    for name, each in SERVICES.items():
        for variable in each.get("environment", {}):
            assert "PASSWORD" not in variable or variable.endswith("_FILE"), name
            assert "SECRET" not in variable, name


def test_what_is_mounted_is_there_or_is_the_operator_s_and_ignored_by_git() -> None:
    ignored = (DEPLOY / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert {f"/{name}/" for name in OWN} <= set(ignored)
    for each in SERVICES.values():
        for volume in each.get("volumes", []):
            source = volume["source"] if isinstance(volume, dict) else volume.partition(":")[0]
            if source.startswith("./") and source.split("/")[1] not in OWN:
                assert (DEPLOY / source).exists(), source


def test_only_nginx_is_open_and_the_database_is_not() -> None:
    assert [name for name, each in SERVICES.items() if "ports" in each] == ["nginx"]
    on_database = {name for name, each in SERVICES.items() if "database" in each["networks"]}
    assert on_database == {"postgres", "migrate", "backup", *ROLES}
    with_way_out = {name for name, each in SERVICES.items() if "outside" in each["networks"]}
    assert with_way_out == {"nginx", "worker"}


def test_what_is_committed_is_on_disk() -> None:
    postgres = service("postgres")
    for setting in ("fsync=on", "synchronous_commit=on", "full_page_writes=on"):
        assert setting in postgres["command"]
    # Since version 18 of the image, this folder: in the old one, /var/lib/postgresql/data, nothing would be kept.
    assert postgres["volumes"] == ["postgres:/var/lib/postgresql"]
    assert service("backup")["image"] == postgres["image"]
