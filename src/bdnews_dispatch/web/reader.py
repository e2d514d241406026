"""Who came by a signed link: the delivery that the token names, its dispatch, its reader.

In: a delivery's key. Out: `Reader`. Callers: preferences, unsubscribing, web copy, WeChat replies.
"""

from dataclasses import dataclass

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.dispatch.models import Delivery, Dispatch
from bdnews_dispatch.errors import NotFoundError
from bdnews_dispatch.issues.publications import Publication, Publications
from bdnews_dispatch.subscribers.fields import masked
from bdnews_dispatch.subscribers.models import Channel, Subscriber


@dataclass(frozen=True, slots=True)
class Reader:
    """What a link in a mail leads to."""

    delivery: Delivery
    dispatch: Dispatch
    person: Subscriber
    publication: Publication

    @property
    def subscriber_id(self) -> int:
        assert self.person.id is not None  # noqa: S101  # read from the database
        return self.person.id

    @property
    def shown_address(self) -> str:
        """Enough for its owner to know it by; people forward mails. Empty for who has no address."""
        return masked(self.person.email) if self.person.email else ""


async def reader_of(session: AsyncSession, publications: Publications, delivery_key: str) -> Reader:
    """Raises: NotFoundError: there is no such delivery (any more)."""
    statement = (
        select(Delivery, Dispatch, Subscriber)
        .join(Dispatch, col(Dispatch.id) == col(Delivery.dispatch_id))
        .join(Subscriber, col(Subscriber.id) == col(Delivery.subscriber_id))
        .where(Delivery.key == delivery_key)
    )
    found = (await session.exec(statement)).first()
    if found is None:
        raise NotFoundError("没有这次投递的记录")
    delivery, dispatch, person = found
    return Reader(delivery, dispatch, person, publications.named(dispatch.publication))


async def newest_delivery_key(session: AsyncSession, openid: str) -> str | None:
    """The newest delivery by WeChat to this user; its links open the user's own pages."""
    statement = (
        select(Delivery.key)
        .join(Subscriber, col(Subscriber.id) == col(Delivery.subscriber_id))
        .where(Subscriber.openid == openid)
        .order_by((col(Delivery.channel) == Channel.WECHAT).desc(), col(Delivery.id).desc())
        .limit(1)
    )
    return (await session.exec(statement)).first()
