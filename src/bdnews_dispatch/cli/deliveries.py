"""bdnews deliveries …"""

from dataclasses import asdict
from typing import Any
from zoneinfo import ZoneInfo

import click

from bdnews_dispatch.cli.session import emit, json_option, local_time, table, with_parts
from bdnews_dispatch.dispatch import words
from bdnews_dispatch.dispatch.settling import DECISIONS, look, resolve, resolve_all, tries_of
from bdnews_dispatch.dispatch.states import DeliveryState
from bdnews_dispatch.parts import Parts
from bdnews_dispatch.subscribers.fields import masked
from bdnews_dispatch.tracking.reading import counts_of_deliveries


@click.group()
def deliveries() -> None:
    """单份投递：查看，决定没有得到答复的。"""


@deliveries.command(name="list")
@click.option("--dispatch", "dispatch_id", type=int, metavar="ID", help="只看这个发送任务。")
@click.option("--state", "states", multiple=True, type=click.Choice([state.value for state in DeliveryState]))
@click.option("--reason", default="", metavar="TEXT", help="原因以此开头，如 retry_limit。")
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="最多列出多少份。"
)
@click.option("--addresses", is_flag=True, help="显示完整地址（默认遮去一部分）。")
@json_option
def list_(
    dispatch_id: int | None,
    states: tuple[str, ...],
    reason: str,
    limit: int,
    *,
    addresses: bool,
    as_json: bool,
) -> None:
    """列出投递，最近变动的在前；附最后一次尝试的答复、打开与点击，供核对。"""

    async def work(parts: Parts) -> list[dict[str, Any]]:
        async with parts.database.read() as session:
            found = await look(
                session,
                mail_domain=parts.settings.bounce_domain,
                dispatch_id=dispatch_id,
                states=states,
                reason=reason,
                limit=limit,
            )
            hits = await counts_of_deliveries(session, [seen.id for seen in found])
        rows = []
        for seen in found:
            row = asdict(seen)
            target = row.pop("target")
            row["address"] = target if addresses or "@" not in target else masked(target)
            rows.append(row | {"opened": hits[seen.id].opened, "clicks": hits[seen.id].clicks})
        return rows

    found = with_parts(work)
    emit(
        found,
        as_json=as_json,
        text=lambda: table(
            [
                [
                    row["key"],
                    row["dispatch"],
                    row["address"],
                    words.delivery_state(row["state"]),
                    words.reason(row["reason"]),
                    words.mode(row["mode"]),
                    row["attempts"],
                    f"{row['code']} {row['text']}"[:60],
                ]
                for row in found
            ],
            ["投递", "任务", "收件人", "状态", "原因", "方式", "尝试", "最后的答复"],
        ),
    )


@deliveries.command()
@click.argument("name", metavar="投递")
@json_option
def show(name: str, *, as_json: bool) -> None:
    """一份投递的每次尝试：以何种方式，对方如何答复，此前的方式为何不可用。"""

    async def work(parts: Parts) -> tuple[dict[str, Any], ZoneInfo]:
        async with parts.database.read() as session:
            found, tries = await tries_of(session, name)
            shown = {
                "key": found.key,
                "dispatch": found.dispatch_id,
                "channel": found.channel,
                "state": found.state,
                "reason": found.reason,
                "mode": found.mode,
                "sections": found.sections,
                "tries": [
                    one.model_dump(
                        mode="json", include={"at", "outcome", "code", "text", "mode", "reference"}
                    )
                    for one in tries
                ],
            }
        return shown, parts.settings.service.timezone

    found, zone = with_parts(work)

    def said() -> str:
        head = (
            f"投递 {found['key']}（发送任务 {found['dispatch']}，{words.CHANNELS[found['channel']]}）："
            f"{words.delivery_state(found['state'])}"
        )
        lines = [head + (f"，{words.reason(found['reason'])}" if found["reason"] else "")]
        rows = [
            [local_time(one["at"], zone), words.mode(one["mode"]), one["outcome"], one["code"], one["text"]]
            for one in found["tries"]
        ]
        lines.append(table(rows, ["时间", "方式", "结果", "答复", "说明"]) if rows else "还没有尝试过。")
        return "\n".join(lines)

    emit(found, as_json=as_json, text=said)


@deliveries.command(name="resolve")
@click.argument("names", nargs=-1, metavar="[投递…]")
@click.option("--sent", "decision", flag_value="sent", help="视为已发出。")
@click.option("--resend", "decision", flag_value="resend", help="再发一次（Message-ID 不变）。")
@click.option("--failed", "decision", flag_value="failed", help="视为失败。")
@click.option("--dispatch", "dispatch_id", type=int, metavar="ID", help="这个任务中所有待决定的。")
@json_option
def resolve_command(
    names: tuple[str, ...], decision: str | None, dispatch_id: int | None, *, as_json: bool
) -> None:
    """决定没有得到答复的投递（uncertain）：先核对邮件服务器的日志，再说它是否已发出。"""
    if decision not in DECISIONS:
        raise click.UsageError("请写明 --sent、--resend 或 --failed。")
    if bool(names) == (dispatch_id is not None):
        raise click.UsageError("请写明投递的编号，或用 --dispatch 指明一个任务，二者取一。")

    async def work(parts: Parts) -> dict[str, Any]:
        async with parts.database.write() as session:
            if dispatch_id is not None:
                return {"resolved": await resolve_all(session, parts.clock, dispatch_id, decision)}
            return {"resolved": await resolve(session, parts.clock, names, decision)}

    result = with_parts(work)
    emit(result, as_json=as_json, text=lambda: f"已决定 {result['resolved']} 份。")
