"""Settings → the letterbox at work."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bdnews_dispatch.channels.email import EmailChannel
from bdnews_dispatch.letters.sending import Letterbox
from bdnews_dispatch.parts import Parts
from bdnews_dispatch.service.channels import dkim_signer, reply_rules, sandbox_relay
from bdnews_dispatch.service.roles import DRAIN_SECONDS


@asynccontextmanager
async def open_letterbox(parts: Parts) -> AsyncIterator[Letterbox]:
    """The letterbox; `run` it. Its one connection to the relay is its own."""
    settings, rules = parts.settings, reply_rules(parts.settings)
    alone = {"connections": 1}
    async with (
        EmailChannel(settings.email.model_copy(update=alone), rules) as email,
        EmailChannel(sandbox_relay(settings).model_copy(update=alone), rules) as to_sandbox,
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
