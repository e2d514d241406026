"""Looking for traces of a person in everything that the service keeps."""

import json
from pathlib import Path
from typing import Any

from sqlalchemy import inspect, text

from bdnews_dispatch.db.engine import Database

JING = "he.jing@readers.example"
OPENID = "oReaderHeJing0000000000001"
#: What nobody may find afterwards.
TRACES = ("he.jing", "何静", "oReaderHeJing", "密", "贵阳", "Trace/1.0")


async def everything(database: Database) -> dict[str, list[Any]]:
    """Every row of every table, as text."""
    found: dict[str, list[Any]] = {}
    async with database.engine.connect() as connection:
        names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        for name in names:
            rows = (await connection.execute(text(f'SELECT * FROM "{name}"'))).all()
            found[name] = [json.dumps([str(cell) for cell in row], ensure_ascii=False) for row in rows]
    return found


def in_files(folder: Path) -> list[tuple[str, str]]:
    return [
        (file.name, trace)
        for file in folder.glob("*.db*")
        for trace in TRACES
        if trace.encode() in file.read_bytes()
    ]
