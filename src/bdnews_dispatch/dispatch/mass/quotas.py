"""Quotas of mass sends: the account's calls, each member's messages of a calendar month; a statement for all members.

In: a session, a send whose members have passed the gate. Out: rows of `wechat_quota`. Caller: ledger.py, job.py.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ScalarSelect, case, exists, literal, update
from sqlalchemy import insert as plain_insert
from sqlalchemy import select as sa_select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.dispatch.mass.models import MassSend, members_of
from bdnews_dispatch.dispatch.models import Delivery
from bdnews_dispatch.official_account.models import WeChatQuota
from bdnews_dispatch.official_account.takings import (
    MASS_CALLS_QUOTA,
    MASS_QUOTA,
    Taking,
    day_of,
    for_session,
    month_of,
    quota_name,
)
from bdnews_dispatch.settings import WeChatSettings
from bdnews_dispatch.subscribers.models import Subscriber


async def take_calls(session: AsyncSession, account: WeChatSettings, now: datetime) -> bool:
    """One of the account's calls, of this day and of this minute; False: both stay, and the caller rolls back."""
    name, minute = quota_name(MASS_CALLS_QUOTA, account.appid), f"{now:%Y-%m-%dT%H:%M}"
    for taking in (
        Taking("quota", "", name, day_of(now), account.mass_calls_a_day),
        Taking("quota", "", name, minute, account.mass_calls_a_minute),
    ):
        taken = await session.execute(*for_session(taking, "take", now))
        if not taken.rowcount:  # type: ignore[attr-defined]  # of a cursor, as text() gives
            return False
    return True


def used_of(account: WeChatSettings, now: datetime) -> ScalarSelect[Any]:
    """How many this month's messages a subscriber has had, inside a select of `Subscriber`; NULL: none."""
    return sa_select(col(WeChatQuota.used)).where(*_theirs(account, now)).scalar_subquery()


async def take_of_members(
    session: AsyncSession, account: WeChatSettings, now: datetime, send: MassSend
) -> None:
    """One of each member's messages of this month; those who have none left are no members any more."""
    name, period = quota_name(MASS_QUOTA, account.appid), month_of(now)
    missing = (
        sa_select(literal(name), col(Subscriber.openid), literal(period), literal(0))
        .join_from(Delivery, Subscriber, col(Subscriber.id) == col(Delivery.subscriber_id))
        .where(*members_of(send), ~exists().where(*_theirs(account, now)))
    )
    await session.execute(
        plain_insert(WeChatQuota).from_select(["name", "holder", "period", "used"], missing)
    )
    await _set_used(session, send, col(WeChatQuota.used) + 1)


async def give_back_to_members(session: AsyncSession, send: MassSend) -> None:
    """The platform has certainly not taken the send: what was taken comes back, of the month it was taken of."""
    await _set_used(session, send, col(WeChatQuota.used) - 1)


async def spend_of_members(session: AsyncSession, account: WeChatSettings, send: MassSend) -> None:
    """The platform says that they have had their messages of this month: our ledger believes it."""
    await _set_used(session, send, account.masses_a_month)


def _theirs(account: WeChatSettings, now: datetime) -> tuple[Any, ...]:
    return (
        col(WeChatQuota.name) == quota_name(MASS_QUOTA, account.appid),
        col(WeChatQuota.period) == month_of(now),
        col(WeChatQuota.holder) == col(Subscriber.openid),
    )


async def _set_used(session: AsyncSession, send: MassSend, used: Any) -> None:
    """Of the month in which the send was made, whenever its answer comes; never below none."""
    holders = (
        sa_select(col(Subscriber.openid))
        .join(Delivery, col(Subscriber.id) == col(Delivery.subscriber_id))
        .where(*members_of(send))
    )
    await session.execute(
        update(WeChatQuota)
        .where(
            col(WeChatQuota.name) == quota_name(MASS_QUOTA, send.appid),
            col(WeChatQuota.period) == month_of(send.created_at),
            col(WeChatQuota.holder).in_(holders),
        )
        .values(used=case((used < 0, 0), else_=used))
        .execution_options(synchronize_session=False)
    )
