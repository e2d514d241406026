"""Where a dispatch stands at each domain: what a page shows beside its progress, while it runs.

In: a dispatch's id. Out: rows, the domains with most deliveries first. Caller: standing.py.
"""

from dataclasses import dataclass, field

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.db.engine import Backend
from bdnews_dispatch.db.statements import backend_of
from bdnews_dispatch.dispatch.models import Delivery, counts_template
from bdnews_dispatch.dispatch.states import OPEN, REACHED, DeliveryState
from bdnews_dispatch.subscribers.models import Channel, Subscriber

#: So many domains are named; all others are one row.
NAMED = 10


@dataclass(slots=True)
class AtDomain:
    """Deliveries to one domain; an empty name: all others together."""

    domain: str
    counts: dict[str, int] = field(default_factory=counts_template)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def reached(self) -> int:
        """Accepted by the other side."""
        return sum(self.counts[state] for state in REACHED)

    @property
    def left(self) -> int:
        """Not over yet."""
        return sum(self.counts[state] for state in OPEN)


async def by_domain(session: AsyncSession, dispatch_id: int) -> list[AtDomain]:
    """Mails of a dispatch that were to go out, by domain."""
    key = col(Subscriber.email_key)
    domain = (
        func.split_part(key, "@", 2)
        if backend_of(session) is Backend.POSTGRESQL
        else func.substr(key, func.instr(key, "@") + 1)
    ).label("domain")
    rows = await session.exec(
        select(domain, Delivery.state, func.count())
        .join(Subscriber, col(Subscriber.id) == col(Delivery.subscriber_id))
        .where(Delivery.dispatch_id == dispatch_id, Delivery.channel == Channel.EMAIL)
        .where(col(Delivery.state) != DeliveryState.SKIPPED, key.is_not(None))
        .group_by(domain, col(Delivery.state))
    )
    found: dict[str, AtDomain] = {}
    for name, state, number in rows:
        found.setdefault(name, AtDomain(name)).counts[DeliveryState(state).value] += number
    ordered = sorted(found.values(), key=lambda one: (-one.total, one.domain))
    others = AtDomain("")
    for one in ordered[NAMED:]:
        for state, number in one.counts.items():
            others.counts[state] += number
    return ordered[:NAMED] + ([others] if others.total else [])
