"""Settings → pages and measures on listening sockets."""

import logging
import socket
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager

from aiohttp import web

from bdnews_dispatch.db.engine import Backend
from bdnews_dispatch.errors import BdnewsError
from bdnews_dispatch.messaging.notifications import Notifications
from bdnews_dispatch.messaging.outbox import EVENTS
from bdnews_dispatch.operations.backlog import Backlog
from bdnews_dispatch.operations.readiness import Readiness
from bdnews_dispatch.parts import Parts
from bdnews_dispatch.sandbox import (
    Sandbox,
)
from bdnews_dispatch.sandbox.in_its_place import with_sandbox_account
from bdnews_dispatch.settings import ReadSettings
from bdnews_dispatch.web.app import make_operations_app, make_web_app
from bdnews_dispatch.web.news import News

logger = logging.getLogger(__name__)


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
