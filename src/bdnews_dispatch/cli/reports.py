"""bdnews reports …"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from bdnews_dispatch.cli.session import emit, json_option, local_time, table, with_parts
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.parts import Parts
from bdnews_dispatch.reports import reading, tables
from bdnews_dispatch.reports.models import Dimension
from bdnews_dispatch.reports.periods import days_of
from bdnews_dispatch.reports.reading import DispatchReport, Figures, Headline, Line
from bdnews_dispatch.reports.sections import By, SectionYear, as_table, section_years
from bdnews_dispatch.reports.words import DIMENSIONS, label_of
from bdnews_dispatch.service.scheduler import open_keeper

_to_option = click.option(
    "--to", "file", type=click.Path(dir_okay=False, path_type=Path), help="写成文件：.csv 或 .xlsx。"
)


@click.group()
def reports() -> None:
    """报告：一次发送的结果，一段时间的各次发送，各栏目的一年，订阅者的增减。"""


@reports.command()
@click.argument("dispatch_id", type=int)
@click.option(
    "--by",
    type=click.Choice([dimension.value for dimension in DIMENSIONS]),
    help="按什么分：渠道、域名、名单、栏目、链接、未发原因、小时。",
)
@click.option("--fresh", is_flag=True, help="先重新统计。")
@_to_option
@json_option
def show(dispatch_id: int, by: str | None, file: Path | None, *, fresh: bool, as_json: bool) -> None:
    """一次发送的结果。机器的打开与点击另列，不计入；不愿被统计的读者不计入比率。"""

    async def work(parts: Parts) -> tuple[DispatchReport, Publication, ZoneInfo]:
        if fresh:
            await open_keeper(parts).count(dispatch_id)
        async with parts.database.read() as session:
            found = await reading.report(session, dispatch_id)
        return found, parts.publications.named(found.publication), parts.settings.service.timezone

    found, publication, zone = with_parts(work)
    dimension = Dimension(by) if by else None
    if file is not None:
        dimensions = [dimension] if dimension else list(DIMENSIONS)
        rows: list[tuple[list[tables.Cell], Figures]] = []
        if dimension is None:
            rows.append((["全部", ""], found.headline.figures))
        rows += [
            ([DIMENSIONS[one], label_of(one, line, publication)], line.figures)
            for one in dimensions
            for line in found.lines[one]
        ]
        tables.write_table(file, tables.table(["按", "值"], rows))
        click.echo(f"已写入 {file}（{len(rows)} 行）")
        return
    emit(_as_json(found), as_json=as_json, text=lambda: _text(found, dimension, publication, zone))


@reports.command(name="list")
@click.option("--publication", help="刊物；省略为默认。")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="从哪天；省略为一年前。")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="到哪天；省略为今天。")
@_to_option
@json_option
def list_(publication: str | None, since: Any, until: Any, file: Path | None, *, as_json: bool) -> None:
    """一段时间里的各次发送，最近的在前。"""

    async def work(parts: Parts) -> list[dict[str, Any]]:
        zone = parts.settings.service.timezone
        first, last = _days(parts, since, until)
        key = parts.publications.named(publication).key
        async with parts.database.read() as session:
            found = await reading.over_time(session, key, first, last, zone)
        return [
            {**_headline(one), "time": local_time(one.created_at.isoformat(), zone), "_figures": one.figures}
            for one in found
        ]

    found = with_parts(work)
    figures = [row.pop("_figures") for row in found]
    if file is not None:
        rows = [
            ([row["dispatch_id"], row["title"], row["time"]], own)
            for row, own in zip(found, figures, strict=True)
        ]
        tables.write_table(file, tables.table(["编号", "内容", "时间"], rows))
        click.echo(f"已写入 {file}（{len(rows)} 行）")
        return
    emit(
        found,
        as_json=as_json,
        text=lambda: table(
            [
                [row["dispatch_id"], row["title"], row["time"], *_short(own)]
                for row, own in zip(found, figures, strict=True)
            ],
            ["编号", "内容", "时间", *_SHORT],
        ),
    )


@reports.command()
@click.option("--publication", help="刊物；省略为默认。")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="从哪天；省略为一年前。")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="到哪天；省略为今天。")
@json_option
def growth(publication: str | None, since: Any, until: Any, *, as_json: bool) -> None:
    """订阅者的增减：全部、整期读者、各栏目。"""

    async def work(parts: Parts) -> list[dict[str, Any]]:
        first, last = _days(parts, since, until)
        found = parts.publications.named(publication)
        names = {"": "全部", "*": "整期", **{section.key: section.name for section in found.sections}}
        async with parts.database.read() as session:
            moved = await reading.growth(
                session, found.key, first, last, parts.settings.service.timezone, parts.clock()
            )
        return [{**asdict(one), "name": names.get(one.section, one.section)} for one in moved]

    found = with_parts(work)
    emit(
        found,
        as_json=as_json,
        text=lambda: table(
            [[row["name"], row["joined"], row["gone"], row["joined"] - row["gone"]] for row in found],
            ["栏目", "加入", "离开", "净增"],
        ),
    )


@reports.command()
@click.option("--publication", help="刊物；省略为默认。")
@click.option("--year", type=click.IntRange(2000, 2100), help="哪一年；省略为最近 12 个月。")
@click.option(
    "--by",
    type=click.Choice([by.value for by in By]),
    default=By.MONTH.value,
    help="一行是一个月，还是一期。",
)
@_to_option
@json_option
def sections(publication: str | None, year: int | None, by: str, file: Path | None, *, as_json: bool) -> None:
    """各栏目的一年：收到的人里多少人点击，有多少读者。"""

    async def work(parts: Parts) -> tuple[Publication, Sequence[SectionYear]]:
        zone, now = parts.settings.service.timezone, parts.clock()
        found = parts.publications.named(publication)
        first, last = days_of(year, now.astimezone(zone).date())
        async with parts.database.read() as session:
            return found, await section_years(session, found, By(by), first, last, zone, now)

    found, years = with_parts(work)
    names = {section.key: section.name for section in found.sections}
    cells = as_table(years, names, By(by))
    if file is not None:
        tables.write_table(file, cells)
        click.echo(f"已写入 {file}（{len(cells) - 1} 行）")
        return
    emit(
        [
            {
                "section": one.section,
                "got": one.got,
                "clicked": one.clicked,
                "rate": one.rate,
                "points": [
                    {**asdict(point), "day": point.day.isoformat(), "rate": point.rate}
                    for point in one.points
                ],
            }
            for one in years
        ],
        as_json=as_json,
        text=lambda: table(
            [
                [
                    names.get(one.section, one.section),
                    point.name,
                    point.got,
                    point.clicked,
                    _percent(point.rate),
                    point.readers,
                ]
                for one in years
                for point in one.points
            ],
            [str(word) for word in cells[0]],
        ),
    )


_SHORT = ("送达", "打开", "打开率", "点击率", "退订", "退信")


def _short(figures: Figures) -> list[Any]:
    return [
        figures.delivered,
        figures.opened,
        _percent(figures.open_rate),
        _percent(figures.click_rate),
        figures.unsubscribed,
        figures.bounced,
    ]


def _days(parts: Parts, since: Any, until: Any) -> tuple[date, date]:
    today = parts.clock().astimezone(parts.settings.service.timezone).date()
    last = until.date() if until else today
    return (since.date() if since else last - timedelta(days=365)), last


def _headline(headline: Headline) -> dict[str, Any]:
    return {
        "dispatch_id": headline.dispatch_id,
        "title": headline.title,
        "kind": headline.kind.value,
        "created_at": headline.created_at.isoformat(),
        "counted_at": headline.counted_at.isoformat() if headline.counted_at else None,
        **asdict(headline.figures),
        **headline.figures.rates(),
    }


def _as_json(found: DispatchReport) -> dict[str, Any]:
    return {
        **_headline(found.headline),
        "publication": found.publication,
        "state": found.state.value,
        "earlier": dict(found.earlier),
        "compared": found.compared,
        "by": {
            dimension.value: [
                {"value": line.value, "label": line.label, **asdict(line.figures), **line.figures.rates()}
                for line in lines
            ]
            for dimension, lines in found.lines.items()
        },
    }


def _text(
    found: DispatchReport, dimension: Dimension | None, publication: Publication, zone: ZoneInfo
) -> str:
    figures, headline = found.headline.figures, found.headline
    counted = (
        f"统计于 {local_time(headline.counted_at.isoformat(), zone)}"
        if headline.counted_at
        else "还没有统计；加 --fresh 立即统计"
    )
    lines = [f"{headline.title}（发送任务 {headline.dispatch_id}），{counted}"]
    lines.append(
        f"计划 {figures.planned}，未发 {figures.skipped}，对方已收 {figures.sent}，送达 {figures.delivered}，"
        f"退信 {figures.bounced}，投诉 {figures.complained}，失败 {figures.failed}，存疑 {figures.uncertain}"
    )
    lines.append(
        f"{figures.people} 人（其中 {figures.untracked} 人不统计）：打开 {figures.opened}，点击 {figures.clicked}，"
        f"退订 {figures.unsubscribed}；另有仅机器打开 {figures.machine_opened}、仅机器点击 {figures.machine_clicked}"
    )
    earlier = found.earlier
    for name in reading.RATES:
        before = f"（前 {found.compared} 次中位数 {_percent(earlier[name])}）" if earlier else ""
        lines.append(f"{tables.HEADINGS[name]}：{_percent(getattr(figures, name))}{before}")
    for one in [dimension] if dimension else [Dimension.CHANNEL, Dimension.SECTION, Dimension.REASON]:
        lines += ["", _table(one, found.lines[one], publication)]
    return "\n".join(lines)


def _table(dimension: Dimension, lines: Sequence[Line], publication: Publication) -> str:
    rows = [(label_of(dimension, line, publication), line.figures) for line in lines]
    match dimension:
        case Dimension.REASON:
            return table([[label, own.planned] for label, own in rows], [DIMENSIONS[dimension], "份数"])
        case Dimension.ARTICLE:
            return table(
                [[label, own.clicked, own.machine_clicked] for label, own in rows],
                [DIMENSIONS[dimension], "点击", "仅机器"],
            )
        case Dimension.HOUR:
            return table(
                [[label, own.opened, own.clicked] for label, own in rows],
                [DIMENSIONS[dimension], "打开", "点击"],
            )
        case _:
            return table([[label, *_short(own)] for label, own in rows], [DIMENSIONS[dimension], *_SHORT])


def _percent(rate: float | None) -> str:
    return "—" if rate is None else f"{rate:.1%}"
