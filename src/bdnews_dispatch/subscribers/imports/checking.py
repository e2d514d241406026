"""What a run would do, without doing it. In: a run that is ready. Out: counts by kind, rows as the spreadsheet counts.

Callers: cli/, later the console. Reads chunk after chunk and asks the database, as the run itself does; who comes twice
in the file may be counted as new twice.
"""

import asyncio

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.issues.publications import Publications
from bdnews_dispatch.links import Signer
from bdnews_dispatch.subscribers.imports.applying import apply_entries
from bdnews_dispatch.subscribers.imports.counting import Counts
from bdnews_dispatch.subscribers.imports.models import ImportChunk
from bdnews_dispatch.subscribers.imports.packing import unpack
from bdnews_dispatch.subscribers.imports.rows import Entry, RowReader
from bdnews_dispatch.subscribers.imports.running import terms_of
from bdnews_dispatch.subscribers.imports.starting import find_run


async def check(
    database: Database, clock: Clock, publications: Publications, signer: Signer, run_id: int
) -> Counts:
    """Raises: NotFoundError: there is no such import."""
    counts = Counts()
    async with database.read() as session:
        run = await find_run(session, run_id)
    reader = RowReader(publications.named(run.publication), run.mapping)
    for number in range(run.chunk, run.chunks):
        async with database.read() as session:
            chunk = await session.get(ImportChunk, (run_id, number))
            if chunk is None:
                break
            entries = await asyncio.to_thread(_entries, reader, chunk.data)
            terms = await terms_of(session, clock, run, make_list=False)
            while entries:
                outcomes = await apply_entries(session, signer, terms, entries, write=False)
                counts.add(entries, outcomes)
                entries = entries[len(outcomes) :]
    return counts


def _entries(reader: RowReader, data: bytes) -> list[Entry]:
    return [reader.read(raw) for raw in unpack(data)]
