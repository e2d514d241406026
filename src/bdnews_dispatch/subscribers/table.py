"""A table file as people make it with a spreadsheet: bytes in, records out, each with its row as Excel counts it.

In: bytes of CSV. Out: the header's columns, and `Record`s. Caller: importing. One bad row never takes the rest along:
a quotation mark that is never closed spoils its own row only.
"""

import csv
import io
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bdnews_dispatch.errors import ImportFileError

#: 100,000 people with all their fields are some 10 MB.
MOST_BYTES = 64 * 1024 * 1024
MOST_ROWS = 1_000_000
LONGEST_FIELD = 2_000
#: A quoted field with more line ends than this was never closed.
_MOST_LINES_IN_A_ROW = 20
_DELIMITERS = (",", ";", "\t", "，", "|")
_BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))

_HEADINGS: Mapping[str, tuple[str, ...]] = {
    "email": ("email", "e-mail", "mail", "邮箱", "电子邮箱", "邮箱地址", "邮件地址"),
    "name": ("name", "姓名", "名字", "称呼"),
    "openid": ("openid", "微信openid", "微信"),
    "sections": ("sections", "section", "栏目", "订阅栏目"),
    "channel": ("channel", "渠道", "接收渠道", "方式"),
    "cadence": ("cadence", "frequency", "频率", "接收频率"),
}
#: What a table may hold, in the order that exports use.
COLUMNS = tuple(_HEADINGS)
_BY_HEADING = {heading: column for column, headings in _HEADINGS.items() for heading in headings}


@dataclass(frozen=True, slots=True)
class Record:
    """A row. `cells` by column; `problem` is set where the row can't be read, as (code, message)."""

    row: int
    cells: Mapping[str, str]
    problem: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Attributes:
        columns: those that we know, as they are there.
        unknown: headings that mean nothing to us.
    """

    columns: frozenset[str]
    unknown: tuple[str, ...]
    records: Iterator[Record]


def read_table(data: bytes) -> Table:
    """Read the header; the records come as they are asked for.

    Raises:
        ImportFileError: it is too large, no text, or has no header that we know.
    """
    if len(data) > MOST_BYTES:
        raise ImportFileError(
            f"文件有 {len(data) // 1024 // 1024} MB，超过 {MOST_BYTES // 1024 // 1024} MB",
            hint="请分成几个文件导入。",
        )
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise ImportFileError(
            "这是 Excel 工作簿，不是 CSV", hint="请在 Excel 中“另存为 → CSV UTF-8”后再导入。"
        )
    text = _text(data)
    first_line = text.partition("\n")[0].strip("\r")
    if not first_line.strip():
        raise ImportFileError("文件是空的，或第一行没有标题", hint=_example())
    delimiter = max(_DELIMITERS, key=lambda delimiter: len(_known(_cells(first_line, delimiter) or [])))
    rows = _rows(text, delimiter)
    header = [cell.strip() for cell in _cells(next(rows)[1], delimiter) or []]
    columns = [_BY_HEADING.get(_folded(heading)) for heading in header]
    known = [column for column in columns if column is not None]
    for column in known:
        if known.count(column) > 1:
            raise ImportFileError(f"标题行里 {column} 出现了不止一次", hint="请只留一列后重试。")
    if "email" not in known and "openid" not in known:
        raise ImportFileError("第一行应为标题，且至少有 email（邮箱）或 openid 一列", hint=_example())
    unknown = tuple(
        heading for heading, column in zip(header, columns, strict=True) if column is None and heading
    )
    return Table(frozenset(known), unknown, _records(rows, columns, delimiter))


def _records(rows: Iterator[tuple[int, str]], columns: list[str | None], delimiter: str) -> Iterator[Record]:
    for row, text in rows:
        if row > MOST_ROWS:
            raise ImportFileError(f"文件超过 {MOST_ROWS:,} 行", hint="请分成几个文件导入。")
        cells = _cells(text, delimiter)
        if cells is None:
            yield Record(row, {}, ("row.malformed", "引号不成对，这一行读不出来"))
            continue
        if not any(cell.strip() for cell in cells):
            continue
        if any(cell.strip() for cell in cells[len(columns) :]):
            told = f"这一行有 {len(cells)} 格，标题行只有 {len(columns)} 格；多半是某一格里有分隔符而没有用引号括起来"
            yield Record(row, {}, ("row.too_many_cells", told))
        elif any(len(cell) > LONGEST_FIELD for cell in cells):
            yield Record(row, {}, ("row.too_long", f"有一格超过 {LONGEST_FIELD} 个字符"))
        else:
            pairs = zip(columns, cells, strict=False)
            yield Record(row, {column: _plain(cell) for column, cell in pairs if column is not None})


def _rows(text: str, delimiter: str) -> Iterator[tuple[int, str]]:
    """Each row with its number; a quoted cell may go over several lines."""
    lines = io.StringIO(text, newline=None)
    waiting: list[str] = []
    number = 0
    while line := waiting.pop(0) if waiting else lines.readline():
        number += 1
        taken = [line]
        while (is_open := _is_open("".join(taken), delimiter)) and len(taken) < _MOST_LINES_IN_A_ROW:
            more = waiting.pop(0) if waiting else lines.readline()
            if not more:
                break
            taken.append(more)
        if is_open:  # never closed: this line alone, the others on their own
            waiting = taken[1:] + waiting
            taken = taken[:1]
        yield number, "".join(taken).rstrip("\n")


def _is_open(text: str, delimiter: str) -> bool:
    if '"' not in text:
        return False
    try:
        next(csv.reader([text], delimiter=delimiter, strict=True), None)
    except csv.Error as error:
        return "unexpected end" in str(error)
    return False


def _cells(text: str, delimiter: str) -> list[str] | None:
    if '"' not in text:
        return text.split(delimiter)
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return None


def _text(data: bytes) -> str:
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)), "")
    for attempt in [encoding] if encoding else ["utf-8", "gb18030"]:
        try:
            text = data.decode(attempt)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise ImportFileError(
        "文件不是 UTF-8 或 GB18030 编码的文本", hint="请在 Excel 中“另存为 → CSV UTF-8”后再导入。"
    )


def _plain(cell: str) -> str:
    """A cell as it was before an export made it harmless for spreadsheets."""
    stripped = cell.strip()
    return stripped[1:] if stripped[:1] == "'" and stripped[1:2] in FORMULA_STARTS else stripped


#: A spreadsheet takes a cell that begins with one of these for a formula.
FORMULA_STARTS = frozenset("=+-@\t\r＝＋－＠")


def _known(header: list[str]) -> set[str]:
    return {column for heading in header if (column := _BY_HEADING.get(_folded(heading)))}


def _folded(heading: str) -> str:
    return "".join(unicodedata.normalize("NFKC", heading).casefold().split())


def _example() -> str:
    return "例如第一行：email,name,openid,sections,channel,cadence（或 邮箱,姓名,openid,栏目,渠道,频率）。"
