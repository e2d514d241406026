"""Which processes are there, and which one of them leads.

In: a process's name and roles; its signs of life. Out: rows of `node` and `lease`, read by whoever wants to know.
Callers: service/, the reconciler, readiness.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, func, update
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.db.statements import insert_new
from bdnews_dispatch.messaging.models import Lease, Node

logger = logging.getLogger(__name__)

#: Between two signs of life, and how long after the last one a process counts as there.
ALIVE_SECONDS = 5.0
GONE_AFTER = timedelta(seconds=15)
#: Between two tries to lead, and how long a lease lasts that is not renewed: another one leads after at most their sum.
LEAD_SECONDS = 2.0
LEASE = timedelta(seconds=6)


@asynccontextmanager
async def present(database: Database, clock: Clock, name: str, roles: Collection[str]) -> AsyncIterator[None]:
    """Be seen while the context lasts. Args: name: unique to this process and start."""

    async def say() -> None:
        now = clock()
        async with database.write_beside() as session:
            known = await session.execute(
                update(Node).where(col(Node.name) == name).values(seen_at=now).returning(col(Node.name))
            )
            if known.first() is None:
                row = {"name": name, "roles": " ".join(sorted(roles)), "host": socket.gethostname()[:100]}
                await session.execute(insert_new(session, Node).values(**row, started_at=now, seen_at=now))
                await session.execute(delete(Node).where(col(Node.seen_at) < now - timedelta(days=1)))

    async def again_and_again() -> None:
        while True:
            await asyncio.sleep(ALIVE_SECONDS)
            with _or_warn("node.not_seen"):
                await say()

    await say()
    async with _beside(again_and_again(), "present"):
        yield
    with _or_warn("node.not_seen"):  # it is gone by itself after a while
        async with database.write_beside() as session:
            await session.execute(delete(Node).where(col(Node.name) == name))


async def number_there(session: AsyncSession, clock: Clock, role: str) -> int:
    """How many processes with this role are there."""
    seen = col(Node.seen_at) > clock() - GONE_AFTER
    statement = select(func.count()).select_from(Node).where(seen, col(Node.roles).contains(role))
    return (await session.exec(statement)).one()


async def hold(database: Database, clock: Clock, lease: str, holder: str) -> bool:
    """Take or renew the lease. Returns: whether the holder has it now."""
    now = clock()
    async with database.write_beside() as session:
        free = (col(Lease.holder) == holder) | (col(Lease.until) < now)
        taken = await session.execute(
            update(Lease)
            .where(col(Lease.name) == lease, free)
            .values(holder=holder, until=now + LEASE)
            .returning(col(Lease.name))
        )
        if taken.first() is not None:
            return True
        first = insert_new(session, Lease).values(name=lease, holder=holder, until=now + LEASE)
        return (await session.execute(first.returning(col(Lease.name)))).first() is not None


async def release(database: Database, clock: Clock, lease: str, holder: str) -> None:
    """Give the lease up, so that another one need not wait for its end."""
    async with database.write_beside() as session:
        await session.execute(
            update(Lease).where(col(Lease.name) == lease, col(Lease.holder) == holder).values(until=clock())
        )


@asynccontextmanager
async def leading(
    database: Database,
    clock: Clock,
    lease: str,
    holder: str,
    lead: Callable[[], AbstractAsyncContextManager[None]],
) -> AsyncIterator[None]:
    """Be inside `lead()` whenever this process has the lease.

    What a leader does must do no harm where two do it: one that was suspended finds out late.
    """

    async def try_to_lead() -> None:
        asked = clock()
        while not await hold(database, clock, lease, holder):
            await asyncio.sleep(LEAD_SECONDS)
            asked = clock()
        until = asked + LEASE
        logger.info("lease.taken", extra={"lease": lease, "holder": holder})
        async with lead():
            while clock() < until:
                await asyncio.sleep(LEAD_SECONDS)
                asked = clock()
                try:
                    if not await hold(database, clock, lease, holder):
                        break
                    until = asked + LEASE
                except SQLAlchemyError:  # it is ours until its end
                    logger.warning("lease.not_renewed", extra={"lease": lease})
        logger.warning("lease.lost", extra={"lease": lease, "holder": holder})

    async def again_and_again() -> None:
        while True:
            try:
                await try_to_lead()
            except Exception:
                logger.exception("lease.failed", extra={"lease": lease})
            await asyncio.sleep(LEAD_SECONDS)

    async with _beside(again_and_again(), "lead"):
        yield
    with _or_warn("lease.not_released"):  # it ends by itself
        await release(database, clock, lease, holder)


@contextmanager
def _or_warn(words: str) -> Iterator[None]:
    """What a database that is away keeps from being written is no reason to end."""
    try:
        yield
    except SQLAlchemyError as error:
        logger.warning(words, extra={"error": type(error).__name__})
    except Exception:
        logger.exception(words)


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
