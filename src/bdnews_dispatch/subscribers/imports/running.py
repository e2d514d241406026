"""A run goes on: slice after slice, each with its counts and the place in the file in one transaction.

In: a run that is running. Out: people; at the end an event. Callers: the worker, cli/. Whoever is killed leaves
either all of a slice or nothing of it; whoever takes over begins where the row says. Two at the same run do no harm:
the second finds the place moved and looks again.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, exists, select, update
from sqlalchemy.exc import DBAPIError
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.db.statements import is_about_the_rows
from bdnews_dispatch.issues.publications import Publications
from bdnews_dispatch.links import Signer
from bdnews_dispatch.messaging.outbox import record
from bdnews_dispatch.subscribers.imports.applying import apply_entries
from bdnews_dispatch.subscribers.imports.counting import Counts
from bdnews_dispatch.subscribers.imports.deciding import Outcome, Terms
from bdnews_dispatch.subscribers.imports.models import (
    ImportChunk,
    ImportMember,
    ImportMode,
    ImportRefused,
    ImportRun,
    ImportState,
)
from bdnews_dispatch.subscribers.imports.packing import pack, unpack
from bdnews_dispatch.subscribers.imports.receiving import forget_rows
from bdnews_dispatch.subscribers.imports.rows import Entry, RowReader
from bdnews_dispatch.subscribers.lists import find_or_make_list, leave_list
from bdnews_dispatch.subscribers.models import ListMembership

logger = logging.getLogger(__name__)

FINISHED_EVENT = "import.finished"
#: Who has made a slice is believed to be at the next one for so long.
BUSY_SECONDS = 5.0
#: People who leave a replaced list in one transaction.
_LEAVING_AT_ONCE = 2_500


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a slice begins, and its entries."""

    chunk: int
    start: int
    entries: Sequence[Entry]


class Importer:
    """Runs imports; one for each process."""

    def __init__(self, database: Database, clock: Clock, publications: Publications, signer: Signer) -> None:
        self._database = database
        self._clock = clock
        self._publications = publications
        self._signer = signer
        self._readers: dict[int, RowReader] = {}
        self._rest: dict[int, _Place] = {}
        self._most: dict[int, int] = {}

    async def run_slice(self, run_id: int) -> bool:
        """The next slice. Returns: whether there may be more to do."""
        async with self._database.read() as session:
            run = await session.get(ImportRun, run_id)
        if run is None or run.state is not ImportState.RUNNING:
            self._forget(run_id)
            return False
        if run.chunk >= run.chunks:
            self._forget(run_id)
            return await self._end(run_id)
        place = await self._entries(run)
        if place is None:
            return True  # somebody else has dealt with it since
        most = self._most.get(run_id, len(place.entries))
        try:
            await self._slice(run_id, place, place.entries[:most])
        except DBAPIError as error:
            if not is_about_the_rows(error):
                raise
            # A row that the database does not take, whatever we think of it: the smaller the slice, the nearer we are.
            # Not in the database's words: PostgreSQL's have the whole row in them.
            why = type(error.orig).__name__
            logger.warning("import.slice_refused", extra={"import": run_id, "rows": most, "why": why})
            if most == 1:
                await self._refuse(run_id, place)
            self._most[run_id] = max(1, most // 10)
        else:
            if most < len(place.entries):
                self._most[run_id] = most * 2
            else:
                self._most.pop(run_id, None)
        return True

    def _forget(self, run_id: int) -> None:
        self._readers.pop(run_id, None)
        self._most.pop(run_id, None)
        self._rest.pop(run_id, None)

    async def _entries(self, run: ImportRun) -> _Place | None:
        """What comes next: what the slice before it left over, or a chunk.

        Reading ahead while a slice is written was slower by a fifth: two threads that both want the interpreter.
        """
        assert run.id is not None  # noqa: S101  # from the database
        place = self._rest.pop(run.id, None)
        if place is None or (place.chunk, place.start) != (run.chunk, run.start):
            place = await self._read(run.id, run.publication, run.mapping, run.chunk, run.start)
        return place

    async def _read(
        self, run_id: int, publication: str, mapping: Sequence[str], chunk: int, start: int
    ) -> _Place | None:
        reader = self._readers.get(run_id)
        if reader is None:
            reader = self._readers[run_id] = RowReader(self._publications.named(publication), mapping)
        async with self._database.read() as session:
            found = await session.get(ImportChunk, (run_id, chunk))
        if found is None:
            return None

        def read() -> list[Entry]:
            return [reader.read(raw) for raw in unpack(found.data)[start:]]

        return _Place(chunk, start, await asyncio.to_thread(read))

    async def _slice(self, run_id: int, place: _Place, entries: Sequence[Entry]) -> None:
        async with self._database.write() as session:
            run = await self._still(session, run_id, place)
            if run is None:
                return
            terms = await terms_of(session, self._clock, run)
            outcomes = await apply_entries(session, self._signer, terms, entries)
            await self._advance(session, run, place, entries[: len(outcomes)], outcomes)
        done = len(outcomes)
        if done < len(place.entries):
            self._rest[run_id] = _Place(place.chunk, place.start + done, place.entries[done:])

    async def _refuse(self, run_id: int, place: _Place) -> None:
        told = Outcome("refused", None, "", "row.database", "数据库不接受这一行，详见日志")
        async with self._database.write() as session:
            run = await self._still(session, run_id, place)
            if run is not None:
                await self._advance(session, run, place, place.entries[:1], [told])

    async def _still(self, session: AsyncSession, run_id: int, place: _Place) -> ImportRun | None:
        run = await session.get(ImportRun, run_id)
        if run is None or run.state is not ImportState.RUNNING:
            return None
        return run if (run.chunk, run.start) == (place.chunk, place.start) else None

    async def _advance(
        self,
        session: AsyncSession,
        run: ImportRun,
        place: _Place,
        entries: Sequence[Entry],
        outcomes: Sequence[Outcome],
    ) -> None:
        counts = Counts.of(run)
        refused = counts.add(entries, outcomes)
        assert run.id is not None  # noqa: S101  # from the database
        if refused:
            session.add(
                ImportRefused(run_id=run.id, chunk=place.chunk, start=place.start, data=pack(refused))
            )
        over = len(outcomes) == len(place.entries)
        if over:
            await session.execute(
                delete(ImportChunk).where(
                    col(ImportChunk.run_id) == run.id, col(ImportChunk.number) == place.chunk
                )
            )
        await session.execute(
            update(ImportRun)
            .where(col(ImportRun.id) == run.id)
            .values(
                **counts.columns(),
                chunk=place.chunk + 1 if over else place.chunk,
                start=0 if over else place.start + len(outcomes),
                busy_until=self._clock() + timedelta(seconds=BUSY_SECONDS),
            )
            .execution_options(synchronize_session=False)
        )

    async def _end(self, run_id: int) -> bool:
        """All rows are dealt with. Returns: whether there is more to do, of a list that is replaced."""
        async with self._database.write() as session:
            run = await session.get(ImportRun, run_id)
            if run is None or run.state is not ImportState.RUNNING:
                return False
            if run.mode is ImportMode.REPLACE_LIST and await self._leave(session, run):
                return True
            await forget_rows(session, run_id)
            run.state = ImportState.FINISHED
            run.finished_at = self._clock()
            run.busy_until = None
            session.add(run)
            await record(session, self._clock, FINISHED_EVENT, f"{FINISHED_EVENT}:{run_id}", import_id=run_id)
        logger.info(
            "import.finished",
            extra={"import": run_id, "rows": run.rows, "added": run.added, "refused": run.refused},
        )
        return False

    async def _leave(self, session: AsyncSession, run: ImportRun) -> bool:
        """Some of those who are on the list and not in the file leave it. Returns: whether there were any."""
        assert run.id is not None  # noqa: S101  # from the database
        anybody = select(col(ImportMember.subscriber_id)).where(col(ImportMember.run_id) == run.id).limit(1)
        if (await session.execute(anybody)).first() is None:
            run.note = f"{run.note} 文件里没有一位可用的订阅者，名单保持原样。".strip()[:500]
            return False
        list_id = await find_or_make_list(session, self._clock, run.list_name)
        in_file = exists().where(
            col(ImportMember.run_id) == run.id,
            col(ImportMember.subscriber_id) == col(ListMembership.subscriber_id),
        )
        leaving = (
            select(col(ListMembership.subscriber_id))
            .where(col(ListMembership.list_id) == list_id, col(ListMembership.left_at).is_(None), ~in_file)
            .limit(_LEAVING_AT_ONCE)
        )
        ids = list((await session.execute(leaving)).scalars())
        if ids:
            await leave_list(session, self._clock, list_id, ids, reason=f"import:{run.id}")
        return bool(ids)


async def terms_of(session: AsyncSession, clock: Clock, run: ImportRun, *, make_list: bool = True) -> Terms:
    """What holds for every row of the run. Args: make_list: where there is none of that name."""
    assert run.id is not None  # noqa: S101  # from the database
    list_id = await find_or_make_list(session, clock, run.list_name) if run.list_name and make_list else None
    return Terms(run.id, run.mode, run.publication, list_id, run.consent, clock())
