"""bdnews tokens …"""

from datetime import datetime, timedelta
from typing import Any

import click

from bdnews_dispatch.accounts import audit as log
from bdnews_dispatch.accounts.models import ApiToken
from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.accounts.tokens import make_token, revoke
from bdnews_dispatch.accounts.tokens import tokens as all_tokens
from bdnews_dispatch.cli.session import emit, json_option, local_time, table, with_parts
from bdnews_dispatch.parts import Parts


@click.group()
def tokens() -> None:
    """JSON API 的令牌：新建、列出、作废。"""


@tokens.command()
@click.argument("name")
@click.option(
    "--may",
    "scope",
    multiple=True,
    required=True,
    type=click.Choice([right.value for right in Right]),
    help="可以做什么；可写多次。",
)
@click.option("--days", type=click.IntRange(min=1), help="多少天后到期；省略为不到期。")
@json_option
def add(name: str, scope: tuple[str, ...], days: int | None, *, as_json: bool) -> None:
    """新建一个令牌，只显示这一次。NAME 写明给谁、做什么用。"""

    async def work(parts: Parts) -> str:
        ends_at = parts.clock() + timedelta(days=days) if days else None
        async with parts.database.write() as session:
            made, token = await make_token(
                session, parts.clock, name=name, scope=[Right(text) for text in scope], ends_at=ends_at
            )
            await log.record(
                session,
                parts.clock,
                actor="cli",
                action="token.add",
                subject=f"token:{made.id}",
                change={"scope": sorted(set(scope)), "ends_at": ends_at.isoformat() if ends_at else None},
            )
            return token

    token = with_parts(work)
    emit(
        {"name": name, "scope": sorted(set(scope)), "token": token},
        as_json=as_json,
        text=lambda: f"{token}\n请现在就存好：以后不会再显示。用法：Authorization: Bearer 令牌",
    )


@tokens.command(name="list")
@json_option
def list_(*, as_json: bool) -> None:
    """列出令牌，最近的在前；令牌本身不保存，也看不到。"""

    async def work(parts: Parts) -> list[dict[str, Any]]:
        zone = parts.settings.service.timezone

        def said(moment: datetime | None) -> str:
            return local_time(moment.isoformat(), zone) if moment else ""

        async with parts.database.read() as session:
            return [
                {
                    "id": one.id,
                    "name": one.name,
                    "scope": one.scope,
                    "state": _state(one, parts.clock()),
                    "created_at": said(one.created_at),
                    "ends_at": said(one.ends_at),
                    "used_at": said(one.used_at),
                }
                for one in await all_tokens(session)
            ]

    found = with_parts(work)
    emit(
        found,
        as_json=as_json,
        text=lambda: table(
            [
                [
                    row["id"],
                    row["name"],
                    row["state"],
                    " ".join(row["scope"]),
                    row["created_at"],
                    row["ends_at"] or "不到期",
                    row["used_at"] or "没有用过",
                ]
                for row in found
            ],
            ["编号", "名称", "状态", "可以", "建立", "到期", "最近使用"],
        ),
    )


@tokens.command(name="revoke")
@click.argument("token_id", metavar="编号", type=int)
@json_option
def revoke_(token_id: int, *, as_json: bool) -> None:
    """作废一个令牌，立即生效。"""

    async def work(parts: Parts) -> dict[str, Any]:
        async with parts.database.write() as session:
            found = await revoke(session, parts.clock, token_id)
            await log.record(
                session, parts.clock, actor="cli", action="token.revoke", subject=f"token:{found.id}"
            )
            return {"id": found.id, "name": found.name, "revoked": True}

    result = with_parts(work)
    emit(result, as_json=as_json, text=lambda: f"已作废令牌 {result['id']}（{result['name']}）。")


def _state(token: ApiToken, now: datetime) -> str:
    if token.revoked_at is not None:
        return "已作废"
    return "已到期" if token.ends_at is not None and token.ends_at <= now else "有效"
