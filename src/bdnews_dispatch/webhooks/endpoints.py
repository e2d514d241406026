"""Endpoints: added, changed, switched on and off, sent anew. Rules for cli/ and web/api/ alike.

In: what an admin says, in the caller's transaction (`Database.write`). Out: rows of `Webhook`.
"""

import re
from collections.abc import Collection, Sequence

from sqlalchemy import func
from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.errors import BdnewsError, NotFoundError, Phrase
from bdnews_dispatch.messaging.models import Event
from bdnews_dispatch.safe_client import check_address
from bdnews_dispatch.webhooks.models import Webhook, WebhookTry

_NAME = re.compile(r"[a-z_]+(\.[a-z_]+)*(\.\*)?")
_MOST = 50


async def add(
    session: AsyncSession,
    clock: Clock,
    url: str,
    names: Sequence[str],
    *,
    description: str = "",
    inside: Collection[str] = (),
) -> Webhook:
    """A new endpoint; it gets what happens from now on.

    Raises:
        AddressError: the address may not be asked.
        BdnewsError: a name is none, or there are too many endpoints.
    """
    check_address(url, inside)
    for name in names:
        if not _NAME.fullmatch(name) or len(name) > 64:
            raise BdnewsError(
                Phrase("事件名“%(name)s”写得不对", name=name[:64]), hint="如 issue.published，或 dispatch.*。"
            )
    number = (await session.exec(select(func.count()).select_from(Webhook))).one()
    if number >= _MOST:
        raise BdnewsError(Phrase("最多 %(most)s 个推送地址", most=_MOST), hint="请先删去不用的。")
    newest = (await session.exec(select(func.max(Event.id)))).one()
    webhook = Webhook(
        url=url[:500],
        description=description[:200],
        names=sorted(set(names)),
        cursor=newest or 0,
        next_at=clock(),
        created_at=clock(),
    )
    session.add(webhook)
    await session.flush()
    return webhook


async def listing(session: AsyncSession) -> list[Webhook]:
    """All of them, by number."""
    return list(await session.exec(select(Webhook).order_by(col(Webhook.id))))


async def failing(session: AsyncSession) -> list[Webhook]:
    """Those that do not take what they are sent, or are switched off."""
    is_off = col(Webhook.disabled_at).is_not(None)
    return list(await session.exec(select(Webhook).where((col(Webhook.failures) > 0) | is_off)))


async def find(session: AsyncSession, webhook_id: int) -> Webhook:
    """Raises: NotFoundError: there is none."""
    found = await session.get(Webhook, webhook_id)
    if found is None:
        raise NotFoundError(
            Phrase("没有编号为 %(id)s 的推送地址", id=webhook_id),
            hint="见“设置 › 推送”；命令行：bdnews webhooks list。",
        )
    return found


async def remove(session: AsyncSession, webhook_id: int) -> None:
    """With its tries. Raises: NotFoundError."""
    webhook = await find(session, webhook_id)
    await session.execute(delete(WebhookTry).where(col(WebhookTry.webhook_id) == webhook_id))
    await session.delete(webhook)


async def rotate(session: AsyncSession, clock: Clock, webhook_id: int) -> Webhook:
    """A new secret; the one before signs for a day more. Raises: NotFoundError."""
    webhook = await find(session, webhook_id)
    webhook.rotation, webhook.rotated_at = webhook.rotation + 1, clock()
    session.add(webhook)
    return webhook


async def switch(session: AsyncSession, clock: Clock, webhook_id: int, *, on: bool) -> Webhook:
    """On: what happened meanwhile is sent. Raises: NotFoundError."""
    webhook = await find(session, webhook_id)
    webhook.disabled_at, webhook.why = (None, "") if on else (clock(), "人工停用")
    if on:
        webhook.failures, webhook.failing_since, webhook.next_at = 0, None, clock()
    session.add(webhook)
    return webhook


async def replay(session: AsyncSession, clock: Clock, webhook_id: int, *, after: int) -> Webhook:
    """Send again what happened behind an event; the receiver knows repeats by their `webhook-id`.

    Args:
        after: the number of the event; 0: everything that is kept.

    Raises:
        NotFoundError: there is no such endpoint.
    """
    webhook = await find(session, webhook_id)
    webhook.cursor, webhook.next_at = min(after, webhook.cursor), clock()
    session.add(webhook)
    return webhook


async def tries_of(session: AsyncSession, webhook_id: int, limit: int = 50) -> list[WebhookTry]:
    """The newest first."""
    statement = (
        select(WebhookTry)
        .where(WebhookTry.webhook_id == webhook_id)
        .order_by(col(WebhookTry.id).desc())
        .limit(limit)
    )
    return list((await session.exec(statement)).all())
