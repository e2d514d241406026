"""Settings → a worker with its channels, its ledger and its queue."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from bdnews_dispatch.channels.wechat import WeChatChannel
from bdnews_dispatch.channels.wechat.mass import MassSender
from bdnews_dispatch.db.engine import Backend, Database
from bdnews_dispatch.dispatch.budgets import Budgets, BudgetStore
from bdnews_dispatch.dispatch.ledger import Ledger
from bdnews_dispatch.dispatch.ledger_postgres import PostgresLedgerStore
from bdnews_dispatch.dispatch.ledger_sqlite import SqliteLedgerStore
from bdnews_dispatch.dispatch.ledger_store import LedgerStore
from bdnews_dispatch.dispatch.mass.drafting import Drafting
from bdnews_dispatch.dispatch.mass.job import Account, MassJob
from bdnews_dispatch.dispatch.planning import Planner
from bdnews_dispatch.dispatch.reconciler import Reconciler
from bdnews_dispatch.dispatch.sending import Sender
from bdnews_dispatch.dispatch.ways import Channels
from bdnews_dispatch.dispatch.worker import Worker
from bdnews_dispatch.errors import BdnewsError
from bdnews_dispatch.messaging.nodes import present
from bdnews_dispatch.messaging.notifications import Notifications
from bdnews_dispatch.messaging.outbox import EVENTS, Outbox
from bdnews_dispatch.messaging.postgres_queue import CHANNEL, PostgresQueue
from bdnews_dispatch.messaging.queue import MemoryQueue, WorkQueue
from bdnews_dispatch.parts import Parts
from bdnews_dispatch.pipeline import handlers
from bdnews_dispatch.sandbox.wechat.consents import LONG_TERM_TEMPLATE_ID
from bdnews_dispatch.service.channels import dkim_signer, open_channels
from bdnews_dispatch.service.roles import DRAIN_SECONDS, Role, node_name
from bdnews_dispatch.service.sandbox import at_sandbox, sandbox_unless_there
from bdnews_dispatch.subscribers.imports.running import Importer

logger = logging.getLogger(__name__)


def mass_job(parts: Parts, channels: Channels) -> MassJob:
    """What sends mass messages by the account's client, real and sandbox."""
    real = None
    if channels.wechat is not None:
        real = Account(channels.account, MassSender(channels.wechat.client, parts.clock))
    return MassJob(
        database=parts.database,
        clock=parts.clock,
        reach=parts.reach,
        real=real,
        sandbox=Account(channels.sandbox_account, MassSender(channels.sandbox_wechat.client, parts.clock)),
        drafting=Drafting(parts.database, parts.clock, parts.publications, parts.links),
    )


def ledger_store(database: Database, worker: str) -> LedgerStore:
    """The ledger's rows where the database is. Args: worker: unique to this process and start."""
    if database.file is not None:
        return SqliteLedgerStore(database.file, worker)
    return PostgresLedgerStore(database.url, worker)


@asynccontextmanager
async def open_worker(parts: Parts) -> AsyncIterator[Worker]:
    """A worker with its channels; `run` it."""
    async with AsyncExitStack() as stack:
        channels = await stack.enter_async_context(open_channels(parts))
        settings, database, clock = parts.settings, parts.database, parts.clock
        shared = database.backend is Backend.POSTGRESQL
        name = node_name()
        ledger = Ledger(
            ledger_store(database, name), clock, settings.delivery, lanes=settings.email.connections
        )
        queue: WorkQueue = PostgresQueue(database.url) if shared else MemoryQueue()
        masses = mass_job(parts, channels)
        worker = Worker(
            queue=queue,
            outbox=Outbox(
                database,
                clock,
                handlers(
                    clock,
                    parts.publications,
                    parts.links.base_url,
                    {settings.wechat.long_term_template_id, LONG_TERM_TEMPLATE_ID},
                ),
            ),
            planner=Planner(database, clock, parts.publications, parts.links),
            sender=Sender(
                settings=settings,
                database=database,
                clock=clock,
                publications=parts.publications,
                links=parts.links,
                ledger=ledger,
                channels=channels,
                dkim=dkim_signer(settings),
                budgets=Budgets(BudgetStore(database.url, name), clock) if shared else None,
            ),
            reconciler=Reconciler(
                database,
                clock,
                queue,
                ledger,
                shared=shared,
                keep_imports_days=settings.imports.keep_days,
                masses=masses,
            ),
            masses=masses,
            importer=Importer(database, clock, parts.publications, parts.links.signer),
        )
        if isinstance(queue, PostgresQueue):
            await stack.enter_async_context(present(database, clock, name, [Role.WORKER]))
            listeners = {EVENTS: lambda _: worker.wake(), CHANNEL: queue.hear}
            await stack.enter_async_context(Notifications(database.url, listeners))
        if channels.wechat is not None:
            await stack.enter_async_context(_checked(channels.wechat))
        yield worker


@asynccontextmanager
async def _checked(channel: WeChatChannel) -> AsyncIterator[None]:
    """Compare the account's templates with the settings beside the start: a platform that is away holds nobody up."""

    async def check() -> None:
        try:
            said = await channel.check()
        except BdnewsError as error:
            logger.warning("wechat.check_failed", extra={"error": error.message, "what_to_do": error.hint})
        else:
            logger.info("wechat.checked", extra={"said": said})

    task = asyncio.create_task(check(), name="wechat check")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def working(worker: Worker) -> AsyncIterator[None]:
    """The worker in the background; at the end it claims nothing more and finishes what is on the wire.

    A worker that dies takes the process with it: a service manager starts it again, and nobody waits for mail that
    nobody sends.
    """
    async with asyncio.TaskGroup() as group:
        task = group.create_task(worker.run(), name="worker")
        try:
            yield
        finally:
            worker.stop()
            done, _ = await asyncio.wait({task}, timeout=DRAIN_SECONDS)
            if not done:
                logger.warning("worker.drain_timeout", extra={"seconds": DRAIN_SECONDS})
                task.cancel()


@asynccontextmanager
async def working_here(parts: Parts) -> AsyncIterator[Callable[[], bool]]:
    """For a command that waits for work which nobody may be doing.

    Yields:
        A function that begins the work in this process; false where it has begun already. The ledger's claims make it
        safe beside any other worker.
    """
    begun = asyncio.Event()
    ended = asyncio.Event()

    async def work() -> None:
        await begun.wait()
        async with AsyncExitStack() as stack:
            here = parts
            if not parts.reach.everybody:
                sandbox = await sandbox_unless_there(stack, parts.settings, parts.clock)
                if sandbox is not None:
                    here = replace(parts, settings=at_sandbox(parts.settings, sandbox))
            worker = await stack.enter_async_context(open_worker(here))
            await stack.enter_async_context(working(worker))
            await ended.wait()

    def begin() -> bool:
        if begun.is_set():
            if task.done():
                task.result()  # it ended early: say why
            return False
        begun.set()
        return True

    task = asyncio.create_task(work(), name="work-here")
    try:
        yield begin
    finally:
        ended.set()
        if begun.is_set():
            await task
        else:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
