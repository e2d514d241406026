"""Settings → a running service. The only place that chooses concrete parts. Callers: cli/, tests.

`bdnews serve` runs every role in one process; `web`, `worker` and `scheduler` run one each, on the same database.
"""

import asyncio
import logging
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, MutableMapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from enum import StrEnum
from pathlib import Path

import aiohttp
from aiohttp import web

from bdnews_dispatch.channels.email import EmailChannel, ReplyRules
from bdnews_dispatch.channels.email.limits import Limits
from bdnews_dispatch.channels.wechat import WeChatChannel
from bdnews_dispatch.channels.wechat.mass import MassSender
from bdnews_dispatch.clock import Clock, system_clock
from bdnews_dispatch.db.engine import Backend, Database
from bdnews_dispatch.db.server_clock import ServerClock
from bdnews_dispatch.digests.dkim import DkimSigner, load_keys
from bdnews_dispatch.dispatch.budgets import Budgets, BudgetStore
from bdnews_dispatch.dispatch.ledger import Ledger
from bdnews_dispatch.dispatch.ledger_postgres import PostgresLedgerStore
from bdnews_dispatch.dispatch.ledger_sqlite import SqliteLedgerStore
from bdnews_dispatch.dispatch.ledger_store import LedgerStore
from bdnews_dispatch.dispatch.mass.drafting import Drafting
from bdnews_dispatch.dispatch.mass.job import Account, MassJob
from bdnews_dispatch.dispatch.planning import Planner
from bdnews_dispatch.dispatch.reach import Reach
from bdnews_dispatch.dispatch.reconciler import Reconciler
from bdnews_dispatch.dispatch.sending import Sender
from bdnews_dispatch.dispatch.ways import Channels
from bdnews_dispatch.dispatch.worker import Worker
from bdnews_dispatch.errors import BdnewsError
from bdnews_dispatch.issues.folder import WatchedFolder
from bdnews_dispatch.letters.sending import Letterbox
from bdnews_dispatch.messaging.nodes import leading, present
from bdnews_dispatch.messaging.notifications import Notifications
from bdnews_dispatch.messaging.outbox import EVENTS, Outbox
from bdnews_dispatch.messaging.postgres_queue import CHANNEL, PostgresQueue
from bdnews_dispatch.messaging.queue import MemoryQueue, WorkQueue
from bdnews_dispatch.official_account.account import open_account
from bdnews_dispatch.official_account.tags import mend_tags
from bdnews_dispatch.official_account.tokens import TokenRow
from bdnews_dispatch.operations.backlog import Backlog
from bdnews_dispatch.operations.readiness import Readiness
from bdnews_dispatch.parts import Parts, open_parts
from bdnews_dispatch.pipeline import handlers
from bdnews_dispatch.privacy.retention import Retention
from bdnews_dispatch.reports.keeping import Keeper
from bdnews_dispatch.returns.free_form import FreeForm
from bdnews_dispatch.returns.listener import listening as taking_returns
from bdnews_dispatch.returns.mailbox import Mailbox
from bdnews_dispatch.returns.recording import Returns
from bdnews_dispatch.returns.taking import Taker
from bdnews_dispatch.sandbox import (
    SANDBOX_AES_KEY,
    SANDBOX_CALLBACK_TOKEN,
    Sandbox,
)
from bdnews_dispatch.sandbox.in_its_place import with_sandbox_account
from bdnews_dispatch.sandbox.wechat.consents import LONG_TERM_TEMPLATE_ID
from bdnews_dispatch.scheduling.catch_up import CatchUp
from bdnews_dispatch.scheduling.daily import Daily, read_time_of_day
from bdnews_dispatch.scheduling.scheduler import scheduler
from bdnews_dispatch.scheduling.timetable import read_timetable
from bdnews_dispatch.settings import EmailSettings, ReadSettings, Settings
from bdnews_dispatch.subscribers.imports.running import Importer
from bdnews_dispatch.telemetry import traces
from bdnews_dispatch.watched_feeds.taking import FeedReader
from bdnews_dispatch.web.app import make_operations_app, make_web_app
from bdnews_dispatch.web.news import News
from bdnews_dispatch.webhooks.sending import Sender as WebhookSender

logger = logging.getLogger(__name__)

#: SIGTERM: what is on the wire is finished within this; systemd and Kubernetes wait 30 s by default.
DRAIN_SECONDS = 25.0


class Role(StrEnum):
    """What a process does."""

    WEB = "web"
    WORKER = "worker"
    SCHEDULER = "scheduler"


def folder_of(parts: Parts) -> WatchedFolder:
    """The watched folder for incoming issues."""
    issues = parts.settings.issues
    return WatchedFolder(
        parts.database,
        parts.clock,
        parts.publications,
        folder=issues.folder,
        review=issues.review,
        settle_seconds=issues.settle_seconds,
        max_bytes=issues.max_bytes,
    )


@asynccontextmanager
async def open_sandbox(settings: Settings, clock: Clock = system_clock) -> AsyncIterator[Sandbox]:
    """The stand-ins for the outside, at the addresses of `[sandbox]`.

    Raises:
        BdnewsError: an address is taken.
    """
    sandbox = Sandbox(
        smtp_host=settings.sandbox.smtp_host,
        smtp_port=settings.sandbox.smtp_port,
        http_host=settings.sandbox.http_host,
        http_port=settings.sandbox.http_port,
        folder=settings.service.data_folder / "sandbox",
        clock=clock,
    )
    async with sandbox:
        yield sandbox


def at_sandbox(settings: Settings, sandbox: Sandbox) -> Settings:
    """The settings with the sandbox's real addresses, where it chose its ports itself."""
    host, port = sandbox.smtp_address
    http_host, _, http_port = sandbox.http_url.removeprefix("http://").rpartition(":")
    changed = {"smtp_host": host, "smtp_port": port, "http_host": http_host, "http_port": int(http_port)}
    return settings.model_copy(update={"sandbox": settings.sandbox.model_copy(update=changed)})


@asynccontextmanager
async def open_channels(parts: Parts) -> AsyncIterator[Channels]:
    """The ways out, real and sandbox."""
    settings = parts.settings
    sandbox_email = _sandbox_relay(settings)
    rules = _reply_rules(settings)
    async with (
        aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=settings.wechat.timeout_seconds)
        ) as session,
        EmailChannel(settings.email, rules) as email,
        EmailChannel(sandbox_email, rules) as to_sandbox,
    ):
        yield Channels(
            reach=parts.reach,
            email=email,
            sandbox_email=to_sandbox,
            wechat=WeChatChannel(
                settings.wechat,
                session,
                clock=parts.clock,
                tokens=TokenRow(parts.database, settings.wechat.appid, settings.wechat.secret, parts.clock),
            )
            if settings.wechat.appid
            else None,
            limits=Limits.load(_providers(settings)),
            account=settings.wechat,
            sandbox_account=with_sandbox_account(settings).wechat,
            sandbox_wechat=WeChatChannel(with_sandbox_account(settings).wechat, session, clock=parts.clock),
        )


def _providers(settings: Settings) -> Path | None:
    """The file of limits and rules for refusals; None: the one that ships."""
    return Path(settings.email.providers) if settings.email.providers else None


def _reply_rules(settings: Settings) -> ReplyRules:
    return ReplyRules.load(_providers(settings))


def _sandbox_relay(settings: Settings) -> EmailSettings:
    """The sandbox's mail server in the relay's place."""
    sandbox = settings.sandbox
    changed = {"host": sandbox.smtp_host, "port": sandbox.smtp_port, "security": "none", "username": ""}
    return settings.email.model_copy(update=changed)


@asynccontextmanager
async def open_letterbox(parts: Parts) -> AsyncIterator[Letterbox]:
    """The letterbox; `run` it. Its one connection to the relay is its own."""
    settings, rules = parts.settings, _reply_rules(parts.settings)
    alone = {"connections": 1}
    async with (
        EmailChannel(settings.email.model_copy(update=alone), rules) as email,
        EmailChannel(_sandbox_relay(settings).model_copy(update=alone), rules) as to_sandbox,
    ):
        yield Letterbox(
            settings=settings,
            database=parts.database,
            clock=parts.clock,
            publications=parts.publications,
            links=parts.links,
            relay_for=lambda address: email if parts.reach.allows(address) else to_sandbox,
            dkim=dkim_signer(settings),
        )


@asynccontextmanager
async def sending_letters(parts: Parts) -> AsyncIterator[None]:
    """The letterbox at work, while the context lasts."""
    async with open_letterbox(parts) as letterbox, asyncio.TaskGroup() as group:
        task = group.create_task(letterbox.run(), name="letters")
        try:
            yield
        finally:
            letterbox.stop()
            done, _ = await asyncio.wait({task}, timeout=DRAIN_SECONDS)
            if not done:
                task.cancel()  # its letters are sent again when their lease ends


def open_returns(parts: Parts) -> Returns:
    """What takes mail that came back."""
    return Returns(
        parts.clock,
        parts.publications,
        _reply_rules(parts.settings),
        FreeForm.load(),
        soft_bounces=parts.settings.returns.soft_bounces,
    )


def open_mailbox(parts: Parts, wake: Callable[[], None]) -> Mailbox | None:
    """The mailbox to which mail comes back; None where there is none."""
    settings = parts.settings
    if not settings.mailbox.host:
        return None
    taker = Taker(parts.database, parts.links.signer, open_returns(parts), wake, way="imap")
    return Mailbox(settings.mailbox, taker, max_bytes=settings.returns.max_bytes)


def open_keeper(parts: Parts) -> Keeper:
    """What keeps the reports' counts."""
    settings = parts.settings
    return Keeper(
        parts.database,
        parts.clock,
        parts.publications,
        zone=settings.service.timezone,
        hits_kept=settings.retention.hits,
    )


def dkim_signer(settings: Settings) -> DkimSigner | None:
    """The signer of `[email] dkim_…`; None where no key is named.

    Raises:
        SettingsError: a key can't be used.
    """
    keys = load_keys(settings.dkim_files)
    return DkimSigner(keys) if keys else None


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


def node_name() -> str:
    """Unique to this process and start."""
    return f"{socket.gethostname()[:20]}-{secrets.token_hex(6)}"


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
async def open_web(
    parts: Parts,
    listening: socket.socket,
    wake: Callable[[], None],
    *,
    sandbox: Sandbox | None,
    demo: bool = False,
    guests: MutableMapping[str, str] | None = None,
    read: ReadSettings | None = None,
) -> AsyncIterator[None]:
    """The web pages on a listening socket. Args: read: for the console, which says where each value came from."""
    settings = parts.settings if parts.settings.wechat.appid else with_sandbox_account(parts.settings)
    app = make_web_app(
        settings=settings,
        database=parts.database,
        clock=parts.clock,
        publications=parts.publications,
        links=parts.links,
        wake=wake,
        sandbox=sandbox,
        demo=demo,
        guests=guests,
        read=read,
    )
    async with _answering(app, listening):
        yield


@asynccontextmanager
async def open_operations(parts: Parts, readiness: Readiness) -> AsyncIterator[None]:
    """/live, /ready and /metrics of this process, by `[operations]`. A port that is taken is no reason not to send."""
    host, port = parts.settings.operations.host, parts.settings.operations.port
    if port == 0:
        yield
        return
    try:
        listening = _bound(host, port)
    except OSError as error:
        extra = {"setting": "operations.port", "host": host, "port": port, "error": error.strerror}
        logger.warning("operations.not_listening", extra=extra)
        yield
        return
    news = News()
    app = make_operations_app(
        readiness,
        Backlog(parts.database, parts.clock),
        database=parts.database,
        clock=parts.clock,
        news=news,
    )
    async with AsyncExitStack() as stack:
        stack.enter_context(listening)
        if parts.database.backend is Backend.POSTGRESQL:
            await stack.enter_async_context(Notifications(parts.database.url, {EVENTS: news.tell}))
        await stack.enter_async_context(_answering(app, listening))
        yield


@asynccontextmanager
async def _answering(app: web.Application, listening: socket.socket) -> AsyncIterator[None]:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=5)
    await runner.setup()
    try:
        await web.SockSite(runner, listening).start()
        yield
    finally:
        await runner.cleanup()


def _bound(host: str, port: int) -> socket.socket:
    return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)


def listen(host: str, port: int) -> socket.socket:
    """Raises: BdnewsError: the address is taken, or is not one of this machine's."""
    try:
        return _bound(host, port)
    except OSError as error:
        raise BdnewsError(
            f"无法在 {host}:{port} 提供网页：{error.strerror}",
            hint="可能已有程序占用此端口；用 BDNEWS_WEB__PORT 换一个端口，或先停掉占用它的程序。",
        ) from error


@asynccontextmanager
async def running(
    settings: Settings,
    roles: Collection[Role],
    *,
    clock: Clock = system_clock,
    demo: bool = False,
    guests: MutableMapping[str, str] | None = None,
    read: ReadSettings | None = None,
) -> AsyncIterator[tuple[Parts, Sandbox | None]]:
    """The service with these roles, while the context lasts; then drained.

    Args:
        demo: with the demo's page, for a browser on this machine.
        guests: who may sign in by the demo's links, by their secrets; read for as long as it runs.
        read: the settings with where each value came from; None: the program has given them.

    Raises:
        BdnewsError: it can't start; says why and what to do.
    """
    async with AsyncExitStack() as stack:
        read = read or ReadSettings.given(settings)
        # First of all: what is wrong with it is said before anything has begun.
        timetable = read_timetable(settings.schedule, settings.service.timezone)
        retention_at = read_time_of_day(settings.retention.at)
        operations = settings.operations
        role = "serve" if len(roles) > 1 else next(iter(roles), "")
        await stack.enter_async_context(
            traces.exporting(operations.traces, mail_ratio=operations.traces_mail_ratio, role=role)
        )
        listening = None
        if Role.WEB in roles:
            listening = listen(settings.web.host, settings.web.port)
            stack.callback(listening.close)
            if settings.web.port == 0:
                chosen = settings.web.model_copy(update={"port": listening.getsockname()[1]})
                settings = settings.model_copy(update={"web": chosen})
        sandbox = None
        if Role.WORKER in roles and not Reach.read(settings.delivery.allow).everybody:
            sandbox = await _sandbox_unless_there(stack, settings, clock)
            if sandbox is not None:
                settings = at_sandbox(settings, sandbox)
        parts = await stack.enter_async_context(open_parts(settings, clock))
        clock = parts.clock
        if isinstance(clock, ServerClock):
            await stack.enter_async_context(clock.keeping_time())
        others = set(roles) - {Role.WORKER}  # a worker says so itself
        if parts.database.backend is Backend.POSTGRESQL and others:
            await stack.enter_async_context(present(parts.database, clock, node_name(), others))
        if sandbox is not None:
            sandbox.set_callback(
                f"{settings.base_url}/wechat/callback", SANDBOX_CALLBACK_TOKEN, SANDBOX_AES_KEY
            )
        # Opened before the roles and closed behind them, so that it tells of a start and of a drain as well.
        readiness = Readiness(settings, parts.database, works=Role.WORKER in roles)
        await stack.enter_async_context(open_operations(parts, readiness))
        wake: Callable[[], None] = lambda: None  # noqa: E731  # replaced below where there is a worker
        if Role.WORKER in roles:
            worker = await stack.enter_async_context(open_worker(parts))
            await stack.enter_async_context(sending_letters(parts))
            await stack.enter_async_context(_working(worker))
            readiness.worker = worker
            wake = worker.wake
        if Role.SCHEDULER in roles:
            catch_up = CatchUp(
                parts.database, clock, parts.publications, timetable, settings.schedule.catch_up_days
            )
            retention = Retention(parts.database, clock, settings)
            daily = Daily(
                parts.database,
                clock,
                retention,
                at=retention_at,
                zone=settings.service.timezone,
                then=_tags_of(parts),
            )
            await stack.enter_async_context(_scheduling(parts, catch_up, daily, open_keeper(parts), wake))
        if Role.WEB in roles and settings.returns.port:
            returns = open_returns(parts)
            await stack.enter_async_context(
                taking_returns(settings.returns, parts.database, parts.links.signer, returns, wake)
            )
        if listening is not None:
            await stack.enter_async_context(
                open_web(parts, listening, wake, sandbox=sandbox, demo=demo, guests=guests, read=read)
            )
        yield parts, sandbox


def _tags_of(parts: Parts) -> Callable[[], Awaitable[object]] | None:
    """What mends the account's tags; None where they are not kept."""
    account = parts.settings.wechat
    if not (account.tags and account.appid):
        return None

    async def mend() -> None:
        async with open_account(account, parts.clock, parts.database) as opened:
            await mend_tags(parts.database, opened.client, parts.publications.named(None), afresh=True)

    return mend


def _scheduling(
    parts: Parts, catch_up: CatchUp, daily: Daily, keeper: Keeper, wake: Callable[[], None]
) -> AbstractAsyncContextManager[None]:
    """The scheduler; of several on PostgreSQL one leads, and another one when that is gone."""
    mailbox = open_mailbox(parts, wake)
    webhooks = WebhookSender(
        parts.database, parts.clock, parts.links.signer, inside=parts.settings.webhooks.inside
    )
    feeds = FeedReader(parts.database, parts.clock, parts.publications, parts.settings)

    @asynccontextmanager
    async def ticks() -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if mailbox is not None:
                await stack.enter_async_context(_reading(mailbox))
            await stack.enter_async_context(
                scheduler(parts.settings, catch_up, daily, keeper, webhooks, feeds, folder_of(parts), wake)
            )
            yield

    if parts.database.backend is Backend.SQLITE:
        return ticks()
    return leading(parts.database, parts.clock, Role.SCHEDULER, node_name(), ticks)


@asynccontextmanager
async def _reading(mailbox: Mailbox) -> AsyncIterator[None]:
    task = asyncio.create_task(mailbox.run(), name="mailbox")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _sandbox_unless_there(stack: AsyncExitStack, settings: Settings, clock: Clock) -> Sandbox | None:
    try:
        return await stack.enter_async_context(open_sandbox(settings, clock))
    except BdnewsError:
        logger.info("sandbox.elsewhere", extra={"smtp_port": settings.sandbox.smtp_port})
        return None


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
                sandbox = await _sandbox_unless_there(stack, parts.settings, parts.clock)
                if sandbox is not None:
                    here = replace(parts, settings=at_sandbox(parts.settings, sandbox))
            worker = await stack.enter_async_context(open_worker(here))
            await stack.enter_async_context(_working(worker))
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


@asynccontextmanager
async def _working(worker: Worker) -> AsyncIterator[None]:
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


async def serve(
    read: ReadSettings,
    roles: Collection[Role],
    started: Callable[[Parts, Sandbox | None], Awaitable[None]],
) -> None:
    """Run until SIGTERM or Ctrl-C. Args: started: told once everything is up."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with running(read.settings, roles, read=read) as (parts, sandbox):
        await started(parts, sandbox)
        await stop.wait()
