"""A command loads what it needs, so that it answers at once."""

import subprocess
import sys

import click
import pytest

from bdnews_dispatch.cli.entry import COMMANDS, root

#: What only the service itself needs.
HEAVY = {
    "asyncpg",
    "aiohttp",
    "pgqueuer",
    "wechatpy",
    "aiosmtpd",
    "aiosmtplib",
    "opentelemetry",
    "css_inline",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_says_what_the_command_says(name: str) -> None:
    command = root.get_command(None, name)  # type: ignore[arg-type]  # it asks nothing of it
    assert command is not None
    assert COMMANDS[name][1] == command.get_short_help_str(limit=200)


@pytest.mark.parametrize(("typed", "meant"), [("issue", "issues"), ("dispatches", "dispatch")])
def test_a_wrong_name_is_told_the_right_one(typed: str, meant: str) -> None:
    with pytest.raises(click.UsageError) as told:
        root.main([typed, "list"], standalone_mode=False)
    assert meant in told.value.format_message().removeprefix(f"No such command '{typed}'")


def loaded(imports: str) -> set[str]:
    program = f"import sys\n{imports}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("module", ["subscribers", "issues", "bulletins", "dispatches", "deliveries"])
def test_a_command_does_not_load_the_service(module: str) -> None:
    assert not loaded(f"import bdnews_dispatch.cli.{module}") & HEAVY


def test_help_does_not_even_load_the_database() -> None:
    program = "from bdnews_dispatch.cli.entry import root\nroot.main(['--help'], standalone_mode=False)"
    assert not loaded(program) & {*HEAVY, "sqlalchemy", "pydantic"}
