"""bdnews suppressions …"""

from dataclasses import asdict
from typing import Any

import click

from bdnews_dispatch.cli.session import emit, json_option, local_time, table, with_parts
from bdnews_dispatch.parts import Parts
from bdnews_dispatch.subscribers import suppressions as rooms
from bdnews_dispatch.subscribers.fields import read_address, read_openid
from bdnews_dispatch.subscribers.models import Channel


@click.group()
def suppressions() -> None:
    """停发名单：列出、加入、解除。"""


@suppressions.command(name="list")
@click.option("--target", default="", help="只看这个邮箱或 openid。")
@click.option("--lifted", is_flag=True, help="看已解除的。")
@click.option("--limit", default=50, show_default=True, help="最多列出多少条。")
@json_option
def list_(target: str, limit: int, *, lifted: bool, as_json: bool) -> None:
    """列出停发名单，最近的在前。"""

    async def work(parts: Parts) -> list[dict[str, Any]]:
        async with parts.database.read() as session:
            wanted = target.strip().casefold() if "@" in target else target.strip()
            rows = await rooms.listing(session, target=wanted, lifted=lifted, limit=limit)
            zone = parts.settings.service.timezone
            return [{**asdict(row), "time": local_time(row.since.isoformat(), zone)} for row in rows]

    found = with_parts(work)
    emit(
        found,
        as_json=as_json,
        text=lambda: table(
            [
                [
                    row["channel"],
                    row["target"],
                    row["reason"],
                    row["source"],
                    row["evidence"],
                    row["time"],
                    row["note"],
                ]
                for row in found
            ],
            ["渠道", "地址", "原因", "来源", "依据", "时间", "解除说明"],
        ),
    )


@suppressions.command()
@click.argument("target")
@click.option("--note", required=True, help="为什么。")
def add(target: str, note: str) -> None:
    """把一个邮箱或 openid 加入停发名单。"""

    async def work(parts: Parts) -> bool:
        channel, folded = _named(target)
        async with parts.database.write() as session:
            return await rooms.suppress(
                session, parts.clock, channel, folded, reason="admin", source="admin", evidence=note
            )

    click.echo("已加入停发名单。" if with_parts(work) else "已在停发名单里，没有改动。")


@suppressions.command()
@click.argument("target")
@click.option("--note", required=True, help="为什么可以再发。")
def lift(target: str, note: str) -> None:
    """解除停发；原来的原因与这次的说明都会留下。"""

    async def work(parts: Parts) -> None:
        channel, folded = _named(target)
        async with parts.database.write() as session:
            await rooms.lift(session, parts.clock, channel, folded, note=note)

    with_parts(work)
    click.echo("已解除停发。此人的订阅如果还在，从下一次起会再收到。")


def _named(target: str) -> tuple[Channel, str]:
    """Raises: FieldError: it is neither an address nor an openid."""
    if "@" in target:
        return Channel.EMAIL, read_address(target).key
    return Channel.WECHAT, read_openid(target)
