"""Importing subscribers from a table file, in slices, each its own transaction.

In: bytes of CSV as a spreadsheet saves it. Out: an `ImportReport` that names every row that was left out. Callers:
cli/, later the console. A bad row never stops the rest, an import that died half-way is simply run again, and nobody
who has unsubscribed comes back by it.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.errors import ImportFileError
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.links import Signer
from bdnews_dispatch.subscribers import fields
from bdnews_dispatch.subscribers.agreements import Proof
from bdnews_dispatch.subscribers.bulk import Applied, Entry, apply_slice
from bdnews_dispatch.subscribers.lists import find_or_make_list, join_list
from bdnews_dispatch.subscribers.table import Record, read_table

#: Rows a transaction: the writer's lock is held for some 50 ms.
SLICE = 1_000
#: Problems that a report lists; beyond it they are counted.
MOST_PROBLEMS = 10_000

_ORIGIN = "import"


@dataclass(frozen=True, slots=True)
class RowProblem:
    """What is to know about a row. `row` is as Excel counts; `code` is a dotted name that never changes."""

    row: int
    column: str
    code: str
    message: str


@dataclass
class ImportReport:
    """What an import did: rows = added + changed + unchanged + left_out.

    Attributes:
        errors: by row; also what was kept as it was on purpose (`unsubscribed`, `own_choice`), with its code.
        more_errors: those beyond the first 10,000.
        list: the list's name, where one was named.
    """

    rows: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    left_out: int = 0
    errors: list[RowProblem] = field(default_factory=list)
    more_errors: int = 0
    list: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


@dataclass
class _Readings:
    """What the file holds: the rows to apply, and what is wrong with the others."""

    entries: list[Entry] = field(default_factory=list)
    problems: list[RowProblem] = field(default_factory=list)
    rows: int = 0
    left_out: int = 0


async def import_csv(
    database: Database,
    clock: Clock,
    publication: Publication,
    data: bytes,
    *,
    list_name: str | None,
    origin_name: str,
    signer: Signer | None = None,
) -> ImportReport:
    """Import a file.

    Args:
        publication: what the people subscribe to.
        data: CSV in UTF-8 or GB18030, `,` `;` or TAB between the cells; columns as `table.COLUMNS`, in any order.
        list_name: everybody taken is put on this list, which is made if it is not there.
        origin_name: of the file; kept with the row's number as evidence.
        signer: for `bulk.apply_slice`: people who had everything erased are left out.

    Raises:
        ImportFileError: the file can't be taken as a whole; nothing was written.
    """
    if list_name is not None and not 0 < len(list_name.strip()) <= fields.LONGEST_NAME:
        raise ImportFileError(f"名单的名称应为 1–{fields.LONGEST_NAME} 个字")
    readings = await asyncio.to_thread(_read, data, publication, origin_name)
    problems = readings.problems
    report = ImportReport(
        rows=readings.rows, left_out=readings.left_out, list=list_name and list_name.strip()
    )
    for start in range(0, len(readings.entries), SLICE):
        part = readings.entries[start : start + SLICE]
        async with database.write() as session:
            results = await apply_slice(session, clock, publication, part, origin=_ORIGIN, signer=signer)
            if report.list:
                kept = [
                    r.subscriber_id for r in results if r.subscriber_id is not None and r.status != "left_out"
                ]
                list_id = await find_or_make_list(session, clock, report.list)
                await join_list(session, clock, list_id, kept, Proof(_ORIGIN, origin_name))
        for entry, result in zip(part, results, strict=True):
            _count(report, problems, entry, result)
    problems.sort(key=lambda problem: problem.row)
    report.errors = problems[:MOST_PROBLEMS]
    report.more_errors = len(problems) - len(report.errors)
    return report


def _count(report: ImportReport, problems: list[RowProblem], entry: Entry, result: Applied) -> None:
    match result.status:
        case "added":
            report.added += 1
        case "changed":
            report.changed += 1
        case "unchanged":
            report.unchanged += 1
        case "left_out":
            report.left_out += 1
    if result.code:
        problems.append(RowProblem(entry.row, result.column, result.code, result.message))


def _read(data: bytes, publication: Publication, origin_name: str) -> _Readings:
    table = read_table(data)
    names = fields.SectionNames(publication)
    readings = _Readings()
    readings.problems += [
        RowProblem(1, heading[:40], "header.unknown", "不认识这一列，已忽略") for heading in table.unknown
    ]
    found: list[Entry] = []
    for record in table.records:
        readings.rows += 1
        entry, problems = _entry(record, names, f"{origin_name}:{record.row}")
        readings.problems += problems
        if entry is None:
            readings.left_out += 1
        else:
            found.append(entry)
    readings.entries = _without_doubles(found, readings)
    return readings


def _entry(
    record: Record, names: fields.SectionNames, evidence: str
) -> tuple[Entry | None, list[RowProblem]]:
    if record.problem is not None:
        return None, [RowProblem(record.row, "", *record.problem)]
    entry = Entry(row=record.row, evidence=evidence)
    problems = []
    for column, text in record.cells.items():
        try:
            _take(entry, column, text, names)
        except fields.FieldError as error:
            problems.append(RowProblem(record.row, error.column, error.code, error.message))
    if not problems and entry.email is None and entry.openid is None:
        problems.append(
            RowProblem(record.row, "email", "identity.missing", "邮箱和 openid 都是空的，至少要填一个")
        )
    return (None if problems else entry), problems


def _take(entry: Entry, column: str, text: str, names: fields.SectionNames) -> None:
    """An empty cell of anything but the sections leaves what is known as it is."""
    if column == "sections":
        entry.wish = names.read(text)
    elif text:
        match column:
            case "email":
                entry.email = fields.read_address(text)
            case "openid":
                entry.openid = fields.read_openid(text)
            case "name":
                entry.name = fields.read_name(text)
            case "channel":
                entry.channel = fields.read_channel(text)
            case "cadence":
                entry.cadence = fields.read_cadence(text)


def _without_doubles(found: Sequence[Entry], readings: _Readings) -> list[Entry]:
    """Of rows about the same person the last counts."""
    by_email: dict[str, Entry] = {}
    by_openid: dict[str, Entry] = {}
    superseded: dict[int, int] = {}
    for entry in found:
        earlier = [
            by_email.get(entry.email.key) if entry.email else None,
            by_openid.get(entry.openid) if entry.openid else None,
        ]
        superseded |= {one.row: entry.row for one in earlier if one is not None}
        if entry.email:
            by_email[entry.email.key] = entry
        if entry.openid:
            by_openid[entry.openid] = entry
    for row, later in superseded.items():
        told = f"与第 {later} 行是同一个人，以第 {later} 行为准"
        readings.problems.append(RowProblem(row, "", "row.double", told))
        readings.left_out += 1
    return [entry for entry in found if entry.row not in superseded]
