"""How followers stand with the account at this moment: windows, consents, quotas.

In: openids. Out: `Chances` for each, from which channels/wechat/modes.py chooses. Callers: dispatch stocking (a batch
at a time), the forecast.
"""

from collections.abc import Collection

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.channels.wechat.modes import Chances
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.official_account.models import WeChatCredit, WeChatQuota
from bdnews_dispatch.official_account.takings import (
    MASS_QUOTA,
    TEMPLATE_QUOTA,
    day_of,
    month_of,
    quota_name,
)
from bdnews_dispatch.settings import WeChatSettings
from bdnews_dispatch.subscribers.followers import open_windows


async def chances_of(
    session: AsyncSession, clock: Clock, settings: WeChatSettings, openids: Collection[str]
) -> dict[str, Chances]:
    """What each of these followers may get now.

    Args:
        settings: modes that the account has not are not looked up.
    """
    modes, now = frozenset(settings.modes), clock()
    windows = await open_windows(session, clock, openids) if "custom" in modes else frozenset[str]()
    consents: dict[tuple[str, str], WeChatCredit] = {}
    if modes & {"subscribe_long", "subscribe_once"}:
        found = await session.exec(select(WeChatCredit).where(col(WeChatCredit.openid).in_(openids)))
        consents = {(row.openid, row.template_id): row for row in found}
    masses = dict[str, int]()
    if "mass" in modes:
        masses = await masses_of(session, settings, month_of(now), openids)
    templates = "template" not in modes or await templates_left(session, clock, settings) > 0

    def one(openid: str) -> Chances:
        lasting = consents.get((openid, settings.long_term_template_id))
        once = consents.get((openid, settings.one_time_template_id))
        return Chances(
            window=openid in windows,
            long_term=lasting is not None and lasting.granted > 0,
            credits=max(0, once.granted - once.used) if once is not None else 0,
            templates_left=templates,
            masses_left=masses.get(openid, 0) < settings.masses_a_month,
        )

    return {openid: one(openid) for openid in openids}


async def templates_left(session: AsyncSession, clock: Clock, settings: WeChatSettings) -> int:
    """How many template messages the account may still send today, by our own count."""
    used = await _used(session, quota_name(TEMPLATE_QUOTA, settings.appid), "", day_of(clock()))
    return max(0, settings.templates_a_day - used)


async def masses_of(
    session: AsyncSession, settings: WeChatSettings, month: str, openids: Collection[str]
) -> dict[str, int]:
    """How many mass messages these followers have had in a month; who has had none is left out."""
    rows = await session.exec(
        select(WeChatQuota.holder, WeChatQuota.used).where(
            WeChatQuota.name == quota_name(MASS_QUOTA, settings.appid),
            WeChatQuota.period == month,
            col(WeChatQuota.holder).in_(openids),
        )
    )
    return dict(rows.all())


async def _used(session: AsyncSession, name: str, holder: str, period: str) -> int:
    row = await session.get(WeChatQuota, (name, holder, period))
    return row.used if row is not None else 0
