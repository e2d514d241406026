"""bdnews feeds …"""

from typing import Any
from zoneinfo import ZoneInfo

import click

from bdnews_dispatch.accounts import audit as log
from bdnews_dispatch.cli.session import emit, json_option, local_time, publication_option, table, with_parts
from bdnews_dispatch.parts import Parts
from bdnews_dispatch.watched_feeds import rooms
from bdnews_dispatch.watched_feeds.models import WatchedFeed
from bdnews_dispatch.watched_feeds.taking import FeedReader

number_argument = click.argument("feed_id", metavar="编号", type=int)


@click.group()
def feeds() -> None:
    """来源：定时读取别处的 Atom、RSS、JSON Feed，新的一条收为一期。"""


@feeds.command()
@click.argument("url")
@publication_option
@click.option("--publish", is_flag=True, help="收入后立即发布并开始分发；不写则等人发布。")
@click.option("--backlog", is_flag=True, help="现在已有的也收入；不写则只收此后新出的。")
@json_option
def add(url: str, publication: str | None, *, publish: bool, backlog: bool, as_json: bool) -> None:
    """新增一个来源，从此刻起读取。"""

    async def work(parts: Parts) -> dict[str, Any]:
        async with parts.database.write() as session:
            feed = await rooms.add(
                session,
                parts.clock,
                parts.publications,
                url,
                publication=publication,
                publish=publish,
                backlog=backlog,
                inside=parts.settings.feeds.inside,
            )
            await _audited(session, parts, "feed.add", feed)
            return feed.model_dump(mode="json")

    result = with_parts(work)
    emit(
        result,
        as_json=as_json,
        text=lambda: f"来源 {result['id']}：{result['url']}，收入刊物 {result['publication']}。",
    )


@feeds.command(name="list")
@json_option
def list_(*, as_json: bool) -> None:
    """列出来源：上次读到的时间，是否在失败。"""

    async def work(parts: Parts) -> tuple[list[dict[str, Any]], ZoneInfo]:
        async with parts.database.read() as session:
            rows = await rooms.feeds(session)
        return [row.model_dump(mode="json") for row in rows], parts.settings.service.timezone

    found, zone = with_parts(work)
    rows = [
        [
            row["id"],
            row["url"],
            row["publication"],
            local_time(row["read_at"], zone) if row["read_at"] else "还没有读过",
            "已停用" if row["disabled_at"] else row["problem"] or "正常",
        ]
        for row in found
    ]
    emit(found, as_json=as_json, text=lambda: table(rows, ["编号", "地址", "刊物", "上次读到", "状态"]))


@feeds.command()
@number_argument
@json_option
def show(feed_id: int, *, as_json: bool) -> None:
    """一个来源最近的各条：收为哪一期，或为什么没有收入。"""

    async def work(parts: Parts) -> list[dict[str, Any]]:
        async with parts.database.read() as session:
            await rooms.find(session, feed_id)
            return [row.model_dump(mode="json") for row in await rooms.entries_of(session, feed_id)]

    found = with_parts(work)
    rows = [
        [
            row["title"],
            row["problem"] or (f"第 {row['issue_id']} 号" if row["issue_id"] else "此前已有，没有收入"),
        ]
        for row in found
    ]
    emit(found, as_json=as_json, text=lambda: table(rows, ["题目", "结果"]))


@feeds.command()
@number_argument
@json_option
def check(feed_id: int, *, as_json: bool) -> None:
    """现在读一次，说出结果。"""

    async def work(parts: Parts) -> dict[str, Any]:
        async with parts.database.write() as session:
            await rooms.ask_soon(session, parts.clock, feed_id)
        reader = FeedReader(parts.database, parts.clock, parts.publications, parts.settings)
        reading = await reader.read(feed_id)
        return {
            "entries": reading.entries,
            "taken": reading.taken,
            "refused": reading.refused,
            "problem": reading.problem,
        }

    result = with_parts(work)
    emit(
        result,
        as_json=as_json,
        text=lambda: (
            (f"没有读成：{result['problem']}\n" if result["problem"] else "")
            + f"读到 {result['entries']} 条，收入 {result['taken']} 期，{result['refused']} 条不能收入。"
        ),
    )


@feeds.command()
@number_argument
@json_option
def disable(feed_id: int, *, as_json: bool) -> None:
    """停用，不再读取。"""
    _switch(feed_id, on=False, as_json=as_json)


@feeds.command()
@number_argument
@json_option
def enable(feed_id: int, *, as_json: bool) -> None:
    """启用，马上读一次。"""
    _switch(feed_id, on=True, as_json=as_json)


@feeds.command()
@number_argument
@json_option
def remove(feed_id: int, *, as_json: bool) -> None:
    """删除来源；由它收入的各期保留。"""

    async def work(parts: Parts) -> dict[str, Any]:
        async with parts.database.write() as session:
            await _audited(session, parts, "feed.remove", await rooms.find(session, feed_id))
            await rooms.remove(session, feed_id)
            return {"id": feed_id, "removed": True}

    emit(with_parts(work), as_json=as_json, text=lambda: "已删除。")


def _switch(feed_id: int, *, on: bool, as_json: bool) -> None:
    async def work(parts: Parts) -> dict[str, Any]:
        async with parts.database.write() as session:
            feed = await rooms.switch(session, parts.clock, feed_id, on=on)
            await _audited(session, parts, "feed.enable" if on else "feed.disable", feed)
            return {"id": feed_id, "on": on}

    emit(with_parts(work), as_json=as_json, text=lambda: "已启用。" if on else "已停用。")


async def _audited(session: Any, parts: Parts, action: str, feed: WatchedFeed) -> None:
    await log.record(session, parts.clock, actor="cli", action=action, subject=f"feed:{feed.id}")
