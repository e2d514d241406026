"""bdnews lists …"""

from typing import Any

import click
from sqlmodel import col, select

from bdnews_dispatch.cli.people import ids_of
from bdnews_dispatch.cli.session import emit, json_option, table, with_parts
from bdnews_dispatch.errors import BdnewsError
from bdnews_dispatch.parts import Parts
from bdnews_dispatch.subscribers.agreements import Proof
from bdnews_dispatch.subscribers.fields import LONGEST_NAME
from bdnews_dispatch.subscribers.lists import (
    describe_list,
    find_list,
    find_or_make_list,
    join_list,
    leave_list,
    list_sizes,
)
from bdnews_dispatch.subscribers.models import ListMembership, Subscriber


@click.group()
def lists() -> None:
    """名单：列出、新建、说明、加入、移出、成员。"""


@lists.command(name="list")
@json_option
def list_(*, as_json: bool) -> None:
    """列出全部名单及其人数。"""

    async def work(parts: Parts) -> list[dict[str, Any]]:
        async with parts.database.read() as session:
            return [
                {
                    "name": size.name,
                    "members": size.members,
                    "public": size.public,
                    "description": size.description,
                }
                for size in await list_sizes(session)
            ]

    found = with_parts(work)
    emit(
        found,
        as_json=as_json,
        text=lambda: table(
            [
                [one["name"], one["members"], "公开" if one["public"] else "内部", one["description"]]
                for one in found
            ],
            ["名单", "人数", "范围", "说明"],
        ),
    )


@lists.command()
@click.argument("name")
@click.option("--description", help="给读者看的一句话。")
@click.option("--public/--private", default=None, help="公开的名单出现在订阅页上。")
@json_option
def create(name: str, description: str | None, *, public: bool | None, as_json: bool) -> None:
    """新建一个名单；已有同名的则不变。"""
    if not 0 < len(name.strip()) <= LONGEST_NAME:
        raise BdnewsError(f"名单的名称应为 1–{LONGEST_NAME} 个字")

    async def work(parts: Parts) -> dict[str, Any]:
        async with parts.database.write() as session:
            await find_or_make_list(session, parts.clock, name.strip())
            found = await describe_list(session, name.strip(), description=description, public=public)
            return {"name": found.name, "public": found.public, "description": found.description}

    result = with_parts(work)
    emit(result, as_json=as_json, text=lambda: f"名单“{result['name']}”已就绪。")


@lists.command()
@click.argument("name")
@click.option("--description", help="给读者看的一句话。")
@click.option("--public/--private", default=None, help="公开的名单出现在订阅页上。")
@json_option
def describe(name: str, description: str | None, *, public: bool | None, as_json: bool) -> None:
    """更改名单的说明与范围。"""

    async def work(parts: Parts) -> dict[str, Any]:
        async with parts.database.write() as session:
            found = await describe_list(session, name, description=description, public=public)
            return {"name": found.name, "public": found.public, "description": found.description}

    result = with_parts(work)
    emit(result, as_json=as_json, text=lambda: f"名单“{result['name']}”已更改。")


@lists.command()
@click.argument("name")
@click.argument("people", nargs=-1, required=True, metavar="邮箱|openid|编号…")
@json_option
def add(name: str, people: tuple[str, ...], *, as_json: bool) -> None:
    """把订阅者加入名单。"""

    async def work(parts: Parts) -> dict[str, Any]:
        async with parts.database.write() as session:
            found = await find_list(session, name)
            ids = await ids_of(session, people)
            assert found.id is not None  # noqa: S101  # from the database
            await join_list(session, parts.clock, found.id, ids, Proof("admin", "bdnews lists add"))
            return {"name": found.name, "people": ids}

    result = with_parts(work)
    emit(result, as_json=as_json, text=lambda: f"{len(result['people'])} 人在名单“{name}”上。")


@lists.command()
@click.argument("name")
@click.argument("people", nargs=-1, required=True, metavar="邮箱|openid|编号…")
@json_option
def remove(name: str, people: tuple[str, ...], *, as_json: bool) -> None:
    """把订阅者移出名单；曾在名单上的记录保留。"""

    async def work(parts: Parts) -> dict[str, Any]:
        async with parts.database.write() as session:
            found = await find_list(session, name)
            ids = await ids_of(session, people)
            assert found.id is not None  # noqa: S101  # from the database
            left = await leave_list(session, parts.clock, found.id, ids, reason="admin")
            return {"name": found.name, "removed": left}

    result = with_parts(work)
    emit(result, as_json=as_json, text=lambda: f"已从名单“{name}”移出 {result['removed']} 人。")


@lists.command()
@click.argument("name")
@click.option("--limit", default=50, show_default=True, help="最多列出多少位。")
@json_option
def members(name: str, limit: int, *, as_json: bool) -> None:
    """列出名单上的订阅者。"""

    async def work(parts: Parts) -> list[dict[str, Any]]:
        async with parts.database.read() as session:
            found = await find_list(session, name)
            rows = await session.exec(
                select(Subscriber, ListMembership)
                .join(ListMembership, col(ListMembership.subscriber_id) == col(Subscriber.id))
                .where(col(ListMembership.list_id) == found.id, col(ListMembership.left_at).is_(None))
                .order_by(col(Subscriber.id))
                .limit(limit)
            )
            return [
                {
                    "id": person.id,
                    "email": person.email,
                    "openid": person.openid,
                    "name": person.name,
                    "since": membership.joined_at.isoformat(),
                    "origin": membership.origin,
                    "evidence": membership.evidence,
                }
                for person, membership in rows
            ]

    shown = with_parts(work)
    emit(
        shown,
        as_json=as_json,
        text=lambda: table(
            [[one["id"], one["email"] or one["openid"], one["name"], one["evidence"]] for one in shown],
            ["编号", "邮箱或 openid", "姓名", "依据"],
        ),
    )
