"""What programs read and do in a user's name without the password: tokens, the calendar's address.

Another password does not end them: a program that sends each Monday would stop without a word. Whoever thinks that
somebody knew the old one says so, and they end with it.

In: a user. Out: what there is; or all of it ended. Caller: web/console/.
"""

from dataclasses import dataclass
from typing import Any

from sqlmodel import col, update
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.accounts import calendar_addresses
from bdnews_dispatch.accounts.models import ApiToken
from bdnews_dispatch.accounts.tokens import is_good, tokens
from bdnews_dispatch.clock import Clock


@dataclass(frozen=True, slots=True)
class Programs:
    """What there is. Attributes: tokens: the names of those that are good. calendar: whether there is an address."""

    tokens: tuple[str, ...]
    calendar: bool

    def __bool__(self) -> bool:
        return bool(self.tokens) or self.calendar

    @property
    def change(self) -> dict[str, Any]:
        """For the audit log, where they were ended."""
        return {"tokens_ended": len(self.tokens), "calendar_ended": self.calendar} if self else {}


async def programs_of(session: AsyncSession, clock: Clock, user_id: int) -> Programs:
    """A user's."""
    now = clock()
    names = tuple(token.name for token in await tokens(session, user_id) if is_good(token, now))
    return Programs(names, await calendar_addresses.address_of(session, user_id) is not None)


async def end_programs(session: AsyncSession, clock: Clock, user_id: int) -> Programs:
    """None of them is let in from now on. Returns: what there was."""
    found = await programs_of(session, clock, user_id)
    await session.execute(
        update(ApiToken)
        .where(col(ApiToken.user_id) == user_id, col(ApiToken.revoked_at).is_(None))
        .values(revoked_at=clock())
    )
    await calendar_addresses.end(session, user_id)
    return found
