"""Where articles begin in the body, and which contents' entry each of them is.

In: the marked body, the contents' entries. Out: `Start`s in the order of the body. Callers: articles.py.
Signs, from the strongest: a title of the contents; 编者按 before; a heading behind an article's source or
QR code; a heading
behind a section's name.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bdnews_dispatch.issues.document import BlockType
from bdnews_dispatch.issues.parsing import titles
from bdnews_dispatch.issues.parsing.contents import Entry
from bdnews_dispatch.issues.parsing.findings import Findings
from bdnews_dispatch.issues.parsing.folding import without_emphasis
from bdnews_dispatch.issues.parsing.marks import Mark, Marked
from bdnews_dispatch.issues.parsing.sources import source_at_end
from bdnews_dispatch.issues.parsing.titles import Place

#: So many unmatched entries are compared with one unlisted title; more would be no misprint but another contents page.
_MOST_COMPARED = 6


@dataclass(frozen=True, slots=True)
class Start:
    """An article's title in the body. `entry`: its index in the contents, None: they don't name it."""

    place: Place
    entry: int | None


def find_starts(units: Sequence[Marked], entries: Sequence[Entry], findings: Findings) -> list[Start]:
    """Every article's start.

    Args:
        units: the body: what follows the cover and the contents.
        entries: the contents'; empty where there is no contents page.
        findings: takes what is doubtful.
    """
    has_headings = any(_is_heading(marked) for marked in units)
    boundary = _boundaries(units, with_contents=bool(entries), has_headings=has_headings)
    places = titles.find_titles(
        units, [entry.title for entry in entries], boundary, found_without_marks=not has_headings
    )
    listed = [Start(place, index) for index, place in places.items()]
    taken = {place.at + offset for place in places.values() for offset in range(place.span)}
    known = {place.text for place in places.values()}
    unlisted = [
        Start(_place(units, at), None)
        for at in _unlisted(units, boundary, taken, has_headings=has_headings)
        if without_emphasis(units[at].unit.text) not in known
    ]
    starts = sorted([*listed, *unlisted], key=lambda start: start.place.at)
    if entries:
        return _recognise_misprints(starts, entries, findings)
    return starts or _by_level(units)


def _boundaries(units: Sequence[Marked], *, with_contents: bool, has_headings: bool) -> list[bool]:
    """For each unit, whether an article's title can stand there.

    With a contents page a QR code alone is no boundary for titles it doesn't name: the same article may go on.
    """
    boundary: list[bool] = []
    open_here, in_note = True, False
    after_source = True
    for marked in units:
        if marked.mark is Mark.NOTE:
            in_note = True
            boundary.append(False)
        elif marked.mark is Mark.SECTION:
            open_here = True
            boundary.append(False)
        elif marked.mark is Mark.QR:
            open_here = open_here or after_source or not with_contents
            boundary.append(False)
        elif marked.mark is Mark.RUNNING:
            boundary.append(False)
        else:
            title = _title_like(marked, has_headings=has_headings)
            boundary.append(open_here or (in_note and title))
            in_note = in_note and not title
            after_source = (
                marked.unit.kind is BlockType.PARAGRAPH and source_at_end(marked.unit.text) is not None
            )
            open_here = after_source
    return boundary


def _unlisted(
    units: Sequence[Marked], boundary: Sequence[bool], taken: set[int], *, has_headings: bool
) -> list[int]:
    """Titles that the contents don't name: where an article can begin, and not in a note that a listed title ends."""
    found: list[int] = []
    in_note = False
    claimed = _notes_with_listed_title(units, taken)
    for at, marked in enumerate(units):
        if marked.mark is Mark.NOTE:
            in_note = at not in claimed
            continue
        if at in taken:
            in_note = False
        elif boundary[at] and _title_like(marked, has_headings=has_headings):
            if in_note or not _inside_note(units, at):
                found.append(at)
            in_note = False
    return found


def _notes_with_listed_title(units: Sequence[Marked], taken: set[int]) -> set[int]:
    """Labels whose next title, before the next label, is a listed one."""
    claimed: set[int] = set()
    label: int | None = None
    for at, marked in enumerate(units):
        if marked.mark is Mark.NOTE:
            label = at
        elif at in taken and label is not None:
            claimed.add(label)
            label = None
    return claimed


def _inside_note(units: Sequence[Marked], at: int) -> bool:
    """Whether a label stands right before: what looks like a title there is the note's first line."""
    return at > 0 and units[at - 1].mark is Mark.NOTE and units[at].unit.kind is not BlockType.HEADING


def _title_like(marked: Marked, *, has_headings: bool) -> bool:
    if marked.mark is not Mark.TEXT:
        return False
    if has_headings:
        return _is_heading(marked)
    return marked.unit.kind is BlockType.PARAGRAPH and titles.looks_like_title(marked.unit.text)


def _place(units: Sequence[Marked], at: int) -> Place:
    unit = units[at].unit
    return Place(at, 1, without_emphasis(unit.text), unit.line)


def _is_heading(marked: Marked) -> bool:
    return marked.mark is Mark.TEXT and marked.unit.kind is BlockType.HEADING


def _recognise_misprints(
    starts: Sequence[Start], entries: Sequence[Entry], findings: Findings
) -> list[Start]:
    """Give unlisted titles the contents' entry that stands in the same place and nearly says the same."""
    matched = {start.entry for start in starts}
    following = len(entries)
    limits: list[int] = []
    for start in reversed(starts):
        limits.append(following)
        following = start.entry if start.entry is not None else following
    limits.reverse()
    recognised: list[Start] = []
    reached = -1
    for start, limit in zip(starts, limits, strict=True):
        entry = start.entry
        if entry is None:
            free = [
                index
                for index in range(reached + 1, min(limit, reached + 1 + _MOST_COMPARED))
                if index not in matched
            ]
            entry = next(
                (index for index in free if titles.similar(start.place.text, entries[index].title)), None
            )
            if entry is not None:
                matched.add(entry)
                findings.warn(
                    entries[entry].line,
                    "title.differs",
                    f"要目中的标题是“{entries[entry].title}”，正文中是“{start.place.text}”，按同一篇处理。",
                )
        if entry is not None:
            reached = max(reached, entry)
        recognised.append(Start(start.place, entry))
    return recognised


def _by_level(units: Sequence[Marked]) -> list[Start]:
    """No sign but headings: those of the highest level are titles."""
    highest = min((marked.unit.level or 6 for marked in units if _is_heading(marked)), default=6)
    return [
        Start(_place(units, at), None)
        for at, marked in enumerate(units)
        if _is_heading(marked) and (marked.unit.level or 6) == highest
    ]
