"""Who had everything about them erased: marks among the suppressions that say nothing without the installation's keys.

In: addresses (folded) and openids. Out: which of them are marked. Callers: privacy, which makes and takes the marks;
imports, by which nobody comes back.
"""

from collections.abc import Collection

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.db.statements import fetch_by
from bdnews_dispatch.links import Signer
from bdnews_dispatch.subscribers.models import Suppression

#: The suppression's reason, and what stands before the mark.
REASON = "erased"


def marks_of(signer: Signer, target: str) -> list[str]:
    """The names under which a suppression may hold this target; the first is by the key that signs now."""
    return [f"{REASON}:{mark}" for mark in signer.marks(target)]


async def erased_among(session: AsyncSession, signer: Signer, targets: Collection[str]) -> set[str]:
    """Those of the targets whose people had everything erased."""
    anybody = select(Suppression.id).where(col(Suppression.reason) == REASON).limit(1)
    if (await session.exec(anybody)).first() is None:
        return set()
    by_mark = {mark: target for target in targets for mark in marks_of(signer, target)}
    rows = await fetch_by(session, "SELECT target FROM suppression WHERE target IN ({values})", by_mark)
    return {by_mark[row[0]] for row in rows}
