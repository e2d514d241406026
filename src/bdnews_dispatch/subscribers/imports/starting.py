"""What is wanted of a file that has come in: columns, mode, list, basis. Begun, cancelled, shown.

In: a run's id and a person's choices, inside the caller's transaction. Out: the run's row. Callers: cli/, later the
console.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, text
from sqlmodel import col, or_
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.errors import ImportFileError, NotFoundError, Phrase, StateError
from bdnews_dispatch.subscribers.consent import keep_text
from bdnews_dispatch.subscribers.fields import LONGEST_NAME
from bdnews_dispatch.subscribers.imports.columns import Columns, check_mapping, map_columns
from bdnews_dispatch.subscribers.imports.models import (
    OPEN,
    ImportMode,
    ImportRefused,
    ImportRun,
    ImportState,
)
from bdnews_dispatch.subscribers.imports.receiving import forget_rows

#: Modes in which people are written to afterwards, and so must have agreed.
NEED_BASIS = frozenset({ImportMode.ADD, ImportMode.UPDATE, ImportMode.REPLACE_LIST})
LONGEST_BASIS = 1_000
_OPEN = (ImportState.RECEIVING, ImportState.READY, ImportState.RUNNING)
#: A file that has not come on for so long has lost whoever brought it.
LOST_AFTER = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Choices:
    """What a person wants of a file.

    Attributes:
        columns: by hand: field → heading; see `map_columns`.
        list_name: everybody taken is put on it; it is made if it is not there.
        basis: why these people may be written to, in the words that are kept with every agreement.
    """

    mode: ImportMode = ImportMode.UPDATE
    columns: Mapping[str, str] = field(default_factory=dict)
    list_name: str = ""
    basis: str = ""


async def find_run(session: AsyncSession, run_id: int) -> ImportRun:
    """Raises: NotFoundError: there is no such import."""
    found = await session.get(ImportRun, run_id)
    if found is None:
        raise NotFoundError(
            Phrase("没有编号为 %(id)s 的导入", id=run_id),
            hint="见“订阅者 › 导入”；命令行：bdnews subscribers imports list。",
        )
    return found


async def choose(session: AsyncSession, run_id: int, choices: Choices) -> ImportRun:
    """Set what is wanted of a file that is ready.

    Raises:
        ImportFileError: a column, the list's name or the basis is missing or can't be taken.
        StateError: it has begun already, or is over.
    """
    run = await find_run(session, run_id)
    if run.state is not ImportState.READY:
        raise StateError(
            Phrase("导入 %(id)s 不在待开始的状态（%(state)s）", id=run_id, state=run.state.value)
        )
    guessed = Columns(run.header_row, tuple(run.headings), tuple(run.mapping))
    columns = map_columns(guessed, choices.columns)
    check_mapping(columns)
    name, basis = choices.list_name.strip(), " ".join(choices.basis.split())
    if len(name) > LONGEST_NAME:
        raise ImportFileError(Phrase("名单的名称应为 1–%(most)s 个字", most=LONGEST_NAME))
    if choices.mode is ImportMode.REPLACE_LIST and not name:
        raise ImportFileError("替换名单时须写明是哪一个", hint="写上名单的名称，如“部委”；命令行：--list。")
    if len(basis) > LONGEST_BASIS:
        raise ImportFileError(Phrase("依据最多 %(most)s 个字", most=LONGEST_BASIS))
    run.mapping, run.mode, run.list_name, run.basis = list(columns.mapping), choices.mode, name, basis
    session.add(run)
    await session.flush()
    return run


async def begin(session: AsyncSession, clock: Clock, run_id: int) -> ImportRun:
    """Let a run begin; a worker, or the caller's own `Importer`, does the work.

    Raises:
        ImportFileError: why the people may be written to is not said.
        StateError: it has begun already, or is over.
    """
    run = await find_run(session, run_id)
    if run.state is not ImportState.READY:
        raise StateError(
            Phrase("导入 %(id)s 不在待开始的状态（%(state)s）", id=run_id, state=run.state.value)
        )
    if run.mode in NEED_BASIS and not run.basis:
        raise ImportFileError(
            "没有写明依据：这些人凭什么可以收到邮件（个人信息保护法第十三条）",
            hint="写在“依据”里，如“2026 年 11 月会场登记，同意接收本刊”；原样保存，每一条订阅都会注明。",
        )
    if run.basis:
        run.consent = await keep_text(session, clock, run.basis, "zh")
    run.state, run.started_at = ImportState.RUNNING, clock()
    session.add(run)
    await session.flush()
    return run


async def cancel(session: AsyncSession, clock: Clock, run_id: int) -> ImportRun:
    """Stop a run; what it has done stays. Raises: StateError: it is over."""
    run = await find_run(session, run_id)
    if run.state not in _OPEN:
        raise StateError(Phrase("导入 %(id)s 已经结束（%(state)s）", id=run_id, state=run.state.value))
    await forget_rows(session, run_id)
    run.state, run.finished_at, run.busy_until = ImportState.CANCELLED, clock(), None
    session.add(run)
    await session.flush()
    return run


async def discard(session: AsyncSession, run_id: int) -> None:
    """Take a run away as if its file had never come: it was only checked, or is there already."""
    await forget_rows(session, run_id)
    await session.execute(delete(ImportRun).where(col(ImportRun.id) == run_id))


async def unfinished(session: AsyncSession, run: ImportRun) -> ImportRun | None:
    """An earlier run of the same file with the same choices that was stopped half-way."""
    statement = (
        select(ImportRun)
        .where(
            col(ImportRun.sha256) == run.sha256,
            col(ImportRun.publication) == run.publication,
            col(ImportRun.mode) == run.mode,
            col(ImportRun.list_name) == run.list_name,
            col(ImportRun.basis) == run.basis,
            col(ImportRun.state) == ImportState.RUNNING,
            col(ImportRun.id) != run.id,
        )
        .order_by(col(ImportRun.id))
    )
    found = (await session.execute(statement)).scalars()
    return next((one for one in found if one.mapping == run.mapping), None)


async def list_runs(session: AsyncSession, limit: int, *, before: int = 0) -> Sequence[ImportRun]:
    """The newest first. Args: before: the last number of the page before; 0: from the end."""
    statement = select(ImportRun).order_by(col(ImportRun.id).desc()).limit(limit)
    if before:
        statement = statement.where(col(ImportRun.id) < before)
    return (await session.execute(statement)).scalars().all()


async def waiting_runs(session: AsyncSession, now: datetime) -> Sequence[int]:
    """Those that run and that nobody is at."""
    statement = (
        select(col(ImportRun.id))
        .where(text(OPEN), col(ImportRun.state) == ImportState.RUNNING)
        .where(or_(col(ImportRun.busy_until).is_(None), col(ImportRun.busy_until) < now))
        .order_by(col(ImportRun.id))
    )
    return [run_id for run_id in (await session.execute(statement)).scalars() if run_id is not None]


async def tidy(session: AsyncSession, clock: Clock, keep_days: int) -> None:
    """Take away what nobody comes back for: files half received, refused rows that are old."""
    now = clock()
    receiving = col(ImportRun.state) == ImportState.RECEIVING
    lost = select(ImportRun).where(text(OPEN), receiving, col(ImportRun.busy_until) < now - LOST_AFTER)
    for run in (await session.execute(lost)).scalars():
        assert run.id is not None  # noqa: S101  # from the database
        await forget_rows(session, run.id)
        run.state, run.finished_at, run.note = ImportState.FAILED, now, "文件没有收完，请重新导入。"
        session.add(run)
    old = select(col(ImportRun.id)).where(col(ImportRun.finished_at) < now - timedelta(days=keep_days))
    await session.execute(delete(ImportRefused).where(col(ImportRefused.run_id).in_(old)))


def told(run: ImportRun) -> dict[str, Any]:
    """A run as plain data."""
    columns = Columns(run.header_row, tuple(run.headings), tuple(run.mapping))
    return {
        "id": run.id,
        "state": run.state.value,
        "file": run.file_name,
        "kind": run.kind,
        "encoding": run.encoding,
        "sheet": run.sheet,
        "mode": run.mode.value,
        "list": run.list_name or None,
        "basis": run.basis,
        "columns": dict(zip(run.headings, run.mapping, strict=True)),
        "unknown_columns": columns.unknown,
        "rows": run.rows,
        "done": run.done,
        "added": run.added,
        "changed": run.changed,
        "unchanged": run.unchanged,
        "refused": run.refused,
        "kinds": [
            {
                "code": code,
                "rows": kind["rows"],
                "refused": kind["refused"],
                "first": [{"row": row, "message": message} for row, message in kind["first"]],
            }
            for code, kind in sorted(run.kinds.items(), key=lambda item: (-item[1]["rows"], item[0]))
        ],
        "note": run.note,
        "by": run.origin,
        "created_at": run.created_at.isoformat(),
        "finished_at": run.finished_at.isoformat() if run.finished_at else None,
    }
