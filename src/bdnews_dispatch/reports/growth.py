"""Who joined and who left, by section, on one day: from what people agreed to, which is append-only.

In: a publication, a day. Out: for each section and for "" (any agreement) how many came and how many went. Callers:
keeping.py for days that are over, reading.py and readership.py for today. Somebody who leaves and comes back on one day
did neither.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import and_, func, join, literal, or_
from sqlalchemy import select as sa_select
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import whole_day
from bdnews_dispatch.db.engine import Backend
from bdnews_dispatch.db.statements import backend_of
from bdnews_dispatch.subscribers.models import Subscription

#: Whoever reads the whole issue is counted here, and not in each section.
WHOLE = "*"


async def count_day(
    session: AsyncSession, publication: str, day: date, zone: ZoneInfo
) -> dict[str, tuple[int, int]]:
    """Section → (joined, gone). "" is there always, a section where somebody moved."""
    start, end = whole_day(day, zone)
    began, ended = col(Subscription.began_at), col(Subscription.ended_at)
    statement = (
        select(
            col(Subscription.subscriber_id),
            began,
            ended,
            col(Subscription.whole_issue),
            col(Subscription.sections),
        )  # type: ignore[call-overload]  # SQLModel types at most four columns
        .where(col(Subscription.publication) == publication)
        .where(
            or_(
                and_(began >= start, began < end),
                and_(ended >= start, ended < end),
            )
        )
        .order_by(col(Subscription.subscriber_id), col(Subscription.id))
    )
    rows = (await session.execute(statement)).all()
    joined: dict[str, int] = defaultdict(int)
    gone: dict[str, int] = defaultdict(int)
    for _, own in groupby(rows, key=lambda row: row.subscriber_id):
        agreements = list(own)
        before = _held(agreements, start)
        after = _held(agreements, end)
        for section in after - before:
            joined[section] += 1
        for section in before - after:
            gone[section] += 1
    return {section: (joined[section], gone[section]) for section in sorted({"", *joined, *gone})}


def _held(agreements: Sequence[Any], at: datetime) -> set[str]:
    """What somebody agreed to just before a moment. Args: agreements: rows of `Subscription`."""
    for row in agreements:
        if row.began_at < at and (row.ended_at is None or row.ended_at >= at):
            return {"", *((WHOLE,) if row.whole_issue else row.sections)}
    return set()


async def count_held(session: AsyncSession, publication: str, at: datetime) -> dict[str, int]:
    """Section → how many had agreed to it just before a moment, as far as agreements are still kept."""
    began, ended = col(Subscription.began_at), col(Subscription.ended_at)
    held = and_(col(Subscription.publication) == publication, began < at, or_(ended.is_(None), ended >= at))
    chosen = and_(held, col(Subscription.whole_issue).is_(False))
    if backend_of(session) is Backend.POSTGRESQL:
        each = func.json_array_elements_text(col(Subscription.sections)).table_valued("value").lateral("each")
    else:
        each = func.json_each(col(Subscription.sections)).table_valued("value", name="each")
    by_section = (
        sa_select(each.c.value, func.count())
        .select_from(join(Subscription, each, literal(1) == 1))
        .where(chosen)
        .group_by(each.c.value)
    )
    found = {section: int(number) for section, number in (await session.execute(by_section)).all()}
    for section, which in (("", held), (WHOLE, and_(held, col(Subscription.whole_issue)))):
        found[section] = (
            await session.exec(select(func.count()).select_from(Subscription).where(which))
        ).one()
    return found


async def first_day(session: AsyncSession, publication: str, zone: ZoneInfo) -> date | None:
    """On which the first agreement began; None: there is none."""
    statement = select(func.min(col(Subscription.began_at))).where(
        col(Subscription.publication) == publication
    )
    first: datetime | None = (await session.exec(statement)).one()
    return first.astimezone(zone).date() if first is not None else None
