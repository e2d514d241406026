"""The rows that a run refused, as a file that can be corrected and imported again.

In: a run's id. Out: lines of CSV, as they are read. Callers: cli/, later the console. The columns are the file's own,
and three more that an import knows and leaves out: 行号, 原因, 代码. A workbook's result is CSV too.
"""

import csv
import io
from collections.abc import AsyncIterator

from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.subscribers.formulas import harmless
from bdnews_dispatch.subscribers.imports.columns import RESULT_HEADINGS
from bdnews_dispatch.subscribers.imports.models import ImportRefused
from bdnews_dispatch.subscribers.imports.packing import RefusedRow, unpack_refused
from bdnews_dispatch.subscribers.imports.starting import find_run


async def refused_rows(session: AsyncSession, run_id: int) -> AsyncIterator[RefusedRow]:
    """In the order of the file."""
    after = (-1, -1)
    while True:
        statement = (
            select(ImportRefused)
            .where(col(ImportRefused.run_id) == run_id)
            .where(
                (col(ImportRefused.chunk) > after[0])
                | ((col(ImportRefused.chunk) == after[0]) & (col(ImportRefused.start) > after[1]))
            )
            .order_by(col(ImportRefused.chunk), col(ImportRefused.start))
            .limit(1)
        )
        found = (await session.execute(statement)).scalar_one_or_none()
        if found is None:
            return
        for row in unpack_refused(found.data):
            yield row
        after = (found.chunk, found.start)
        session.expunge(found)


async def result_lines(database: Database, run_id: int) -> AsyncIterator[str]:
    """The heading, then a line for each refused row, with CRLF (RFC 4180); write them as UTF-8 with a mark in front.

    Raises:
        NotFoundError: there is no such import.
    """
    async with database.read() as session:
        run = await find_run(session, run_id)
        # An earlier result's own columns would be told twice.
        kept = [place for place, heading in enumerate(run.headings) if heading not in RESULT_HEADINGS]
        by_hand = dict(zip(run.headings, run.mapping, strict=True))
        # Without headings of its own the file gets those that its columns were taken for.
        headings = [
            run.headings[place] if run.header_row else (by_hand[run.headings[place]] or run.headings[place])
            for place in kept
        ]
        yield _line([*headings, *RESULT_HEADINGS])
        async for row in refused_rows(session, run_id):
            cells = [row.cells[place] if place < len(row.cells) else "" for place in kept]
            more = row.cells[len(run.headings) :]
            reasons = "；".join(message for _, _, message in row.problems)
            codes = " ".join(code for _, code, _ in row.problems)
            # What stands beyond the headings stays in sight, behind our own columns.
            yield _line([*cells, str(row.number), reasons, codes, *more])


def _line(cells: list[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow([harmless(cell) for cell in cells])
    return buffer.getvalue()
