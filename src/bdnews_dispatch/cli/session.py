"""What every command does first and last: settings, logs, an event loop; and how a result is printed."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import click

from bdnews_dispatch.parts import Parts, open_parts
from bdnews_dispatch.settings import ReadSettings, Settings, read_settings
from bdnews_dispatch.telemetry import set_up_logs

Result = TypeVar("Result")

json_option = click.option("--json", "as_json", is_flag=True, help="以 JSON 输出。")
publication_option = click.option(
    "--publication", metavar="KEY", help="刊物；默认由设置 publications.default 决定。"
)


def target_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Whom a dispatch is meant for; the names are those of `subscribers.targeting.read_target`."""
    for name, into, words in (
        ("--except-segment", "excluded_segments", "不发给符合这个细分的人，可写多次。"),
        ("--except-list", "excluded_lists", "不发给这个名单上的人，可写多次。"),
        ("--segment", "segments", "只发给符合这个细分的人，可写多次；与 --list 是“或”的关系。"),
        ("--list", "lists", "只发给这个名单，可写多次。"),
    ):
        command = click.option(name, into, multiple=True, metavar="NAME", help=words)(command)
    return command


def settings_and_logs() -> Settings:
    """Read the settings and set up logs by them."""
    return read_and_logs().settings


def read_and_logs() -> ReadSettings:
    """The same, with where each value came from: for who shows it."""
    read = read_settings()
    set_up_logs(read.settings.service.log_level, read.settings.service.log_format)
    return read


def with_parts(work: Callable[[Parts], Awaitable[Result]]) -> Result:
    """Open the service's parts, do the work, close them."""
    settings = settings_and_logs()

    async def run() -> Result:
        async with open_parts(settings) as parts:
            return await work(parts)

    return asyncio.run(run())


def local_time(moment: str, zone: ZoneInfo) -> str:
    """A moment as people read it. Args: moment: as JSON has it. zone: the settings' `service.timezone`."""
    return datetime.fromisoformat(moment).astimezone(zone).strftime("%Y-%m-%d %H:%M")


def emit(value: Any, *, as_json: bool, text: Callable[[], str]) -> None:
    """Print JSON, or words for people."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str) if as_json else text())


def table(rows: Sequence[Sequence[object]], head: Sequence[str]) -> str:
    """Columns with two spaces between; a Chinese character is two wide."""
    cells = [[str(cell) for cell in row] for row in [head, *rows]]
    widths = [max(_width(row[column]) for row in cells) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in cells
    )


def _width(text: str) -> int:
    return sum(2 if ord(character) > 0x2E7F else 1 for character in text)
