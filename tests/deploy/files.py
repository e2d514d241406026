"""Where the deployment files are, how they are read, and what the service itself says about them."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from bdnews_dispatch.web.access import Permission
from bdnews_dispatch.web.routes import ROUTES

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
#: Where wheels put their programs.
BIN = Path(sys.executable).parent

#: Answered to those who run the service, and to a demo's own machine: never through nginx or an Ingress.
INSIDE = {"/live", "/ready", "/metrics"} | {
    route.path for route in ROUTES if route.permission is Permission.DEMO
}


def clean_environment(**more: str) -> dict[str, str]:
    """This process's environment without settings of the service."""
    return {name: value for name, value in os.environ.items() if not name.startswith("BDNEWS_")} | more


def run(*command: str | Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; what it says is the test's to judge."""
    return subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
        env=None if env is None else dict(env),
    )


def read_yaml(file: Path) -> list[dict[str, Any]]:
    """The file's documents."""
    return [
        document for document in yaml.load_all(file.read_text(encoding="utf-8"), yaml.CSafeLoader) if document
    ]


def compose_services() -> dict[str, dict[str, Any]]:
    (document,) = read_yaml(DEPLOY / "compose.yaml")
    services: dict[str, dict[str, Any]] = document["services"]
    return services


def manifests() -> list[dict[str, Any]]:
    """What kustomization.yaml names, and the example of a Secret, which it leaves to the operator."""
    (kustomization,) = read_yaml(DEPLOY / "kubernetes" / "kustomization.yaml")
    names = [*kustomization["resources"], "secret.example.yaml"]
    return [document for name in names for document in read_yaml(DEPLOY / "kubernetes" / name)]


def of_kind(*kinds: str) -> list[dict[str, Any]]:
    return [manifest for manifest in manifests() if manifest["kind"] in kinds]


def pod_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The pod's specification in a Deployment or a Job."""
    pod: dict[str, Any] = manifest["spec"]["template"]["spec"]
    return pod


def units() -> list[Path]:
    return sorted((DEPLOY / "systemd").glob("*.service"))


def directives(unit: Path) -> Iterator[tuple[str, str, str]]:
    """Section, name and value of each line of a unit; a name may come more than once."""
    section = ""
    for line in unit.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            name, _, value = line.partition("=")
            yield section, name, value


def values(unit: Path, name: str) -> list[str]:
    return [value for _, each, value in directives(unit) if each == name]


def unit_environment(unit: Path) -> dict[str, str]:
    pairs = [pair.partition("=") for pair in values(unit, "Environment")]
    return {name: value.replace("%i", "1") for name, _, value in pairs}
