"""Addresses and openids that must not be written to, whoever asks; and those that may be again.

In: a folded address or an openid, inside the caller's transaction. Out: rows. Callers: returns, WeChat pushes, letters,
cli/. Whether somebody is suppressed is asked when a dispatch is planned and again when a mail is composed (audience).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.statements import insert_new
from bdnews_dispatch.errors import NotFoundError
from bdnews_dispatch.subscribers.models import Channel, LiftedSuppression, Suppression


@dataclass(frozen=True, slots=True)
class Shown:
    """A suppression as an admin looks at it. `lifted_at`, `note`: None and empty while it holds."""

    channel: str
    target: str
    reason: str
    source: str
    evidence: str
    since: datetime
    lifted_at: datetime | None = None
    note: str = ""


async def suppress(
    session: AsyncSession,
    clock: Clock,
    channel: Channel,
    target: str,
    *,
    reason: str,
    source: str,
    evidence: str = "",
) -> bool:
    """From now on nothing goes there.

    Args:
        target: the folded address, or the openid.
        reason: `bounce`, `soft_bounces`, `complaint`, …, or the other side's rule.
        source: who says so: `returns`, `smtp`, `wechat`, `admin`, `import`.
        evidence: what shows it: the number of a returned mail, a note.

    Returns:
        False: it was so already; the first word stands.
    """
    row = insert_new(session, Suppression).values(
        channel=channel,
        target=target,
        reason=reason[:100],
        source=source[:20],
        evidence=evidence[:200],
        created_at=clock(),
    )
    return (await session.execute(row.returning(col(Suppression.id)))).first() is not None


async def is_suppressed(session: AsyncSession, channel: Channel, target: str) -> bool:
    """Whether nothing may go there."""
    statement = select(Suppression.id).where(Suppression.channel == channel, Suppression.target == target)
    return (await session.exec(statement)).first() is not None


async def suppressed_by(session: AsyncSession, channel: Channel, target: str) -> str | None:
    """Who says that nothing may go there; None: nobody."""
    statement = select(Suppression.source).where(Suppression.channel == channel, Suppression.target == target)
    return (await session.exec(statement)).first()


async def lifted_at(session: AsyncSession, channel: Channel, target: str) -> datetime | None:
    """When a suppression of it was last lifted; None: never."""
    lifts = (
        select(LiftedSuppression.lifted_at)
        .where(LiftedSuppression.channel == channel, LiftedSuppression.target == target)
        .order_by(col(LiftedSuppression.lifted_at).desc())
        .limit(1)
    )
    return (await session.exec(lifts)).first()


async def lift(session: AsyncSession, clock: Clock, channel: Channel, target: str, *, note: str) -> None:
    """Mails may go there again; why it had been, and why it no longer is, stays known.

    Raises:
        NotFoundError: it is not suppressed.
    """
    statement = select(Suppression).where(Suppression.channel == channel, Suppression.target == target)
    row = (await session.exec(statement)).first()
    if row is None:
        raise NotFoundError("停发名单里没有这个地址", hint="可能已经解除；命令行：bdnews suppressions list。")
    session.add(
        LiftedSuppression(
            channel=row.channel,
            target=row.target,
            reason=row.reason,
            source=row.source,
            evidence=row.evidence,
            created_at=row.created_at,
            lifted_at=clock(),
            note=" ".join(note.split())[:200],
        )
    )
    await session.execute(delete(Suppression).where(col(Suppression.id) == row.id))


async def listing(
    session: AsyncSession, *, target: str = "", lifted: bool = False, limit: int = 50
) -> Sequence[Shown]:
    """Suppressions, the newest first.

    Args:
        target: only of this address or openid.
        lifted: those that were lifted instead.
    """
    table: Any = LiftedSuppression if lifted else Suppression
    statement = select(table).order_by(col(table.created_at).desc(), col(table.id).desc()).limit(limit)
    if target:
        statement = statement.where(col(table.channel).in_(list(Channel)), col(table.target) == target)
    return [
        Shown(
            row.channel.value,
            row.target,
            row.reason,
            row.source,
            row.evidence,
            row.created_at,
            getattr(row, "lifted_at", None),
            getattr(row, "note", ""),
        )
        for row in (await session.exec(statement)).all()
    ]
