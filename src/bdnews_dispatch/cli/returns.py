"""bdnews returns …"""

import asyncio
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from sqlmodel import col, select

from bdnews_dispatch.cli.session import emit, json_option, local_time, table, with_parts
from bdnews_dispatch.errors import BdnewsError
from bdnews_dispatch.parts import Parts
from bdnews_dispatch.returns.models import ReturnedMail
from bdnews_dispatch.service.returns import open_mailbox, open_returns

KINDS = {
    "bounce": "退信",
    "delayed": "投递延误",
    "delivered": "已送达",
    "complaint": "投诉",
    "auto_reply": "自动回复",
    "challenge": "要求验证",
    "unsubscribe": "退订",
    "unknown": "看不出",
}
VERDICTS = {"hard": "地址不存在", "soft": "暂时收不下", "blocked": "对方拒收，不怪地址", "": ""}


@click.group()
def returns() -> None:
    """退信：读一封看看它说什么，看一次退信邮箱，列出收到的。"""


@returns.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@json_option
def read(file: Path, *, as_json: bool) -> None:
    """读一封邮件（.eml；- 为标准输入），说明它是什么。不写入任何内容。"""

    async def work(parts: Parts) -> dict[str, Any]:
        most = parts.settings.returns.max_bytes
        try:
            if str(file) == "-":
                raw = await asyncio.to_thread(sys.stdin.buffer.read, most)
            else:
                raw = (await asyncio.to_thread(file.read_bytes))[:most]
        except OSError as error:
            raise BdnewsError(f"读不到文件 {file}：{error.strerror}") from error
        read = open_returns(parts).read(raw)
        return {
            "kind": read.returned.kind.value,
            "status": read.returned.status,
            "code": read.returned.code,
            "text": read.returned.text,
            "verdict": read.verdict.value if read.verdict else "",
            "rule": read.rule,
        }

    found = with_parts(work)

    def words() -> str:
        said = [f"{KINDS[found['kind']]}（{found['kind']}）"]
        if found["verdict"]:
            rule = f"，规则 {found['rule']}" if found["rule"] else ""
            said.append(f"{VERDICTS[found['verdict']]}（{found['verdict']}{rule}）")
        said.append(f"{found['code'] or ''} {found['status']} {found['text']}".strip())
        return "\n".join(part for part in said if part)

    emit(found, as_json=as_json, text=words)


@returns.command()
@json_option
def poll(*, as_json: bool) -> None:
    """现在就看一次退信邮箱（[mailbox]），收下未读的退信。"""

    async def work(parts: Parts) -> dict[str, int]:
        mailbox = open_mailbox(parts, lambda: None)
        if mailbox is None:
            raise BdnewsError(
                "没有设置退信邮箱", hint="请填写 mailbox.host、mailbox.username 与 mailbox.password。"
            )
        return asdict(await mailbox.poll())

    found = with_parts(work)
    emit(
        found,
        as_json=as_json,
        text=lambda: (
            f"收下 {found['taken']} 封（其中 {found['cut']} 封过大，只读了前面），"
            f"暂存不下 {found['waiting']} 封（仍未读，下次再收），与我们无关 {found['not_ours']} 封"
        ),
    )


@returns.command(name="list")
@click.option("--limit", default=50, show_default=True, help="最多列出多少封。")
@json_option
def list_(limit: int, *, as_json: bool) -> None:
    """列出收到的退信，最近的在前。"""

    async def work(parts: Parts) -> list[dict[str, Any]]:
        async with parts.database.read() as session:
            newest = select(ReturnedMail).order_by(col(ReturnedMail.id).desc()).limit(limit)
            return [
                {
                    "id": row.id,
                    "received_at": row.received_at.isoformat(),
                    "time": local_time(row.received_at.isoformat(), parts.settings.service.timezone),
                    "kind": row.kind.value,
                    "verdict": row.verdict,
                    "delivery": row.delivery_id,
                    "letter": row.letter_id,
                    "status": row.status,
                    "text": row.text,
                }
                for row in (await session.exec(newest)).all()
            ]

    found = with_parts(work)
    emit(
        found,
        as_json=as_json,
        text=lambda: table(
            [
                [
                    row["id"],
                    row["time"],
                    KINDS[row["kind"]],
                    VERDICTS.get(row["verdict"], row["verdict"]),
                    row["delivery"] or "",
                    row["status"],
                    row["text"][:60],
                ]
                for row in found
            ],
            ["编号", "时间", "种类", "结论", "投递", "状态码", "对方的话"],
        ),
    )
