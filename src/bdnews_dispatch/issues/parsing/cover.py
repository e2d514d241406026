"""The pages before the contents: title, numbers, date, tagline, masthead; what is none of it is kept for the preface.

In: the units before the contents or the first article. Out: `Cover`. Callers: issue.py.
"""

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bdnews_dispatch.issues.document import BlockType
from bdnews_dispatch.issues.parsing.findings import Findings
from bdnews_dispatch.issues.parsing.folding import fold, read_number, squeeze, without_emphasis
from bdnews_dispatch.issues.parsing.layout import Layout, fits_whole
from bdnews_dispatch.issues.parsing.masthead import CoverLine, Masthead, MastheadReader
from bdnews_dispatch.issues.parsing.units import Unit
from bdnews_dispatch.issues.publications import Publication

#: Title, numbers and date stand on short lines, with few other words.
_LONGEST_LINE = 120
_MOST_OTHER_WORDS = 12
_LONGEST_TAGLINE = 40


@dataclass(slots=True)
class Cover:
    """What the cover says. `rest`: units to keep for the preface."""

    title: str = ""
    tagline: str = ""
    number: int | None = None
    total_number: int | None = None
    date: dt.date | None = None
    masthead: Masthead = field(default_factory=Masthead)
    rest: list[Unit] = field(default_factory=list)


class CoverReader:
    """Reads the cover's lines in order."""

    def __init__(self, publication: Publication, layout: Layout, findings: Findings) -> None:
        self._publication = publication
        self._layout = layout
        self._findings = findings
        self._masthead = MastheadReader(layout.masthead)
        self._cover = Cover(masthead=self._masthead.found)
        self._tagline_may_follow = False

    def read(self, units: Sequence[Unit]) -> Cover:
        """Everything on the cover pages; warns about what the publication's layout requires and is not there."""
        for unit, following in zip(units, [*units[1:], None], strict=False):
            if unit.kind in {BlockType.IMAGE, BlockType.CODE}:
                self._masthead.interrupt()
                self._cover.rest.append(unit)
                continue
            gap = following is not None and following.picture_before
            left = [line for line in _lines(unit, picture_after=gap) if not self._take(line)]
            self._keep(unit, left)
        if self._layout.cover.numbered_without_break:
            self._cover.total_number = self._cover.number
        self._report()
        return self._cover

    def belongs(self, unit: Unit) -> bool:
        """Whether this heading is a cover's, not the first article's."""
        text = unit.text
        return bool(self._title_match(text)) or self._masthead.starts(text) or self._states_issue(text)

    def _take(self, line: CoverLine) -> bool:
        if title := self._title_match(line.text):
            self._take_title(title, line)
            return True
        if self._take_statement(line):
            self._masthead.interrupt()
            return True
        if self._masthead.take(line):
            self._tagline_may_follow = False
            return True
        self._masthead.interrupt()
        return self._take_tagline(line)

    def _title_match(self, text: str) -> re.Match[str] | None:
        if len(text) > _LONGEST_LINE:
            return None
        squeezed = squeeze(text)
        if fold(text) == fold(self._publication.name):
            return re.fullmatch("(?P<title>.*)", squeezed)
        return fits_whole(self._layout.cover.title_pattern, squeezed)

    def _take_title(self, match: re.Match[str], line: CoverLine) -> None:
        groups = match.groupdict()
        self._cover.title = self._cover.title or groups.get("title") or without_emphasis(line.text)
        if groups.get("number"):
            self._set_number("number", read_number(groups["number"]), line)
        if groups.get("tagline"):
            # The words as printed: the pattern saw them squeezed.
            width = len(fold(groups["tagline"]))
            self._cover.tagline = self._cover.tagline or _last_letters(line.text, width)
        self._tagline_may_follow = not self._cover.tagline
        self._masthead.interrupt()

    def _take_tagline(self, line: CoverLine) -> bool:
        known = fold(line.text) == fold(self._publication.tagline) != ""
        near = self._tagline_may_follow and not line.is_heading and len(line.text) <= _LONGEST_TAGLINE
        self._tagline_may_follow = False
        if known or (near and self._layout.structure == "contents" and not self._cover.tagline):
            if self._cover.tagline and fold(self._cover.tagline) != fold(line.text):
                return False
            self._cover.tagline = self._cover.tagline or without_emphasis(line.text)
            return True
        return False

    def _states_issue(self, text: str) -> bool:
        return bool(self._statements(text)[0])

    def _statements(self, text: str) -> tuple[list[tuple[str, re.Match[str]]], str]:
        """Numbers and dates of a line, and its other words; nothing if it is mostly other words."""
        if len(text) > _LONGEST_LINE:
            return [], text
        rest = squeeze(text)
        cover = self._layout.cover
        found = []
        for name, pattern in (
            ("total_number", cover.total_number_pattern),
            ("number", cover.number_pattern),
            ("date", cover.date_pattern),
        ):
            if pattern and (match := re.search(pattern, rest)):
                found.append((name, match))
                rest = f"{rest[: match.start()]} {rest[match.end() :]}"
        if len(fold(rest)) > _MOST_OTHER_WORDS:
            return [], text
        return found, rest

    def _take_statement(self, line: CoverLine) -> bool:
        found, rest = self._statements(line.text)
        if not found:
            return False
        agreed = [
            self._set_date(match, line)
            if name == "date"
            else self._set_number(name, read_number(match["number"]), line)
            for name, match in found
        ]
        return all(agreed) and not fold(rest)

    def _set_number(self, name: str, value: int | None, line: CoverLine) -> bool:
        """Whether the line says nothing beyond what is now recorded."""
        known = self._cover.number if name == "number" else self._cover.total_number
        if value is None or (known is not None and known != value):
            self._findings.warn(
                line.line, f"{name}.conflict", f"期号前后不一致：“{line.text}”，先前是 {known}。"
            )
            return False
        if name == "number":
            self._cover.number = value
        else:
            self._cover.total_number = value
        return True

    def _set_date(self, match: re.Match[str], line: CoverLine) -> bool:
        parts = [read_number(match[name]) or 0 for name in ("year", "month", "day")]
        try:
            date = dt.date(*parts)
        except (ValueError, OverflowError):
            self._findings.warn(line.line, "date.invalid", f"日期不存在：“{line.text}”。")
            return False
        if self._cover.date not in {None, date}:
            self._findings.warn(
                line.line, "date.conflict", f"日期前后不一致：“{line.text}”，先前是 {self._cover.date}。"
            )
            return False
        self._cover.date = date
        return True

    def _keep(self, unit: Unit, left: list[CoverLine]) -> None:
        whole = list(_lines(unit))
        if len(left) == len(whole):
            self._cover.rest.append(unit)
        else:
            self._cover.rest += [Unit(BlockType.PARAGRAPH, line.text, line.line) for line in left]

    def _report(self) -> None:
        names = {"title": "刊名", "number": "期号", "total_number": "总期号", "date": "日期"}
        for name in self._layout.cover.required:
            if getattr(self._cover, name) in {None, ""}:
                self._findings.warn(1, f"{name}.missing", f"封面上没有找到{names[name]}。")
        self._cover.title = self._cover.title or self._publication.name


def _lines(unit: Unit, *, picture_after: bool = False) -> Iterator[CoverLine]:
    """A unit line by line: a list's points and a table's rows are lines of the masthead too."""
    if unit.kind is BlockType.LIST:
        for text, number in zip(unit.items, unit.item_lines, strict=True):
            yield CoverLine(text, number)
    elif unit.kind is BlockType.TABLE:
        for number, row in enumerate(unit.rows, unit.line):
            yield CoverLine(" ".join(row), number)
    else:
        yield CoverLine(unit.text, unit.line, unit.kind is BlockType.HEADING, picture_after)


def _last_letters(text: str, count: int) -> str:
    """The end of a text that holds so many letters, with what stands between them."""
    at = len(text)
    while at and count > 0:
        at -= 1
        count -= len(fold(text[at]))
    opening = at > 0 and text[at - 1] in "“‘《「『（([["
    return without_emphasis(text[at - 1 if opening else at :])
