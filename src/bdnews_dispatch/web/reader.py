"""Who came by a signed link: the reader whom the token's key leads to, by a delivery, by a request or as a follower.

In: a key. Out: `Reader`. Callers: preferences, asking, unsubscribing, web copy, WeChat replies.
"""

from dataclasses import dataclass

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.dispatch.models import Delivery, Dispatch
from bdnews_dispatch.errors import BdnewsError, NotFoundError
from bdnews_dispatch.issues.publications import Publication, Publications
from bdnews_dispatch.subscribers import followers, people
from bdnews_dispatch.subscribers.fields import masked
from bdnews_dispatch.subscribers.models import Request, Subscriber


class ErasedError(BdnewsError):
    """The reader had everything erased; only that can be said."""


@dataclass(frozen=True, slots=True)
class Reader:
    """What a link in a mail leads to.

    Attributes:
        key: of its links.
        evidence: which mail's link it was, for what is agreed by it.
        delivery: None where the link stood in a letter.
    """

    key: str
    evidence: str
    person: Subscriber
    publication: Publication
    delivery: Delivery | None = None

    @property
    def subscriber_id(self) -> int:
        assert self.person.id is not None  # noqa: S101  # read from the database
        return self.person.id

    @property
    def shown_address(self) -> str:
        """Enough for its owner to know it by; people forward mails. Empty for who has no address."""
        return masked(self.person.email) if self.person.email else ""


async def reader_of(session: AsyncSession, publications: Publications, key: str) -> Reader:
    """Who came.

    Args:
        key: of a delivery, of a request to subscribe, or of a WeChat follower who subscribes.

    Raises:
        NotFoundError: there is no such delivery or request (any more).
        ErasedError: there is nobody behind it any more.
    """
    reader = (
        await _by_delivery(session, publications, key)
        or await _by_request(session, publications, key)
        or await _by_follower(session, publications, key)
    )
    if reader is None:
        raise NotFoundError("没有这次投递的记录")
    if reader.person.erased_at is not None:
        raise ErasedError("已按您的要求删除全部数据")
    return reader


async def _by_delivery(session: AsyncSession, publications: Publications, key: str) -> Reader | None:
    statement = (
        select(Delivery, Dispatch.publication, Subscriber)
        .join(Dispatch, col(Dispatch.id) == col(Delivery.dispatch_id))
        .join(Subscriber, col(Subscriber.id) == col(Delivery.subscriber_id))
        .where(Delivery.key == key)
    )
    found = (await session.exec(statement)).first()
    if found is None:
        return None
    delivery, publication, person = found
    return Reader(key, f"link:{delivery.id}", person, publications.named(publication), delivery)


async def _by_request(session: AsyncSession, publications: Publications, key: str) -> Reader | None:
    request = (await session.exec(select(Request).where(Request.key == key))).first()
    if request is None:
        return None
    if request.subscriber_id is not None:
        person = await session.get(Subscriber, request.subscriber_id)
    else:
        person = await people.find_by_email(session, request.email)
    if person is None:
        return None
    return Reader(key, f"request:{request.id}", person, publications.named(request.publication))


async def _by_follower(session: AsyncSession, publications: Publications, key: str) -> Reader | None:
    follower = await followers.find_by_key(session, key)
    person = await people.find_by_openid(session, follower.openid) if follower is not None else None
    return Reader(key, "wechat", person, publications.named(None)) if person is not None else None
