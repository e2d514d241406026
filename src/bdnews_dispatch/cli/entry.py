"""The command line's root. Callers: the `bdnews` script, `python -m bdnews_dispatch`."""

import os
import sys

import click

from bdnews_dispatch import __version__
from bdnews_dispatch.cli.bulletins import bulletins
from bdnews_dispatch.cli.demo import demo
from bdnews_dispatch.cli.dispatches import dispatch
from bdnews_dispatch.cli.doctor import doctor
from bdnews_dispatch.cli.issues import issues
from bdnews_dispatch.cli.roles import sandbox, scheduler, serve, web, worker
from bdnews_dispatch.cli.subscribers import subscribers
from bdnews_dispatch.errors import BdnewsError, IssueError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bdnews")
def root() -> None:
    """大数据发展动态的订阅与分发：一期内容进来，每位订阅者收到自己所选栏目的摘要。"""


for command in (
    issues,
    subscribers,
    bulletins,
    dispatch,
    serve,
    web,
    worker,
    scheduler,
    sandbox,
    demo,
    doctor,
):
    root.add_command(command)


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
