"""Whom a command names: addresses, openids or numbers → subscribers; and one person's records in words."""

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.cli.session import local_time
from bdnews_dispatch.errors import NotFoundError
from bdnews_dispatch.subscribers import people
from bdnews_dispatch.subscribers.models import Subscriber


async def named(session: AsyncSession, text: str) -> Subscriber:
    """Raises: NotFoundError: there is nobody of that address, openid or number."""
    found = (
        await people.find_by_id(session, int(text))
        if text.isdigit()
        else await people.find_by_email(session, text) or await people.find_by_openid(session, text)
    )
    if found is None:
        raise NotFoundError(f"没有这位订阅者：{text}", hint="可写邮箱、openid 或编号。")
    return found


async def ids_of(session: AsyncSession, texts: Sequence[str]) -> list[int]:
    """Their ids, each once. Raises: NotFoundError: as above; then nobody is named."""
    found = [await named(session, text) for text in texts]
    return list(dict.fromkeys(person.id for person in found if person.id is not None))


def history_text(shown: dict[str, Any], zone: ZoneInfo) -> str:
    """Args: shown: as `bdnews subscribers history --json` has it."""
    person = shown["person"]
    lines = [
        f"订阅者 {shown['id']}：{person['name']} {person['email'] or ''} {person['openid'] or ''}".rstrip()
    ]
    for one in shown["agreements"]:
        sections = "整期" if one["whole_issue"] else "、".join(one["sections"])
        lines.append(
            f"{local_time(one['began_at'], zone)}  同意 {one['publication']}：{sections}，{one['channel']}，"
            f"{one['cadence']}（方式 {one['origin']}，依据 {one['evidence'] or '无'}"
            + (f"，来自 {one['network']}" if one["network"] else "")
            + "）"
        )
        if one["consent"]:
            lines.append(f"    文字：{one['consent']}")
        if one["ended_at"]:
            lines.append(f"    {local_time(one['ended_at'], zone)}  结束：{one['end_reason']}")
    for one in shown["lists"]:
        line = f"{local_time(one['joined_at'], zone)}  加入名单“{one['list']}”（{one['origin']}，{one['evidence']}）"
        if one["left_at"]:
            line += f"；{local_time(one['left_at'], zone)} 离开：{one['leave_reason']}"
        lines.append(line)
    if shown["tags"]:
        lines.append(f"标签：{'、'.join(shown['tags'])}")
    if shown["attributes"]:
        lines.append("属性：" + "，".join(f"{name}={value}" for name, value in shown["attributes"].items()))
    lines += [
        f"{local_time(one['since'], zone)}  停发（{one['channel']}）：{one['reason']}"
        for one in shown["suppressions"]
    ]
    return "\n".join(lines)
