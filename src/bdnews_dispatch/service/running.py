"""Settings and roles → the service, while a context lasts."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager

from bdnews_dispatch.clock import Clock, system_clock
from bdnews_dispatch.db.engine import Backend
from bdnews_dispatch.db.server_clock import ServerClock
from bdnews_dispatch.dispatch.reach import Reach
from bdnews_dispatch.messaging.nodes import present
from bdnews_dispatch.operations.readiness import Readiness
from bdnews_dispatch.parts import Parts, open_parts
from bdnews_dispatch.returns.listener import listening as taking_returns
from bdnews_dispatch.sandbox import (
    SANDBOX_AES_KEY,
    SANDBOX_CALLBACK_TOKEN,
    Sandbox,
)
from bdnews_dispatch.scheduling.daily import read_time_of_day
from bdnews_dispatch.scheduling.timetable import read_timetable
from bdnews_dispatch.service.letters import sending_letters
from bdnews_dispatch.service.returns import open_returns
from bdnews_dispatch.service.roles import Role, node_name
from bdnews_dispatch.service.sandbox import at_sandbox, sandbox_unless_there
from bdnews_dispatch.service.scheduler import scheduling
from bdnews_dispatch.service.web import listen, open_operations, open_web
from bdnews_dispatch.service.worker import open_worker, working
from bdnews_dispatch.settings import ReadSettings, Settings
from bdnews_dispatch.telemetry import traces


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
            sandbox = await sandbox_unless_there(stack, settings, clock)
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
            await stack.enter_async_context(working(worker))
            readiness.worker = worker
            wake = worker.wake
        if Role.SCHEDULER in roles:
            await stack.enter_async_context(scheduling(parts, timetable, retention_at, wake))
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
