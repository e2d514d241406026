"""bdnews dispatch …"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any
from zoneinfo import ZoneInfo

import click
from sqlmodel import col, select

from bdnews_dispatch.cli.bulletins import moment
from bdnews_dispatch.cli.session import (
    emit,
    json_option,
    local_time,
    publication_option,
    table,
    target_options,
    with_parts,
)
from bdnews_dispatch.dispatch import control, words
from bdnews_dispatch.dispatch.models import Dispatch
from bdnews_dispatch.dispatch.settling import DECISIONS, resolve_all
from bdnews_dispatch.dispatch.starting import issue_dispatch, start_issue
from bdnews_dispatch.dispatch.titles import titles
from bdnews_dispatch.errors import BdnewsError
from bdnews_dispatch.issues.publishing import find_issue
from bdnews_dispatch.parts import Parts
from bdnews_dispatch.subscribers.targeting import read_target
from bdnews_dispatch.tracking.reading import counts_of_dispatch

id_argument = click.argument("dispatch_id", type=int, metavar="ID")

#: Between two looks of `wait`.
LOOK_SECONDS = 0.2
#: A dispatch that nobody has moved for so long is worked on by `wait` itself.
NOBODY_SECONDS = 3.0
#: Exit code of `wait`: the dispatch stands still and a person must decide.
EXIT_STANDS_STILL = 3
EXIT_TIMEOUT = 4


@click.group()
def dispatch() -> None:
    """发送任务：开始、查看、等待、暂停、继续、取消。"""


@dispatch.command()
@click.option("--issue", "total_number", type=int, required=True, metavar="TOTAL_NUMBER", help="总期号。")
@target_options
@click.option("--at", metavar="TIME", help="何时开始，如 2026-12-01T09:00（按设置的时区）。")
@publication_option
@json_option
def start(
    total_number: int, at: str | None, publication: str | None, *, as_json: bool, **target: tuple[str, ...]
) -> None:
    """分发一期。再次执行只会发给还没有收到的人，不会重复。"""

    async def work(parts: Parts) -> dict[str, Any]:
        async with parts.database.write() as session:
            issue = await find_issue(session, parts.publications.named(publication).key, total_number)
            whom = await read_target(session, **target)
            started = await start_issue(session, parts.clock, issue, target=whom, at=moment(parts, at))
            assert started.dispatch.id is not None  # noqa: S101  # flushed
            return {"new": started.fresh, **await control.show(session, started.dispatch.id)}

    result = with_parts(work)
    emit(
        result,
        as_json=as_json,
        text=lambda: (
            f"发送任务 {result['id']}（{'新建' if result['new'] else '已有'}），"
            f"状态 {words.dispatch_state(result['state'])}。"
        ),
    )


@dispatch.command()
@click.option("--issue", "total_number", type=int, required=True, metavar="TOTAL_NUMBER", help="总期号。")
@target_options
@publication_option
@json_option
def audience(total_number: int, publication: str | None, *, as_json: bool, **target: tuple[str, ...]) -> None:
    """先看会发给谁：各条规则各减去多少人，各渠道多少份，其余为何不发。不写入任何内容。"""
    # The other commands here start without these.
    from bdnews_dispatch.dispatch.card_forecast import CardAccounts  # noqa: PLC0415
    from bdnews_dispatch.dispatch.planning import Planner  # noqa: PLC0415
    from bdnews_dispatch.sandbox.in_its_place import with_sandbox_account  # noqa: PLC0415

    async def work(parts: Parts) -> dict[str, Any]:
        async with parts.database.read() as session:
            issue = await find_issue(session, parts.publications.named(publication).key, total_number)
            whom = await read_target(session, **target)
            planner = Planner(parts.database, parts.clock, parts.publications, parts.links)
            instead = with_sandbox_account(parts.settings).wechat
            accounts = CardAccounts(parts.reach, parts.settings.wechat, instead)
            found = await planner.forecast(session, issue_dispatch(parts.clock, issue, whom), accounts)
            return found.as_json()

    result = with_parts(work)

    def said() -> str:
        lines = [["订阅者", result["subscribed"], ""]]
        if result["not_named"]:
            lines.append(["不在所选名单与细分内", -result["not_named"], ""])
        for rule, number in result["excluded"].items():
            kind, _, name = rule.partition(":")
            lines.append([f"排除{'名单' if kind == 'list' else '细分'}“{name}”", -number, ""])
        lines.append(["合计", result["left"], "人"])
        lines += [
            [f"不发：{words.reason(reason)}", -number, "份"] for reason, number in result["left_out"].items()
        ]
        lines += [[f"将发：{words.CHANNELS[way]}", number, "份"] for way, number in result["planned"].items()]
        lines += [[f"  {told}", *rest] for told, *rest in words.of_cards(result["wechat"])]
        return table(lines, ["", "数量", ""])

    emit(result, as_json=as_json, text=said)


@dispatch.command(name="list")
@json_option
def list_(*, as_json: bool) -> None:
    """列出最近的发送任务。"""

    async def work(parts: Parts) -> tuple[list[dict[str, Any]], ZoneInfo]:
        async with parts.database.read() as session:
            newest = select(Dispatch.id).order_by(col(Dispatch.id).desc()).limit(50)
            ids = [dispatch_id for dispatch_id in await session.exec(newest) if dispatch_id is not None]
            named = await titles(session, ids)
            rows = [{"title": named[i], **await control.show(session, i)} for i in ids]
        return rows, parts.settings.service.timezone

    found, zone = with_parts(work)
    emit(
        found,
        as_json=as_json,
        text=lambda: table(
            [
                [
                    d["id"],
                    words.KINDS[d["kind"]],
                    d["title"],
                    words.dispatch_state(d["state"]),
                    d["deliveries"],
                    d["counts"]["sent"],
                    local_time(d["due_at"], zone),
                    d["note"],
                ]
                for d in found
            ],
            ["编号", "种类", "内容", "状态", "投递", "已发", "时间", "说明"],
        ),
    )


@dispatch.command()
@id_argument
@json_option
def show(dispatch_id: int, *, as_json: bool) -> None:
    """查看发送任务：各状态、各渠道的数量，未发的原因，打开与点击。"""
    result = with_parts(lambda parts: _state(parts, dispatch_id))
    emit(result, as_json=as_json, text=lambda: _words(result))


@dispatch.command()
@id_argument
@click.option("--timeout", type=float, default=0.0, metavar="SECONDS", help="最多等多久；0 为不限。")
@json_option
def wait(dispatch_id: int, timeout: float, *, as_json: bool) -> None:
    """等到发送任务结束。若没有正在运行的 bdnews serve 或 worker，就在这里完成发送。"""

    async def work(parts: Parts) -> dict[str, Any]:
        return await _wait(parts, dispatch_id, timeout)

    result = with_parts(work)
    emit(result, as_json=as_json, text=lambda: _words(result))
    if result["state"] not in {"finished", "cancelled"}:
        raise click.exceptions.Exit(EXIT_TIMEOUT if result.get("timed_out") else EXIT_STANDS_STILL)


@dispatch.command()
@id_argument
@json_option
def pause(dispatch_id: int, *, as_json: bool) -> None:
    """暂停：不再开始新的投递，正在发出的发完。"""

    async def work(parts: Parts) -> dict[str, Any]:
        async with parts.database.write() as session:
            await control.pause(session, dispatch_id, note="由操作员暂停")
        return await _state(parts, dispatch_id)

    result = with_parts(work)
    emit(result, as_json=as_json, text=lambda: f"已暂停。用 bdnews dispatch resume {dispatch_id} 继续。")


@dispatch.command()
@id_argument
@json_option
def resume(dispatch_id: int, *, as_json: bool) -> None:
    """从停下的地方继续。"""

    async def work(parts: Parts) -> dict[str, Any]:
        async with parts.database.write() as session:
            await control.resume(session, dispatch_id)
        return await _state(parts, dispatch_id)

    result = with_parts(work)
    emit(result, as_json=as_json, text=lambda: f"已继续，状态 {words.dispatch_state(result['state'])}。")


@dispatch.command()
@id_argument
@json_option
def cancel(dispatch_id: int, *, as_json: bool) -> None:
    """取消：还没有发出的不再发出。"""

    async def work(parts: Parts) -> dict[str, Any]:
        async with parts.database.write() as session:
            await control.cancel(session, parts.clock, dispatch_id, note="由操作员取消")
        return await _state(parts, dispatch_id)

    result = with_parts(work)
    emit(
        result, as_json=as_json, text=lambda: f"已取消。已发出 {result['counts']['sent']} 份，其余不再发出。"
    )


async def _state(parts: Parts, dispatch_id: int) -> dict[str, Any]:
    async with parts.database.read() as session:
        return {
            **await control.show(session, dispatch_id),
            "title": (await titles(session, [dispatch_id]))[dispatch_id],
            "tracking": asdict(await counts_of_dispatch(session, dispatch_id)),
        }


async def _wait(parts: Parts, dispatch_id: int, most_seconds: float) -> dict[str, Any]:
    from bdnews_dispatch.service.worker import working_here  # noqa: PLC0415  # with all its channels: only `wait` needs it

    began = time.monotonic()
    unmoved_since, last = began, None
    async with working_here(parts) as work_here:
        while True:
            state = await _state(parts, dispatch_id)
            now = time.monotonic()
            if state["state"] in {"finished", "cancelled", "paused"} or _only_uncertain(state):
                return state
            if most_seconds and now - began > most_seconds:
                return {**state, "timed_out": True}
            seen = (state["state"], state["counts"])
            if seen != last:
                unmoved_since, last = now, seen
            due = parts.clock().isoformat() >= state["due_at"]
            if due and now - unmoved_since > NOBODY_SECONDS and work_here():
                click.echo("没有发现正在运行的 bdnews serve 或 worker，在此完成发送。", err=True)
            await asyncio.sleep(LOOK_SECONDS)


def _only_uncertain(state: dict[str, Any]) -> bool:
    open_states = ("planned", "claimed", "in_flight", "deferred")
    return bool(
        state["planned_at"]
        and state["counts"]["uncertain"]
        and not any(state["counts"][s] for s in open_states)
    )


def _words(state: dict[str, Any]) -> str:
    lines = [
        f"发送任务 {state['id']}：{state['title']}",
        f"{words.dispatch_state(state['state'])}，共 {state['deliveries']} 份",
    ]
    if state["note"]:
        lines.append(state["note"])
    lines += [
        f"  {words.CHANNELS[channel]}：{_counts(counts, words.delivery_state)}"
        for channel, counts in state["channels"].items()
    ]
    if state["reasons"]:
        lines.append("  原因：" + _counts(state["reasons"], words.reason))
    if state["modes"]:
        lines.append("  方式：" + _counts(state["modes"], words.mode))
    lines.append("  反馈：" + _counts(state["tracking"]))
    if state["counts"]["uncertain"]:
        lines.append(
            "有投递没有得到对方答复，可能已送达；"
            "请核对邮件服务器日志后，用 bdnews deliveries resolve 逐份决定，或用 bdnews dispatch settle 一并决定。"
        )
    return "\n".join(lines)


def _counts(counts: dict[str, Any], named: Callable[[str], str] = str) -> str:
    return "，".join(f"{named(name)} {number}" for name, number in counts.items() if number) or "无"


@dispatch.command()
@id_argument
@click.option(
    "--as",
    "then",
    type=click.Choice(list(DECISIONS)),
    required=True,
    help="视为已发、重发或失败。",
)
@json_option
def settle(dispatch_id: int, then: str, *, as_json: bool) -> None:
    """决定没有得到答复的投递（uncertain）：视为已发、重发一次，或视为失败。"""

    async def work(parts: Parts) -> dict[str, Any]:
        async with parts.database.write() as session:
            settled = await resolve_all(session, parts.clock, dispatch_id, then)
        if not settled:
            raise BdnewsError(f"发送任务 {dispatch_id} 没有待决定的投递")
        return {"settled": settled, **await _state(parts, dispatch_id)}

    result = with_parts(work)
    emit(result, as_json=as_json, text=lambda: f"已决定 {result['settled']} 份。")
