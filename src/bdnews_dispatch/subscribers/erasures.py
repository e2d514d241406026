"""Marks of people who had everything erased: a keyed hash of an address or openid, kept as a suppression.

In: folded addresses and openids, the keys of the installation. Out: whether one of them belongs to somebody who is gone
by their own wish. Callers: privacy/ makes them, imports ask, a confirmed subscription takes them away. Without the keys
a mark says nothing; with them it answers only who already has the address in hand.
"""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.db.statements import begins_with, fetch_by, insert_new
from bdnews_dispatch.links import Signer
from bdnews_dispatch.subscribers.models import Channel, Suppression

REASON = "erased"
#: Both channels are named for their index's sake: the mails of years have suppressed very many.
_MARKED = "SELECT target FROM suppression WHERE channel IN ('email', 'wechat') AND target IN ({values})"


async def mark_erased(
    session: AsyncSession, now: datetime, signer: Signer, channel: Channel, target: str
) -> None:
    """Keep the mark, made by the first key."""
    mark = insert_new(session, Suppression).values(
        channel=channel,
        target=_marks(signer, target)[0],
        reason=REASON,
        source="erasure",
        created_at=now,
    )
    await session.execute(mark)


async def was_erased(session: AsyncSession, signer: Signer, target: str) -> bool:
    """Whether the person of this address (folded) or openid had everything erased: no file brings them back."""
    return bool(await erased_among(session, signer, [target]))


async def erased_among(session: AsyncSession, signer: Signer, targets: Collection[str]) -> set[str]:
    """Which of these (folded addresses, openids) belong to people who had everything erased; by any known key."""
    marked = begins_with(session, col(Suppression.target), f"{REASON}:")
    anybody = select(Suppression.id).where(col(Suppression.channel).in_(list(Channel)), marked).limit(1)
    if (await session.exec(anybody)).first() is None:
        return set()
    by_mark = {mark: target for target in targets for mark in _marks(signer, target)}
    rows = await fetch_by(session, _MARKED, by_mark)
    return {by_mark[row[0]] for row in rows}


async def forget_erasure(session: AsyncSession, signer: Signer, target: str) -> None:
    """They have come back by themselves: the mark has done its work."""
    await session.execute(delete(Suppression).where(col(Suppression.target).in_(_marks(signer, target))))


def _marks(signer: Signer, target: str) -> list[str]:
    return [f"{REASON}:{mark}" for mark in signer.marks(target)]
