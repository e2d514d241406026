"""A workbook of Excel (.xlsx): rows out as text, as the spreadsheet shows them.

In: a path. Out: `Sheet`, as files.py has it. Caller: receiving. A workbook is an archive: how much is in it is measured
before it is opened, whatever it says of itself. Numbers, dates and yes/no become the text that a person would type.
"""

import datetime as dt
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetVisibleEnum

from bdnews_dispatch.errors import ImportFileError
from bdnews_dispatch.subscribers.imports.files import LONGEST_FIELD, RawRow, Sheet

#: XML of rows is some fifteen times as large as its archive; a bomb a thousand times.
MOST_RATIO = 100
_BLOCK = 256 * 1024
_MOST_PARTS = 10_000
#: Beyond it a float has lost digits.
_WHOLE = 1e15


def read_workbook(path: Path, most_bytes: int) -> Sheet:
    """The first sheet that people see and that has something in it.

    Args:
        most_bytes: of all that is in it, unpacked.

    Raises:
        ImportFileError: it is too large, damaged, locked by a password, or empty.
    """
    _measure(path, most_bytes)
    try:
        workbook = CalamineWorkbook.from_path(path)
        shown = [
            found.name for found in workbook.sheets_metadata if found.visible is SheetVisibleEnum.Visible
        ]
        filled = [sheet for name in shown if (sheet := workbook.get_sheet_by_name(name)).start is not None]
    except CalamineError as error:
        raise ImportFileError(
            "这个工作簿打不开：可能已损坏，或有密码", hint="请在 Excel 中去掉密码后另存，再导入。"
        ) from error
    if not filled:
        raise ImportFileError("工作簿里没有数据")
    chosen = filled[0]
    return Sheet("xlsx", _rows(chosen), name=chosen.name, others=tuple(sheet.name for sheet in filled[1:]))


def _measure(path: Path, most_bytes: int) -> None:
    """Unpack everything once, keeping nothing: sizes in an archive's table are only claims."""
    unpacked = 0
    try:
        with zipfile.ZipFile(path) as archive, path.open("rb") as file:
            parts = archive.infolist()
            if len(parts) > _MOST_PARTS:
                raise _too_much()
            for part in parts:
                if part.flag_bits & 1:
                    raise ImportFileError("工作簿有密码", hint="请在 Excel 中去掉密码后再导入。")
                if part.compress_type == zipfile.ZIP_STORED:
                    unpacked += part.compress_size
                elif part.compress_type == zipfile.ZIP_DEFLATED:
                    for size in _inflated(file, part):
                        unpacked += size
                        if unpacked > most_bytes:
                            raise _too_much()
                else:
                    raise ImportFileError("工作簿的压缩方式不认识", hint="请在 Excel 中另存后再导入。")
                if unpacked > most_bytes:
                    raise _too_much()
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError) as error:
        raise ImportFileError("这个工作簿已损坏，打不开", hint="请在 Excel 中重新另存后再导入。") from error
    size = path.stat().st_size
    if unpacked > size * MOST_RATIO and unpacked > _BLOCK:
        raise _too_much()


def _inflated(file: Any, part: zipfile.ZipInfo) -> Iterator[int]:
    """How much comes out, block by block, however much is claimed."""
    file.seek(part.header_offset + 26)
    name, extra = (int.from_bytes(file.read(2), "little") for _ in range(2))
    file.seek(name + extra, 1)
    left = part.compress_size
    inflate = zlib.decompressobj(-15)
    while left > 0 and not inflate.eof:
        data = file.read(min(_BLOCK, left))
        if not data:
            return
        left -= len(data)
        while data and not inflate.eof:
            yield len(inflate.decompress(data, _BLOCK))
            data = inflate.unconsumed_tail


def _too_much() -> ImportFileError:
    return ImportFileError("工作簿解开后过大", hint="请另存为 CSV，或分成几个文件导入。")


def _rows(sheet: CalamineSheet) -> Iterator[RawRow]:
    """Empty rows in front are counted; empty columns in front are not there."""
    for number, values in enumerate(sheet.iter_rows(), 1):
        cells = [_text(value) for value in values]
        while cells and not cells[-1]:
            cells.pop()
        if not any(cells):
            continue
        if any(len(cell) > LONGEST_FIELD for cell in cells):
            cut = [cell[:LONGEST_FIELD] for cell in cells]
            yield RawRow(number, cut, "row.too_long", f"有一格超过 {LONGEST_FIELD} 个字符")
        else:
            yield RawRow(number, cells)


def _text(value: Any) -> str:
    """As a person would type it: a telephone number is no 1.38e10, a day no moment."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < _WHOLE else repr(value)
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat(" ")
    return str(value)
