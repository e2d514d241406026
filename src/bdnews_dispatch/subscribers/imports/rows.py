"""A row of a file → what it says of a person, or what is wrong with it.

In: raw rows, and which column fills which field. Out: an `Entry` each. Callers: running, checking. Reads the same few
words again and again, so what a section list or a channel means is remembered.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.subscribers import fields
from bdnews_dispatch.subscribers.addresses import address_warnings
from bdnews_dispatch.subscribers.formulas import plain
from bdnews_dispatch.subscribers.imports.columns import ATTRIBUTE
from bdnews_dispatch.subscribers.imports.files import RawRow
from bdnews_dispatch.subscribers.models import Cadence, ChannelChoice

#: What the readers remember of texts that come again.
_REMEMBERED = 4_096


class RowProblem(NamedTuple):
    """What is to know about a row. `row` is as Excel counts; `code` is a dotted name that never changes."""

    row: int
    column: str
    code: str
    message: str


@dataclass(slots=True)
class Entry:
    """What a row says of a person; None is what it does not say.

    Attributes:
        problems: why it can't be taken; the fields that could be read are set all the same.
        warnings: what its author may want to look at again.
    """

    raw: RawRow
    email: fields.Address | None = None
    openid: str | None = None
    name: str = ""
    wish: fields.Wish | None = None
    channel: ChannelChoice | None = None
    cadence: Cadence | None = None
    language: str | None = None
    tags: tuple[str, ...] = ()
    attributes: tuple[tuple[str, str], ...] = ()
    problems: Sequence[RowProblem] = ()
    warnings: Sequence[RowProblem] = ()


class RowReader:
    """Reads the rows of one file."""

    def __init__(self, publication: Publication, mapping: Sequence[str]) -> None:
        """Args: mapping: for each column its field; "" is none."""
        self._width = len(mapping)
        self._columns = [(place, field) for place, field in enumerate(mapping) if field]
        self._wish = lru_cache(_REMEMBERED)(fields.SectionNames(publication).read)

    def read(self, raw: RawRow) -> Entry:
        """What the row says; see `Entry.problems`."""
        entry = Entry(raw)
        if raw.code:
            entry.problems = (RowProblem(raw.number, "", raw.code, raw.message),)
            return entry
        cells = raw.cells
        if len(cells) > self._width and any(cell.strip() for cell in cells[self._width :]):
            told = f"这一行有 {len(cells)} 格，标题行只有 {self._width} 格；多半是某一格里有分隔符而没有用引号括起来"
            entry.problems = (RowProblem(raw.number, "", "row.too_many_cells", told),)
            return entry
        problems: list[RowProblem] = []
        for place, field in self._columns:
            text = plain(cells[place]) if place < len(cells) else ""
            try:
                self._take(entry, field, text)
            except fields.FieldError as error:
                problems.append(RowProblem(raw.number, error.column, error.code, error.message))
        if not problems and entry.email is None and entry.openid is None:
            told = "邮箱和 openid 都是空的，至少要填一个"
            problems.append(RowProblem(raw.number, "email", "identity.missing", told))
        if entry.email is not None and (found := address_warnings(entry.email)):
            entry.warnings = [
                RowProblem(
                    raw.number,
                    "email",
                    one.code,
                    f"{one.message}，是否应为 {one.suggestion}？" if one.suggestion else one.message,
                )
                for one in found
            ]
        if problems:
            entry.problems = problems
        return entry

    def _take(self, entry: Entry, field: str, text: str) -> None:
        """An empty cell of anything but the sections leaves what is known as it is."""
        if field == "sections":
            entry.wish = self._wish(text)
        elif not text:
            return
        elif field == "email":
            entry.email = fields.read_address(text)
        elif field == "name":
            entry.name = fields.read_name(text)
        elif field == "openid":
            entry.openid = fields.read_openid(text)
        elif field == "tags":
            entry.tags = _tags(text)
        elif field.startswith(ATTRIBUTE):
            name = field.removeprefix(ATTRIBUTE)
            entry.attributes += ((name, fields.read_attribute(name, text)),)
        else:
            setattr(entry, field, _WORDS[field](text))


_tags = lru_cache(_REMEMBERED)(fields.read_tags)
_WORDS: dict[str, Callable[[str], object]] = {
    "channel": lru_cache(_REMEMBERED)(fields.read_channel),
    "cadence": lru_cache(_REMEMBERED)(fields.read_cadence),
    "language": lru_cache(_REMEMBERED)(fields.read_language),
}
