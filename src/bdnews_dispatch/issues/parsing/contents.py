"""The contents page (本期要目): sections in order, and each article's title and page.

In: units. Out: `Contents`, with the stretch of units it takes. Callers: issue.py. Without a contents page: None.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from bdnews_dispatch.issues.document import BlockType
from bdnews_dispatch.issues.parsing.folding import fold, squeeze, without_emphasis
from bdnews_dispatch.issues.parsing.layout import Layout, fits_whole
from bdnews_dispatch.issues.parsing.marks import label_end
from bdnews_dispatch.issues.parsing.units import Unit

_LONGEST_ENTRY = 200
_LONGEST_SECTION = 30
_PAGE_FIRST = re.compile(r"[（(\[]?\s*[Pp]?\.?(\d{1,3})\s*[）)\]]?(?:[\s.、,，:：|/·…—-]+)(\S.*)")
#: The blanks or dots before a page at the end; the text is cut with rstrip, not with a regex, to stay linear.
_PAGE_LAST = re.compile(r"(?:[\s.·…．。_—-]|^)[Pp]?\.?(\d{1,3})$")
_LEADERS = " \t\u3000.·…．。_—-"
_SECTION_MARKS = "【】[]〔〕◆■●▪▍|｜*_ \t\u3000"


@dataclass(frozen=True, slots=True)
class Entry:
    """One article as the contents name it."""

    title: str
    page: int | None
    line: int


@dataclass(slots=True)
class ContentsSection:
    """A section as the contents name it; an empty name: entries before any section."""

    name: str
    line: int
    entries: list[Entry] = field(default_factory=list)


@dataclass(slots=True)
class Contents:
    """The contents page: units[start:end]. `stray`: units in the midst of it that are neither section nor entry."""

    start: int
    end: int
    sections: list[ContentsSection]
    stray: list[Unit]

    @property
    def entries(self) -> list[Entry]:
        return [entry for section in self.sections for entry in section.entries]


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    line: int
    is_heading: bool
    is_point: bool
    blank: int


def find_contents(units: Sequence[Unit], layout: Layout, section_names: Collection[str]) -> Contents | None:
    """The contents page, by its heading, else by a section's name with numbered entries right under it.

    Args:
        units: the whole file.
        layout: for the patterns.
        section_names: folded names of the publication's sections.
    """
    note = layout.articles.editor_note_pattern
    for at, unit in enumerate(units):
        if unit.is_text and label_end(unit.text, note):
            return None  # the articles have begun
        if not unit.is_text or len(unit.text) > _LONGEST_SECTION:
            continue
        if fits_whole(layout.contents.heading_pattern, squeeze(unit.text)):
            start = at + 1
        elif fold(unit.text) in section_names and _numbered(units[at + 1 : at + 2]):
            start = at
        else:
            continue
        contents = _Reader(units, layout, section_names).read(at, start)
        if contents.entries:
            return contents
    return None


def _numbered(following: Sequence[Unit]) -> bool:
    return bool(following) and all(_PAGE_FIRST.match(_plain(line.text)) for line in _lines(following[0]))


class _Reader:
    def __init__(self, units: Sequence[Unit], layout: Layout, section_names: Collection[str]) -> None:
        self._units = units
        self._note = layout.articles.editor_note_pattern
        self._heading = layout.contents.heading_pattern
        self._known = section_names
        self._sections: list[ContentsSection] = []
        self._titles: set[str] = set()
        self._stray: list[Unit] = []
        self._page_first = True

    def read(self, heading: int, start: int) -> Contents:
        self._page_first = self._pages_stand_first(start)
        at = start
        while at < len(self._units) and self._take(at):
            at += 1
        return Contents(heading, at, self._sections, self._stray)

    def _pages_stand_first(self, start: int) -> bool:
        """One style for the whole page: `01 title`, unless no line is like that."""
        near = [line for unit in self._units[start : start + 12] for line in _lines(unit)]
        return any(_PAGE_FIRST.match(_plain(line.text)) for line in near)

    def _take(self, at: int) -> bool:
        """Whether the unit belongs to the contents."""
        unit = self._units[at]
        if unit.kind in {BlockType.QUOTE, BlockType.CODE, BlockType.IMAGE}:
            return False
        lines = list(_lines(unit))
        if unit.is_text:
            if label_end(unit.text, self._note) or fold(unit.text) in self._titles:
                return False
            return self._take_line(lines[0], at)
        for line in lines:
            if not self._take_line(line, at):
                self._stray.append(Unit(BlockType.PARAGRAPH, line.text, line.line))
        return True

    def _take_line(self, line: _Line, at: int) -> bool:
        if len(line.text) > _LONGEST_ENTRY or fits_whole(self._heading, squeeze(line.text)):
            return False
        if entry := self._entry(line):
            self._add(entry)
            return True
        name = _plain(line.text).strip(_SECTION_MARKS)
        if fold(name) in self._known and not self._has(name):
            self._sections.append(ContentsSection(name, line.line))
            return True
        if line.is_point and fold(line.text):
            self._add(Entry(_plain(line.text), None, line.line))
            return True
        if self._continues_entry(line, at):
            last = self._sections[-1].entries.pop()
            self._add(Entry(f"{last.title}{_plain(line.text)}", last.page, last.line))
            return True
        if len(name) <= _LONGEST_SECTION and fold(name) and self._entry_follows(at) and not self._has(name):
            self._sections.append(ContentsSection(name, line.line))
            return True
        return False

    def _entry(self, line: _Line) -> Entry | None:
        text = _plain(line.text)
        if self._page_first:
            match = _PAGE_FIRST.match(text)
            return Entry(match[2], int(match[1]), line.line) if match and fold(match[2]) else None
        tail = _PAGE_LAST.search(text[-12:])
        title = text[: len(text) - len(tail[0])].rstrip(_LEADERS) if tail else ""
        return Entry(title, int(tail[1]), line.line) if tail and fold(title) else None

    def _add(self, entry: Entry) -> None:
        if not self._sections:
            self._sections.append(ContentsSection("", entry.line))
        self._sections[-1].entries.append(entry)
        self._titles.add(fold(entry.title))

    def _has(self, name: str) -> bool:
        return any(fold(section.name) == fold(name) for section in self._sections)

    def _continues_entry(self, line: _Line, at: int) -> bool:
        """A title's second line: right under an entry, or between two entries."""
        if (
            line.is_heading
            or not self._sections
            or not self._sections[-1].entries
            or len(line.text) > _LONGEST_SECTION
        ):
            return False
        return line.blank == 0 or (self._entry_follows(at) and self._page_first)

    def _entry_follows(self, at: int) -> bool:
        if at + 1 >= len(self._units):
            return False
        unit = self._units[at + 1]
        first = next(_lines(unit), None)
        if first is None or first.is_heading or len(first.text) > _LONGEST_ENTRY:
            return False
        return first.is_point or self._entry(first) is not None


def _lines(unit: Unit) -> Iterator[_Line]:
    if unit.kind is BlockType.LIST:
        for text, number in zip(unit.items, unit.item_lines, strict=True):
            yield _Line(text.replace("\n", ""), number, is_heading=False, is_point=True, blank=1)
    elif unit.kind is BlockType.TABLE:
        for number, row in enumerate(unit.rows, unit.line):
            cells = sorted((cell for cell in row if cell), key=lambda cell: not cell.isdecimal())
            yield _Line(" ".join(cells), number, is_heading=False, is_point=False, blank=1)
    else:
        yield _Line(unit.text, unit.line, unit.kind is BlockType.HEADING, is_point=False, blank=unit.blank)


def _plain(text: str) -> str:
    return without_emphasis(text).strip("| ")  # rows of a table whose head is lost
