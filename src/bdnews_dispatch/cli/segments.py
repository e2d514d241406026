"""bdnews segments …"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bdnews_dispatch.cli.session import emit, json_option, publication_option, table, with_parts
from bdnews_dispatch.errors import BdnewsError
from bdnews_dispatch.parts import Parts
from bdnews_dispatch.subscribers.fields import SectionNames
from bdnews_dispatch.subscribers.segments import (
    count_of,
    find_segments,
    read_rule,
    remove_segment,
    save_segment,
    segment_sizes,
)


@click.group()
def segments() -> None:
    """细分：按条件挑选订阅者，发送时按当时的情况计算。"""


def _rule_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for name, into, words in (
        ("--rule", "rule", "完整的规则：JSON，或存有 JSON 的文件；与其他条件不能并用。"),
        ("--attribute", "attributes", "NAME=VALUE：属性等于此值；可写多次，同名的为“或”。"),
        ("--list", "in_lists", "在这个名单上；可写多次，为“或”。"),
        ("--domain", "domains", "邮箱在这个域名（或其下级）；可写多次，为“或”。"),
        ("--section", "sections", "读这个栏目（键或名称）；可写多次，为“或”。"),
        ("--tag", "tags", "有这个标签；可写多次，为“或”。"),
    ):
        command = click.option(name, into, multiple=name != "--rule", help=words)(command)
    for name, into, words in (
        ("--not-opened-within-days", "not_opened", "这些天内没有打开过。"),
        ("--opened-within-days", "opened", "这些天内打开过。"),
        ("--joined-within-days", "joined", "这些天内加入。"),
    ):
        command = click.option(name, into, type=click.IntRange(1, 3660), help=words)(command)
    return command


@segments.command(name="list")
@publication_option
@json_option
def list_(publication: str | None, *, as_json: bool) -> None:
    """列出全部细分，以及现在各有多少人。"""

    async def work(parts: Parts) -> list[dict[str, Any]]:
        async with parts.database.read() as session:
            key = parts.publications.named(publication).key
            return [
                {"name": one.name, "people": one.people, "rule": one.rule}
                for one in await segment_sizes(session, parts.clock, key)
            ]

    found = with_parts(work)
    emit(
        found,
        as_json=as_json,
        text=lambda: table(
            [[one["name"], one["people"], json.dumps(one["rule"], ensure_ascii=False)] for one in found],
            ["细分", "人数", "规则"],
        ),
    )


@segments.command()
@click.argument("name")
@publication_option
@json_option
def show(name: str, publication: str | None, *, as_json: bool) -> None:
    """查看一个细分的规则，以及现在有多少人。"""

    async def work(parts: Parts) -> dict[str, Any]:
        async with parts.database.read() as session:
            found = (await find_segments(session, [name]))[0]
            key = parts.publications.named(publication).key
            people = await count_of(session, parts.clock, key, found.rule)
            return {"name": found.name, "people": people, "rule": found.rule}

    result = with_parts(work)
    emit(
        result,
        as_json=as_json,
        text=lambda: (
            f"{result['name']}：{result['people']} 人\n"
            f"{json.dumps(result['rule'], ensure_ascii=False, indent=2)}"
        ),
    )


@segments.command()
@click.argument("name")
@_rule_options
@publication_option
@json_option
def save(name: str, publication: str | None, *, as_json: bool, **given: Any) -> None:
    """新建一个细分，或更改同名的那个；各条件须同时满足。"""

    async def work(parts: Parts) -> dict[str, Any]:
        chosen = parts.publications.named(publication)
        rule = _rule(given, SectionNames(chosen))
        async with parts.database.write() as session:
            await save_segment(session, parts.clock, chosen, name, rule)
            found = (await find_segments(session, [name.strip()]))[0]
            people = await count_of(session, parts.clock, chosen.key, found.rule)
            return {"name": found.name, "people": people, "rule": found.rule}

    result = with_parts(work)
    emit(
        result,
        as_json=as_json,
        text=lambda: f"细分“{result['name']}”已保存，现在有 {result['people']} 人。",
    )


@segments.command()
@click.argument("name")
@json_option
def remove(name: str, *, as_json: bool) -> None:
    """删去一个细分；已经开始的发送任务不受影响。"""

    async def work(parts: Parts) -> dict[str, Any]:
        async with parts.database.write() as session:
            await remove_segment(session, name)
        return {"name": name}

    result = with_parts(work)
    emit(result, as_json=as_json, text=lambda: f"细分“{name}”已删去。")


@segments.command()
@_rule_options
@publication_option
@json_option
def count(publication: str | None, *, as_json: bool, **given: Any) -> None:
    """按条件数一数有多少人，不保存。"""

    async def work(parts: Parts) -> dict[str, Any]:
        chosen = parts.publications.named(publication)
        rule = _rule(given, SectionNames(chosen))
        read_rule(rule, chosen)
        async with parts.database.read() as session:
            return {"rule": rule, "people": await count_of(session, parts.clock, chosen.key, rule)}

    result = with_parts(work)
    emit(result, as_json=as_json, text=lambda: f"{result['people']} 人。")


def _rule(given: dict[str, Any], sections: SectionNames) -> Any:
    """Options → a rule that all of them must fit."""
    parts: list[dict[str, Any]] = []
    for option, field in (("tags", "tag"), ("in_lists", "list"), ("domains", "domain")):
        if given[option]:
            parts.append({"field": field, "any_of": list(given[option])})
    if given["sections"]:
        wish = sections.read("|".join(given["sections"]))
        parts.append({"field": "sections", "any_of": list(wish.sections)})
    attributes: dict[str, list[str]] = {}
    for text in given["attributes"]:
        name, equals, value = text.partition("=")
        if not equals:
            raise click.BadParameter(f"应写成 NAME=VALUE；收到 {text}", param_hint="--attribute")
        attributes.setdefault(name.strip(), []).append(value.strip())
    parts += [{"field": "attribute", "name": name, "any_of": values} for name, values in attributes.items()]
    for option, field, bound in (
        ("joined", "joined", "within_days"),
        ("opened", "last_opened", "within_days"),
        ("not_opened", "last_opened", "not_within_days"),
    ):
        if given[option] is not None:
            parts.append({"field": field, bound: given[option]})
    if given["rule"] is not None:
        if parts:
            raise BdnewsError("--rule 不能与其他条件并用")
        return _read_json(given["rule"])
    if not parts:
        raise BdnewsError("没有写任何条件", hint="例如 --tag 专家 --domain gov.cn，或 --rule 文件。")
    return parts[0] if len(parts) == 1 else {"all": parts}


def _read_json(text: str) -> Any:
    if not text.lstrip().startswith("{"):
        try:
            text = Path(text).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BdnewsError(f"读不到规则文件 {text}") from error
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise BdnewsError(f"规则不是正确的 JSON：第 {error.lineno} 行第 {error.colno} 个字符附近") from error
