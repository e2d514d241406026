"""The command line's root. Callers: the `bdnews` script, `python -m bdnews_dispatch`."""

import os
import sys
from importlib import import_module

import click

from bdnews_dispatch import __version__
from bdnews_dispatch.errors import BdnewsError, IssueError

#: Command → the module that holds it, and the first sentence of its help. A command's libraries are loaded when it is
#: called: with all of them, even `bdnews --help` would take seconds. A test holds the sentences to the commands' own.
COMMANDS = {
    "issues": ("issues", "各期内容：解析、收入、发布、撤回。"),
    "subscribers": (
        "subscribers",
        "订阅者：导入、添加、退订、列出、导出、标签、记录；某人的全部数据与删除。",
    ),
    "lists": ("lists", "名单：列出、新建、说明、加入、移出、成员。"),
    "segments": ("segments", "细分：按条件挑选订阅者，发送时按当时的情况计算。"),
    "bulletins": ("bulletins", "快讯：编辑在刊期之外发出的通知。"),
    "dispatch": ("dispatches", "发送任务：开始、查看、等待、暂停、继续、取消。"),
    "deliveries": ("deliveries", "单份投递：查看，决定没有得到答复的。"),
    "reports": ("reports", "报告：一次发送的结果，一段时间的各次发送，各栏目的一年，订阅者的增减。"),
    "wechat": ("wechat", "公众号：菜单、标签、配额。"),
    "returns": ("returns", "退信：读一封看看它说什么，看一次退信邮箱，列出收到的。"),
    "suppressions": ("suppressions", "停发名单：列出、加入、解除。"),
    "users": ("users", "控制台的用户：邀请、列出、改角色、停用、重设密码。"),
    "audit": ("users", "操作记录：列出，核对有没有被改过。"),
    "tokens": ("tokens", "JSON API 的令牌：新建、列出、作废。"),
    "feeds": ("feeds", "来源：定时读取别处的 Atom、RSS、JSON Feed，新的一条收为一期。"),
    "webhooks": ("webhooks", "推送：把发生的事送给别的程序；新建、列出、换密钥、停用、重送。"),
    "serve": ("roles", "在一个进程里运行全部：网页、发送、定时与监视文件夹。Ctrl-C 停止。"),
    "web": ("roles", "只提供网页。"),
    "worker": ("roles", "只做发送。"),
    "scheduler": ("roles", "只做定时与监视文件夹。"),
    "sandbox": ("roles", "本机的邮件服务器与微信平台替身：收下并展示发出的邮件与卡片。"),
    "demo": ("demo", "用样刊走一遍全程：收入、发布、分发到沙箱，再看打开、点击与退订。"),
    "doctor": ("doctor", "检查设置、数据库、邮件与微信，说明每一项该怎么办。有不通过的项时退出码为 1。"),
    "admin": ("admin", "维护：升级数据库结构，迁往 PostgreSQL，删除到期的数据。"),
}


class _Root(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        command = getattr(import_module(f"bdnews_dispatch.cli.{module}"), cmd_name)
        assert isinstance(command, click.Command)  # noqa: S101  # the table above
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """With the nearest name for a wrong one: click looks for it among commands that are loaded, and none is."""
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand:
            raise click.exceptions.NoSuchCommand(args[0], possibilities=COMMANDS, ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in COMMANDS.items()])


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
