"""A process of its own that reads a PDF and says where which words stand; a hostile file ends it, not the service.

In: a PDF on the standard input. Out: JSON on the standard output: pages of runs, or `{"refused": code}`.
Caller: pdf.py.
"""

import json
import math
import sys
from dataclasses import astuple, dataclass
from typing import Any

#: More pages or signs are no issue: a real one has 18 or 31 pages, by its style, and 30,000 signs.
MOST_PAGES, MOST_SIGNS = 300, 1_000_000
#: Memory and time that reading may take; a real issue takes 56 MB and a second.
_MEMORY, _SECONDS = 1 << 30, 30
#: Of a font's size: how far its signs stand above the line.
_RISES = 0.85


@dataclass(slots=True)
class Run:
    """Words on one line, as they follow each other in the file. In points, from the top left of the page."""

    left: float
    top: float
    right: float
    bottom: float
    size: float
    text: str


def _limit() -> None:
    import resource  # noqa: PLC0415  # not on every system that could import this module

    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def read(data: bytes) -> dict[str, Any]:
    """The runs of each page, or why there are none: `encrypted`, `broken`, `too_many_pages`, `too_large`, `no_text`."""
    import pypdfium2  # noqa: PLC0415  # behind the limits
    from pypdfium2 import raw  # noqa: PLC0415

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        locked = getattr(error, "err_code", None) in {raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY}
        return {"refused": "encrypted" if locked else "broken"}
    if len(document) > MOST_PAGES:
        return {"refused": "too_many_pages"}
    pages, signs = [], 0
    for number in range(len(document)):
        page = document[number]
        height, text = page.get_height(), page.get_textpage()
        signs += text.count_chars()
        if signs > MOST_SIGNS:
            return {"refused": "too_large"}
        pages.append({"height": height, "runs": [astuple(run) for run in _runs(text, height, raw)]})
    return {"pages": pages} if any(page["runs"] for page in pages) else {"refused": "no_text"}


def _runs(page: Any, height: float, raw: Any) -> list[Run]:
    """Signs that stand beside each other, joined."""
    import ctypes  # noqa: PLC0415

    box, matrix = raw.FS_RECTF(), raw.FS_MATRIX()
    x, y = ctypes.c_double(), ctypes.c_double()
    runs: list[Run] = []
    for index in range(page.count_chars()):
        code = raw.FPDFText_GetUnicode(page, index)
        sign = chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else ""
        if sign in {"", "\r", "\n"} or raw.FPDFText_IsGenerated(page, index) == 1:
            if runs and sign == " ":
                runs[-1].text += " "
            continue
        if not raw.FPDFText_GetCharOrigin(page, index, ctypes.byref(x), ctypes.byref(y)):
            continue
        # By its origin and its font's size: a sign's own box says how much ink it has (一).
        raw.FPDFText_GetMatrix(page, index, ctypes.byref(matrix))
        size = raw.FPDFText_GetFontSize(page, index) * math.hypot(matrix.b, matrix.d)
        left, base = x.value, height - y.value
        right = left + size / 2
        if raw.FPDFText_GetLooseCharBox(page, index, ctypes.byref(box)):
            right = max(box.right, left)
        top, bottom = base - _RISES * size, base + (1 - _RISES) * size
        if runs and _follows(runs[-1], left, top, bottom, size):
            runs[-1].right, runs[-1].text = max(runs[-1].right, right), runs[-1].text + sign
        else:
            runs.append(Run(left, top, right, bottom, size, sign))
    return [run for run in runs if run.text.strip()]


def _follows(run: Run, left: float, top: float, bottom: float, size: float) -> bool:
    same_line = abs((top + bottom) - (run.top + run.bottom)) < size * 0.6
    return same_line and abs(size - run.size) < size * 0.2 and -size < left - run.right < size * 1.2


def main() -> None:
    """Of the process."""
    _limit()
    try:
        found = read(sys.stdin.buffer.read())
    except MemoryError:
        found = {"refused": "too_large"}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
