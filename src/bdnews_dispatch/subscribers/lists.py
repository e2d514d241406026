"""Lists that an admin keeps: named sets of subscribers that a dispatch can be limited to.

In: names and ids, inside the caller's transaction. Out: rows. Callers: importing, cli/.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.statements import insert_new
from bdnews_dispatch.errors import NotFoundError, Phrase
from bdnews_dispatch.subscribers.agreements import Proof
from bdnews_dispatch.subscribers.models import ListMembership, MailingList

_ROWS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class ListSize:
    """A list and how many are on it."""

    name: str
    members: int
    public: bool = False
    description: str = ""


async def find_list(session: AsyncSession, name: str) -> MailingList:
    """Raises: NotFoundError: there is no list of that name; names those there are."""
    statement = select(MailingList).where(col(MailingList.name) == name)
    found: MailingList | None = (await session.execute(statement)).scalar_one_or_none()
    if found is None:
        there = await list_names(session)
        raise NotFoundError(
            Phrase("没有名为“%(name)s”的名单", name=name),
            hint=Phrase("现有名单：%(there)s。", there=there or Phrase("（无）")),
        )
    return found


async def find_or_make_list(session: AsyncSession, clock: Clock, name: str) -> int:
    """The id of the list of that name."""
    await session.execute(insert_new(session, MailingList).values(name=name, created_at=clock()))
    return (
        await session.execute(select(col(MailingList.id)).where(col(MailingList.name) == name))
    ).scalar_one() or 0


async def join_list(
    session: AsyncSession, clock: Clock, list_id: int, subscriber_ids: Collection[int], proof: Proof
) -> None:
    """Put them on the list; who is on it stays, as they came."""
    now, told = clock(), proof.columns()
    rows = [{"list_id": list_id, "subscriber_id": i, "joined_at": now, **told} for i in subscriber_ids]
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        await session.execute(
            insert_new(session, ListMembership),
            rows[start : start + _ROWS_AT_ONCE],
        )


async def leave_list(
    session: AsyncSession, clock: Clock, list_id: int, subscriber_ids: Collection[int], *, reason: str
) -> int:
    """Take them off the list; that they were on it stays known. Returns: how many were."""
    result = await session.execute(
        update(ListMembership)
        .where(col(ListMembership.list_id) == list_id, col(ListMembership.subscriber_id).in_(subscriber_ids))
        .where(col(ListMembership.left_at).is_(None))
        .values(left_at=clock(), leave_reason=reason[:100])
        .returning(col(ListMembership.id))
    )
    return len(result.all())


async def memberships(session: AsyncSession, subscriber_id: int) -> list[tuple[MailingList, ListMembership]]:
    """The lists that the person was or is on, the first first."""
    statement = (
        select(MailingList, ListMembership)
        .join(ListMembership, col(ListMembership.list_id) == col(MailingList.id))
        .where(col(ListMembership.subscriber_id) == subscriber_id)
        .order_by(col(ListMembership.joined_at), col(ListMembership.id))
    )
    return [(found, membership) for found, membership in (await session.execute(statement)).all()]


async def public_lists(session: AsyncSession) -> list[MailingList]:
    """Those that the pages offer, by name."""
    statement = select(MailingList).where(col(MailingList.public)).order_by(col(MailingList.name))
    return list((await session.execute(statement)).scalars())


async def describe_list(
    session: AsyncSession, name: str, *, description: str | None = None, public: bool | None = None
) -> MailingList:
    """Change what a list says of itself. Raises: NotFoundError: there is no list of that name."""
    found = await find_list(session, name)
    if description is not None:
        found.description = " ".join(description.split())[:200]
    if public is not None:
        found.public = public
    session.add(found)
    await session.flush()
    return found


async def list_names(session: AsyncSession) -> list[str]:
    """Every list, without counting anybody."""
    return list(
        (await session.execute(select(col(MailingList.name)).order_by(col(MailingList.name)))).scalars()
    )


async def count_members(session: AsyncSession) -> dict[str, int]:
    """How many are on each list that has anybody, by its number in words: plain data."""
    statement = (
        select(col(ListMembership.list_id), func.count())
        .where(col(ListMembership.left_at).is_(None))
        .group_by(col(ListMembership.list_id))
    )
    return {str(row[0]): row[1] for row in await session.execute(statement)}


async def sizes_of(session: AsyncSession, members: Mapping[str, int]) -> list[ListSize]:
    """Every list by name. Args: members: as they were counted."""
    rows = (await session.execute(select(MailingList).order_by(col(MailingList.name)))).scalars()
    return [ListSize(row.name, members.get(str(row.id), 0), row.public, row.description) for row in rows]


async def list_sizes(session: AsyncSession) -> list[ListSize]:
    """Every list by name, with how many are on it."""
    return await sizes_of(session, await count_members(session))
