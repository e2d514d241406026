"""Cells that a spreadsheet would take for a formula: made harmless on the way out, taken back on the way in.

Callers: exporting, imports. The mark is an apostrophe, as a person types it for the same purpose.
"""

#: A spreadsheet takes a cell that begins with one of these for a formula.
FORMULA_STARTS = frozenset("=+-@\t\r＝＋－＠")


def harmless(cell: str) -> str:
    """The cell, with a mark in front where a spreadsheet would take it for a formula."""
    return f"'{cell}" if cell[:1] in FORMULA_STARTS else cell


def plain(cell: str) -> str:
    """A cell as it was before `harmless`, without space around it."""
    stripped = cell.strip()
    if not stripped.startswith("'"):
        return stripped
    return stripped[1:].strip() if stripped[1:2] in FORMULA_STARTS else stripped
