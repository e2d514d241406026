"""A file comes in: found out, cut into chunks of rows, kept in the database.

In: a path. Out: a run that is ready, with its columns guessed. Callers: cli/, the demo, later the console. The rows lie
in the database because any worker of any machine may deal with them, and a backup holds them; the file itself is needed
no more. See docs/decisions/0012.
"""

import asyncio
import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import delete, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.errors import ImportFileError, Phrase
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.settings import ImportsSettings
from bdnews_dispatch.subscribers.imports.columns import ROWS_LOOKED_AT, guess_columns
from bdnews_dispatch.subscribers.imports.files import RawRow, Sheet, is_workbook, read_csv
from bdnews_dispatch.subscribers.imports.models import ImportChunk, ImportMember, ImportRun, ImportState
from bdnews_dispatch.subscribers.imports.packing import pack
from bdnews_dispatch.subscribers.imports.sheets import read_workbook

#: Rows a chunk, and so a transaction at most: the writer's lock is held for some 200 ms.
CHUNK_ROWS = 5_000
#: Characters of cells a chunk: rows may be long.
CHUNK_SIZE = 2 * 1024 * 1024
#: A workbook's XML is so much larger than what [imports] max_bytes allows of the file.
_UNPACKED = 5
#: Chunks that are written in one transaction.
_CHUNKS_AT_ONCE = 2
_BLOCK = 1024 * 1024


async def receive(
    database: Database,
    clock: Clock,
    settings: ImportsSettings,
    publication: Publication,
    path: Path,
    *,
    file_name: str,
    origin: str,
) -> int:
    """Take a file in.

    Args:
        publication: what the people subscribe to.
        file_name: as people know it.
        origin: who brings it.

    Returns:
        The run's id. It waits: see `starting`.

    Raises:
        ImportFileError: the file can't be taken as a whole; nothing of it is kept.
    """
    size, digest = await asyncio.to_thread(_measure, path, settings.max_bytes)
    sheet = await asyncio.to_thread(_sheet, path, settings.max_bytes)
    first = await asyncio.to_thread(lambda: list(itertools.islice(sheet.rows, ROWS_LOOKED_AT)))
    if not first:
        raise ImportFileError("文件是空的")
    columns = guess_columns(first)
    run = ImportRun(
        publication=publication.key,
        file_name=file_name[-255:],
        sha256=digest,
        size=size,
        kind=sheet.kind,
        encoding=sheet.encoding,
        delimiter=sheet.delimiter,
        sheet=sheet.name[:100],
        headings=list(columns.headings),
        header_row=columns.header_row,
        mapping=list(columns.mapping),
        origin=origin[:100],
        note=f"没有读取其他工作表：{'、'.join(sheet.others)}"[:500] if sheet.others else "",
        created_at=clock(),
        busy_until=clock(),
    )
    async with database.write() as session:
        session.add(run)
        await session.flush()
    assert run.id is not None  # noqa: S101  # just written
    # What stands above the headings is a title, not a row of the table.
    rows = (row for row in itertools.chain(first, sheet.rows) if row.number > columns.header_row)
    try:
        await _keep(database, clock, run.id, rows, settings.max_rows)
    except BaseException:
        async with database.write() as session:
            await forget_rows(session, run.id)
            await session.delete(await session.get_one(ImportRun, run.id))
        raise
    return run.id


async def _keep(
    database: Database, clock: Clock, run_id: int, rows: Iterator[RawRow], most_rows: int
) -> None:
    number = total = 0
    chunks = _chunks(rows)
    while some := await asyncio.to_thread(_packed, chunks):
        total += sum(count for count, _ in some)
        if total > most_rows:
            raise ImportFileError(
                Phrase("文件超过 %(most)s 行", most=f"{most_rows:,}"), hint="请分成几个文件导入。"
            )
        async with database.write() as session:
            session.add_all(
                ImportChunk(run_id=run_id, number=number + place, data=data)
                for place, (_, data) in enumerate(some)
            )
            number += len(some)
            await session.execute(
                update(ImportRun)
                .where(col(ImportRun.id) == run_id)
                .values(rows=total, chunks=number, busy_until=clock())
            )
    if not total:
        raise ImportFileError("文件里只有标题，没有数据行")
    async with database.write() as session:
        await session.execute(
            update(ImportRun)
            .where(col(ImportRun.id) == run_id)
            .values(state=ImportState.READY, busy_until=None)
        )


def _chunks(rows: Iterator[RawRow]) -> Iterator[list[RawRow]]:
    chunk: list[RawRow] = []
    size = 0
    for row in rows:
        chunk.append(row)
        size += sum(map(len, row.cells))
        if len(chunk) >= CHUNK_ROWS or size >= CHUNK_SIZE:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _packed(chunks: Iterator[list[RawRow]]) -> list[tuple[int, bytes]]:
    """The next few chunks, each with its number of rows."""
    return [(len(chunk), pack(chunk)) for chunk in itertools.islice(chunks, _CHUNKS_AT_ONCE)]


def _measure(path: Path, most_bytes: int) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    try:
        if not path.is_file():
            raise ImportFileError(Phrase("读不到文件 %(path)s：没有这个文件", path=path))
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                size += len(block)
                if size > most_bytes:
                    raise ImportFileError(
                        Phrase("文件超过 %(most)s MB", most=most_bytes // 1024 // 1024),
                        hint="请分成几个文件导入，或改设置 imports.max_bytes。",
                    )
                digest.update(block)
    except OSError as error:
        raise ImportFileError(
            Phrase("读不到文件 %(path)s：%(reason)s", path=path, reason=error.strerror)
        ) from error
    return size, digest.hexdigest()


def _sheet(path: Path, most_bytes: int) -> Sheet:
    return read_workbook(path, most_bytes * _UNPACKED) if is_workbook(path) else read_csv(path)


async def forget_rows(session: AsyncSession, run_id: int) -> None:
    """Take away the rows of a run that nobody needs any more; what was refused stays."""
    for table in (ImportChunk, ImportMember):
        await session.execute(delete(table).where(col(table.run_id) == run_id))
