"""The Dockerfile: a linter's rules, and our own."""

import fnmatch
import re

import pytest
from tests.deploy.files import BIN, DEPLOY, ROOT, run

from bdnews_dispatch.settings import load_settings

FILE = DEPLOY / "Dockerfile"


def instructions() -> list[tuple[str, str]]:
    """Instruction and arguments, with continued lines joined."""
    text = "\n".join(
        line for line in FILE.read_text(encoding="utf-8").splitlines() if not line.startswith("#")
    )
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines) if name]


def of(name: str) -> list[str]:
    return [rest for each, rest in instructions() if each == name]


def environment() -> dict[str, str]:
    return dict(re.findall(r"(\w+)=(\S+)", " ".join(of("ENV"))))


def test_the_linter_finds_nothing() -> None:
    done = run(BIN / "hadolint", "--failure-threshold", "style", FILE)
    assert done.returncode == 0, done.stdout


def test_base_images_are_fixed() -> None:
    assert {base.split()[0] for base in of("FROM")} == {"python:3.11-slim-bookworm"}


def test_what_runs_is_not_root_and_has_a_number_that_kubernetes_can_check() -> None:
    assert of("USER")[-1] == "10001:10001"
    names = [name for name, _ in instructions()]
    assert names.index("USER") < names.index("ENTRYPOINT")


def test_everything_that_is_installed_is_held_to_a_hash() -> None:
    commands = [part for run_line in of("RUN") for part in run_line.split("&&")]
    installing = [part for part in commands if re.search(r"pip install|uv build", part)]
    assert len(installing) == 4
    for command in installing:
        assert "--require-hashes" in command or "--no-deps --no-index dist/" in command


def test_nothing_is_written_outside_of_the_volume() -> None:
    assert of("VOLUME") == of("WORKDIR")[-1:] == ["/var/lib/bdnews"]
    assert environment()["PYTHONDONTWRITEBYTECODE"] == "1"
    defaults = load_settings({"BDNEWS_CONFIG": ""})
    assert not defaults.service.data_folder.is_absolute()


def test_the_health_check_asks_the_port_that_is_exposed_without_another_program() -> None:
    (check,) = of("HEALTHCHECK")
    port = load_settings({"BDNEWS_CONFIG": ""}).web.port
    assert f"http://127.0.0.1:{port}/live" in check
    assert 'CMD ["python",' in check
    assert str(port) in of("EXPOSE")[0].split()


def test_what_is_copied_is_there_and_let_into_the_build() -> None:
    allowed = [
        line.removeprefix("!")
        for line in (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    ]
    copied = [name for rest in of("COPY") if "--from" not in rest for name in rest.split()[:-1]]
    assert len(copied) == len(allowed)
    for name in copied:
        assert (ROOT / name).exists(), name
        assert any(fnmatch.fnmatch(name.rstrip("/"), each) for each in allowed), name


@pytest.mark.parametrize("group", ["web", "operations"])
def test_in_a_container_the_service_listens_to_the_outside(group: str) -> None:
    own = {name: value for name, value in environment().items() if name.startswith("BDNEWS_")}
    assert load_settings({**own, "BDNEWS_CONFIG": ""}).model_dump()[group]["host"] == "0.0.0.0"  # noqa: S104
    assert len(own) == 2, "what the image sets wins over the operator's file"
