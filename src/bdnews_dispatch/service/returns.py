"""Settings → what takes mail that came back, and the mailbox it comes back to."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from bdnews_dispatch.parts import Parts
from bdnews_dispatch.returns.free_form import FreeForm
from bdnews_dispatch.returns.mailbox import Mailbox
from bdnews_dispatch.returns.recording import Returns
from bdnews_dispatch.returns.taking import Taker
from bdnews_dispatch.service.channels import reply_rules


def open_returns(parts: Parts) -> Returns:
    """What takes mail that came back."""
    return Returns(
        parts.clock,
        parts.publications,
        reply_rules(parts.settings),
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


@asynccontextmanager
async def reading(mailbox: Mailbox) -> AsyncIterator[None]:
    """The mailbox read in the background, while the context lasts."""
    task = asyncio.create_task(mailbox.run(), name="mailbox")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
