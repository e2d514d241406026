"""A report as a table: for a file that people open in a spreadsheet.

In: lines of figures. Out: rows of cells; a CSV file or an XLSX workbook. Callers: cli/, later the console. Text that a
spreadsheet would take for a formula is made harmless in CSV; a workbook's cells are told to be text.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from bdnews_dispatch.errors import BdnewsError
from bdnews_dispatch.reports.counting import FIGURES
from bdnews_dispatch.reports.reading import RATES, Figures
from bdnews_dispatch.subscribers.formulas import harmless

Cell = str | int | float | None
HEADINGS = {
    "planned": "计划",
    "skipped": "未发",
    "cancelled": "取消",
    "failed": "失败",
    "uncertain": "存疑",
    "sent": "对方已收",
    "delivered": "送达",
    "bounced": "退信",
    "complained": "投诉",
    "people": "人数",
    "untracked": "不统计者",
    "opened": "打开",
    "clicked": "点击",
    "unsubscribed": "退订",
    "machine_opened": "仅机器打开",
    "machine_clicked": "仅机器点击",
    "delivery_rate": "送达率",
    "open_rate": "打开率",
    "click_rate": "点击率",
    "unsubscribe_rate": "退订率",
    "bounce_rate": "退信率",
    "complaint_rate": "投诉率",
}


def table(first: Sequence[str], rows: Sequence[tuple[Sequence[Cell], Figures]]) -> list[list[Cell]]:
    """A heading and a row for each.

    Args:
        first: headings of the columns before the figures.
        rows: cells of these columns, and the figures.
    """
    cells: list[list[Cell]] = [[*first, *(HEADINGS[name] for name in (*FIGURES, *RATES))]]
    for before, figures in rows:
        own = [getattr(figures, name) for name in FIGURES]
        cells.append([*before, *own, *figures.rates().values()])
    return cells


def write_table(file: Path, cells: Sequence[Sequence[Cell]]) -> None:
    """Write it, as the name's ending says.

    Raises:
        BdnewsError: neither .csv nor .xlsx, or the file can't be written.
    """
    try:
        if file.suffix.lower() == ".csv":
            file.write_bytes(csv_of(cells).encode("utf-8-sig"))
        elif file.suffix.lower() == ".xlsx":
            file.write_bytes(xlsx_of(cells))
        else:
            raise BdnewsError(f"不知道怎样写 {file.name}", hint="文件名应以 .csv 或 .xlsx 结尾。")
    except OSError as error:
        raise BdnewsError(
            f"写不了 {file}：{error.strerror}", hint="请检查文件夹是否存在、是否可写。"
        ) from error


def csv_of(cells: Sequence[Sequence[Cell]]) -> str:
    """CSV with CRLF (RFC 4180); rates with four digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    for row in cells:
        writer.writerow([_plain(cell) for cell in row])
    return text.getvalue()


def xlsx_of(cells: Sequence[Sequence[Cell]]) -> bytes:
    """A workbook of one sheet, its head frozen, its rates as percentages."""
    import xlsxwriter  # noqa: PLC0415  # only where a workbook is wanted

    memory = io.BytesIO()
    options = {
        "constant_memory": False,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "in_memory": True,
    }
    with xlsxwriter.Workbook(memory, options) as workbook:
        sheet = workbook.add_worksheet("报告")
        head, rate = workbook.add_format({"bold": True}), workbook.add_format({"num_format": "0.0%"})
        for number, row in enumerate(cells):
            for place, cell in enumerate(row):
                if cell is None:
                    continue
                if isinstance(cell, str):
                    sheet.write_string(number, place, cell, head if number == 0 else None)
                else:
                    sheet.write_number(number, place, cell, rate if isinstance(cell, float) else None)
        sheet.freeze_panes(1, 1)
        sheet.autofit()
    return memory.getvalue()


def _plain(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:.4f}"
    return harmless(cell) if isinstance(cell, str) else str(cell)
