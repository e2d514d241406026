"""The stand-ins for the outside, beside the service or elsewhere."""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from bdnews_dispatch.clock import Clock, system_clock
from bdnews_dispatch.errors import BdnewsError
from bdnews_dispatch.sandbox import (
    Sandbox,
)
from bdnews_dispatch.settings import Settings

logger = logging.getLogger(__name__)


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


async def sandbox_unless_there(stack: AsyncExitStack, settings: Settings, clock: Clock) -> Sandbox | None:
    """A sandbox for as long as the stack lasts; None where another process has its addresses already."""
    try:
        return await stack.enter_async_context(open_sandbox(settings, clock))
    except BdnewsError:
        logger.info("sandbox.elsewhere", extra={"smtp_port": settings.sandbox.smtp_port})
        return None
