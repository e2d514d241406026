"""What of the account's quotas is used, as our ledger has it and as the platform counts: for people.

In: an account. Out: one row a quota. Callers: cli/wechat.py, the console's first page.

Source: openapi/quota/get: getApiQuota.html.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.channels.wechat.client import AsyncWeChatClient, PlatformError
from bdnews_dispatch.clock import Clock, beijing
from bdnews_dispatch.official_account.models import WeChatQuota
from bdnews_dispatch.official_account.takings import (
    MASS_CALLS_QUOTA,
    MASS_QUOTA,
    TEMPLATE_QUOTA,
    day_of,
    month_of,
    quota_name,
)
from bdnews_dispatch.settings import WeChatSettings


def is_past(now: datetime) -> ColumnElement[bool]:
    """Of a month before the last one: no send of then is open any more, and who got how many says nothing now."""
    last_month = (beijing(now).replace(day=1) - timedelta(days=1)).strftime("%Y-%m")
    return col(WeChatQuota.period) < last_month


async def used_quotas(session: AsyncSession, clock: Clock, account: WeChatSettings) -> list[dict[str, Any]]:
    """`templates`, `mass_calls`: of today; `mass_full`: followers who have had all mass messages of this month, of
    those who have had any (`limit`).
    """
    now = clock()
    day, month = day_of(now), month_of(now)

    async def used(quota: str) -> int:
        row = await session.get(WeChatQuota, (quota_name(quota, account.appid), "", day))
        return row.used if row is not None else 0

    of_month = (
        select(func.count(), func.count().filter(col(WeChatQuota.used) >= account.masses_a_month))
        .select_from(WeChatQuota)
        .where(WeChatQuota.name == quota_name(MASS_QUOTA, account.appid), WeChatQuota.period == month)
    )
    had, full = (await session.exec(of_month)).one()
    return [
        {"quota": "templates", "used": await used(TEMPLATE_QUOTA), "limit": account.templates_a_day},
        {"quota": "mass_calls", "used": await used(MASS_CALLS_QUOTA), "limit": account.mass_calls_a_day},
        {"quota": "mass_full", "used": full, "limit": had},
    ]


#: What we call most, by its path; the platform counts each apart, and other programs of the account count as well.
COUNTED_CALLS = (
    "message/template/send",
    "message/custom/send",
    "message/mass/send",
    "draft/add",
    "material/add_material",
    "media/uploadimg",
    "qrcode/create",
    "user/info",
)
#: The account has no right to this call, so there is no quota of it.
_NOT_ITS = {48001, 76021, 76022}


async def platform_quotas(client: AsyncWeChatClient) -> list[dict[str, Any]]:
    """`call`, `used`, `limit` of today, as the platform counts them; a call that the account may not make is left out.

    Raises:
        PlatformError, UnreachableError: it does not say.
    """
    found = []
    for call in COUNTED_CALLS:
        try:
            answer = await client.post("openapi/quota/get", data={"cgi_path": f"/cgi-bin/{call}"})
        except PlatformError as error:
            if error.code in _NOT_ITS:
                continue
            raise
        quota = answer.get("quota") or {}
        found.append(
            {"call": call, "used": int(quota.get("used", 0)), "limit": int(quota.get("daily_limit", 0))}
        )
    return found
