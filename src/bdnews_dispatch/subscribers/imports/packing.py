"""Rows as the database keeps them: compressed JSON. In and out: rows; bytes. Callers: receiving, running, result."""

import json
import zlib
from collections.abc import Sequence
from typing import NamedTuple

from bdnews_dispatch.subscribers.imports.files import RawRow


class RefusedRow(NamedTuple):
    """A row that was refused, as it stood in the file, and why: each problem as (column, code, message)."""

    number: int
    cells: list[str]
    problems: list[tuple[str, str, str]]


def pack(rows: Sequence[RawRow] | Sequence[RefusedRow]) -> bytes:
    """Level 1: a third of the size for a microsecond a row."""
    return zlib.compress(
        json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode(errors="replace"), 1
    )


def unpack(data: bytes) -> list[RawRow]:
    """What was packed."""
    return list(map(RawRow._make, json.loads(zlib.decompress(data))))


def unpack_refused(data: bytes) -> list[RefusedRow]:
    """What was packed."""
    return [
        RefusedRow(number, cells, [(column, code, message) for column, code, message in problems])
        for number, cells, problems in json.loads(zlib.decompress(data))
    ]
