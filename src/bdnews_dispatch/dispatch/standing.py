"""How a dispatch stands, counted from its rows of the ledger: by channel, state, reason and mode, and by domain.

In: a dispatch's id. Out: `Standing`, also as plain data: half a million rows take longer than a page may, so that pages
show what was counted a moment ago (reports/tallies.py). Callers: control, the console.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, text
from sqlalchemy import select as sa_select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.dispatch.breakdown import AtDomain, by_domain
from bdnews_dispatch.dispatch.models import IN_DOUBT, Delivery, Dispatch, counts_template
from bdnews_dispatch.dispatch.states import REACHED

#: So many deliveries of a dispatch are counted while somebody waits: a few milliseconds.
FEW = 1_000


@dataclass(frozen=True, slots=True)
class Standing:
    """Deliveries, counted.

    Attributes:
        counts: by state, each of them.
        channels: by channel and state.
        reasons: by reason.
        modes: those that the other side has taken, by mode.
        domains: of mails; empty where nobody asked for them.
    """

    counts: Mapping[str, int]
    channels: Mapping[str, Mapping[str, int]]
    reasons: Mapping[str, int]
    modes: Mapping[str, int]
    domains: Collection[AtDomain] = ()

    @classmethod
    def read(cls, told: Any, domains: Collection[AtDomain] = ()) -> "Standing":
        """Args: told: as `count` gives it. domains: where it has none."""
        counts = counts_template()
        channels: dict[str, dict[str, int]] = {}
        reasons: dict[str, int] = {}
        modes: dict[str, int] = {}
        for channel, state, reason, mode, number in told["rows"]:
            counts[state] += number
            channels.setdefault(channel, counts_template())[state] += number
            if reason:
                reasons[reason] = reasons.get(reason, 0) + number
            if mode and state in REACHED:
                modes[mode] = modes.get(mode, 0) + number
        kept = [AtDomain(name, counts_template() | own) for name, own in told.get("domains", ())]
        return cls(counts, channels, reasons, modes, kept or domains)


async def count(session: AsyncSession, dispatch_id: int) -> dict[str, Any]:
    """Everything, as plain data."""
    rows = (await rows_of(session, [dispatch_id])).get(dispatch_id, [])
    domains = [
        [one.domain, {state: number for state, number in one.counts.items() if number}]
        for one in await by_domain(session, dispatch_id)
    ]
    return {"rows": rows, "domains": domains}


async def rows_of(session: AsyncSession, dispatch_ids: Collection[int]) -> dict[int, list[list[Any]]]:
    """By dispatch: channel, state, reason, mode and how many."""
    what = (
        col(Delivery.dispatch_id),
        col(Delivery.channel),
        col(Delivery.state),
        col(Delivery.reason),
        col(Delivery.mode),
    )
    statement = (
        sa_select(*what, func.count()).where(col(Delivery.dispatch_id).in_(dispatch_ids)).group_by(*what)
    )
    found: dict[int, list[list[Any]]] = {}
    for dispatch_id, channel, state, reason, mode, number in await session.execute(statement):
        found.setdefault(dispatch_id, []).append([str(channel), str(state), reason, mode, number])
    return found


async def large_ones(session: AsyncSession, dispatch_ids: Collection[int]) -> set[int]:
    """Those with more than a few deliveries; asked of an index, no further than that."""
    one_more = (
        sa_select(col(Delivery.dispatch_id))
        .where(col(Delivery.dispatch_id) == col(Dispatch.id))
        .order_by(col(Delivery.dispatch_id), col(Delivery.subscriber_id))  # else by the whole table
        .limit(1)
        .offset(FEW)
        .correlate(Dispatch)
        .scalar_subquery()
    )
    statement = sa_select(col(Dispatch.id)).where(col(Dispatch.id).in_(dispatch_ids), one_more.is_not(None))
    return set((await session.execute(statement)).scalars())


async def in_doubt(session: AsyncSession, dispatch_ids: Collection[int]) -> dict[int, int]:
    """How many are uncertain now, of each dispatch that has one: by their own index, since a person decides by it."""
    statement = (
        sa_select(col(Delivery.dispatch_id), func.count())
        .where(text(IN_DOUBT), col(Delivery.dispatch_id).in_(dispatch_ids))
        .group_by(col(Delivery.dispatch_id))
    )
    return {row[0]: row[1] for row in await session.execute(statement)}
