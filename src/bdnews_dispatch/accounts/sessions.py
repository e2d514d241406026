"""Signing in and out: a password, a cookie's value, how often somebody may try.

In: what somebody typed, or a cookie. Out: who it is. Caller: web/console/. The answer is the same, and takes as long,
for a name that nobody has.
"""

import asyncio
import secrets
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

from sqlmodel import and_, col, delete, func, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.accounts import audit
from bdnews_dispatch.accounts.models import ConsoleSession, SignInFailure, User
from bdnews_dispatch.accounts.passwords import fits, hash_password, is_outdated
from bdnews_dispatch.accounts.rights import RIGHTS, Right, Role
from bdnews_dispatch.accounts.users import find_user
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.errors import BdnewsError

#: A session ends when nobody has used it for so long, and after so long in any case (OWASP ASVS 5.0 §7.3).
IDLE = timedelta(hours=8)
LASTS = timedelta(days=7)
#: Tries within a quarter of an hour: for one name from one network, and from a network, behind which an office may sit.
TRIES_WITHIN = timedelta(minutes=15)
MOST_FOR_NAME = 8
MOST_FROM_NETWORK = 40
#: For one name from anywhere: higher, or a stranger could keep its owner out.
MOST_FOR_NAME_ANYWHERE = 100
_SEEN_EVERY = timedelta(minutes=1)
_BYTES = 32


class SignInError(BdnewsError):
    """The name or the password is wrong; nobody learns which."""


class TooManyTriesError(SignInError):
    """There were too many wrong ones: not even a right one is looked at for a while."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who is at the other end. Attributes: csrf: what every form must hold. unseen: `seen` has something to write."""

    session_id: int
    user_id: int
    email: str
    name: str
    role: Role
    csrf: str
    unseen: bool

    @property
    def actor(self) -> str:
        """As the audit log calls them."""
        return f"user:{self.user_id}"

    def may(self, right: Right) -> bool:
        """Whether their role holds it."""
        return right in RIGHTS[self.role]


async def sign_in(database: Database, clock: Clock, *, email: str, password: str, network: str) -> str:
    """A new session.

    Returns:
        The cookie's value.

    Raises:
        SignInError: the name or the password is wrong.
        TooManyTriesError: too many were.
    """
    account = _hash(email.strip().casefold())
    async with database.write() as session:
        # Written before the password is looked at: those that come together are all counted.
        await _check_tries(session, clock, account, network)
        session.add(SignInFailure(account=account, network=network, at=clock()))
        user = await find_user(session, email)
    hashed = user.password if user is not None and user.disabled_at is None else ""
    right = await asyncio.to_thread(fits, password, hashed)
    newer = await asyncio.to_thread(hash_password, password) if right and is_outdated(hashed) else ""
    async with database.write() as session:
        found = await session.get(User, user.id) if user is not None else None
        # What was true before the password was looked at may no longer be.
        if not right or found is None or found.disabled_at is not None or found.password != hashed:
            value = ""
            # Of an account that is not there no name is kept: people type their passwords into the wrong field.
            actor = f"user:{user.id}" if user is not None else "nobody"
            await audit.record(session, clock, actor=actor, action="sign_in.failed", network=network)
        else:
            if newer:
                found.password = newer
                session.add(found)
            await session.execute(delete(SignInFailure).where(col(SignInFailure.account) == account))
            value = await _begin(session, clock, found, network)
        await session.execute(delete(SignInFailure).where(col(SignInFailure.at) < clock() - TRIES_WITHIN))
    if not value:
        raise SignInError("邮箱或密码不对", hint="忘了密码，请管理员给一个重设链接。")
    return value


async def signed_in(session: AsyncSession, clock: Clock, value: str) -> SignedIn | None:
    """Whose cookie it is; None: nobody's that may come in."""
    now = clock()
    statement = (
        select(ConsoleSession, User)
        .join(User, col(User.id) == col(ConsoleSession.user_id))
        .where(ConsoleSession.sha256 == _hash(value), col(User.disabled_at).is_(None))
        .where(col(ConsoleSession.seen_at) > now - IDLE, col(ConsoleSession.created_at) > now - LASTS)
    )
    found = (await session.exec(statement)).first()
    if found is None:
        return None
    row, user = found
    assert row.id is not None  # noqa: S101  # from the database
    assert user.id is not None  # noqa: S101  # as above
    return SignedIn(
        row.id, user.id, user.email, user.name, user.role, row.csrf, row.seen_at < now - _SEEN_EVERY
    )


async def seen(session: AsyncSession, clock: Clock, session_id: int) -> None:
    """It was used; written once a minute."""
    now = clock()
    await session.execute(
        update(ConsoleSession)
        .where(col(ConsoleSession.id) == session_id, col(ConsoleSession.seen_at) < now - _SEEN_EVERY)
        .values(seen_at=now)
        .execution_options(synchronize_session=False)
    )


async def begin_session(session: AsyncSession, clock: Clock, user: User, network: str) -> str:
    """A new session of somebody who has shown in another way who they are. Returns: the cookie's value."""
    return await _begin(session, clock, user, network)


async def sign_out(session: AsyncSession, session_id: int) -> None:
    """This session is over."""
    await session.execute(delete(ConsoleSession).where(col(ConsoleSession.id) == session_id))


async def _begin(session: AsyncSession, clock: Clock, user: User, network: str) -> str:
    value, now = secrets.token_urlsafe(_BYTES), clock()
    assert user.id is not None  # noqa: S101  # from the database
    session.add(
        ConsoleSession(
            sha256=_hash(value),
            user_id=user.id,
            csrf=secrets.token_urlsafe(_BYTES),
            network=network,
            created_at=now,
            seen_at=now,
        )
    )
    over = col(ConsoleSession.seen_at) < now - IDLE, col(ConsoleSession.created_at) < now - LASTS
    for condition in over:
        await session.execute(delete(ConsoleSession).where(condition))
    await session.flush()
    return value


async def _check_tries(session: AsyncSession, clock: Clock, account: str, network: str) -> None:
    since = clock() - TRIES_WITHIN
    for_name, from_network = col(SignInFailure.account) == account, col(SignInFailure.network) == network
    for which, most in (
        (and_(for_name, from_network), MOST_FOR_NAME),
        (from_network, MOST_FROM_NETWORK),
        (for_name, MOST_FOR_NAME_ANYWHERE),
    ):
        number = select(func.count()).where(which, col(SignInFailure.at) > since)
        if (await session.exec(number)).one() >= most:
            minutes = int(TRIES_WITHIN.total_seconds() // 60)
            raise TooManyTriesError("试的次数太多了", hint=f"请 {minutes} 分钟后再试。")


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()
