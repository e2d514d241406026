"""From lines to units: headings, paragraphs, lists, tables, quotes, code, pictures, each with its line and
the gap before it.

In: the lines of a file. Out: `Unit`s in order; every line with a letter in it is in exactly one. Callers: issue.py.
Paragraphs that a page cut are still two units here: bodies.py joins them, for it knows where an article ends.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bdnews_dispatch.issues.document import BlockType

#: A longer "heading" is a paragraph with a stray mark in front.
MAX_HEADING = 200

_HEADING = re.compile(r"(#{1,6})(?=\s|[\u4e00-\u9fff《“「（【])")
_BULLET = re.compile(r"[-*+]\s+|[•●◦▪■◆]\s*")
_FENCE = re.compile(r"(```+|~~~+)")
_RULE = re.compile(r"[-=*_~—…·\s]{3,}")
_TABLE_RULE = re.compile(r"[\s|:-]*-[\s|:-]*")
#: An address, in <> if it has blanks, and a title that nobody sees.
_LINK_TARGET = r"""\(\s*(<[^<>]*>|[^()\s]*)(?:\s+(?:"[^"]*"|'[^']*'))?\s*\)"""
_PICTURE = re.compile(rf"!\[([^\]]*)\]{_LINK_TARGET}|\[!\[([^\]]*)\]{_LINK_TARGET}\]{_LINK_TARGET}")
_QUOTE_MARK = re.compile(r"(?:>\s?)+")
_ESCAPED_CELL = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit.

    Attributes:
        blank: the blank lines before it; 0: it stands right under the line above.
        picture_before: the gap before it is one where a picture stood.
        broken: its last line ends in two blanks, Markdown's line break.
        item_lines: where each point of a list begins.
        url, link: of a picture: its address, and where it leads.
    """

    kind: BlockType
    text: str
    line: int
    level: int | None = None
    blank: int = 1
    picture_before: bool = False
    broken: bool = False
    items: tuple[str, ...] = ()
    item_lines: tuple[int, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    url: str = ""
    link: str = ""

    @property
    def is_text(self) -> bool:
        return self.kind in {BlockType.PARAGRAPH, BlockType.HEADING}


def read_units(lines: Sequence[str], *, picture_gap_lines: int = 0) -> list[Unit]:
    """Cut lines into units; see `PagesLayout.picture_gap_lines`."""
    units: list[Unit] = []
    fences = _fence_pairs(lines)
    blank, lone_blanks = 0, False
    at = 0
    while at < len(lines):
        stripped = lines[at].strip()
        if not stripped:
            blank += 1
            lone_blanks = lone_blanks or bool(lines[at])
            at += 1
            continue
        gap = bool(picture_gap_lines and units) and (lone_blanks or blank >= picture_gap_lines)
        unit, used = _unit_at(lines, at, stripped, fences)
        at += used
        if unit is not None:
            units.append(replace(unit, blank=blank, picture_before=gap))
            blank, lone_blanks = 0, False
    return units


def _unit_at(lines: Sequence[str], at: int, stripped: str, fences: dict[int, int]) -> tuple[Unit | None, int]:
    """The unit that begins here (None for a mere rule) and how many lines it takes."""
    number = at + 1
    if at in fences:
        body = "\n".join(lines[at + 1 : fences[at]])
        return Unit(BlockType.CODE, body, number), fences[at] - at + 1
    first = stripped[0]
    if first == "#" and (mark := _HEADING.match(stripped)):
        return _heading(stripped, len(mark[1]), number), 1
    if first == ">":
        return _quote(lines, at)
    if first == "|" and (used := _table_height(lines, at)):
        rows = tuple(_cells(lines[row]) for row in range(at, at + used) if row != at + 1)
        return Unit(BlockType.TABLE, "\n".join(" | ".join(row) for row in rows), number, rows=rows), used
    if _RULE.fullmatch(stripped):
        return None, 1
    if _point_mark(stripped):
        return _list(lines, at)
    if first in "![" and (picture := _PICTURE.fullmatch(stripped)):
        caption, url, linked_caption, linked_url, link = (group or "" for group in picture.groups())
        url, link = (address.removeprefix("<").removesuffix(">") for address in (url or linked_url, link))
        return Unit(BlockType.IMAGE, caption or linked_caption, number, url=url, link=link), 1
    return Unit(BlockType.PARAGRAPH, stripped, number, broken=lines[at].endswith("  ")), 1


def _heading(stripped: str, level: int, number: int) -> Unit | None:
    text = stripped[level:].strip()
    without_closing = text.rstrip("#")
    if without_closing != text and (not without_closing or without_closing[-1].isspace()):
        text = without_closing.rstrip()
    if not text:
        return None
    if len(text) > MAX_HEADING:
        return Unit(BlockType.PARAGRAPH, text, number)
    return Unit(BlockType.HEADING, text, number, level=level)


def _quote(lines: Sequence[str], at: int) -> tuple[Unit | None, int]:
    end = at
    inner: list[str] = []
    while end < len(lines) and (mark := _QUOTE_MARK.match(lines[end].lstrip())):
        inner.append(lines[end].lstrip()[mark.end() :].strip())
        end += 1
    said = [line for line in inner if line]
    if not said:
        return None, end - at
    if all(_BULLET.match(line) for line in said):
        points = tuple(_BULLET.sub("", line, count=1) for line in said)
        starts = tuple(number for number, line in enumerate(inner, at + 1) if line)
        return Unit(BlockType.LIST, "\n".join(points), at + 1, items=points, item_lines=starts), end - at
    return Unit(BlockType.QUOTE, "\n".join(inner).strip(), at + 1), end - at


def _list(lines: Sequence[str], at: int) -> tuple[Unit, int]:
    """Points with at most one blank line between are one list; lines indented under a point belong to it."""
    points: list[list[str]] = []
    starts: list[int] = []
    end = at
    while end < len(lines):
        stripped = lines[end].strip()
        if mark := _point_mark(stripped):
            points.append([stripped[mark:]])
            starts.append(end + 1)
        elif stripped and lines[end][:2].isspace() and lines[end - 1].strip() and stripped[0] not in "#>|`~":
            points[-1].append(stripped)
        elif stripped or end + 1 == len(lines) or not _point_mark(lines[end + 1].strip()):
            break
        end += 1
    items = tuple("\n".join(point) for point in points)
    return Unit(BlockType.LIST, "\n".join(items), at + 1, items=items, item_lines=tuple(starts)), end - at


def _point_mark(stripped: str) -> int:
    """The length of the mark of a point; 0: it is none."""
    if not stripped or stripped[0] not in "-*+•●◦▪■◆" or _RULE.fullmatch(stripped):
        return 0
    mark = _BULLET.match(stripped)
    return mark.end() if mark and mark.end() < len(stripped) else 0


def _table_height(lines: Sequence[str], at: int) -> int:
    if at + 1 >= len(lines) or not _TABLE_RULE.fullmatch(lines[at + 1].strip()):
        return 0
    end = at
    while end < len(lines) and lines[end].lstrip().startswith("|"):
        end += 1
    return end - at if end > at + 1 else 0


def _cells(line: str) -> tuple[str, ...]:
    inner = line.strip().removeprefix("|")
    inner = inner.removesuffix("|") if not inner.endswith("\\|") else inner
    return tuple(cell.strip().replace("\\|", "|") for cell in _ESCAPED_CELL.split(inner))


def _fence_pairs(lines: Sequence[str]) -> dict[int, int]:
    """Opening line → closing line. A fence that never closes is text: it must not swallow the rest of the issue."""
    pairs: dict[int, int] = {}
    opened: tuple[int, str] | None = None
    for at, line in enumerate(lines):
        stripped = line.lstrip()
        if not stripped.startswith(("```", "~~~")) or not (fence := _FENCE.match(stripped)):
            continue
        if opened is None:
            opened = (at, fence[1])
        elif fence[1].startswith(opened[1]) and not stripped[fence.end() :].strip():
            pairs[opened[0]] = at
            opened = None
    return pairs
