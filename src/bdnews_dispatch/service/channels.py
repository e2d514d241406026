"""Settings → the ways out, real and sandbox."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from bdnews_dispatch.channels.email import EmailChannel, ReplyRules
from bdnews_dispatch.channels.email.limits import Limits
from bdnews_dispatch.channels.wechat import WeChatChannel
from bdnews_dispatch.digests.dkim import DkimSigner, load_keys
from bdnews_dispatch.dispatch.ways import Channels
from bdnews_dispatch.official_account.tokens import TokenRow
from bdnews_dispatch.parts import Parts
from bdnews_dispatch.sandbox.in_its_place import with_sandbox_account
from bdnews_dispatch.settings import EmailSettings, Settings


@asynccontextmanager
async def open_channels(parts: Parts) -> AsyncIterator[Channels]:
    """The ways out, real and sandbox."""
    settings = parts.settings
    sandbox_email = sandbox_relay(settings)
    rules = reply_rules(settings)
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


def reply_rules(settings: Settings) -> ReplyRules:
    """What a mail server's refusals mean."""
    return ReplyRules.load(_providers(settings))


def sandbox_relay(settings: Settings) -> EmailSettings:
    """The sandbox's mail server in the relay's place."""
    sandbox = settings.sandbox
    changed = {"host": sandbox.smtp_host, "port": sandbox.smtp_port, "security": "none", "username": ""}
    return settings.email.model_copy(update=changed)


def dkim_signer(settings: Settings) -> DkimSigner | None:
    """The signer of `[email] dkim_…`; None where no key is named.

    Raises:
        SettingsError: a key can't be used.
    """
    keys = load_keys(settings.dkim_files)
    return DkimSigner(keys) if keys else None
