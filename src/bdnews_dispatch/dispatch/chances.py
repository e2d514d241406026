"""What a card's own history says of its modes: a call that must be made again just so, a mass message that can't be.

In: claims, and how their followers stand. Out: `Chances` by delivery. Caller: stocking.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import func
from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.channels.wechat import Chances
from bdnews_dispatch.channels.wechat.outcomes import REPEATABLE
from bdnews_dispatch.dispatch.ledger_store import SAME_KEY_HOLDS, Claim
from bdnews_dispatch.dispatch.models import Delivery
from bdnews_dispatch.subscribers.audience import Person

#: Reasons under which the mass job gives a delivery back to the card lane.
NO_MASS: Mapping[str, str] = {
    "wechat.mass_alone": "选择同样栏目的只有这一人，群发至少要两人",
    "wechat.mass_refused": "微信没有接受这次群发",
}


async def narrowed(
    session: AsyncSession,
    claims: Sequence[Claim],
    found: Mapping[int, Person],
    of_openid: Mapping[str, Chances],
    now: datetime,
) -> dict[int, Chances]:
    """The chances of each claim whose person has an openid that was looked up; of the others none.

    Args:
        found: people by subscriber id.
        of_openid: how they stand.
    """
    special = await session.exec(
        select(Delivery.id, Delivery.mode, Delivery.reason, Delivery.called_at).where(
            col(Delivery.id).in_([claim.delivery_id for claim in claims]),
            or_(Delivery.mode == REPEATABLE, func.length(Delivery.reason) > 0),
        )
    )
    history = {id_: (mode, reason, called_at) for id_, mode, reason, called_at in special}
    narrow = {}
    for claim in claims:
        person = found.get(claim.subscriber_id)
        if person is None:
            continue
        chances = of_openid.get(person.openid or "", Chances())
        mode, reason, called_at = history.get(claim.delivery_id, ("", "", None))
        if mode == REPEATABLE:
            late = called_at is None or called_at <= now - SAME_KEY_HOLDS
            chances = replace(chances, only=mode, too_late=late, templates_left=True)
        elif reason in NO_MASS:
            chances = replace(chances, no_mass=NO_MASS[reason])
        narrow[claim.delivery_id] = chances
    return narrow
