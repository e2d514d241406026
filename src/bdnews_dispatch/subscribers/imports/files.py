"""A file as people make it with a spreadsheet: rows out, one after the other, each with its number as Excel counts it.

In: a path. Out: `Sheet`: what it is, and its raw rows as they are asked for. Caller: receiving. The file is read from
disk as a stream; what is in memory is a row. One bad row never takes the rest along: a quotation mark that is never
closed spoils its own row only.
"""

import codecs
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

from bdnews_dispatch.errors import ImportFileError, Phrase

LONGEST_FIELD = 2_000
#: A line is cut here: it is no row of people's, and must not fill the memory.
LONGEST_LINE = 256 * 1024
#: A quoted field with more line ends than this was never closed.
_MOST_LINES_IN_A_ROW = 20
DELIMITERS = (",", ";", "\t", "，", "|")
_BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
#: Of GB18030, as an editor that adds one writes it.
_GB18030_MARK = "\ufeff".encode("gb18030")
_WORKBOOK = (b"PK\x03\x04",)
_OLD_WORKBOOK = (b"\xd0\xcf\x11\xe0",)
_BLOCK = 1024 * 1024
#: Of the lines that hold more than ASCII, so many in a hundred may be spoilt; with more it is another encoding.
_MOST_SPOILT = 10


class RawRow(NamedTuple):
    """A row as it stands there. `code` and `message` are set where it can't be read; then its one cell is its text."""

    number: int
    cells: list[str]
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """What was found in a file.

    Attributes:
        kind: `csv` or `xlsx`.
        encoding, delimiter: of CSV.
        name: the sheet's, in a workbook; `others`: those with something in them that are not read.
        rows: all that are not empty, the heading too; read once.
    """

    kind: str
    rows: Iterator[RawRow]
    encoding: str = ""
    delimiter: str = ""
    name: str = ""
    others: tuple[str, ...] = ()


def is_workbook(path: Path) -> bool:
    """Whether it is a workbook of Excel's present form.

    Raises:
        ImportFileError: it is one of its old form, or can't be read.
    """
    try:
        with path.open("rb") as file:
            front = file.read(4)
    except OSError as error:
        raise ImportFileError(
            Phrase("读不到文件 %(path)s：%(reason)s", path=path, reason=error.strerror)
        ) from error
    if front.startswith(_OLD_WORKBOOK):
        raise ImportFileError(
            "这是旧式的 Excel 工作簿（.xls），或有密码的工作簿",
            hint="请在 Excel 中去掉密码，“另存为 → Excel 工作簿（.xlsx）”或“CSV UTF-8”后再导入。",
        )
    return front.startswith(_WORKBOOK)


def read_csv(path: Path) -> Sheet:
    """Find out the encoding and the delimiter; the rows come as they are asked for.

    Raises:
        ImportFileError: it is no text, or there is nothing in it.
    """
    encoding = _encoding(path)
    delimiter, rows_to_skip = _delimiter(path, encoding)
    return Sheet("csv", _rows(path, encoding, delimiter, rows_to_skip), encoding, delimiter)


def _encoding(path: Path) -> str:
    """By its mark, else by how many of its lines are right in UTF-8: a spoilt one does not make the others another."""
    right = spoilt = 0
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        front = file.read(4)
        for mark, name in _BYTE_ORDER_MARKS:
            if front.startswith(mark):
                return name
        if front.startswith(_GB18030_MARK):
            return "gb18030"
        file.seek(0)
        clean = True
        while block := file.read(_BLOCK):
            if b"\0" in block:
                raise _no_text()
            if clean:
                try:
                    decoder.decode(block)
                except UnicodeDecodeError:
                    clean = False
        if clean and not decoder.getstate()[0]:
            return "utf-8"
        file.seek(0)
        while line := file.readline(LONGEST_LINE):
            if not line.isascii():
                if _decodes(line, "utf-8"):
                    right += 1
                else:
                    spoilt += 1
        if spoilt * 100 <= (right + spoilt) * _MOST_SPOILT or (right > spoilt):
            return "utf-8"
        file.seek(0)
        right = spoilt = 0
        while line := file.readline(LONGEST_LINE):
            if not line.isascii():
                if _decodes(line, "gb18030"):
                    right += 1
                else:
                    spoilt += 1
    if right <= spoilt:
        raise _no_text()
    return "gb18030"


def _decodes(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _no_text() -> ImportFileError:
    return ImportFileError(
        "文件不是 UTF-8 或 GB18030 编码的文本", hint="请在 Excel 中“另存为 → CSV UTF-8”后再导入。"
    )


def _open(path: Path, encoding: str) -> IO[str]:
    return path.open(encoding=encoding, errors="replace", newline=None)


def _delimiter(path: Path, encoding: str) -> tuple[str, int]:
    """The one that parts the first lines into the most cells, evenly; and how many lines are not rows (`sep=;`)."""
    with _open(path, encoding) as file:
        lines: list[str] = []
        for _ in range(40):
            line = file.readline(LONGEST_LINE)
            if not line:
                break
            if line.strip():
                lines.append(line.strip("\r\n").lstrip("\ufeff"))
            if len(lines) == 10:
                break
    if not lines:
        raise ImportFileError("文件是空的", hint=EXAMPLE)
    if lines[0][:4].casefold() == "sep=" and len(lines[0]) == 5:
        return lines[0][4], 1  # Excel's own line: it shows no row for it
    widths = {
        delimiter: [len(cells_of(line, delimiter) or [""]) for line in lines] for delimiter in DELIMITERS
    }
    # A comma inside a cell of one line says less than a tab in all of them.
    return max(DELIMITERS, key=lambda one: (min(widths[one]) > 1, min(widths[one]), widths[one][0])), 0


def _rows(path: Path, encoding: str, delimiter: str, skip: int) -> Iterator[RawRow]:
    """Each row that is not empty; a quoted cell may go over several lines."""
    with _open(path, encoding) as file:
        for _ in range(skip):
            file.readline(LONGEST_LINE)
        waiting: list[str] = []
        number = 0
        readline = file.readline
        while line := waiting.pop(0) if waiting else readline(LONGEST_LINE):
            number += 1
            if number == 1:
                line = line.lstrip("\ufeff")
            if len(line) >= LONGEST_LINE and not line.endswith("\n"):
                yield RawRow(number, [line[:LONGEST_FIELD]], "row.too_long", "这一行太长，读不出来")
                while more := readline(LONGEST_LINE):
                    if more.endswith("\n"):
                        break
                continue
            if '"' in line:
                taken = [line]
                while (is_open := _is_open("".join(taken), delimiter)) and len(taken) < _MOST_LINES_IN_A_ROW:
                    more = waiting.pop(0) if waiting else readline(LONGEST_LINE)
                    if not more:
                        break
                    taken.append(more)
                if len(taken) > 1 and (is_open or cells_of("".join(taken), delimiter) is None):
                    # Never closed, or closed by another row's mark: this line alone, the others on their own.
                    waiting = taken[1:] + waiting
                    taken = taken[:1]
                line = "".join(taken)
            line = line.rstrip("\n")
            if row := _row(number, line, delimiter):
                yield row


def _row(number: int, line: str, delimiter: str) -> RawRow | None:
    cells = cells_of(line, delimiter)
    if cells is None:
        return RawRow(number, [line[:LONGEST_FIELD]], "row.malformed", "引号不成对，这一行读不出来")
    if not line.strip(delimiter + " \t"):
        return None
    if "\ufffd" in line:
        return RawRow(number, cells, "row.encoding", "这一行里有读不出来的字（编码有误），请改正后重试")
    if len(line) > LONGEST_FIELD and any(len(cell) > LONGEST_FIELD for cell in cells):
        cut = [cell[:LONGEST_FIELD] for cell in cells]
        return RawRow(number, cut, "row.too_long", f"有一格超过 {LONGEST_FIELD} 个字符")
    return RawRow(number, cells)


def _is_open(text: str, delimiter: str) -> bool:
    if '"' not in text:
        return False
    try:
        next(csv.reader([text], delimiter=delimiter, strict=True), None)
    except csv.Error as error:
        return "unexpected end" in str(error)
    return False


def cells_of(text: str, delimiter: str) -> list[str] | None:
    """The cells of a line; None: its quotation marks don't match."""
    if '"' not in text:
        return text.split(delimiter)
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return None


EXAMPLE = Phrase(
    "例如第一行：email,name,openid,sections,channel,cadence（或 邮箱,姓名,openid,栏目,渠道,频率）。"
)
