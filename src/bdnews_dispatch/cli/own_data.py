"""bdnews subscribers copy | erase: for somebody who asked by letter or telephone, and was asked who they are."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import click

from bdnews_dispatch.cli.session import emit, json_option, with_parts
from bdnews_dispatch.errors import BdnewsError, NotFoundError, StateError
from bdnews_dispatch.parts import Parts
from bdnews_dispatch.subscribers import people


@click.command()
@click.argument("who", metavar="EMAIL")
@click.option("--output", type=click.Path(path_type=Path), help="写入文件（只有您能读）；不写则打印。")
def copy(who: str, output: Path | None) -> None:
    """某人的全部数据，为 JSON（个人信息保护法第四十五条）。EMAIL 也可以是 openid。"""
    from bdnews_dispatch.privacy.copying import copy_of  # noqa: PLC0415  # knows every table

    async def work(parts: Parts) -> dict[str, Any]:
        number = await _find(parts, who)
        async with parts.database.read() as session:
            return await copy_of(session, parts.clock, number)

    text = json.dumps(with_parts(work), ensure_ascii=False, indent=2)
    if output is None:
        click.echo(text)
        return
    _write(output, text + "\n")
    click.echo(f"已写入 {output}。交给本人之后请删除这个文件。", err=True)


@click.command()
@click.argument("who", metavar="EMAIL")
@click.option("--yes", is_flag=True, help="确认删除；不写则只说明会删除什么。")
@json_option
def erase(who: str, *, yes: bool, as_json: bool) -> None:
    """删除某人的全部数据，无法恢复（个人信息保护法第四十七条）。EMAIL 也可以是 openid。"""
    from bdnews_dispatch.db.sqlite import truncate_log  # noqa: PLC0415  # as above
    from bdnews_dispatch.privacy.erasing import erase as erase_person  # noqa: PLC0415

    async def work(parts: Parts) -> int:
        number = await _find(parts, who)
        if not yes:
            raise StateError(
                f"没有删除任何内容。将删除订阅者 {number} 的地址、称呼、订阅与更改的记录、名单、标签、申请；"
                "寄送与点击只留下不属于任何人的计数",
                hint="删除后无法恢复。核对了对方的身份之后，加上 --yes 再运行一次。",
            )
        async with parts.database.write() as session:
            await erase_person(session, parts.clock, parts.links.signer, number)
        if parts.database.file is not None:
            await asyncio.to_thread(truncate_log, parts.database.file)
        return number

    number = with_parts(work)
    emit(
        {"id": number, "erased": True},
        as_json=as_json,
        text=lambda: (
            f"已删除订阅者 {number} 的全部数据；正在寄送途中的一封可能仍会到达。"
            "备份里的要等备份到期，见运维指南“保留多久”。"
        ),
    )


async def _find(parts: Parts, who: str) -> int:
    async with parts.database.read() as session:
        person = await people.find_by_email(session, who) or await people.find_by_openid(session, who.strip())
    if person is None or person.id is None:
        raise NotFoundError(
            "没有使用这个邮箱或 openid 的订阅者", hint="可能已经删除，或对方使用的是另一个地址。"
        )
    return person.id


def _write(path: Path, text: str) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise BdnewsError(
            f"无法写入 {path}：{error.strerror}", hint="文件不能是已有的；请换一个名字。"
        ) from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
