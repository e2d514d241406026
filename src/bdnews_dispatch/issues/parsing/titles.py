"""Titles: where the contents' titles stand in the body, how a title is best printed, and a title for what has none.

In: units and contents' titles. Out: places and words. Callers: articles.py, items.py.
"""

import difflib
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from bdnews_dispatch.issues.document import BlockType
from bdnews_dispatch.issues.parsing.folding import fold, without_emphasis
from bdnews_dispatch.issues.parsing.marks import Mark, Marked
from bdnews_dispatch.issues.parsing.units import MAX_HEADING

#: A title is at most so many lines long.
_MOST_LINES = 3
_LONGEST_CONTINUATION = 60
#: From here on two titles that differ are taken for one (difflib's ratio of folded titles).
_SIMILAR = 0.75
_SHORTEST_CONTAINED = 6
_CLOSING = "。！？!?；;：:，,、…"
_HALF_WIDTH = re.compile(r"[(),:;?!\"']")
_FIRST_WORDS_END = re.compile(r"[。！？!?；;\n]")
_CLAUSE_END = re.compile(r"[，,：:、]")
_LINK = re.compile(r"(?<!!)\[([^\[\]]*)\]\(([^()\s]*)\)")
_ESCAPE = re.compile(r"\\([\\`*_{}\[\]()#+.!|>-])")


@dataclass(frozen=True, slots=True)
class Place:
    """A title in the body: units[at : at + span], at a line of the file."""

    at: int
    span: int
    text: str
    line: int


def find_titles(
    units: Sequence[Marked], titles: Sequence[str], at_boundary: Sequence[bool], *, found_without_marks: bool
) -> dict[int, Place]:
    """Where the contents' titles stand: index of the title → place.

    A heading where an article can begin is preferred to a heading elsewhere: covers and charts repeat titles.

    Args:
        units: the body.
        titles: in the order of the contents.
        at_boundary: for each unit, whether an article can begin there.
        found_without_marks: take a plain line too, wherever it stands: the file has no headings.
    """
    wanted: dict[str, list[int]] = defaultdict(list)
    for index, title in enumerate(titles):
        wanted[fold(title)].append(index)
    candidates: dict[str, list[tuple[int, Place]]] = defaultdict(list)
    for at, marked in enumerate(units):
        found = _title_at(units, at, wanted) if marked.mark is Mark.TEXT and marked.unit.is_text else None
        if found is None:
            continue
        folded, place = found
        is_heading = marked.unit.kind is BlockType.HEADING
        if is_heading or at_boundary[at] or found_without_marks:
            candidates[folded].append((-(2 * at_boundary[at] + is_heading), place))
    places: dict[int, Place] = {}
    for folded, ranked in candidates.items():
        best = sorted(ranked, key=lambda candidate: (candidate[0], candidate[1].at))[: len(wanted[folded])]
        in_order = sorted((place for _, place in best), key=lambda place: place.at)
        places.update(zip(wanted[folded], in_order, strict=False))
    return places


def _title_at(units: Sequence[Marked], at: int, wanted: dict[str, list[int]]) -> tuple[str, Place] | None:
    """The longest stretch of lines from here that is a title."""
    found: tuple[str, Place] | None = None
    folded, text = "", ""
    for span in range(1, _MOST_LINES + 1):
        marked = units[at + span - 1] if at + span <= len(units) else None
        limit = MAX_HEADING if span == 1 else _LONGEST_CONTINUATION
        if (
            marked is None
            or marked.mark is not Mark.TEXT
            or not marked.unit.is_text
            or len(marked.unit.text) > limit
        ):
            break
        folded += fold(marked.unit.text)
        line = without_emphasis(marked.unit.text)
        text = f"{text}{joint(text, line)}{line}"
        if folded and folded in wanted:
            found = folded, Place(at, span, text, units[at].unit.line)
    return found


def similar(title: str, other: str) -> bool:
    """Whether two titles that differ are the same article's: one holds the other, or nearly all letters agree."""
    short, long = sorted((fold(title), fold(other)), key=len)
    if len(short) >= _SHORTEST_CONTAINED and short in long and len(short) * 5 >= len(long) * 2:
        return True
    return difflib.SequenceMatcher(None, short, long, autojunk=False).ratio() >= _SIMILAR


def looks_like_title(text: str) -> bool:
    """A short line that is no sentence; for files whose heading marks are lost."""
    return 2 <= len(text) <= _LONGEST_CONTINUATION and text[-1] not in _CLOSING and bool(fold(text))


def best_printed(title: str, other: str) -> str:
    """One title from two prints of it: between every two letters, the marks of the better print.

    The contents break no lines but like half-width marks, the body has the marks right but blanks where lines broke.
    """
    letters, gaps = _letters_and_gaps(title)
    other_letters, other_gaps = _letters_and_gaps(other)
    if fold("".join(letters)) != fold("".join(other_letters)) or len(letters) != len(other_letters):
        return title
    best = [_tidy(min(pair, key=_flaws)) for pair in zip(gaps, other_gaps, strict=True)]
    for at in range(1, len(letters)):
        if _latin(letters[at - 1]) and _latin(letters[at]):  # blanks between Latin words are no flaw
            best[at] = gaps[at] or other_gaps[at]
    return best[0] + "".join(letter + gap for letter, gap in zip(letters, best[1:], strict=True))


def _letters_and_gaps(title: str) -> tuple[list[str], list[str]]:
    """The letters of a title, and what stands before, between and after them."""
    letters: list[str] = []
    gaps = [""]
    for character in title:
        if character.isalnum():
            letters.append(character)
            gaps.append("")
        else:
            gaps[-1] += character
    return letters, gaps


def _tidy(gap: str) -> str:
    """Full-width marks need no blanks."""
    return gap if gap.isascii() else "".join(gap.split())


def _flaws(gap: str) -> tuple[int, int]:
    return len(_HALF_WIDTH.findall(gap)), sum(character.isspace() for character in gap)


def joint(text: str, following: str) -> str:
    """What stands between two halves put together: a blank between Latin words, nothing in Chinese."""
    return " " if text and following and _latin(text[-1]) and _latin(following[0]) else ""


def _latin(character: str) -> bool:
    return character.isascii() and character.isalnum()


def links_in(text: str) -> list[str]:
    """The addresses that a text links to."""
    return [match[2] for match in _LINK.finditer(text)]


def link_end(text: str) -> int:
    """Where the first link of a text ends; 0: it has none."""
    match = _LINK.search(text)
    return match.end() if match else 0


def plain(text: str) -> str:
    """Inline Markdown as words: links become their text, emphasis goes."""
    return _ESCAPE.sub(r"\1", without_emphasis(_LINK.sub(r"\1", text)))


def first_words(text: str, limit: int = 30) -> str:
    """A title made of a text's first words: its first sentence or clause, `…` where it is cut."""
    words = plain(text[: limit * 20]).strip()
    sentence = _FIRST_WORDS_END.split(words, maxsplit=1)[0].strip()
    if len(sentence) <= limit:
        return sentence or words[:limit]
    clause_ends = [match.start() for match in _CLAUSE_END.finditer(sentence, limit // 3, limit + 1)]
    cut = clause_ends[-1] if clause_ends else limit
    return sentence[:cut].rstrip() + "…"
