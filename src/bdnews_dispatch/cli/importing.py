"""bdnews subscribers import, bdnews subscribers imports …"""

import asyncio
import gc
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bdnews_dispatch.cli.session import emit, json_option, local_time, publication_option, table, with_parts
from bdnews_dispatch.errors import BdnewsError, ImportFileError
from bdnews_dispatch.parts import Parts
from bdnews_dispatch.subscribers.imports.checking import check as check_run
from bdnews_dispatch.subscribers.imports.models import ImportMode, ImportState
from bdnews_dispatch.subscribers.imports.receiving import receive
from bdnews_dispatch.subscribers.imports.result import refused_rows, result_lines
from bdnews_dispatch.subscribers.imports.running import Importer
from bdnews_dispatch.subscribers.imports.starting import (
    NEED_BASIS,
    Choices,
    begin,
    cancel,
    choose,
    discard,
    find_run,
    list_runs,
    told,
    unfinished,
)

#: Refused rows that are printed; the result file has them all.
MOST_SHOWN = 100
PROGRESS_SECONDS = 1.0
#: As a worker's: see dispatch/worker.py, which is not loaded for a command.
GARBAGE_THRESHOLDS = (20_000, 20, 50)
MODES = {
    ImportMode.ADD: "只添加新人",
    ImportMode.UPDATE: "添加与更新",
    ImportMode.REPLACE_LIST: "替换名单",
    ImportMode.UNSUBSCRIBE: "退订",
    ImportMode.SUPPRESS: "加入停发名单",
}
STATES = {
    ImportState.RECEIVING: "正在收文件",
    ImportState.READY: "待开始",
    ImportState.RUNNING: "进行中",
    ImportState.FINISHED: "已完成",
    ImportState.FAILED: "未能完成",
    ImportState.CANCELLED: "已取消",
}


async def bring(parts: Parts, file: Path, *, publication: str | None, origin: str) -> int:
    """Take a file in. Returns: the import's id."""
    return await receive(
        parts.database,
        parts.clock,
        parts.settings.imports,
        parts.publications.named(publication),
        file,
        file_name=file.name,
        origin=origin,
    )


async def run_here(parts: Parts, run_id: int, progress: Callable[[int, int], None] | None = None) -> None:
    """Do the work of an import in this process, to its end. Args: progress: told rows done, and of how many."""
    # As a worker does: with Python's own thresholds it looks through a slice's rows again and again.
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    importer = Importer(parts.database, parts.clock, parts.publications, parts.links.signer)
    look = time.monotonic() + PROGRESS_SECONDS
    while await importer.run_slice(run_id):
        if progress is not None and time.monotonic() >= look:
            look = time.monotonic() + PROGRESS_SECONDS
            async with parts.database.read() as session:
                run = await find_run(session, run_id)
            progress(run.done, run.rows)


@click.command(name="import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--map",
    "maps",
    multiple=True,
    metavar="FIELD=列名",
    help="指明哪一列是什么，如 email=邮箱地址、attr:单位=工作单位、name=#2。",
)
@click.option(
    "--mode",
    type=click.Choice([mode.value for mode in ImportMode]),
    default=ImportMode.UPDATE.value,
    show_default=True,
    help="add 只添加新人；update 添加与更新；replace-list 使名单恰为文件中的人；unsubscribe 退订；suppress 永不再发。",
)
@click.option("--list", "list_name", default="", metavar="NAME", help="同时加入这个名单。")
@click.option("--basis", default="", help="依据：这些人凭什么可以收到邮件；原样保存，每条订阅都会注明。")
@click.option("--check", "only_check", is_flag=True, help="只检查，不导入。")
@click.option("--wait/--background", default=True, help="等它做完（默认），或交给后台的 worker。")
@click.option(
    "--result", "result_file", type=click.Path(path_type=Path), help="把未导入的行写成可改正后再导入的文件。"
)
@publication_option
@json_option
def import_(
    file: Path,
    maps: tuple[str, ...],
    mode: str,
    list_name: str,
    basis: str,
    result_file: Path | None,
    publication: str | None,
    *,
    only_check: bool,
    wait: bool,
    as_json: bool,
) -> None:
    """从 CSV 或 XLSX 导入。有误的行逐行报告，其余照常导入；中断后再次运行同一命令会接着做。"""
    chosen = ImportMode(mode)
    needs_basis = chosen in NEED_BASIS and not only_check
    if needs_basis and not basis.strip() and sys.stdin.isatty() and not as_json:
        basis = click.prompt("依据：这些人凭什么可以收到邮件（如“2026 年 11 月会场登记，同意接收本刊”）")
    if needs_basis and not basis.strip():  # before a large file is read
        raise ImportFileError(
            "没有写明依据：这些人凭什么可以收到邮件（个人信息保护法第十三条）",
            hint="例如 --basis “2026 年 11 月会场登记，同意接收本刊”。原样保存，每一条订阅都会注明。",
        )
    choices = Choices(chosen, _columns(maps), list_name, basis)

    async def work(parts: Parts) -> dict[str, Any]:
        run_id = await bring(parts, file, publication=publication, origin="bdnews subscribers import")
        try:
            async with parts.database.write() as session:
                run = await choose(session, run_id, choices)
                earlier = None if only_check else await unfinished(session, run)
                if earlier is not None:
                    await discard(session, run_id)
                    run = earlier
                elif not only_check:
                    await begin(session, parts.clock, run_id)
            if only_check:
                counts = await check_run(
                    parts.database, parts.clock, parts.publications, parts.links.signer, run_id
                )
                for name, value in counts.columns().items():
                    setattr(run, name, value)
        except BaseException:
            async with parts.database.write() as session:
                await discard(session, run_id)
            raise
        if only_check:
            async with parts.database.write() as session:
                await discard(session, run_id)
            return {**told(run), "id": None, "state": "checked"}
        assert run.id is not None  # noqa: S101  # from the database
        if earlier is not None:
            click.echo(f"接着做上次没有完成的导入 {run.id}（已处理 {run.done}/{run.rows} 行）。", err=True)
        if not wait:
            return told(run)
        await run_here(parts, run.id, _progress)
        if result_file is not None:
            await _write_result(parts, run.id, result_file)
        return await _shown(parts, run.id)

    result = with_parts(work)
    emit(result, as_json=as_json, text=lambda: _text(result))


@click.group()
def imports() -> None:
    """导入的记录：列出、查看、取消，取得未导入的行。"""


@imports.command(name="list")
@click.option("--limit", default=20, show_default=True, help="最多列出多少次。")
@json_option
def list_(limit: int, *, as_json: bool) -> None:
    """列出最近的导入。"""

    async def work(parts: Parts) -> tuple[list[dict[str, Any]], list[str]]:
        async with parts.database.read() as session:
            found = [told(run) for run in await list_runs(session, limit)]
        zone = parts.settings.service.timezone
        return found, [local_time(run["created_at"], zone) for run in found]

    found, times = with_parts(work)
    emit(
        found,
        as_json=as_json,
        text=lambda: table(
            [
                [
                    run["id"],
                    at,
                    run["file"],
                    MODES[ImportMode(run["mode"])],
                    STATES[ImportState(run["state"])],
                    f"{run['done']}/{run['rows']}",
                    run["added"],
                    run["changed"],
                    run["refused"],
                ]
                for run, at in zip(found, times, strict=True)
            ],
            ["编号", "时间", "文件", "方式", "状态", "已处理", "新增", "更新", "未导入"],
        ),
    )


@imports.command()
@click.argument("run_id", metavar="ID", type=int)
@json_option
def show(run_id: int, *, as_json: bool) -> None:
    """查看一次导入：进度、各类问题及其行号。"""
    result = with_parts(lambda parts: _shown(parts, run_id))
    emit(result, as_json=as_json, text=lambda: _text(result))


@imports.command(name="cancel")
@click.argument("run_id", metavar="ID", type=int)
@json_option
def cancel_(run_id: int, *, as_json: bool) -> None:
    """取消一次导入；已导入的行保留。"""

    async def work(parts: Parts) -> dict[str, Any]:
        async with parts.database.write() as session:
            return told(await cancel(session, parts.clock, run_id))

    result = with_parts(work)
    emit(
        result,
        as_json=as_json,
        text=lambda: f"已取消导入 {run_id}：处理了 {result['done']}/{result['rows']} 行，已导入的保留。",
    )


@imports.command(name="result")
@click.argument("run_id", metavar="ID", type=int)
@click.option("--output", type=click.Path(path_type=Path), help="写入文件；不写则打印。")
def result_(run_id: int, output: Path | None) -> None:
    """未导入的行：原样，另加行号、原因、代码三列。改正后可直接再导入。"""

    async def work(parts: Parts) -> None:
        if output is not None:
            await _write_result(parts, run_id, output)
            return
        async for line in result_lines(parts.database, run_id):
            await asyncio.to_thread(sys.stdout.write, line)

    with_parts(work)


def _columns(maps: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in maps:
        name, equals, heading = text.partition("=")
        if not equals:
            raise click.BadParameter(f"应写成 字段=列名，如 email=邮箱地址；收到 {text}", param_hint="--map")
        found[name] = heading
    return found


def _progress(done: int, rows: int) -> None:
    click.echo(f"已处理 {done:,}/{rows:,} 行（{done * 100 // max(rows, 1)}%）", err=True)


async def _write_result(parts: Parts, run_id: int, path: Path) -> None:
    try:
        # With a mark at its front, so that a spreadsheet reads it as UTF-8.
        file = await asyncio.to_thread(path.open, "w", encoding="utf-8-sig", newline="")
    except OSError as error:
        raise BdnewsError(
            f"无法写入 {path}：{error.strerror}", hint=f"导入 {run_id} 不受影响；用 imports result 再取。"
        ) from error
    with file:
        async for line in result_lines(parts.database, run_id):
            await asyncio.to_thread(file.write, line)


async def _shown(parts: Parts, run_id: int) -> dict[str, Any]:
    async with parts.database.read() as session:
        shown = told(await find_run(session, run_id))
        errors: list[dict[str, Any]] = []
        async for row in refused_rows(session, run_id):
            errors += [
                {"row": row.number, "column": column, "code": code, "message": message}
                for column, code, message in row.problems
            ]
            if len(errors) >= MOST_SHOWN:
                break
    return {**shown, "errors": errors[:MOST_SHOWN]}


def _text(run: dict[str, Any]) -> str:
    checked = run["state"] == "checked"
    head = (
        f"共 {run['rows']} 行：{'将' if checked else ''}新增 {run['added']}，更新 {run['changed']}，"
        f"未变 {run['unchanged']}，未导入 {run['refused']}。"
    )
    if not checked:
        state = STATES[ImportState(run["state"])]
        if run["done"] < run["rows"]:
            state += f"，已处理 {run['done']}/{run['rows']} 行"
        head = f"导入 {run['id']}（{state}）：{head}"
    lines = [head]
    if checked:
        columns = "，".join(f"{heading} → {name or '（不导入）'}" for heading, name in run["columns"].items())
        lines.append(f"列：{columns}")
    if run["unknown_columns"]:
        lines.append(f"不认识的列（已忽略；可用 --map 指明）：{'、'.join(run['unknown_columns'])}")
    if run["note"]:
        lines.append(run["note"])
    for kind in run["kinds"]:
        rows = "、".join(str(first["row"]) for first in kind["first"][:10])
        more = " …" if kind["rows"] > 10 else ""
        word = "未导入" if kind["refused"] else "请留意"
        lines.append(f"{word} {kind['rows']} 行（{kind['code']}）：第 {rows}{more} 行")
    errors = run.get("errors", [])
    lines += [f"第 {e['row']} 行 {e['column']}：{e['message']}" for e in errors[:20]]
    if checked or len(errors) <= 20:
        lines += [
            f"第 {first['row']} 行：{first['message']}"
            for kind in run["kinds"]
            if checked or not kind["refused"]
            for first in kind["first"][:5]
        ]
    if run["refused"] and not checked:
        lines.append(f"取得未导入的行：bdnews subscribers imports result {run['id']} --output 未导入.csv")
    return "\n".join(lines)
