"""bdnews serve | web | worker | scheduler | sandbox"""

import asyncio
import sys
from collections.abc import Collection, Coroutine
from typing import Any

import click

from bdnews_dispatch.cli.session import read_and_logs, settings_and_logs
from bdnews_dispatch.cli.users import invitation_of_the_first
from bdnews_dispatch.clock import system_clock
from bdnews_dispatch.parts import Parts
from bdnews_dispatch.sandbox import Sandbox
from bdnews_dispatch.service.roles import Role
from bdnews_dispatch.service.running import serve as serve_roles
from bdnews_dispatch.service.sandbox import open_sandbox


@click.command()
def serve() -> None:
    """在一个进程里运行全部：网页、发送、定时与监视文件夹。Ctrl-C 停止。"""
    _run(list(Role))


@click.command()
def web() -> None:
    """只提供网页。"""
    _run([Role.WEB])


@click.command()
def worker() -> None:
    """只做发送。"""
    _run([Role.WORKER])


@click.command()
def scheduler() -> None:
    """只做定时与监视文件夹。"""
    _run([Role.SCHEDULER])


@click.command()
def sandbox() -> None:
    """本机的邮件服务器与微信平台替身：收下并展示发出的邮件与卡片。"""
    settings = settings_and_logs()

    async def run() -> None:
        async with open_sandbox(settings, system_clock) as stand_in:
            host, port = stand_in.smtp_address
            click.echo(f"沙箱已启动：SMTP {host}:{port}，页面 {stand_in.http_url}/ （Ctrl-C 停止）")
            await asyncio.Event().wait()

    _until_interrupted(run())


def _run(roles: Collection[Role]) -> None:
    read = read_and_logs()

    async def started(parts: Parts, stand_in: Sandbox | None) -> None:
        if Role.WEB in roles:
            click.echo(f"网页 {parts.settings.base_url}/，控制台 {parts.settings.base_url}/console/today")
            # Where this is no terminal it goes into a log, where a secret has no place.
            invitation = await invitation_of_the_first(parts) if sys.stdout.isatty() else ""
            click.echo(invitation or "控制台的用户用 bdnews users invite 邮箱 --role admin 邀请。")
        if Role.SCHEDULER in roles:
            click.echo(f"监视文件夹 {parts.settings.issues.folder}")
        if stand_in is None and Role.WORKER in roles and not parts.reach.everybody:
            box = parts.settings.sandbox
            click.echo(f"不在发送范围内的都发往已在运行的沙箱，页面 http://{box.http_host}:{box.http_port}/")
        if stand_in is not None:
            click.echo(
                f"delivery.allow = {parts.settings.delivery.allow!r}：其余的都发往沙箱，页面 {stand_in.http_url}/"
            )
        click.echo("已启动，Ctrl-C 停止。")

    _until_interrupted(serve_roles(read, roles, started))


def _until_interrupted(work: Coroutine[Any, Any, None]) -> None:
    try:
        with asyncio.Runner(loop_factory=_fastest_loop) as runner:
            runner.run(work)
    except KeyboardInterrupt:
        click.echo("已停止。")


def _fastest_loop() -> asyncio.AbstractEventLoop:
    """Take uvloop where there is one: reading from and writing to sockets costs it less."""
    try:
        import uvloop  # noqa: PLC0415  # not on every platform
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
