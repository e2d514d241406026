"""The reconciler: makes jobs again from rows. Whatever was lost — a job, a worker, a moment — is found here.

In: events not handled, dispatches not planned, deliveries due, leases that ended, imports that nobody is at. Out:
jobs in the queue. Caller: the worker's loop, every second and whenever something was written in this process.
"""

import logging
import time
from datetime import datetime

from sqlalchemy import text
from sqlmodel import col, select

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.dispatch.control import (
    cancel_deliveries,
    cancelled_with_deliveries,
    finish_if_done,
    is_settled,
)
from bdnews_dispatch.dispatch.ledger import SENDING, Ledger
from bdnews_dispatch.dispatch.mass.job import MassJob
from bdnews_dispatch.dispatch.models import DUE, Delivery, Dispatch, DispatchKind
from bdnews_dispatch.dispatch.states import DispatchState
from bdnews_dispatch.messaging.nodes import number_there
from bdnews_dispatch.messaging.outbox import has_waiting
from bdnews_dispatch.messaging.queue import Job, JobKind, WorkQueue
from bdnews_dispatch.subscribers.imports.starting import tidy, waiting_runs
from bdnews_dispatch.subscribers.models import Channel
from bdnews_dispatch.telemetry import metrics

logger = logging.getLogger(__name__)

#: The role whose processes take turns at sending.
WORKER = "worker"
#: A clock that was set by more than this is not believed at once.
JUMP_SECONDS = 5.0


def urgency(dispatch: Dispatch) -> int:
    """An urgent bulletin overtakes a bulletin, a bulletin overtakes an issue."""
    if dispatch.urgent:
        return 0
    return 1 if dispatch.kind is DispatchKind.BULLETIN else 2


def sending_job(dispatch_id: int, urgency: int, place: int = 0) -> Job:
    """A turn at sending the dispatch."""
    return Job(JobKind.SEND if urgency else JobKind.SEND_URGENT, dispatch_id, urgency, place)


class Reconciler:
    """Looks at the rows and says what there is to do."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        queue: WorkQueue,
        ledger: Ledger,
        *,
        shared: bool = False,
        keep_imports_days: int = 30,
        masses: MassJob | None = None,
    ) -> None:
        """Make one.

        Args:
            masses: knows of dispatches whose mass messages wait; None: there are none.
            shared: other workers take from the same queue: each of them gets a place at a dispatch.
            keep_imports_days: how long the refused rows of an import are kept.
        """
        self._keep_imports_days = keep_imports_days
        self._shared = shared
        self._masses = masses
        self._looked: tuple[datetime, float] | None = None
        self._trust_after = 0.0
        self._database = database
        self._clock = clock
        self._queue = queue
        self._ledger = ledger

    async def recover(self) -> None:
        """Take back what dead workers held; not while the clock has just jumped, before they could renew by it.

        What comes back to a dispatch that is cancelled is cancelled with it.
        """
        now, steady = self._clock(), time.monotonic()
        if self._looked is not None:
            jump = (now - self._looked[0]).total_seconds() - (steady - self._looked[1])
            if abs(jump) > JUMP_SECONDS:
                logger.warning("clock.jumped", extra={"seconds": round(jump)})
                self._trust_after = steady + self._ledger.lease_seconds
        self._looked = (now, steady)
        if steady < self._trust_after:
            return
        back, unsure = await self._ledger.recover()
        metrics.leases_recovered(back, unsure)
        if back or unsure:
            logger.warning("ledger.recovered", extra={"given_back": back, "uncertain": unsure})
        async with self._database.read() as session:
            left_over = await cancelled_with_deliveries(session)
        for dispatch_id in left_over:
            async with self._database.write() as session:
                await cancel_deliveries(session, self._clock, dispatch_id)

    async def fill_queue(self) -> None:
        """One look at everything."""
        now = self._clock()
        jobs: list[Job] = []
        ended: list[int] = []
        planned: list[int] = []
        async with self._database.read() as session:
            places = max(1, await number_there(session, self._clock, WORKER)) if self._shared else 1
            if await has_waiting(session, self._clock):
                jobs.append(Job(JobKind.HANDLE_EVENTS))
            active = await session.exec(
                select(Dispatch).where(col(Dispatch.state).in_((DispatchState.SCHEDULED, *SENDING)))
            )
            for dispatch in active:
                assert dispatch.id is not None  # noqa: S101  # read from the database
                if dispatch.state is not DispatchState.SENDING and dispatch.due_at <= now:
                    jobs.append(Job(JobKind.PLAN, dispatch.id, urgency(dispatch)))
                if dispatch.state not in SENDING:
                    continue
                if dispatch.planned_at is not None:
                    planned.append(dispatch.id)
                due = (
                    select(Delivery.id)
                    .where(Delivery.dispatch_id == dispatch.id, text(DUE))
                    .where(col(Delivery.channel).in_(list(Channel)), Delivery.due_at <= now)
                    .limit(1)
                )
                if (await session.exec(due)).first() is not None:
                    jobs += [sending_job(dispatch.id, urgency(dispatch), place) for place in range(places)]
                elif dispatch.planned_at is not None and await is_settled(session, dispatch.id):
                    ended.append(dispatch.id)
            jobs += [Job(JobKind.IMPORT, run_id) for run_id in await waiting_runs(session, now)]
        if self._masses is not None:
            jobs += [Job(JobKind.MASS, dispatch_id) for dispatch_id in await self._masses.waiting(planned)]
        for job in jobs:
            await self._queue.put(job)
        for dispatch_id in ended:
            await self._finish(dispatch_id)

    async def tidy(self) -> None:
        """Take away what imports have left behind and nobody needs any more."""
        async with self._database.write() as session:
            await tidy(session, self._clock, self._keep_imports_days)

    async def _finish(self, dispatch_id: int) -> None:
        async with self._database.write() as session:
            dispatch = await session.get(Dispatch, dispatch_id)
            if dispatch is not None and await finish_if_done(session, self._clock, dispatch):
                logger.info("dispatch.finished", extra={"dispatch": dispatch_id})
