"""Consents to 订阅通知: a ledger of what users granted, and what is left of it.

In: pushes `subscribe_msg_popup_event`, `…_change_event`, `…_sent_event`, inside the caller's transaction. Out: rows of
`WeChatGrant` (only added) and `WeChatCredit` (what they come to). Callers: tracking.pushes, the digest page inside
WeChat.

Source: Subscription_Messages/api.html: a consent to a one-time template allows one message; to a long-term one, any
number until it is taken back.
"""

from sqlmodel import col, update
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.statements import insert_new
from bdnews_dispatch.official_account.models import WeChatCredit, WeChatGrant


async def grant(
    session: AsyncSession, clock: Clock, openid: str, template_id: str, *, key: str, lasting: bool = False
) -> bool:
    """A user agreed to one more message, or to a long-term template.

    Args:
        key: of what told of it: the same one counts once.
        lasting: the template is a long-term one.

    Returns:
        Whether it counted.
    """
    if not await _add(session, clock, openid, template_id, key, 1):
        return False
    more = 1 if lasting else col(WeChatCredit.granted) + 1
    await session.execute(
        update(WeChatCredit)
        .where(col(WeChatCredit.openid) == openid, col(WeChatCredit.template_id) == template_id)
        .values(granted=more, lasting=lasting, updated_at=clock())
        .execution_options(synchronize_session=False)
    )
    return True


async def withdraw(session: AsyncSession, clock: Clock, openid: str, template_id: str, *, key: str) -> bool:
    """A user took back what they had agreed to: nothing is left. For arguments and result see `grant`."""
    if not await _add(session, clock, openid, template_id, key, 0):
        return False
    await session.execute(
        update(WeChatCredit)
        .where(col(WeChatCredit.openid) == openid, col(WeChatCredit.template_id) == template_id)
        .values(granted=0, used=0, updated_at=clock())
        .execution_options(synchronize_session=False)
    )
    return True


async def _add(
    session: AsyncSession, clock: Clock, openid: str, template_id: str, key: str, number: int
) -> bool:
    now = clock()
    added = await session.execute(
        insert_new(session, WeChatGrant)
        .values(key=key, openid=openid, template_id=template_id, number=number, at=now)
        .returning(col(WeChatGrant.id))
    )
    if added.first() is None:
        return False
    nothing = {"granted": 0, "used": 0, "lasting": False, "updated_at": now}
    await session.execute(
        insert_new(session, WeChatCredit).values(openid=openid, template_id=template_id, **nothing)
    )
    return True
