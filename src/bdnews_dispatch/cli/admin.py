"""bdnews admin migrate | move-to-postgres | retention"""

import asyncio

import click
from sqlalchemy import Table

from bdnews_dispatch.accounts import models as accounts
from bdnews_dispatch.bulletins import models as bulletins
from bdnews_dispatch.cli.session import emit, json_option, settings_and_logs, with_parts
from bdnews_dispatch.cli.session import table as columns
from bdnews_dispatch.clock import system_clock
from bdnews_dispatch.db.engine import Backend, Database
from bdnews_dispatch.db.migrate import upgrade
from bdnews_dispatch.db.moving import Moved, move
from bdnews_dispatch.db.types import metadata
from bdnews_dispatch.dispatch import models as dispatch
from bdnews_dispatch.dispatch.control import anybody_sends
from bdnews_dispatch.dispatch.mass import models as mass
from bdnews_dispatch.errors import BdnewsError, StateError, StorageError
from bdnews_dispatch.issues import models as issues
from bdnews_dispatch.letters import models as letters
from bdnews_dispatch.messaging import models as messaging
from bdnews_dispatch.official_account import follower_tables
from bdnews_dispatch.official_account import models as official_account
from bdnews_dispatch.parts import Parts, prepare
from bdnews_dispatch.reports import models as reports
from bdnews_dispatch.returns import models as returns
from bdnews_dispatch.scheduling import models as scheduling
from bdnews_dispatch.subscribers import models as subscribers
from bdnews_dispatch.subscribers.imports import models as imports
from bdnews_dispatch.tracking import models as tracking
from bdnews_dispatch.watched_feeds import models as watched_feeds
from bdnews_dispatch.webhooks import models as webhooks

#: Every table is known once these are loaded.
_MODELS = (
    issues,
    accounts,
    bulletins,
    subscribers,
    imports,
    letters,
    dispatch,
    mass,
    messaging,
    official_account,
    follower_tables,
    reports,
    returns,
    scheduling,
    tracking,
    watched_feeds,
    webhooks,
)
#: They say who is there at the moment, not what has happened.
_OF_THE_MOMENT = {"node", "lease", "budget", "seat"}


@click.group()
def admin() -> None:
    """维护：升级数据库结构，迁往 PostgreSQL，删除到期的数据。"""


@admin.command()
def migrate() -> None:
    """把数据库升级到本版本的结构，然后退出；已是最新或更新时什么也不做。"""
    settings = settings_and_logs()

    async def run() -> None:
        database = Database(settings.database.url)
        try:
            before, after = await prepare(database)
        finally:
            await database.close()
        click.echo(
            f"数据库结构为 {after}" + ("，无需升级。" if before == after else f"（原为 {before or '空'}）。")
        )

    asyncio.run(run())


@admin.command("move-to-postgres")
@click.option(
    "--to", "url", required=True, metavar="URL", help="postgresql://用户:密码@主机/数据库，须为空。"
)
@json_option
def move_to_postgres(url: str, *, as_json: bool) -> None:
    """把设置 database.url 所指的 SQLite 数据全部迁往 PostgreSQL，并逐表核对行数与校验和。

    先停止服务再运行。迁移完成前目标库不会留下任何内容；原来的文件不会改动。
    """
    settings = settings_and_logs()
    source, target = Database(settings.database.url), Database(url)
    if source.backend is not Backend.SQLITE or target.backend is not Backend.POSTGRESQL:
        raise BdnewsError(
            "只能从 SQLite 迁往 PostgreSQL",
            hint="设置 database.url 应指向原来的 SQLite 文件，--to 写 postgresql://… 。",
        )
    tables: list[Table] = [table for table in metadata.sorted_tables if table.name not in _OF_THE_MOMENT]

    async def run() -> list[Moved]:
        try:
            await upgrade(source)
            async with source.read() as session:
                if await anybody_sends(session, system_clock):
                    raise StateError(
                        "还有 worker 在发送", hint="请先停止服务（等它把手头的发完），再运行一次。"
                    )
            await prepare(target)
            return await move(source, target, tables, told=lambda done: _tell(done, as_json=as_json))
        finally:
            await source.close()
            await target.close()

    moved = asyncio.run(run())
    emit(
        [{"table": done.table, "rows": done.rows, "sha256": done.checksum} for done in moved],
        as_json=as_json,
        text=lambda: (
            columns([(done.table, done.rows, done.checksum[:16]) for done in moved], ("表", "行数", "校验和"))
            + "\n两边一致。原来的文件没有改动，可留作备份。启动前请修改设置：database.url 改为新的地址。"
            + (
                ""
                if settings.security.signing_keys
                else f"security.signing_keys 写入 {settings.service.data_folder / 'signing.key'} 中的那一行，"
                "否则已发邮件里的链接会失效。"
            )
        ),
    )


def _tell(done: Moved, *, as_json: bool) -> None:
    if not as_json:
        click.echo(f"{done.table}：{done.rows} 行，一致", err=True)


#: What each rule is about, as people read it.
_RULES = {
    "hits": "打开与点击",
    "attempts": "发送的尝试与对方的答复",
    "returns": "退信的原文",
    "requests": "没有确认的申请",
    "letters": "确认信",
    "events": "处理完的事件",
    "sandbox": "沙箱收下的邮件与卡片",
    "erased": "删除本人数据之后才写下的",
}


@admin.command()
@click.option("--dry-run", is_flag=True, help="只数一数，什么也不删除。")
@json_option
def retention(*, dry_run: bool, as_json: bool) -> None:
    """删除超过保留期的数据（设置 retention.…）。定时服务每天做一次，平时不必手动运行。"""
    from bdnews_dispatch.privacy.retention import Retention  # noqa: PLC0415  # knows every table

    async def work(parts: Parts) -> tuple[dict[str, int], dict[str, int | None]]:
        keeping = Retention(parts.database, parts.clock, parts.settings)
        found = await (keeping.preview() if dry_run else keeping.run())
        return found, {name: keeping.days(name) for name in found}

    found, days = with_parts(work)
    failed = [] if dry_run else [name for name in _RULES if name not in found]
    emit(
        [{"rule": name, "days": days[name], "rows": rows} for name, rows in found.items()],
        as_json=as_json,
        text=lambda: columns(
            [(_RULES[name], _kept(days[name]), rows) for name, rows in found.items()],
            ("内容", "保留", "将删除" if dry_run else "已删除"),
        ),
    )
    if failed:
        raise StorageError(
            f"没有做完：{'、'.join(_RULES[name] for name in failed)}",
            hint="其余的已经做完。原因在日志 retention.failed 里；明天会再做，也可以再运行一次。",
        )


def _kept(days: int | None) -> str:
    if days is None:
        return "立即"
    return f"{days} 天" if days else "一直"
