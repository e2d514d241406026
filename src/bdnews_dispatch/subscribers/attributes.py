"""Attributes: facts about people, by name. In: an id, a name, a text, in the caller's transaction. Caller: web/api/."""

from sqlalchemy import delete
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.errors import Phrase
from bdnews_dispatch.subscribers.fields import FieldError, read_attribute
from bdnews_dispatch.subscribers.models import SubscriberAttribute

_LONGEST_NAME = 40


async def set_attribute(session: AsyncSession, subscriber_id: int, name: str, text: str) -> None:
    """Write down, or change, a fact; an empty text takes it away.

    Raises:
        FieldError: the name or the text can't be used.
    """
    name = " ".join(name.split())
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise FieldError(
            "name", "attribute.name", Phrase("名称应为 1–%(most)s 个字，不含控制字符", most=_LONGEST_NAME)
        )
    value = read_attribute(name, text)
    if not value:
        await session.execute(
            delete(SubscriberAttribute).where(
                col(SubscriberAttribute.subscriber_id) == subscriber_id,
                col(SubscriberAttribute.name) == name,
            )
        )
        return
    await session.merge(SubscriberAttribute(subscriber_id=subscriber_id, name=name, value=value))
    await session.flush()
