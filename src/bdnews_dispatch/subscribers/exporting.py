"""Exporting subscribers as CSV, in slices, in the columns that an import takes.

In: a publication, whom, which columns. Out: lines of text, as they are read. Callers: cli/, later the console. Only
who is subscribed now is in it; what a spreadsheet would take for a formula is made harmless, and an import takes that
mark off again.
"""

import csv
import io
from collections.abc import AsyncIterator, Sequence
from datetime import datetime

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
_TAGS = "SELECT subscriber_id, tag FROM subscriber_tag WHERE subscriber_id IN ({values}) ORDER BY tag"
_ATTRIBUTES = "SELECT subscriber_id, name, value FROM subscriber_attribute WHERE subscriber_id IN ({values})"


async def export_csv(
    database: Database,
    publication: Publication,
    *,
    target: Target = EVERYBODY,
    now: datetime | None = None,
    everything: bool = False,
) -> AsyncIterator[str]:
    """The header, then a line for each subscriber, with CRLF (RFC 4180).

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
    yield _line([harmless(column) for column in columns])
    after = 0
    while True:
        async with database.read() as session:
            people = await slice_of(
                session, publication.key, after_id=after, limit=_SLICE, target=target, now=now
            )
            more = await _described(session, people) if everything else {}
        for person in people:
            cells = _cells(publication, person) | more.get(person.subscriber_id, {})
            yield _line([harmless(cells.get(column, "")) for column in columns])
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


def _line(cells: Sequence[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue()
