"""Dispatches of which something became known after they were counted: a hit, a bounce, a decision.

In: their ids, in the transaction of whoever writes what became known. Out: rows that reports/ takes away when it counts
again. Sending marks nothing: a dispatch that runs is counted again anyway, and once more when it has finished.
"""

from collections.abc import Collection

from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.db.statements import insert_new
from bdnews_dispatch.dispatch.models import DispatchChange


async def mark_changed(session: AsyncSession, dispatch_ids: Collection[int]) -> None:
    """Have these counted again."""
    if dispatch_ids:
        rows = [
            {"dispatch_id": id_} for id_ in sorted(dispatch_ids)
        ]  # in one order, so that no two wait in a ring
        await session.execute(insert_new(session, DispatchChange).values(rows))
