"""What the deployment files say of the service is what the service knows, and they say the same as one another."""

import re
import tomllib

import pytest
from click.testing import CliRunner
from tests.deploy.files import (
    DEPLOY,
    ROOT,
    compose_services,
    of_kind,
    pod_of,
    read_yaml,
    unit_environment,
    units,
    values,
)

from bdnews_dispatch.cli.entry import root
from bdnews_dispatch.links import read_keys
from bdnews_dispatch.settings import PREFIX, load_settings

EXAMPLE = DEPLOY / "bdnews.example.toml"


def own(environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(PREFIX)}


def image_environment() -> dict[str, str]:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    return dict(re.findall(r"\b(BDNEWS_\w+)=(\S+)", text))


def environments() -> dict[str, dict[str, str]]:
    """What each kind of process gets."""
    found = {unit.name: own(unit_environment(unit)) for unit in units()}
    for name, service in compose_services().items():
        if settings := own(service.get("environment", {})):
            found[f"compose/{name}"] = {**image_environment(), **settings}
    (for_pods,) = of_kind("ConfigMap")
    found["kubernetes"] = {**image_environment(), **for_pods["data"]}
    return found


@pytest.mark.parametrize("where", environments())
def test_every_variable_is_a_setting_and_its_value_is_understood(where: str) -> None:
    environment = environments()[where]
    assert "BDNEWS_CONFIG" in environment
    load_settings({**environment, "BDNEWS_CONFIG": str(EXAMPLE)})


def test_no_variable_takes_the_place_of_what_the_example_file_says() -> None:
    groups = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
    in_file = {f"{PREFIX}{group}__{key}".upper() for group, keys in groups.items() for key in keys}
    for where, environment in environments().items():
        assert not in_file & set(environment), where


def test_the_example_file_is_understood_and_reaches_nobody() -> None:
    settings = load_settings({}, file=EXAMPLE)
    assert settings.delivery.allow == "nobody"
    assert settings.base_url.startswith("https://")
    read_keys([key.get_secret_value() for key in settings.security.signing_keys])


def test_ports_are_the_same_everywhere() -> None:
    defaults = load_settings({"BDNEWS_CONFIG": ""}).model_dump()
    web, operations = defaults["web"]["port"], defaults["operations"]["port"]
    for environment in environments().values():
        assert environment.get("BDNEWS_WEB__PORT", str(web)) == str(web)
        if environment.get("BDNEWS_OPERATIONS__PORT") != "9471":  # a machine's first worker: test_systemd.py
            assert environment.get("BDNEWS_OPERATIONS__PORT", str(operations)) == str(operations)
    for name, port in (("web", web), ("worker", operations), ("scheduler", operations)):
        assert f"http://127.0.0.1:{port}/" in str(compose_services()[name]["healthcheck"]["test"])
        deployment = next(
            each for each in of_kind("Deployment") if each["metadata"]["name"] == f"bdnews-{name}"
        )
        assert pod_of(deployment)["containers"][0]["ports"][0]["containerPort"] == port
    for file in (DEPLOY / "nginx").glob("upstream-*.conf"):
        assert re.findall(r"server [\w.]+:(\d+)", file.read_text(encoding="utf-8")) == [str(web)]
    policies = {each["metadata"]["name"]: each["spec"] for each in of_kind("NetworkPolicy")}
    open_ports = {each["port"] for each in policies["monitoring-to-metrics"]["ingress"][0]["ports"]}
    assert open_ports == {web, operations}


def commands() -> set[tuple[str, ...]]:
    """What is asked of `bdnews` anywhere."""
    found = {tuple(pod_of(each)["containers"][0]["args"]) for each in of_kind("Deployment", "Job")}
    found |= {
        tuple(service["command"])
        for service in compose_services().values()
        if service["image"].startswith("bdnews-dispatch:")
    }
    for unit in units():
        for name in ("ExecStart", "ExecStartPre"):
            for line in values(unit, name):
                if line.startswith("/opt/bdnews/bin/bdnews "):
                    found.add(tuple(line.split()[1:]))
    return found


@pytest.mark.parametrize("command", sorted(commands()))
def test_every_command_is_one_of_bdnews(command: tuple[str, ...]) -> None:
    done = CliRunner().invoke(root, [*command, "--help"])
    assert done.exit_code == 0, done.output


def test_there_is_one_image_and_its_tag_is_the_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    images = {pod_of(each)["containers"][0]["image"] for each in of_kind("Deployment", "Job")}
    images |= {service["image"] for service in compose_services().values() if "bdnews" in service["image"]}
    assert images == {f"bdnews-dispatch:{version}"}
    (kustomization,) = read_yaml(DEPLOY / "kubernetes" / "kustomization.yaml")
    assert [image["newTag"] for image in kustomization["images"]] == [version]


def test_the_user_is_one_everywhere() -> None:
    users = {pod_of(each)["securityContext"]["runAsUser"] for each in of_kind("Deployment", "Job")}
    assert users == {10001}
    assert {
        service["user"]
        for service in compose_services().values()
        if service["image"].startswith("bdnews-dispatch:")
    } == {"10001:10001"}
    assert "USER 10001:10001" in (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
