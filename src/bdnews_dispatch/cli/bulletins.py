"""bdnews bulletins …"""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from bdnews_dispatch.bulletins.writing import write_bulletin
from bdnews_dispatch.cli.session import emit, json_option, publication_option, target_options, with_parts
from bdnews_dispatch.dispatch.control import show as show_dispatch
from bdnews_dispatch.dispatch.moments import read_moment
from bdnews_dispatch.dispatch.starting import start_bulletin
from bdnews_dispatch.errors import BdnewsError, NotFoundError
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.parts import Parts
from bdnews_dispatch.subscribers.targeting import read_target


@click.group()
def bulletins() -> None:
    """快讯：编辑在刊期之外发出的通知。"""


@bulletins.command()
@click.option("--title", required=True, help="标题。")
@click.option("--body", "file", required=True, type=click.Path(path_type=Path), help="正文，Markdown 文件。")
@click.option("--sections", default="", help="与哪些栏目有关（键或名称，以逗号分隔）；不写则发给所有人。")
@target_options
@click.option("--at", metavar="TIME", help="何时发出，如 2026-12-01T09:00（按设置的时区）。")
@click.option("--urgent", is_flag=True, help="紧急：先于其他发送。")
@click.option("--ad", is_flag=True, help="商业内容：主题前加“广告”。")
@publication_option
@json_option
def send(
    title: str,
    file: Path,
    sections: str,
    at: str | None,
    publication: str | None,
    *,
    urgent: bool,
    ad: bool,
    as_json: bool,
    **target: tuple[str, ...],
) -> None:
    """写好并发出一则快讯。同样的内容、对象与时间重复执行，只会发一次。"""

    async def work(parts: Parts) -> dict[str, Any]:
        chosen = parts.publications.named(publication)
        keys = section_keys(chosen, sections)
        when = moment(parts, at)
        try:
            body = await asyncio.to_thread(file.read_text, encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BdnewsError(f"读不到正文文件 {file}", hint="正文应是 UTF-8 编码的文本文件。") from error
        async with parts.database.write() as session:
            whom = await read_target(session, **target)
            bulletin = await write_bulletin(
                session,
                parts.clock,
                publication=chosen.key,
                title=title,
                body=body,
                urgent=urgent,
                ad=ad,
                audience=f"{sorted(keys)}{whom.name}{when.astimezone(UTC).isoformat() if when else ''}",
            )
            started = await start_bulletin(
                session, parts.clock, bulletin, sections=keys, target=whom, at=when
            )
            assert started.dispatch.id is not None  # noqa: S101  # flushed
            return {
                "dispatch": started.dispatch.id,
                "new": started.fresh,
                **await show_dispatch(session, started.dispatch.id),
            }

    result = with_parts(work)

    def words() -> str:
        if result["state"] == "cancelled":
            return f"没有发送：同一则快讯（发送任务 {result['id']}）已被取消。仍要发送，请改动标题或正文后再执行。"
        said = "已排入发送" if result["new"] else "已在发送之列，未重复"
        return f"快讯{said}：发送任务 {result['id']}。用 bdnews dispatch show {result['id']} 查看。"

    emit(result, as_json=as_json, text=words)


def section_keys(publication: Publication, text: str) -> list[str]:
    """Keys of the sections that the text names, by key or name.

    Raises:
        NotFoundError: there is no such section.
    """
    keys = []
    for word in text.replace("、", ",").replace("，", ",").split(","):
        if not word.strip():
            continue
        found = [s.key for s in publication.sections if word.strip() in {s.key, s.name}]
        if not found:
            known = "、".join(f"{s.name}（{s.key}）" for s in publication.sections)
            raise NotFoundError(f"没有名为“{word.strip()}”的栏目", hint=f"现有：{known}。")
        keys += found
    return keys


def moment(parts: Parts, text: str | None) -> datetime | None:
    """The moment that the text names, in the settings' zone where it names none.

    Raises:
        BdnewsError: it is no time.
    """
    if text is None:
        return None
    return read_moment(text, parts.settings.service.timezone, parts.clock())
