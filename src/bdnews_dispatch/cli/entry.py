"""The command line's root. Callers: the `bdnews` script, `python -m bdnews_dispatch`."""

import os
import sys
from importlib import import_module

import click

from bdnews_dispatch import __version__
from bdnews_dispatch.errors import BdnewsError, IssueError

#: Command → the module that holds it. A command's libraries are loaded when it is called: with all of them, even
#: `bdnews --help` would take seconds.
_COMMANDS = {
    "issues": "issues",
    "subscribers": "subscribers",
    "bulletins": "bulletins",
    "dispatch": "dispatches",
    "deliveries": "deliveries",
    "serve": "roles",
    "web": "roles",
    "worker": "roles",
    "scheduler": "roles",
    "sandbox": "roles",
    "demo": "demo",
    "doctor": "doctor",
    "admin": "admin",
}


class _Root(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        command = getattr(import_module(f"bdnews_dispatch.cli.{_COMMANDS[cmd_name]}"), cmd_name)
        assert isinstance(command, click.Command)  # noqa: S101  # the table above
        return command


@click.group(cls=_Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bdnews")
def root() -> None:
    """大数据发展动态的订阅与分发：一期内容进来，每位订阅者收到自己所选栏目的摘要。"""


def main() -> None:
    """Run a command; an expected error is a sentence on standard error and exit code 1, never a traceback."""
    try:
        code = root.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except BdnewsError as error:
        where = ""
        if isinstance(error, IssueError):
            line = f"，第 {error.line} 行" if error.line else ""
            where = f"（{error.code}{line}）"
        click.echo(f"错误{where}：{error}", err=True)
        sys.exit(1)
    except BrokenPipeError:  # `bdnews … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)  # click gives an Exit's code back
