"""bdnews subscribers …"""

import asyncio
import sys
from pathlib import Path
from typing import Any, TextIO

import click
from sqlmodel import col, select

from bdnews_dispatch.cli.bulletins import section_keys
from bdnews_dispatch.cli.importing import import_, imports
from bdnews_dispatch.cli.session import emit, json_option, publication_option, table, with_parts
from bdnews_dispatch.errors import BdnewsError
from bdnews_dispatch.parts import Parts
from bdnews_dispatch.subscribers.agreements import Agreement, Proof
from bdnews_dispatch.subscribers.models import Cadence, ChannelChoice, Subscriber, Subscription
from bdnews_dispatch.subscribers.people import add as add_subscriber


@click.group()
def subscribers() -> None:
    """订阅者：导入、添加、列出、导出。"""


subscribers.add_command(import_)
subscribers.add_command(imports)


@subscribers.command()
@click.option("--email", help="邮箱地址。")
@click.option("--name", default="", help="姓名。")
@click.option("--openid", help="微信 openid。")
@click.option("--sections", default="", help="栏目（键或名称，以逗号分隔）；不写则为整期。")
@click.option(
    "--channel", type=click.Choice([c.value for c in ChannelChoice]), help="渠道；默认按所给的地址。"
)
@click.option("--cadence", type=click.Choice([c.value for c in Cadence]), default="issue", help="频率。")
@publication_option
@json_option
def add(
    email: str | None,
    name: str,
    openid: str | None,
    sections: str,
    channel: str | None,
    cadence: str,
    publication: str | None,
    *,
    as_json: bool,
) -> None:
    """添加一位订阅者，或更改其订阅。"""

    async def work(parts: Parts) -> dict[str, Any]:
        chosen = parts.publications.named(publication)
        keys = section_keys(chosen, sections)
        async with parts.database.write() as session:
            added = await add_subscriber(
                session,
                parts.clock,
                chosen,
                email=email,
                name=name,
                openid=openid,
                agreement=Agreement(
                    whole_issue=not keys,
                    sections=keys,
                    channel=ChannelChoice(channel) if channel else ChannelChoice.EMAIL,
                    cadence=Cadence(cadence),
                ),
                natural=channel is None,
                proof=Proof("admin", "bdnews subscribers add"),
            )
            return {"id": added.subscriber_id, "status": added.status}

    result = with_parts(work)
    words = {"added": "已添加", "changed": "已更改", "unchanged": "已有，未变"}.get(
        result["status"], result["status"]
    )
    emit(result, as_json=as_json, text=lambda: f"{words}：订阅者 {result['id']}。")


@subscribers.command(name="list")
@click.option("--limit", default=50, show_default=True, help="最多列出多少位。")
@publication_option
@json_option
def list_(limit: int, publication: str | None, *, as_json: bool) -> None:
    """列出订阅者及其当前的订阅。"""

    async def work(parts: Parts) -> list[dict[str, Any]]:
        async with parts.database.read() as session:
            rows = await session.exec(
                select(Subscriber, Subscription)
                .join(Subscription, col(Subscription.subscriber_id) == col(Subscriber.id))
                .where(Subscription.publication == parts.publications.named(publication).key)
                .where(col(Subscription.ended_at).is_(None))
                .order_by(col(Subscriber.id))
                .limit(limit)
            )
            return [
                {
                    "id": person.id,
                    "email": person.email,
                    "name": person.name,
                    "openid": person.openid,
                    "sections": ["*"] if wish.whole_issue else wish.sections,
                    "channel": str(wish.channel),
                    "cadence": str(wish.cadence),
                    "since": wish.began_at.isoformat(),
                }
                for person, wish in rows
            ]

    found = with_parts(work)
    emit(
        found,
        as_json=as_json,
        text=lambda: table(
            [
                [p["id"], p["email"] or "", p["name"], "|".join(p["sections"]), p["channel"], p["cadence"]]
                for p in found
            ],
            ["编号", "邮箱", "姓名", "栏目", "渠道", "频率"],
        ),
    )


@subscribers.command()
@click.option("--output", type=click.Path(path_type=Path), help="写入文件；不写则打印。")
@publication_option
def export(output: Path | None, publication: str | None) -> None:
    """导出为 CSV，可再次导入。"""
    from bdnews_dispatch.subscribers.exporting import export_csv  # noqa: PLC0415  # knows PostgreSQL's driver

    async def work(parts: Parts) -> None:
        file = await asyncio.to_thread(_open, output) if output else sys.stdout
        try:
            async for line in export_csv(parts.database, parts.publications.named(publication)):
                await asyncio.to_thread(file.write, line)
        finally:
            if output:
                file.close()

    with_parts(work)


def _open(path: Path) -> TextIO:
    try:
        # With a mark at its front, so that a spreadsheet reads it as UTF-8.
        return path.open("w", encoding="utf-8-sig", newline="")
    except OSError as error:
        raise BdnewsError(f"无法写入 {path}：{error.strerror}") from error
