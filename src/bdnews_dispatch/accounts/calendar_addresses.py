"""The addresses by which calendar programs read, without a header and without a session: made, renewed, ended.

In: a user; later what an address names. Out: `USERxWORD`, which links.py signs; the user whose it is. Callers: web/. A
user has one at most: another one ends it, and so does ending it without another. It opens what the user's role may see
at the moment of asking, nothing once they are disabled.
"""

import hmac
import re
import secrets

from sqlmodel import col, delete
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.accounts.models import CalendarAddress, User
from bdnews_dispatch.clock import Clock

_BYTES = 8
_FORM = re.compile(r"([1-9][0-9]{0,8})x([0-9a-f]{16})", re.ASCII)


async def address_of(session: AsyncSession, user_id: int) -> str | None:
    """What their address names; None: they have none."""
    row = await session.get(CalendarAddress, user_id)
    return None if row is None else _key(row)


async def renew(session: AsyncSession, clock: Clock, user_id: int) -> str:
    """A new one. The one that there was opens nothing any more."""
    row = await session.get(CalendarAddress, user_id)
    word, now = secrets.token_hex(_BYTES), clock()
    if row is None:
        row = CalendarAddress(user_id=user_id, word=word, made_at=now)
    row.word, row.made_at = word, now
    session.add(row)
    await session.flush()
    return _key(row)


async def end(session: AsyncSession, user_id: int) -> None:
    """They have none any more."""
    await session.execute(delete(CalendarAddress).where(col(CalendarAddress.user_id) == user_id))


async def user_of_address(session: AsyncSession, key: str) -> User | None:
    """Whose it is; None: it was ended or renewed, or its user is disabled."""
    named = _FORM.fullmatch(key)
    row = await session.get(CalendarAddress, int(named[1])) if named is not None else None
    if named is None or row is None or not hmac.compare_digest(row.word, named[2]):
        return None
    user = await session.get(User, row.user_id)
    return user if user is not None and user.disabled_at is None else None


def _key(row: CalendarAddress) -> str:
    return f"{row.user_id}x{row.word}"
