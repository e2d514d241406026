"""Lists that an admin keeps: named sets of subscribers that a dispatch can be limited to.

In: names and ids, inside the caller's transaction. Out: rows. Callers: importing, cli/.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.statements import insert_new
from bdnews_dispatch.errors import NotFoundError
from bdnews_dispatch.subscribers.models import ListMembership, MailingList

_ROWS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class ListSize:
    """A list and how many are on it."""

    name: str
    members: int


async def find_list(session: AsyncSession, name: str) -> MailingList:
    """Raises: NotFoundError: there is no list of that name; names those there are."""
    statement = select(MailingList).where(col(MailingList.name) == name)
    found: MailingList | None = (await session.execute(statement)).scalar_one_or_none()
    if found is None:
        there = "、".join(size.name for size in await list_sizes(session))
        raise NotFoundError(f"没有名为“{name}”的名单", hint=f"现有名单：{there or '（无）'}。")
    return found


async def find_or_make_list(session: AsyncSession, clock: Clock, name: str) -> int:
    """The id of the list of that name."""
    await session.execute(insert_new(session, MailingList).values(name=name, created_at=clock()))
    return (
        await session.execute(select(col(MailingList.id)).where(col(MailingList.name) == name))
    ).scalar_one() or 0


async def join_list(
    session: AsyncSession, clock: Clock, list_id: int, subscriber_ids: Collection[int]
) -> None:
    """Put them on the list; who is on it stays."""
    rows = [{"list_id": list_id, "subscriber_id": i, "joined_at": clock()} for i in subscriber_ids]
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        await session.execute(
            insert_new(session, ListMembership),
            rows[start : start + _ROWS_AT_ONCE],
        )


async def leave_list(session: AsyncSession, list_id: int, subscriber_ids: Collection[int]) -> int:
    """Take them off the list. Returns: how many were on it."""
    result = await session.execute(
        delete(ListMembership)
        .where(col(ListMembership.list_id) == list_id, col(ListMembership.subscriber_id).in_(subscriber_ids))
        .returning(col(ListMembership.id))
    )
    return len(result.all())


async def list_sizes(session: AsyncSession) -> list[ListSize]:
    """Every list by name, with how many are on it."""
    statement = (
        select(col(MailingList.name), func.count(col(ListMembership.id)))
        .outerjoin(ListMembership, col(ListMembership.list_id) == col(MailingList.id))
        .group_by(col(MailingList.id))
        .order_by(col(MailingList.name))
    )
    return [ListSize(name, members) for name, members in (await session.execute(statement)).all()]
