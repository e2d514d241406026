"""Who did what, with before and after, in a chain of hashes.

In: the actor, the action, its subject, in the transaction of what was done. Out: an entry. Callers: web/console/, cli/.
An entry that is changed or taken away breaks the chain from there on; only who can write all that stands behind it
could mend it, so keep the last hash elsewhere from time to time (`bdnews audit verify` prints it).
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.accounts.models import AuditEntry
from bdnews_dispatch.clock import Clock

LONGEST_ACTOR = 40
_SLICE = 1_000


async def record(
    session: AsyncSession,
    clock: Clock,
    *,
    actor: str,
    action: str,
    subject: str = "",
    change: Mapping[str, Any] | None = None,
    network: str = "",
) -> None:
    """Write an entry. The session decides alone (`database.write`): entries follow one after the other.

    Args:
        change: before and after; ids and choices, never an address: the log outlives an erasure.
    """
    before = (
        await session.exec(select(AuditEntry.hash).order_by(col(AuditEntry.id).desc()).limit(1))
    ).first()
    entry = AuditEntry(
        at=clock(),
        actor=actor[:LONGEST_ACTOR],
        action=action[:60],
        subject=subject[:150],
        change=dict(change or {}),
        network=network[:50],
        hash="",
    )
    entry.hash = _hash(entry, before or "")
    session.add(entry)
    await session.flush()


async def verify(session: AsyncSession) -> tuple[int, int | None, str]:
    """Look through the chain.

    Returns:
        How many entries fit, the number of the first one that does not (None: all fit), and the last hash that fits.
    """
    fitting, before, after = 0, "", 0
    while True:
        rows = await entries(session, after=after, limit=_SLICE, newest_first=False)
        for row in rows:
            if row.hash != _hash(row, before):
                return fitting, row.id, before
            fitting, before, after = fitting + 1, row.hash, row.id or 0
        if len(rows) < _SLICE:
            return fitting, None, before


async def entries(
    session: AsyncSession,
    *,
    after: int = 0,
    limit: int = 100,
    newest_first: bool = True,
    actors: Collection[str] = (),
    actions: Collection[str] = (),
) -> Sequence[AuditEntry]:
    """Some of them.

    Args:
        after: the last id of the page before; 0: from the end, or the beginning.
        actors, actions: those alone; none: all.
    """
    statement = select(AuditEntry).limit(limit)
    if actors:
        statement = statement.where(col(AuditEntry.actor).in_(actors))
    if actions:
        statement = statement.where(col(AuditEntry.action).in_(actions))
    if newest_first:
        statement = statement.order_by(col(AuditEntry.id).desc())
        if after:
            statement = statement.where(col(AuditEntry.id) < after)
    else:
        statement = statement.order_by(col(AuditEntry.id)).where(col(AuditEntry.id) > after)
    return (await session.exec(statement)).all()


def _hash(entry: AuditEntry, before: str) -> str:
    told = [
        before,
        entry.at.isoformat(),
        entry.actor,
        entry.action,
        entry.subject,
        entry.change,
        entry.network,
    ]
    return hashlib.sha256(json.dumps(told, ensure_ascii=False, sort_keys=True).encode()).hexdigest()
