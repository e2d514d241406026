"""Somebody is forgotten: rows about them that imports still hold go.

In: addresses (folded) and openids, in the caller's transaction. Caller: privacy. A chunk is looked at as a whole, since
what is compressed can't be searched by the database.
"""

import re
from collections.abc import Collection

from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.subscribers.fields import address_key
from bdnews_dispatch.subscribers.imports.files import RawRow
from bdnews_dispatch.subscribers.imports.models import ImportChunk, ImportRefused
from bdnews_dispatch.subscribers.imports.packing import RefusedRow, pack, unpack, unpack_refused


async def forget_person(session: AsyncSession, targets: Collection[str | None]) -> None:
    """Rows that wait are emptied, so that places in the file stay; so are rows that were refused."""
    wanted = {target.casefold() for target in targets if target}
    if not wanted:
        return
    waiting = select(col(ImportChunk.run_id), col(ImportChunk.number))
    for key in (await session.execute(waiting)).all():
        chunk = await session.get_one(ImportChunk, tuple(key))
        rows = unpack(chunk.data)
        kept = [row if not _about(row.cells, wanted) else RawRow(row.number, [], *_FORGOTTEN) for row in rows]
        if kept != rows:
            chunk.data = pack(kept)
            await session.flush()
        session.expunge(chunk)
    refused = select(col(ImportRefused.run_id), col(ImportRefused.chunk), col(ImportRefused.start))
    for key in (await session.execute(refused)).all():
        found = await session.get_one(ImportRefused, tuple(key))
        before = unpack_refused(found.data)
        after = [
            row if not _about(row.cells, wanted) else RefusedRow(row.number, [], [("", *_FORGOTTEN)])
            for row in before
        ]
        if after != before:
            found.data = pack(after)
            await session.flush()
        session.expunge(found)


#: Of a row that could not be taken apart, the whole line is one cell.
_BETWEEN_WORDS = re.compile(r"""[\s,;|<>()"'，；、（）]+""")
_FORGOTTEN = ("erased", "此人已要求删除其全部数据，不能由文件重新加入")


def _about(cells: Collection[str], wanted: Collection[str]) -> bool:
    """Whether one of the words in the cells is the person's address, in whatever form, or openid."""
    for cell in cells:
        for word in _BETWEEN_WORDS.split(cell):
            if word.casefold() in wanted or ("@" in word and address_key(word) in wanted):
                return True
    return False
