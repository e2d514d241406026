"""Exporting subscribers as CSV or XLSX, in slices, in the columns that an import takes.

In: a publication, whom, which columns. Out: rows, as they are read. Callers: cli/, later the console. Only
who is subscribed now is in it; what a spreadsheet would take for a formula is made harmless, and an import takes that
mark off again.
"""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.db.statements import fetch_by
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.subscribers.audience import Person, slice_of
from bdnews_dispatch.subscribers.fields import known_sections
from bdnews_dispatch.subscribers.formulas import harmless
from bdnews_dispatch.subscribers.imports.columns import ATTRIBUTE, PLAIN_FIELDS
from bdnews_dispatch.subscribers.models import SubscriberAttribute
from bdnews_dispatch.subscribers.targeting import EVERYBODY, Target

_SLICE = 1_000
#: Of a sheet of Excel's.
MOST_ROWS = 1_048_576
_TAGS = "SELECT subscriber_id, tag FROM subscriber_tag WHERE subscriber_id IN ({values}) ORDER BY tag"
_ATTRIBUTES = "SELECT subscriber_id, name, value FROM subscriber_attribute WHERE subscriber_id IN ({values})"


async def export_rows(
    database: Database,
    publication: Publication,
    *,
    target: Target = EVERYBODY,
    now: datetime | None = None,
    everything: bool = False,
) -> AsyncIterator[list[str]]:
    """The headings, then the cells of each subscriber.

    Args:
        target, now: whom; as `slice_of` has them.
        everything: language, tags and a column for each attribute, too.
    """
    columns: list[str] = list(PLAIN_FIELDS)
    if everything:
        async with database.read() as session:
            names = select(col(SubscriberAttribute.name)).distinct().order_by(col(SubscriberAttribute.name))
            attributes = (await session.execute(names)).scalars()
            columns += ["language", "tags", *(f"{ATTRIBUTE}{name}" for name in attributes)]
    yield columns
    after = 0
    while True:
        async with database.read() as session:
            people = await slice_of(
                session, publication.key, after_id=after, limit=_SLICE, target=target, now=now
            )
            more = await _described(session, people) if everything else {}
        for person in people:
            cells = _cells(publication, person) | more.get(person.subscriber_id, {})
            yield [cells.get(column, "") for column in columns]
        if len(people) < _SLICE:
            return
        after = people[-1].subscriber_id


async def _described(session: AsyncSession, people: Sequence[Person]) -> dict[int, dict[str, str]]:
    ids = [person.subscriber_id for person in people]
    found = {person.subscriber_id: {"language": person.language} for person in people}
    for subscriber_id, tag in await fetch_by(session, _TAGS, ids, integers=True):
        cells = found[subscriber_id]
        cells["tags"] = f"{cells['tags']}|{tag}" if "tags" in cells else tag
    for subscriber_id, name, value in await fetch_by(session, _ATTRIBUTES, ids, integers=True):
        found[subscriber_id][f"{ATTRIBUTE}{name}"] = value
    return found


def _cells(publication: Publication, person: Person) -> dict[str, str]:
    sections = "*" if person.whole_issue else "|".join(known_sections(publication, person.sections))
    return {
        "email": person.email or "",
        "name": person.name,
        "openid": person.openid or "",
        "sections": sections,
        "channel": person.channel.value,
        "cadence": person.cadence.value,
    }


def csv_line(cells: Sequence[str]) -> str:
    """A line of CSV with CRLF (RFC 4180), its formulas made harmless."""
    buffer = io.StringIO()
    csv.writer(buffer).writerow([harmless(cell) for cell in cells])
    return buffer.getvalue()


class Workbook:
    """An XLSX file, written row by row: a row is on the disk when the next one comes. Its cells are text, whatever they
    say.

    Raises:
        OverflowError: from `add`: a sheet takes no more than 1,048,576 rows.
    """

    def __init__(self, file: Path) -> None:
        import xlsxwriter  # noqa: PLC0415  # only where a workbook is wanted

        self._book = xlsxwriter.Workbook(
            str(file), {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
        )
        self._sheet = self._book.add_worksheet("订阅者")
        self._rows = 0

    def add(self, cells: Sequence[str]) -> None:
        """The next row."""
        if self._rows >= MOST_ROWS:
            raise OverflowError
        for place, cell in enumerate(cells):
            self._sheet.write_string(self._rows, place, cell)
        self._rows += 1

    def close(self) -> None:
        """Write the file."""
        self._book.close()
