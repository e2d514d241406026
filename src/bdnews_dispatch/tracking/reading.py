"""What came back, counted: people, with machines apart.

In: a dispatch or deliveries. Out: counts. Callers: cli/, the demo page, later the console. A person is counted once,
however often they opened; an open is a picture fetched, a page of ours looked at, or a click (who clicks has it open).
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Function, and_, case, func, select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.dispatch.models import Delivery
from bdnews_dispatch.tracking.models import Hit, HitKind

#: SQLite takes 32,766 values in a statement.
_IDS_AT_ONCE = 10_000
_OPENS = (HitKind.OPEN, HitKind.PAGE_VIEW, HitKind.CLICK)


@dataclass(frozen=True, slots=True)
class Counts:
    """Of a dispatch: people. `machine_…` are deliveries that only machines touched so."""

    opened: int = 0
    clicked: int = 0
    unsubscribed: int = 0
    machine_opened: int = 0
    machine_clicked: int = 0


@dataclass(frozen=True, slots=True)
class DeliveryCounts:
    """Of a delivery: hits by people, and by machines."""

    opens: int = 0
    clicks: int = 0
    page_views: int = 0
    unsubscribed: bool = False
    machines: int = 0

    @property
    def opened(self) -> bool:
        return bool(self.opens or self.page_views or self.clicks)


async def counts_of_dispatch(session: AsyncSession, dispatch_id: int) -> Counts:
    """Count who opened, clicked and unsubscribed by its deliveries."""
    person = col(Hit.machine) == ""
    of_delivery = (
        select(
            col(Delivery.subscriber_id).label("subscriber"),
            _any(and_(person, col(Hit.kind).in_(_OPENS))).label("opened"),
            _any(and_(person, col(Hit.kind) == HitKind.CLICK)).label("clicked"),
            _any(and_(person, col(Hit.kind) == HitKind.UNSUBSCRIBE)).label("unsubscribed"),
            _any(and_(~person, col(Hit.kind).in_(_OPENS))).label("machine_opened"),
            _any(and_(~person, col(Hit.kind) == HitKind.CLICK)).label("machine_clicked"),
        )
        .join(Hit, col(Hit.delivery_id) == col(Delivery.id))
        .where(col(Delivery.dispatch_id) == dispatch_id)
        .group_by(col(Delivery.subscriber_id))
        .subquery()
    )
    found = of_delivery.c
    statement = select(
        func.coalesce(func.sum(found.opened), 0),
        func.coalesce(func.sum(found.clicked), 0),
        func.coalesce(func.sum(found.unsubscribed), 0),
        func.coalesce(func.sum(found.machine_opened * (1 - found.opened)), 0),
        func.coalesce(func.sum(found.machine_clicked * (1 - found.clicked)), 0),
    )
    return Counts(*(await session.execute(statement)).one())


async def counts_of_deliveries(session: AsyncSession, ids: Collection[int]) -> dict[int, DeliveryCounts]:
    """Hits by delivery; one without any has zeros."""
    wanted = sorted(set(ids))
    found = dict.fromkeys(wanted, DeliveryCounts())
    for start in range(0, len(wanted), _IDS_AT_ONCE):
        statement = (
            select(
                col(Hit.delivery_id),
                _count(HitKind.OPEN),
                _count(HitKind.CLICK),
                _count(HitKind.PAGE_VIEW),
                _count(HitKind.UNSUBSCRIBE),
                func.sum(case((col(Hit.machine) != "", 1), else_=0)),
            )
            .where(col(Hit.delivery_id).in_(wanted[start : start + _IDS_AT_ONCE]))
            .group_by(col(Hit.delivery_id))
        )
        for delivery_id, opens, clicks, views, leavings, machines in (await session.execute(statement)).all():
            found[delivery_id] = DeliveryCounts(opens, clicks, views, bool(leavings), machines)
    return found


def _any(condition: ColumnElement[bool]) -> Function[int]:
    return func.max(case((condition, 1), else_=0))


def _count(kind: HitKind) -> Function[int]:
    return func.sum(case((and_(col(Hit.kind) == kind, col(Hit.machine) == ""), 1), else_=0))
