"""What the platform reports of a mass send: MASSSENDJOBFINISH, late, twice, or before our own call had its answer.

In: a report; a send that has its msg_id. Out: counts on the send, its members delivered or bounced. Callers:
tracking.pushes, job.py. The platform tells how many got it, never who: where it is not all of them, they stay `sent`.
"""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import exists, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.db.statements import insert_new
from bdnews_dispatch.dispatch.changes import mark_changed
from bdnews_dispatch.dispatch.mass.models import MassReport, MassSend
from bdnews_dispatch.dispatch.models import Attempt, Delivery
from bdnews_dispatch.dispatch.states import DeliveryState
from bdnews_dispatch.subscribers.models import Channel

_GOOD = {"send success", "send_success"}


async def take_report(
    session: AsyncSession, now: datetime, msg_id: str, status: str, counts: Mapping[str, int]
) -> None:
    """Keep the first report of a job, and apply it where its send is known."""
    if not msg_id or len(msg_id) > 32:
        return
    values = {"sent_count": counts.get("sent", 0), "error_count": counts.get("error", 0), "at": now}
    await session.execute(
        insert_new(session, MassReport).values(msg_id=msg_id, status=status[:100], **values)
    )
    await apply_report(session, now, msg_id)


async def apply_report(session: AsyncSession, now: datetime, msg_id: str) -> None:
    """Settle the members, once both the send and its report are there; again does nothing."""
    report = await session.get(MassReport, msg_id) if msg_id else None
    found = await session.exec(select(MassSend).where(MassSend.msg_id == msg_id))
    send = found.first() if report is not None else None
    if report is None or send is None or send.sent_count is not None:
        return
    send.sent_count, send.error_count, send.outcome = report.sent_count, report.error_count, report.status
    session.add(send)
    good = report.status.strip().lower() in _GOOD
    if good and report.sent_count < send.members:
        return
    of_this = exists().where(
        col(Attempt.delivery_id) == col(Delivery.id),
        col(Attempt.mode) == "mass",
        col(Attempt.reference) == msg_id,
    )
    await session.execute(
        update(Delivery)
        .where(
            col(Delivery.dispatch_id) == send.dispatch_id,
            col(Delivery.channel) == Channel.WECHAT,
            col(Delivery.state) == DeliveryState.SENT,
            col(Delivery.mode) == "mass",
            of_this,
        )
        .values(
            state=DeliveryState.DELIVERED if good else DeliveryState.BOUNCED,
            reason="" if good else report.status[:100],
            updated_at=now,
        )
        .execution_options(synchronize_session=False)
    )
    await mark_changed(session, {send.dispatch_id})
