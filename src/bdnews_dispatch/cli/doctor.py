"""bdnews doctor: is everything that sending needs there, and what to do where it is not."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable
from dataclasses import asdict, dataclass
from typing import Literal

import click
from sqlalchemy import text

from bdnews_dispatch.cli.session import emit, json_option
from bdnews_dispatch.db.engine import Backend
from bdnews_dispatch.db.migrate import current_revision, newest_revision
from bdnews_dispatch.errors import BdnewsError, ChannelError
from bdnews_dispatch.messaging.nodes import number_there
from bdnews_dispatch.parts import Parts, open_parts
from bdnews_dispatch.scheduling.timetable import read_timetable
from bdnews_dispatch.service.channels import open_channels
from bdnews_dispatch.service.roles import Role
from bdnews_dispatch.settings import Settings, load_settings

#: A dispatch of a million writes some 600 MB to the ledger.
LOW_DISK_BYTES = 1024**3

_MARKS = {"ok": "✓", "warn": "!", "fail": "✗"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `what_to_do` is empty where all is well."""

    check: str
    state: Literal["ok", "warn", "fail"]
    message: str
    what_to_do: str = ""


@click.command()
@json_option
def doctor(*, as_json: bool) -> None:
    """检查设置、数据库、邮件与微信，说明每一项该怎么办。有不通过的项时退出码为 1。"""
    findings = asyncio.run(_examine())
    emit(
        [asdict(finding) for finding in findings],
        as_json=as_json,
        text=lambda: "\n".join(_line(f) for f in findings),
    )
    if any(finding.state == "fail" for finding in findings):
        raise click.exceptions.Exit(1)


def _line(finding: Finding) -> str:
    advice = f"\n    → {finding.what_to_do}" if finding.what_to_do else ""
    return f"{_MARKS[finding.state]} {finding.check}：{finding.message}{advice}"


async def _examine() -> list[Finding]:
    try:
        settings = load_settings()
        read_timetable(settings.schedule, settings.service.timezone)
    except BdnewsError as error:
        return [Finding("设置", "fail", error.message, error.hint)]
    found = [Finding("设置", "ok", "全部读懂")]
    try:
        async with open_parts(settings) as parts:
            found += [finding async for finding in _examine_parts(parts)]
    except BdnewsError as error:
        found.append(Finding("启动", "fail", error.message, error.hint))
    return found


async def _examine_parts(parts: Parts) -> AsyncIterator[Finding]:
    settings = parts.settings
    yield await _database(parts)
    free = shutil.disk_usage(settings.service.data_folder).free
    disk = f"{settings.service.data_folder} 所在磁盘剩余 {free / 1024**3:.1f} GB"
    low = free < LOW_DISK_BYTES
    yield Finding("磁盘", "warn" if low else "ok", disk, "请腾出空间。" if low else "")
    yield _keys(settings)
    yield _reach(parts)
    async with open_channels(parts) as channels:
        if not parts.reach.nobody:
            yield await _channel("邮件服务器", channels.email.check())
            if channels.wechat is not None:
                yield await _channel("微信公众号", channels.wechat.check())
            else:
                yield Finding(
                    "微信公众号", "warn", "尚未配置，微信渠道停用", "填写 wechat.appid 与 wechat.secret。"
                )
        if not parts.reach.everybody:
            yield await _channel("沙箱邮件", channels.sandbox_email.check(), sandbox=True)
            yield await _channel("沙箱微信", channels.sandbox_wechat.check(), sandbox=True)


async def _database(parts: Parts) -> Finding:
    if parts.database.backend is Backend.POSTGRESQL:
        where, sound = await _server(parts)
    else:
        where = str(parts.database.file)
        async with parts.database.read() as session:
            sound = (await session.execute(text("PRAGMA quick_check"))).scalar_one()
    if sound != "ok":
        return Finding("数据库", "fail", f"文件受损：{sound}", "请停止服务，从备份恢复。")
    revision = await current_revision(parts.database)
    if revision is None or revision < newest_revision():
        return Finding(
            "数据库", "fail", f"结构为 {revision}，应为 {newest_revision()}", "请升级程序后再启动一次。"
        )
    return Finding("数据库", "ok", f"{where}，结构 {revision}")


async def _server(parts: Parts) -> tuple[str, str]:
    """Which server, with who works on it; and whether it is one that this service can use."""
    async with parts.database.read() as session:
        version = (await session.execute(text("SHOW server_version"))).scalar_one()
        sync = (await session.execute(text("SHOW synchronous_commit"))).scalar_one()
        roles = [f"{role} {await number_there(session, parts.clock, role)}" for role in Role]
    if sync == "off":
        return "", "synchronous_commit 为 off：断电会丢失已记录的投递，请改为 on"
    return f"PostgreSQL {version}（{parts.database.url.host}），在线：{'、'.join(roles)}", "ok"


def _keys(settings: Settings) -> Finding:
    if settings.security.signing_keys:
        return Finding("签名密钥", "ok", f"{len(settings.security.signing_keys)} 把，来自设置")
    return Finding(
        "签名密钥",
        "ok",
        f"保存在 {settings.service.data_folder / 'signing.key'}；请与数据库一同备份，丢失后旧邮件里的链接会失效",
    )


def _reach(parts: Parts) -> Finding:
    allow = parts.settings.delivery.allow
    if parts.reach.nobody:
        return Finding("发送范围", "ok", "delivery.allow = nobody：不会真正发给任何人，全部进入沙箱")
    if any(local in parts.settings.base_url for local in ("127.0.0.1", "localhost", "[::1]")):
        return Finding(
            "发送范围",
            "fail",
            f"delivery.allow = {allow!r}，但 web.base_url 是本机地址，读者打不开邮件中的链接",
            "把 web.base_url 设为读者能访问的 https 地址。",
        )
    return Finding("发送范围", "warn" if parts.reach.everybody else "ok", f"delivery.allow = {allow!r}")


async def _channel(name: str, check: Awaitable[str], *, sandbox: bool = False) -> Finding:
    try:
        return Finding(name, "ok", await check)
    except ChannelError as error:
        if sandbox:
            return Finding(name, "warn", error.message, "运行 bdnews sandbox，或由 bdnews serve 自行启动。")
        return Finding(name, "fail", error.message, error.hint)
