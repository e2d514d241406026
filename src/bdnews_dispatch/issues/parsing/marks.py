"""What a unit is for the layout, beside what it is as Markdown: 编者按, QR code, section heading, running
title, or text.

In: units, the layout, the names of the sections. Out: `Marked` units. Callers: issue.py, articles.py.
A label and text that stand on one line (`编者按：…`, `…。扫描二维码阅读全文`) are parted here, so that
nobody else has to.
"""

import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from bdnews_dispatch.issues.document import BlockType
from bdnews_dispatch.issues.parsing.folding import fold, squeeze
from bdnews_dispatch.issues.parsing.layout import Layout, fits_whole
from bdnews_dispatch.issues.parsing.units import Unit

#: Labels, section names and running titles are short lines.
_SHORT = 60
#: Where a label or a QR line is glued to a paragraph, it is within so many characters of the paragraph's edge.
_EDGE = 40


class Mark(StrEnum):
    """The part a unit plays."""

    TEXT = "text"
    NOTE = "note"
    QR = "qr"
    SECTION = "section"
    RUNNING = "running"


@dataclass(frozen=True, slots=True)
class Marked:
    """A unit and the part it plays."""

    mark: Mark
    unit: Unit


def mark_units(
    units: Iterable[Unit], layout: Layout, section_names: Container[str], running_title: str
) -> list[Marked]:
    """Give every unit its mark.

    Args:
        units: in order.
        layout: for the patterns.
        section_names: folded.
        running_title: folded; the publication's name, which pages repeat at their heads.
    """
    return [marked for unit in units for marked in _mark(unit, layout, section_names, running_title)]


def _mark(unit: Unit, layout: Layout, section_names: Container[str], running_title: str) -> Iterator[Marked]:
    if not unit.is_text:
        yield Marked(Mark.TEXT, unit)
        return
    folded = fold(unit.text) if len(unit.text) <= _SHORT else ""
    if folded and folded in section_names:
        yield Marked(Mark.SECTION, unit)
    elif folded and folded == running_title:
        yield Marked(Mark.RUNNING, unit)
    else:
        yield from _part_label(unit, layout)


def _part_label(unit: Unit, layout: Layout) -> Iterator[Marked]:
    end = label_end(unit.text, layout.articles.editor_note_pattern)
    if end:
        yield Marked(Mark.NOTE, unit)
        rest = unit.text[end:].lstrip(" \t\u3000*_：:")
        if rest:
            inline = replace(unit, kind=BlockType.PARAGRAPH, level=None, text=rest, picture_before=False)
            yield from _part_qr(inline, layout)
    else:
        yield from _part_qr(unit, layout)


def _part_qr(unit: Unit, layout: Layout) -> Iterator[Marked]:
    pattern = layout.pages.qr_pattern if layout.pages else ""
    start = _qr_start(unit.text, pattern)
    if start is None:
        yield Marked(Mark.TEXT, unit)
        return
    before = unit.text[:start].rstrip()
    if before:
        yield Marked(Mark.TEXT, replace(unit, text=before))
        unit = replace(unit, blank=0, picture_before=False)
    yield Marked(Mark.QR, replace(unit, kind=BlockType.PARAGRAPH, level=None, text=unit.text[start:]))


def _qr_start(text: str, pattern: str) -> int | None:
    """Where the QR code's words begin; glued to a paragraph they must stand at its very end."""
    if not pattern:
        return None
    if len(text) <= _SHORT and fits_whole(pattern, squeeze(text)):
        return 0
    glued = re.compile(rf"(?<=[。！？!?)\]】”」』])(?:{pattern})$")
    if not glued.search(squeeze(text[-_EDGE:])):
        return None
    tail, origins = _squeezed(text, max(0, len(text) - _EDGE), len(text))
    found = glued.search(tail)
    return origins[found.start()] if found else None


def label_end(text: str, pattern: str) -> int:
    """How long the label at the start of a text is; 0: there is none.

    A label stands alone, or it ends in a colon or bracket, or blanks or emphasis part it from what follows.
    """
    if not pattern or not re.match(pattern, squeeze(text[:_EDGE])):
        return 0
    head, origins = _squeezed(text, 0, min(len(text), _EDGE))
    found = re.match(pattern, head)
    if not found or not found.end():
        return 0
    end = origins[found.end() - 1] + 1
    following = text[end : end + 1]
    if not following or found[0][-1] in ":】])" or following in "*_：:" or following.isspace():
        return end
    return 0


def _squeezed(text: str, start: int, stop: int) -> tuple[str, list[int]]:
    """A stretch of text squeezed, and where each of its characters stood."""
    characters: list[str] = []
    origins: list[int] = []
    for position in range(start, stop):
        for character in squeeze(text[position].strip("_")):
            characters.append(character)
            origins.append(position)
    return "".join(characters), origins
