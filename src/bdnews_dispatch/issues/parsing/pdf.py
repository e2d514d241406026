"""A PDF with a text layer, read as Markdown: columns, running heads and page numbers taken away, lines joined.

In: bytes that begin with `%PDF-`. Out: Markdown for the parser of text. Callers: detected.py, comparing.py. That
something is a heading is said by its size; which heading it is, by the parser behind.
"""

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from statistics import median
from typing import Any

from bdnews_dispatch.errors import IssueError
from bdnews_dispatch.issues.parsing.pdf_glyphs import MOST_PAGES, Run

#: Seconds in which the process must be done, loading included.
_WAIT = 60
#: Of a page's height: where running heads and page numbers stand.
_MARGIN = 0.09
#: On so many pages, and at least on this share of them, the same words in a margin are a running head.
_HEAD_PAGES, _HEAD_SHARE = 3, 0.4
#: Larger than the text by so much: a heading; the levels begin at these.
_HEADINGS = ((1.5, "# "), (1.28, "## "), (1.12, "### "))
_NUMBER = re.compile(r"[-—–·\s]*(?:第?\s*\d{1,4}\s*页?|\d{1,4}\s*/\s*\d{1,4})[-—–·\s]*")
_DIGITS = re.compile(r"\d+")
_BULLET = re.compile(r"^[•●▪◦·■]\s*")
#: An entry of the contents begins with its page; what is left of its title goes on below.
_ENTRY = re.compile(r"^\d{1,3}\s+\S")
#: Between two of these no blank belongs where lines are joined.
_WIDE = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef\u3000-\u303f‘’“”…—]")
_REFUSED = {
    "encrypted": ("这个 PDF 加了密码，不能读", "请导出一份不加密码的，再放入一次。"),
    "broken": ("这个 PDF 已损坏，读不了", "请重新导出。"),
    "too_many_pages": (f"这个 PDF 超过 {MOST_PAGES} 页", "请只放入一期。"),
    "no_text": (
        "这个 PDF 里没有文字，只有图像",
        "请提供带文字层的 PDF，或先做文字识别；也可以直接放入 Markdown。",
    ),
    "too_large": ("读这个 PDF 用的内存或时间超过了限度", "请重新导出，或直接放入 Markdown。"),
}


@dataclass(slots=True)
class _Line(Run):
    """Runs that make one line. `column`: its left and right edges."""

    column: tuple[float, float] = (0, 0)


@dataclass(frozen=True, slots=True)
class _Page:
    height: float
    lines: list[_Line]


def is_pdf(data: bytes) -> bool:
    """Whether this is a PDF."""
    return data.startswith(b"%PDF-")


@lru_cache(maxsize=4)  # the console shows the same one again and again
def read_pdf(data: bytes) -> bytes:
    """Its words as Markdown, in UTF-8. Takes a second or two, in a process of its own.

    Raises:
        IssueError: `issue.pdf`: encrypted, broken, without text, or too large to read.
    """
    pages = [_Page(page["height"], _lines(page["runs"])) for page in _read(data)]
    pages = list(_without_margins(pages))
    sizes = Counter[float]()
    for page in pages:
        for line in page.lines:
            sizes[round(line.size, 1)] += len(line.text)
    if not sizes:
        raise _refused("no_text")
    body = sizes.most_common(1)[0][0]
    ordered = [line for page in pages for line in _in_order(page, body)]
    return "\n\n".join(_paragraphs(ordered, body)).encode()


def _read(data: bytes) -> list[dict[str, Any]]:
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-m", "bdnews_dispatch.issues.parsing.pdf_glyphs"],
            input=data,
            capture_output=True,
            check=False,
            timeout=_WAIT,
            env={},
        )
    except subprocess.TimeoutExpired as error:
        raise _refused("too_large") from error
    if done.returncode:
        raise _refused("too_large" if done.returncode < 0 else "broken")
    found = json.loads(done.stdout)
    if "refused" in found:
        raise _refused(found["refused"])
    return found["pages"]  # type: ignore[no-any-return]


def _lines(raw: Sequence[Sequence[Any]]) -> list[_Line]:
    """Runs on one line, joined where little stands between them."""
    runs = sorted((_Line(*each) for each in raw), key=lambda run: (run.top + run.bottom, run.left))
    rows: list[list[_Line]] = []
    for run in runs:
        middle = (run.top + run.bottom) / 2
        if rows and rows[-1][0].top < middle < rows[-1][0].bottom:
            rows[-1].append(run)
        else:
            rows.append([run])
    lines: list[_Line] = []
    for row in rows:
        begun = False
        for run in sorted(row, key=lambda each: each.left):
            last = lines[-1] if begun else None
            if last is not None and run.left - last.right < 1.5 * min(run.size, last.size):
                gap = " " if run.left - last.right > 0.25 * run.size else ""
                last.text, last.right = last.text + gap + run.text, max(last.right, run.right)
                last.size = max(last.size, run.size)
            else:
                lines.append(run)
                begun = True
    return lines


def _without_margins(pages: Sequence[_Page]) -> Iterator[_Page]:
    """Page numbers go, and words that come again in the margins of many pages."""
    seen = Counter[str]()
    for page in pages:
        seen.update({_shape(line) for line in page.lines if _is_margin(line, page)})
    often = {shape for shape, n in seen.items() if n >= max(_HEAD_PAGES, _HEAD_SHARE * len(pages))}
    for page in pages:
        kept = [
            line
            for line in page.lines
            if not (
                _is_margin(line, page) and (_shape(line) in often or _NUMBER.fullmatch(line.text.strip()))
            )
        ]
        yield _Page(page.height, kept)


def _is_margin(line: _Line, page: _Page) -> bool:
    return line.bottom < _MARGIN * page.height or line.top > (1 - _MARGIN) * page.height


def _shape(line: _Line) -> str:
    return _DIGITS.sub("0", "".join(line.text.split()))


def _in_order(page: _Page, body: float) -> Iterator[_Line]:
    """As they are read: down the left column, then the right one; what goes across both parts them."""
    lines = sorted(page.lines, key=lambda line: (line.top, line.left))
    if not lines:
        return
    left, right = min(line.left for line in lines), max(line.right for line in lines)
    middle = (left + right) / 2

    def is_across(line: _Line) -> bool:
        return line.left < middle - body and line.right > middle + body

    beside = [line for line in lines if line.left >= middle - body / 2]
    if len(beside) < 3 or sum(map(is_across, lines)) > len(lines) * 0.3:
        for line in lines:
            line.column = (left, right)
        yield from lines
        return
    ends_left = max((line.right for line in lines if line.right <= middle + body), default=middle)
    begins_right = min(line.left for line in beside)
    halves: tuple[list[_Line], list[_Line]] = ([], [])
    for line in lines:
        if is_across(line):
            yield from (*halves[0], *halves[1])
            halves[0].clear()
            halves[1].clear()
            line.column = (left, right)
            yield line
        elif line.left >= middle - body / 2:
            line.column = (begins_right, right)
            halves[1].append(line)
        else:
            line.column = (left, ends_left)
            halves[0].append(line)
    yield from (*halves[0], *halves[1])


def _paragraphs(lines: Sequence[_Line], body: float) -> Iterator[str]:
    """Lines that go on are joined; headings get their mark."""
    if not lines:
        return
    gap = median(
        [max(b.top - a.bottom, 0) for a, b in pairwise(lines) if 0 <= b.top - a.top < 4 * body] or [0]
    )
    held: list[_Line] = []
    for line in lines:
        if held and not _goes_on(held, line, body, gap):
            yield _words(held, body)
            held = []
        held.append(line)
    yield _words(held, body)


def _goes_on(held: Sequence[_Line], line: _Line, body: float, gap: float) -> bool:
    first, last = held[0], held[-1]
    if abs(last.size - line.size) > 0.06 * body or _BULLET.match(line.text):
        return False
    full = last.right > last.column[1] - 1.6 * last.size
    heading = bool(_mark(line.size, body))
    if line.top <= last.top:  # another column, another page
        return full and not heading and line.left < line.column[0] + 0.8 * line.size
    if line.top - last.bottom > gap + 0.6 * body:
        return False
    if heading:
        return True
    if _BULLET.match(first.text):
        return line.left > first.left + 0.5 * line.size
    if _ENTRY.match(first.text):
        return full and abs(line.left - last.left) < 3 * line.size and not _ENTRY.match(line.text)
    return full and line.left < line.column[0] + 1.2 * line.size


def _words(lines: Iterable[_Line], body: float) -> str:
    text, size = "", 0.0
    for line in lines:
        words = " ".join(line.text.split())
        blank = " " if text and words and not (_WIDE.match(text[-1]) or _WIDE.match(words[0])) else ""
        text, size = text + blank + words, max(size, line.size)
    text = _BULLET.sub("- ", text)
    return _mark(size, body) + text


def _mark(size: float, body: float) -> str:
    return next((mark for larger, mark in _HEADINGS if size >= larger * body), "")


def _refused(code: str) -> IssueError:
    message, hint = _REFUSED[code]
    return IssueError(message, code="issue.pdf", hint=hint)
