"""bdnews subscribers …"""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO
from zoneinfo import ZoneInfo

import click
from sqlmodel import col, select

from bdnews_dispatch.cli.importing import import_, imports
from bdnews_dispatch.cli.own_data import copy, erase
from bdnews_dispatch.cli.people import history_text, ids_of, named
from bdnews_dispatch.cli.session import (
    emit,
    json_option,
    publication_option,
    table,
    target_options,
    with_parts,
)
from bdnews_dispatch.errors import BdnewsError
from bdnews_dispatch.parts import Parts
from bdnews_dispatch.subscribers.adding import Said, add_by_hand
from bdnews_dispatch.subscribers.agreements import Proof
from bdnews_dispatch.subscribers.agreements import unsubscribe as end_agreement
from bdnews_dispatch.subscribers.fields import SectionNames
from bdnews_dispatch.subscribers.models import Cadence, ChannelChoice, Subscriber, Subscription
from bdnews_dispatch.subscribers.tags import tag_people, untag_people
from bdnews_dispatch.subscribers.targeting import read_target


@click.group()
def subscribers() -> None:
    """订阅者：导入、添加、退订、列出、导出、标签、记录；某人的全部数据与删除。"""


subscribers.add_command(import_)
subscribers.add_command(imports)
subscribers.add_command(copy)
subscribers.add_command(erase)


@subscribers.command()
@click.option("--email", help="邮箱地址。")
@click.option("--name", default="", help="姓名。")
@click.option("--openid", help="微信 openid。")
@click.option("--sections", help="栏目（键或名称，以逗号分隔），* 为整期；不写则新人为整期，已有的人不变。")
@click.option(
    "--channel", type=click.Choice([c.value for c in ChannelChoice]), help="渠道；新人默认按所给的地址。"
)
@click.option(
    "--cadence", type=click.Choice([c.value for c in Cadence]), help="频率；新人默认每期（issue）。"
)
@click.option("--resubscribe", is_flag=True, help="本人要求重新订阅：已退订或已删除数据的人也可添加。")
@publication_option
@json_option
def add(
    email: str | None,
    name: str,
    openid: str | None,
    sections: str | None,
    channel: str | None,
    cadence: str | None,
    publication: str | None,
    *,
    resubscribe: bool,
    as_json: bool,
) -> None:
    """添加一位订阅者，或更改其订阅；没有写的不变。已退订的人保持退订。"""

    async def work(parts: Parts) -> dict[str, Any]:
        chosen = parts.publications.named(publication)
        wish = SectionNames(chosen).read(sections) if sections is not None else None
        said = Said(
            email,
            name,
            openid,
            wish.sections if wish is not None else None,
            ChannelChoice(channel) if channel else None,
            Cadence(cadence) if cadence else None,
        )
        proof = Proof("admin", "bdnews subscribers add" + (" --resubscribe" if resubscribe else ""))
        signer = parts.links.signer
        async with parts.database.write() as session:
            done = await add_by_hand(
                session, parts.clock, signer, chosen, said, proof, resubscribe=resubscribe
            )
        return {"id": done.subscriber_id, "status": done.status, "suppressed": list(done.suppressed)}

    result = with_parts(work)
    words = {"added": "已添加", "changed": "已更改", "unchanged": "已有，未变"}[result["status"]]
    lines = [f"{words}：订阅者 {result['id']}。"]
    if result["suppressed"]:
        ways = "、".join(result["suppressed"])
        lines.append(f"请留意：此人在停发名单上（{ways}），解除之前收不到；见 bdnews suppressions list。")
    emit(result, as_json=as_json, text=lambda: "\n".join(lines))


@subscribers.command()
@click.argument("person", metavar="邮箱|openid|编号")
@click.option("--reason", default="", help="为何退订，例如“来电要求”；会保存。")
@publication_option
@json_option
def unsubscribe(person: str, reason: str, publication: str | None, *, as_json: bool) -> None:
    """替一位订阅者退订；此后导入也不会让他回来。"""

    async def work(parts: Parts) -> dict[str, Any]:
        key = parts.publications.named(publication).key
        async with parts.database.write() as session:
            found = await named(session, person)
            assert found.id is not None  # noqa: S101  # from the database
            was = await end_agreement(
                session, parts.clock, found.id, key, reason=" ".join(reason.split()), origin="admin"
            )
            return {"id": found.id, "unsubscribed": was}

    result = with_parts(work)
    emit(
        result,
        as_json=as_json,
        text=lambda: (
            f"已退订：订阅者 {result['id']}。"
            if result["unsubscribed"]
            else f"订阅者 {result['id']} 本来就没有订阅，未变。"
        ),
    )


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
@click.option("--output", type=click.Path(path_type=Path), help="写入文件：.csv，或 .xlsx；不写则打印 CSV。")
@click.option("--everything", is_flag=True, help="连同语言、标签与各项属性。")
@target_options
@publication_option
def export(
    output: Path | None, publication: str | None, *, everything: bool, **target: tuple[str, ...]
) -> None:
    """导出为 CSV 或 XLSX，可再次导入。"""
    from bdnews_dispatch.subscribers.exporting import export_rows  # noqa: PLC0415  # knows PostgreSQL's driver

    async def work(parts: Parts) -> None:
        async with parts.database.read() as session:
            whom = await read_target(session, **target)
        rows = export_rows(
            parts.database,
            parts.publications.named(publication),
            target=whom,
            now=parts.clock(),
            everything=everything,
        )
        add, close = await asyncio.to_thread(_writer, output)
        try:
            async for row in rows:
                await asyncio.to_thread(add, row)
        except OverflowError:
            raise BdnewsError(
                "一张工作表放不下这么多订阅者", hint="请导出为 .csv，或用 --list、--segment 分开导出。"
            ) from None
        finally:
            await asyncio.to_thread(close)

    with_parts(work)


def _writer(output: Path | None) -> tuple[Callable[[list[str]], object], Callable[[], object]]:
    """How a row is written, and how all ends."""
    from bdnews_dispatch.subscribers.exporting import Workbook, csv_line  # noqa: PLC0415  # as above

    if output is None:
        return lambda row: sys.stdout.write(csv_line(row)), sys.stdout.flush
    file = _open(output)
    if output.suffix.lower() != ".xlsx":
        return lambda row: file.write(csv_line(row)), file.close
    file.close()  # it can be written
    book = Workbook(output)
    return book.add, book.close


@subscribers.group()
def tag() -> None:
    """标签：加上、去掉。"""


@tag.command(name="add")
@click.argument("tag_name", metavar="标签")
@click.argument("people", nargs=-1, required=True, metavar="邮箱|openid|编号…")
@json_option
def tag_add(tag_name: str, people: tuple[str, ...], *, as_json: bool) -> None:
    """给订阅者加上标签。"""

    async def work(parts: Parts) -> int:
        async with parts.database.write() as session:
            return await tag_people(session, await ids_of(session, people), tag_name)

    number = with_parts(work)
    emit(
        {"tag": tag_name, "added": number},
        as_json=as_json,
        text=lambda: f"已给 {number} 人加上标签“{tag_name}”。",
    )


@tag.command(name="remove")
@click.argument("tag_name", metavar="标签")
@click.argument("people", nargs=-1, required=True, metavar="邮箱|openid|编号…")
@json_option
def tag_remove(tag_name: str, people: tuple[str, ...], *, as_json: bool) -> None:
    """去掉订阅者的标签。"""

    async def work(parts: Parts) -> int:
        async with parts.database.write() as session:
            return await untag_people(session, await ids_of(session, people), tag_name)

    number = with_parts(work)
    emit(
        {"tag": tag_name, "removed": number},
        as_json=as_json,
        text=lambda: f"已去掉 {number} 人的标签“{tag_name}”。",
    )


@subscribers.command()
@click.argument("person", metavar="邮箱|openid|编号")
@json_option
def history(person: str, *, as_json: bool) -> None:
    """一位订阅者的全部记录：每次同意的时间、方式、来源、依据与文字，如何结束；名单；停发。"""
    from bdnews_dispatch.privacy.copying import copy_of  # noqa: PLC0415  # knows the channels

    async def work(parts: Parts) -> tuple[dict[str, Any], ZoneInfo]:
        async with parts.database.read() as session:
            found = await named(session, person)
            assert found.id is not None  # noqa: S101  # from the database
            copy = await copy_of(session, parts.clock, found.id)
        shown = {
            key: copy[key] for key in ("person", "agreements", "lists", "tags", "attributes", "suppressions")
        }
        return {"id": found.id, **shown}, parts.settings.service.timezone

    result, zone = with_parts(work)
    emit(result, as_json=as_json, text=lambda: history_text(result, zone))


def _open(path: Path) -> TextIO:
    try:
        # With a mark at its front, so that a spreadsheet reads it as UTF-8.
        return path.open("w", encoding="utf-8-sig", newline="")
    except OSError as error:
        raise BdnewsError(f"无法写入 {path}：{error.strerror}") from error
