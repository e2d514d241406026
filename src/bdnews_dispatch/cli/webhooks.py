"""bdnews webhooks …"""

from typing import Any
from zoneinfo import ZoneInfo

import click
from sqlmodel import col, select

from bdnews_dispatch.accounts import audit as log
from bdnews_dispatch.cli.session import emit, json_option, local_time, table, with_parts
from bdnews_dispatch.parts import Parts
from bdnews_dispatch.webhooks import endpoints as rooms
from bdnews_dispatch.webhooks.models import Webhook
from bdnews_dispatch.webhooks.signing import secret_of

number_argument = click.argument("webhook_id", metavar="编号", type=int)


@click.group()
def webhooks() -> None:
    """推送：把发生的事送给别的程序；新建、列出、换密钥、停用、重送。"""


@webhooks.command()
@click.argument("url")
@click.option(
    "--event", "names", multiple=True, metavar="NAME", help="如 issue.published、dispatch.*；不写是全部。"
)
@click.option("--description", default="", help="给谁、做什么用。")
@json_option
def add(url: str, names: tuple[str, ...], description: str, *, as_json: bool) -> None:
    """新建推送地址；密钥只显示这一次。从此刻起发生的事会送到那里。"""

    async def work(parts: Parts) -> dict[str, Any]:
        async with parts.database.write() as session:
            inside = parts.settings.webhooks.inside
            row = await rooms.add(session, parts.clock, url, names, description=description, inside=inside)
            await _audited(session, parts, "webhook.add", row)
            return _told(parts, row)

    _say_secret(with_parts(work), as_json=as_json)


@webhooks.command(name="list")
@json_option
def list_(*, as_json: bool) -> None:
    """列出推送地址：送到哪里，是否在失败。"""

    async def work(parts: Parts) -> tuple[list[dict[str, Any]], ZoneInfo]:
        async with parts.database.read() as session:
            rows = list(await session.exec(select(Webhook).order_by(col(Webhook.id))))
        return [row.model_dump(mode="json") for row in rows], parts.settings.service.timezone

    found, zone = with_parts(work)
    rows = [
        [
            row["id"],
            row["url"],
            " ".join(row["names"]) or "全部",
            row["cursor"],
            row["why"]
            if row["disabled_at"]
            else (
                f"失败 {row['failures']} 次，{local_time(row['next_at'], zone)} 再试"
                if row["failures"]
                else "正常"
            ),
        ]
        for row in found
    ]
    emit(found, as_json=as_json, text=lambda: table(rows, ["编号", "地址", "事件", "已送到", "状态"]))


@webhooks.command()
@number_argument
@json_option
def rotate(webhook_id: int, *, as_json: bool) -> None:
    """换一个密钥；一天之内新旧两个同时签名。"""

    async def work(parts: Parts) -> dict[str, Any]:
        async with parts.database.write() as session:
            row = await rooms.rotate(session, parts.clock, webhook_id)
            await _audited(session, parts, "webhook.rotate", row)
            return _told(parts, row)

    _say_secret(with_parts(work), as_json=as_json)


@webhooks.command()
@number_argument
@json_option
def disable(webhook_id: int, *, as_json: bool) -> None:
    """停用；其间发生的事留着，启用后补送。"""
    _switch(webhook_id, on=False, as_json=as_json)


@webhooks.command()
@number_argument
@json_option
def enable(webhook_id: int, *, as_json: bool) -> None:
    """启用，并补送停用期间发生的。"""
    _switch(webhook_id, on=True, as_json=as_json)


@webhooks.command()
@number_argument
@click.option(
    "--after", type=click.IntRange(min=0), required=True, metavar="事件", help="从这个事件之后；0 为全部。"
)
@json_option
def replay(webhook_id: int, after: int, *, as_json: bool) -> None:
    """重送一遍；对方以 webhook-id 认出重复。"""

    async def work(parts: Parts) -> dict[str, Any]:
        async with parts.database.write() as session:
            row = await rooms.replay(session, parts.clock, webhook_id, after=after)
            await _audited(session, parts, "webhook.replay", row)
            return {"id": row.id, "cursor": row.cursor}

    result = with_parts(work)
    emit(result, as_json=as_json, text=lambda: f"将从事件 {result['cursor']} 之后重送。")


@webhooks.command()
@number_argument
@json_option
def remove(webhook_id: int, *, as_json: bool) -> None:
    """删除推送地址及其记录。"""

    async def work(parts: Parts) -> dict[str, Any]:
        async with parts.database.write() as session:
            row = await rooms.find(session, webhook_id)
            await _audited(session, parts, "webhook.remove", row)
            await rooms.remove(session, webhook_id)
            return {"id": webhook_id, "removed": True}

    emit(with_parts(work), as_json=as_json, text=lambda: "已删除。")


def _switch(webhook_id: int, *, on: bool, as_json: bool) -> None:
    async def work(parts: Parts) -> dict[str, Any]:
        async with parts.database.write() as session:
            row = await rooms.switch(session, parts.clock, webhook_id, on=on)
            await _audited(session, parts, "webhook.enable" if on else "webhook.disable", row)
            return {"id": webhook_id, "on": on}

    emit(with_parts(work), as_json=as_json, text=lambda: "已启用。" if on else "已停用。")


async def _audited(session: Any, parts: Parts, action: str, row: Webhook) -> None:
    await log.record(session, parts.clock, actor="cli", action=action, subject=f"webhook:{row.id}")


def _told(parts: Parts, row: Webhook) -> dict[str, Any]:
    assert row.id is not None  # noqa: S101  # flushed
    return {"id": row.id, "url": row.url, "secret": secret_of(parts.links.signer, row.id, row.rotation)}


def _say_secret(told: dict[str, Any], *, as_json: bool) -> None:
    emit(
        told,
        as_json=as_json,
        text=lambda: (
            f"推送地址 {told['id']}：{told['url']}\n密钥：{told['secret']}\n请现在就存好：以后不会再显示。"
        ),
    )
