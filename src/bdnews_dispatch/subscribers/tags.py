"""Tags: words that an admin puts on people. In: ids and a tag, in the caller's transaction. Callers: cli/, web/."""

from collections.abc import Collection

from sqlalchemy import delete, text
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.db.statements import insert_new
from bdnews_dispatch.subscribers.fields import FieldError, read_tags
from bdnews_dispatch.subscribers.models import SubscriberTag

#: From each tag to the next one in the index: neither database does so by itself for DISTINCT.
_ALL = text(
    """
    WITH RECURSIVE known (tag) AS (
        SELECT min(tag) FROM subscriber_tag
        UNION ALL SELECT (SELECT min(tag) FROM subscriber_tag WHERE tag > known.tag) FROM known
        WHERE known.tag IS NOT NULL
    ) SELECT tag FROM known WHERE tag IS NOT NULL
    """
)


async def all_tags(session: AsyncSession) -> list[str]:
    """Every tag that somebody has, in order."""
    return sorted((await session.execute(_ALL)).scalars())


async def tag_people(session: AsyncSession, subscriber_ids: Collection[int], tag: str) -> int:
    """Put the tag on them. Returns: how many had it not. Raises: FieldError: it is no tag."""
    rows = [{"subscriber_id": id_, "tag": _one(tag)} for id_ in subscriber_ids]
    if not rows:
        return 0
    statement = insert_new(session, SubscriberTag).values(rows).returning(col(SubscriberTag.subscriber_id))
    return len((await session.execute(statement)).all())


async def untag_people(session: AsyncSession, subscriber_ids: Collection[int], tag: str) -> int:
    """Take the tag off them. Returns: how many had it. Raises: FieldError: it is no tag."""
    statement = (
        delete(SubscriberTag)
        .where(col(SubscriberTag.subscriber_id).in_(subscriber_ids), col(SubscriberTag.tag) == _one(tag))
        .returning(col(SubscriberTag.subscriber_id))
    )
    return len((await session.execute(statement)).all())


def _one(text: str) -> str:
    tags = read_tags(text)
    if len(tags) != 1:
        raise FieldError("tags", "tags.invalid", "请写一个标签")
    return tags[0]
