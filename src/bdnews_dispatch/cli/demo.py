"""bdnews demo: the main job, whole, with the sample issue against the sandbox; nothing leaves this machine."""

import asyncio
import json
import re
import shutil
import signal
from typing import Any

import click

from bdnews_dispatch.cli.session import settings_and_logs
from bdnews_dispatch.dispatch import control
from bdnews_dispatch.sandbox import Sandbox
from bdnews_dispatch.service import Parts, Role, running
from bdnews_dispatch.settings import Settings
from bdnews_dispatch.shipped import shipped
from bdnews_dispatch.subscribers.importing import import_csv

#: The whole job takes some two seconds; a machine that needs longer than this has another trouble.
PATIENCE_SECONDS = 60.0
LOOK_SECONDS = 0.1


@click.command()
@click.option("--once", is_flag=True, help="做完全部后打印所发内容（JSON）并结束。")
def demo(*, once: bool) -> None:
    """用样刊走一遍全程：收入、发布、分发到沙箱，再看打开、点击与退订。"""
    settings = _demo_settings(settings_and_logs(), once=once)
    try:
        asyncio.run(_demo(settings, once=once))
    except KeyboardInterrupt:
        click.echo("已停止。")


def _demo_settings(settings: Settings, *, once: bool) -> Settings:
    folder = settings.service.data_folder / "demo"
    shutil.rmtree(folder, ignore_errors=True)
    changes: dict[str, dict[str, Any]] = {
        "service": {"data_folder": folder},
        "database": {"url": f"sqlite:///{folder / 'bdnews.db'}"},
        "issues": {"folder": folder / "issues", "review": False, "settle_seconds": 0.2},
        "delivery": {"allow": "nobody"},
        "sandbox": {"smtp_port": 0, "http_port": 0},
        "web": {"port": 0, "base_url": ""} if once else {"base_url": ""},
    }
    return settings.model_copy(
        update={name: getattr(settings, name).model_copy(update=values) for name, values in changes.items()}
    )


async def _demo(settings: Settings, *, once: bool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running(settings, list(Role), demo=True) as (parts, sandbox):
        assert sandbox is not None  # noqa: S101  # its ports were chosen freely
        sent = await _whole_job(parts, sandbox)
        if once:
            sent["came_back"] = await _read_as_people_do(parts, sandbox, sent["dispatch"]["id"])
            click.echo(json.dumps(sent, ensure_ascii=False, indent=2))
            return
        click.echo(
            f"样刊总第 {sent['issue']['total_number']} 期已分发：{len(sent['mails'])} 封邮件，"
            f"{len(sent['cards'])} 张微信卡片。\n\n"
            f"  看全程    {parts.settings.base_url}/demo\n"
            f"  读邮件    {sandbox.http_url}/\n\n"
            "打开一封邮件，点一篇文章，退订一次，再回到第一个页面看变化。Ctrl-C 停止。"
        )
        await stop.wait()


async def _whole_job(parts: Parts, sandbox: Sandbox) -> dict[str, Any]:
    people = (shipped("config") / "samples" / "subscribers.csv").read_bytes()
    publication = parts.publications.named(None)
    await import_csv(
        parts.database, parts.clock, publication, people, list_name=None, origin_name="subscribers.csv"
    )
    for openid in re.findall(r"\bo[A-Za-z0-9_-]{20,}", people.decode()):
        await sandbox.follow(openid)
    sample = shipped("config") / "samples" / "dsj-sample.md"
    incoming = parts.settings.issues.folder / sample.name
    await asyncio.to_thread(shutil.copyfile, sample, incoming)
    dispatch = await _finished(parts)
    async with parts.database.read() as session:
        shown = await control.show(session, dispatch)
    return {
        "issue": {"publication": publication.key, "total_number": _total_number(parts, sandbox, sample)},
        "dispatch": shown,
        "mails": [_mail(kept.id, sandbox) for kept in sandbox.mails()],
        "cards": [
            {"to": card.openid, "mode": card.mode, "title": card.title, "url": card.url}
            for card in sandbox.cards()
        ],
        "web": parts.settings.base_url,
        "sandbox": sandbox.http_url,
    }
