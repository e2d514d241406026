"""One-time scenes: what stands behind the QR code on a page, until somebody scans it.

In: what the page's form held, inside the caller's transaction. Out: rows of `WeChatScene`. Callers: web/ (which asks
the platform for the code), binding.py. The code says a random word and nothing of anybody.
"""

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func
from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.official_account.follower_tables import ScenePurpose, WeChatScene
from bdnews_dispatch.subscribers.requests import MOST_FROM_NETWORK_AN_HOUR, Origin, TooManyError

#: How long a code can be scanned; the page that shows it lives as long.
LASTS = timedelta(minutes=30)
#: What was asked for by a scan that never came says nothing any more.
_KEPT_UNUSED = timedelta(days=1)


async def make_scene(
    session: AsyncSession,
    clock: Clock,
    publication: Publication,
    purpose: ScenePurpose,
    *,
    subscriber_id: int | None = None,
    wish: Mapping[str, Any] | None = None,
    origin: Origin,
) -> WeChatScene:
    """A new scene; its code is asked for by the caller and kept by `keep_code`.

    Raises:
        TooManyError: this network has asked for too many.
    """
    now = clock()
    if origin.network:
        recent = (
            select(func.count())
            .select_from(WeChatScene)
            .where(WeChatScene.network == origin.network, col(WeChatScene.made_at) > now - timedelta(hours=1))
        )
        if (await session.exec(recent)).one() >= MOST_FROM_NETWORK_AN_HOUR:
            raise TooManyError(
                "您所在的网络提交得太频繁了", hint="没有更改任何内容。请一小时后再试，或联系编辑部。"
            )
    row = WeChatScene(
        scene=secrets.token_hex(16),
        purpose=purpose,
        publication=publication.key,
        subscriber_id=subscriber_id,
        wish=dict(wish or {}),
        network=origin.network,
        consent=origin.consent,
        made_at=now,
        ends_at=now + LASTS,
    )
    session.add(row)
    await session.flush()
    return row


async def keep_code(session: AsyncSession, scene: str, code_url: str) -> None:
    """What the picture says, as the platform gave it."""
    await session.execute(
        update(WeChatScene).where(col(WeChatScene.scene) == scene).values(code_url=code_url[:500])
    )


async def find_scene(session: AsyncSession, scene: str) -> WeChatScene | None:
    """The scene by its word."""
    return await session.get(WeChatScene, scene) if scene else None


async def use_scene(session: AsyncSession, clock: Clock, scene: str, outcome: str) -> bool:
    """It is used up. Returns: False: somebody was quicker."""
    used = await session.execute(
        update(WeChatScene)
        .where(col(WeChatScene.scene) == scene, col(WeChatScene.used_at).is_(None))
        .values(used_at=clock(), outcome=outcome[:20])
        .returning(col(WeChatScene.scene))
    )
    return used.first() is not None


def is_spent(now: datetime) -> ColumnElement[bool]:
    """Nobody scanned it in time, or its page is long gone: what the subscription's proof needs stands there."""
    return col(WeChatScene.ends_at) < now - _KEPT_UNUSED
