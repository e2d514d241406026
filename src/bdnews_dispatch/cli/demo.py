"""bdnews demo: the main job, whole, with the sample issue against the sandbox; nothing leaves this machine."""

import asyncio
import json
import re
import secrets
import shutil
import signal
from dataclasses import asdict
from email import message_from_bytes, policy
from typing import Any

import aiohttp
import click
from sqlmodel import col, select

from bdnews_dispatch.cli.importing import bring, run_here
from bdnews_dispatch.cli.session import read_and_logs
from bdnews_dispatch.demo.filling import ADMIN, REVIEWER, fill, followers_of
from bdnews_dispatch.dispatch import control
from bdnews_dispatch.dispatch.models import Dispatch
from bdnews_dispatch.dispatch.states import DispatchState
from bdnews_dispatch.errors import BdnewsError
from bdnews_dispatch.issues.publishing import list_issues
from bdnews_dispatch.parts import Parts
from bdnews_dispatch.sandbox import KeptMail, Sandbox
from bdnews_dispatch.service.roles import Role
from bdnews_dispatch.service.running import running
from bdnews_dispatch.service.web import listen
from bdnews_dispatch.settings import ReadSettings
from bdnews_dispatch.shipped import shipped
from bdnews_dispatch.subscribers.imports.starting import Choices, begin, choose
from bdnews_dispatch.tracking.machines import the_machines
from bdnews_dispatch.tracking.reading import counts_of_dispatch

#: The whole job takes some two seconds; a machine that needs longer than this has another trouble.
PATIENCE_SECONDS = 60.0
LOOK_SECONDS = 0.1
#: Who gets a link into the console; the second one is the second person whom an urgent bulletin needs.
_GUESTS = (("管理员", ADMIN), ("审核者", REVIEWER))


@click.command()
@click.option("--once", is_flag=True, help="做完全部后打印所发内容（JSON）并结束。")
def demo(*, once: bool) -> None:
    """用样刊走一遍全程：收入、发布、分发到沙箱，再看打开、点击与退订。"""
    read = _demo_settings(read_and_logs(), once=once)
    try:
        asyncio.run(_demo(read, once=once))
    except KeyboardInterrupt:
        click.echo("已停止。")


def _demo_settings(read: ReadSettings, *, once: bool) -> ReadSettings:
    settings = read.settings
    if not once:
        listen(settings.web.host, settings.web.port).close()  # a demo that runs there keeps its folder
    folder = settings.service.data_folder / ("demo-once" if once else f"demo-{settings.web.port}")
    shutil.rmtree(folder, ignore_errors=True)
    changes: dict[str, dict[str, Any]] = {
        "service": {"data_folder": folder},
        "database": {"url": f"sqlite:///{folder / 'bdnews.db'}"},
        "issues": {"folder": folder / "issues", "review": False, "settle_seconds": 0.2},
        "delivery": {"allow": "nobody"},
        "sandbox": {"smtp_port": 0, "http_port": 0},
        "operations": {"port": 0},  # a service may run beside it
        "schedule": {"tick_seconds": 2.0},  # what was made up is counted soon
        "web": {"port": 0, "base_url": ""} if once else {"base_url": ""},
    }
    return read.changed(changes)


async def _demo(read: ReadSettings, *, once: bool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    guests = {secrets.token_urlsafe(16): email for _, email in _GUESTS}
    async with running(read.settings, list(Role), demo=True, guests=guests, read=read) as (parts, sandbox):
        assert sandbox is not None  # noqa: S101  # its ports were chosen freely
        sent = await _whole_job(parts, sandbox)
        base = parts.settings.base_url
        if once:
            sent["came_back"] = await _read_as_people_do(parts, sandbox, sent["dispatch"]["id"])
            click.echo(json.dumps(sent, ensure_ascii=False, indent=2))
            return
        click.echo(
            f"样刊总第 {sent['issue']['total_number']} 期已分发：{len(sent['mails'])} 封邮件，"
            f"{len(sent['cards'])} 张微信卡片。\n\n"
            f"  看全程    {base}/demo\n"
            f"  读邮件    {sandbox.http_url}/\n\n"
            "打开一封邮件，点一篇文章，退订一次，再回到第一个页面看变化。\n"
            "正在为控制台填入编写的一年……"
        )
        await fill(parts)
        sandbox.platform.known(await followers_of(parts))
        doors = [
            f"  {who}    {base}/demo/console/{secret}"
            for secret, (who, _) in zip(list(guests), _GUESTS, strict=True)
        ]
        click.echo("控制台已填好。下面的登录链接只在本机、在演示停止之前有效，各能用一次：\n")
        click.echo("\n".join(doors) + "\n\nCtrl-C 停止。")
        await stop.wait()


async def _whole_job(parts: Parts, sandbox: Sandbox) -> dict[str, Any]:
    people = shipped("config") / "samples" / "subscribers.csv"
    run_id = await bring(parts, people, publication=None, origin="bdnews demo")
    async with parts.database.write() as session:
        await choose(session, run_id, Choices(basis="样例：虚构的读者"))
        await begin(session, parts.clock, run_id)
    await run_here(parts, run_id)
    for openid in re.findall(r"\bo[A-Za-z0-9_-]{20,}", people.read_text(encoding="utf-8")):
        await sandbox.follow(openid)
    sample = shipped("config") / "samples" / "dsj-sample.md"
    incoming = parts.settings.issues.folder / sample.name
    await asyncio.to_thread(shutil.copyfile, sample, incoming)
    dispatch = await _finished(parts)
    async with parts.database.read() as session:
        shown = await control.show(session, dispatch)
        newest = (await list_issues(session, limit=1))[0]
        issue = {
            "publication": newest.publication,
            "total_number": newest.total_number,
            "title": newest.title,
        }
    return {
        "issue": issue,
        "dispatch": shown,
        "mails": [_mail(kept, sandbox) for kept in sandbox.mails()],
        "cards": [
            {"to": card.openid, "mode": card.mode, "title": card.title, "url": card.url}
            for card in sandbox.cards()
        ],
        "web": parts.settings.base_url,
        "sandbox": sandbox.http_url,
    }


async def _finished(parts: Parts) -> int:
    """The dispatch that the sample's publication starts, once every delivery has ended."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        async with parts.database.read() as session:
            dispatch = (await session.exec(select(Dispatch).order_by(col(Dispatch.id)))).first()
        if dispatch is not None and dispatch.id is not None and dispatch.state == DispatchState.FINISHED:
            return dispatch.id
        await asyncio.sleep(LOOK_SECONDS)
    raise BdnewsError(
        f"样刊在 {PATIENCE_SECONDS:.0f} 秒内没有发完",
        hint=f"请看 {parts.settings.issues.folder / 'rejected'} 中的报告，或运行 bdnews doctor。",
    )


def _mail(kept: KeptMail, sandbox: Sandbox) -> dict[str, Any]:
    message = message_from_bytes(kept.content, policy=policy.default)
    part = message.get_body(("plain",))
    text = str(part.get_content()) if part is not None else ""
    return {
        "to": kept.recipients[0],
        "subject": kept.subject,
        "bytes": kept.size,
        "text_lines": len(text.splitlines()),
        "list_unsubscribe": str(message["List-Unsubscribe"]),
        "page": f"{sandbox.http_url}/mail/{kept.id}",
    }


async def _read_as_people_do(parts: Parts, sandbox: Sandbox, dispatch_id: int) -> dict[str, Any]:
    """Open the first mail, click its first article, unsubscribe by one click, as three requests over HTTP."""
    kept = min(sandbox.mails(), key=lambda mail: mail.id)
    message = message_from_bytes(kept.content, policy=policy.default)
    part = message.get_body(("html",))
    html = str(part.get_content()) if part is not None else ""
    base = re.escape(parts.settings.base_url)
    pixel = re.search(rf"{base}/o/[^\"]+", html)
    click_link = re.search(rf"{base}/c/[^\"]+", html)
    one_click = re.search(r"<(https?://[^>]+)>", str(message["List-Unsubscribe"]))
    if not (pixel and click_link and one_click):
        raise BdnewsError(f"邮件 {kept.file} 中缺少链接", hint="请查看模板 templates/email/digest。")
    browser = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
    await asyncio.sleep(the_machines().soonest)  # what comes sooner is a scanner's
    answers = {}
    async with aiohttp.ClientSession(headers=browser) as reader:
        async with reader.get(pixel.group()) as answer:
            answers["open"] = answer.status
        async with reader.get(click_link.group(), allow_redirects=False) as answer:
            answers["click"] = answer.status
        async with reader.post(one_click.group(1), data={"List-Unsubscribe": "One-Click"}) as answer:
            answers["unsubscribe"] = answer.status
    async with parts.database.read() as session:
        return {
            "reader": kept.recipients[0],
            "answers": answers,
            "counts": asdict(await counts_of_dispatch(session, dispatch_id)),
        }
