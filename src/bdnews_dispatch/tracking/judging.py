"""What only several hits together show, and all hits again when the rules have changed.

In: rows of `hit` in their order, the rules. Out: the same rows with another `machine`; their dispatches are counted
again. Caller: the scheduler. Two that judge at once do no harm: the answer depends on the rows alone.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.db.statements import insert_new
from bdnews_dispatch.dispatch.changes import mark_changed
from bdnews_dispatch.dispatch.models import Delivery, DispatchLink
from bdnews_dispatch.tracking.machines import (
    BURST,
    EVERY_LINK,
    Machines,
    Trace,
    bursts,
    the_machines,
    tries_every_link,
)
from bdnews_dispatch.tracking.models import Hit, HitKind, Judging

#: Rows a step. Measured: some 100 ms.
SLICE = 5_000
#: Younger hits wait: their neighbours are still coming, and rows of other transactions with a lower number.
SETTLED = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class _Row:
    """A hit. Attributes: as of `Hit`."""

    id: int
    delivery_id: int
    link: int | None
    machine: str
    at: datetime
    trace: Trace


class Judge:
    """Judges hits, slice by slice.

    Args:
        machines: the rules; else those that ship.
    """

    def __init__(self, database: Database, clock: Clock, machines: Machines | None = None) -> None:
        self._database = database
        self._clock = clock
        self._machines = machines or the_machines()

    async def run(self) -> int:
        """Judge what has not been judged by these rules. Returns: how many hits are another's than before."""
        changed = 0
        while (found := await self._slice()) is not None:
            changed += found
        return changed

    async def _slice(self) -> int | None:
        """The next hits. None: there are none that are old enough."""
        before = self._clock() - SETTLED
        async with self._database.read() as session:
            known = await session.get(Judging, 1)
            through = known.through if known is not None and known.rules == self._machines.version else 0
            rows = await _rows(session, Hit.id > through, limit=SLICE)  # type: ignore[operator]  # SQLModel
            young = next((place for place, row in enumerate(rows) if row.at > before), len(rows))
            rows = rows[:young]
            if not rows:
                return None
            verdicts = await self._verdicts(session, rows)
        async with self._database.write_beside() as session:
            await _write(session, verdicts)
            await _one_row(session, self._machines.version)
            await session.execute(
                update(Judging)
                .where(col(Judging.id) == 1)
                .values(rules=self._machines.version, through=rows[-1].id)
            )
        return sum(map(len, verdicts.values()))

    async def _verdicts(self, session: AsyncSession, rows: Sequence[_Row]) -> Mapping[str, Collection[int]]:
        """Which hits are another's than is written: rule → ids."""
        found = {row.id: self._alone(row.trace) for row in rows}
        written = {row.id: row.machine for row in rows}
        for rule, others in (
            (EVERY_LINK, await self._every_link(session, rows)),
            (BURST, await self._bursts(session, rows)),
        ):
            for row in others:
                written.setdefault(row.id, row.machine)
                if not found.setdefault(row.id, row.machine):
                    found[row.id] = rule
        verdicts = defaultdict(list)
        for id_, rule in found.items():
            if written[id_] != rule:
                verdicts[rule].append(id_)
        return verdicts

    def _alone(self, trace: Trace) -> str:
        return "" if trace.kind is HitKind.UNSUBSCRIBE else self._machines.reason(trace)

    async def _every_link(self, session: AsyncSession, rows: Sequence[_Row]) -> list[_Row]:
        """Hits of deliveries whose links were all tried at once, while that went on."""
        clicked = {row.delivery_id for row in rows if row.trace.kind is HitKind.CLICK}
        if not clicked:
            return []
        of_delivery = defaultdict(list)
        for row in await _rows(session, col(Hit.delivery_id).in_(clicked)):
            of_delivery[row.delivery_id].append(row)
        links = await _links(session, clicked)
        found = []
        for delivery_id, hits in of_delivery.items():
            hits.sort(key=lambda hit: (hit.at, hit.id))
            clicks = [(hit.at, hit.link or 0) for hit in hits if hit.trace.kind is HitKind.CLICK]
            span = tries_every_link(clicks, links.get(delivery_id, 0), self._machines.every_link)
            if span is not None:
                found += [
                    hit
                    for hit in hits
                    if span[0] <= hit.at <= span[1] and hit.trace.kind is not HitKind.UNSUBSCRIBE
                ]
        return found

    async def _bursts(self, session: AsyncSession, rows: Sequence[_Row]) -> list[_Row]:
        """Clicks that came in step over many people's mails; those just before the slice belong to it."""
        limit = self._machines.burst
        since = rows[0].at - timedelta(seconds=limit.seconds)
        first = rows[0].id
        just_before = await _rows(
            session, col(Hit.id).between(first - SLICE, first - 1), col(Hit.at) >= since
        )
        groups = defaultdict(list)
        for row in (*just_before, *rows):
            if row.trace.network and row.trace.kind is HitKind.CLICK:
                groups[row.trace.network, row.trace.agent].append(row)
        found = []
        for hits in groups.values():
            hits.sort(key=lambda hit: (hit.at, hit.id))
            in_step = bursts([(hit.at, hit.id, hit.delivery_id) for hit in hits], limit)
            found += [hit for hit in hits if hit.id in in_step]
        return found


async def _one_row(session: AsyncSession, rules: str) -> None:
    """The one row, where it is not there yet."""
    await session.execute(insert_new(session, Judging).values(id=1, rules=rules, through=0))


async def _rows(session: AsyncSession, *which: object, limit: int | None = None) -> list[_Row]:
    statement = (
        select(
            col(Hit.id),
            col(Hit.delivery_id),
            col(Hit.link),
            col(Hit.machine),
            col(Hit.at),
            col(Hit.kind),
            col(Hit.user_agent),
            col(Hit.method),
            col(Hit.announced),
            col(Hit.network),
            col(Hit.seconds),
        )  # type: ignore[call-overload]  # SQLModel types at most four columns
        .where(*which)
        .order_by(col(Hit.id))
        .limit(limit)
    )
    found = (await session.execute(statement)).all()
    return [_Row(row[0], row[1], row[2], row[3], row[4], Trace(*row[5:])) for row in found]


async def _links(session: AsyncSession, deliveries: Collection[int]) -> dict[int, int]:
    """How many links the digests of these deliveries may have."""
    of_dispatch = select(Delivery.id, Delivery.dispatch_id).where(col(Delivery.id).in_(deliveries))
    dispatches = {id_: dispatch_id for id_, dispatch_id in await session.exec(of_dispatch) if id_ is not None}
    # Of these few alone: six years of dispatches have tens of thousands of links.
    numbers = (
        select(DispatchLink.dispatch_id, func.count())
        .where(col(DispatchLink.dispatch_id).in_(set(dispatches.values())))
        .group_by(col(DispatchLink.dispatch_id))
    )
    links = dict((await session.exec(numbers)).all())
    return {id_: links.get(dispatch_id, 0) for id_, dispatch_id in dispatches.items()}


async def _write(session: AsyncSession, verdicts: Mapping[str, Collection[int]]) -> None:
    """In the order of their numbers, so that two that judge at once don't wait in a ring."""
    ids = sorted(id_ for found in verdicts.values() for id_ in found)
    if not ids:
        return
    for rule in sorted(verdicts):
        await session.execute(
            update(Hit)
            .where(col(Hit.id).in_(sorted(verdicts[rule])))
            .values(machine=rule)
            .execution_options(synchronize_session=False)
        )
    touched = (
        select(Delivery.dispatch_id)
        .join(Hit, col(Hit.delivery_id) == col(Delivery.id))
        .where(col(Hit.id).in_(ids))
        .distinct()
    )
    await mark_changed(session, set((await session.exec(touched)).all()))
