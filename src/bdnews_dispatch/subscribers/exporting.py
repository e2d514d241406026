"""Exporting subscribers as CSV, in slices, in the columns that an import takes.

In: a publication. Out: lines of text, as they are read. Callers: cli/, later the console. Only who is subscribed now is
in it; what a spreadsheet would take for a formula is made harmless, and an import takes that mark off again.
"""

import csv
import io
from collections.abc import AsyncIterator
from datetime import datetime

from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.subscribers.audience import Person, slice_of
from bdnews_dispatch.subscribers.fields import known_sections
from bdnews_dispatch.subscribers.table import COLUMNS, FORMULA_STARTS
from bdnews_dispatch.subscribers.targeting import EVERYBODY, Target

_SLICE = 1_000


async def export_csv(
    database: Database, publication: Publication, *, target: Target = EVERYBODY, now: datetime | None = None
) -> AsyncIterator[str]:
    """The header, then a line for each subscriber, with CRLF (RFC 4180).

    Args:
        target, now: whom; as `slice_of` has them.
    """
    yield ",".join(COLUMNS) + "\r\n"
    after = 0
    while True:
        async with database.read() as session:
            people = await slice_of(
                session, publication.key, after_id=after, limit=_SLICE, target=target, now=now
            )
        for person in people:
            yield _line(publication, person)
        if len(people) < _SLICE:
            return
        after = people[-1].subscriber_id


def harmless(cell: str) -> str:
    """The cell, with a mark in front where a spreadsheet would take it for a formula."""
    return f"'{cell}" if cell[:1] in FORMULA_STARTS else cell


def _line(publication: Publication, person: Person) -> str:
    sections = "*" if person.whole_issue else "|".join(known_sections(publication, person.sections))
    cells = {
        "email": person.email or "",
        "name": person.name,
        "openid": person.openid or "",
        "sections": sections,
        "channel": person.channel.value,
        "cadence": person.cadence.value,
    }
    buffer = io.StringIO()
    csv.writer(buffer).writerow([harmless(cells[column]) for column in COLUMNS])
    return buffer.getvalue()
