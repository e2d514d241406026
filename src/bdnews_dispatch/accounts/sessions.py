"""Signing in and out: a password, a second factor, a cookie's value, how often somebody may try.

In: what somebody typed, or a cookie. Out: who it is. Caller: web/console/. The answer is the same, and takes as long,
for a name that nobody has. Who has a second factor is halfway in behind the password: a row and a cookie of their own,
which open nothing but the page that asks for a code.
"""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

from sqlmodel import and_, col, delete, func, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.accounts import audit
from bdnews_dispatch.accounts.models import ConsoleSession, HalfSignIn, SignInFailure, User
from bdnews_dispatch.accounts.passwords import fits, hash_password, is_outdated
from bdnews_dispatch.accounts.rights import Right, Role, rights_of
from bdnews_dispatch.accounts.second_factors import forget_begun, shows
from bdnews_dispatch.accounts.users import account_of, find_user
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.errors import BdnewsError, Phrase
from bdnews_dispatch.links import Signer

#: A session ends when nobody has used it for so long, and after so long in any case (OWASP ASVS 5.0 §7.3).
IDLE = timedelta(hours=8)
LASTS = timedelta(days=7)
#: Tries within a quarter of an hour: for one name from one network, and from a network, behind which an office may sit.
TRIES_WITHIN = timedelta(minutes=15)
MOST_FOR_NAME = 8
MOST_FROM_NETWORK = 40
#: For one name from anywhere: higher, or a stranger could keep its owner out.
MOST_FOR_NAME_ANYWHERE = 100
#: From the password to the code, and how many wrong codes: then from the password again.
HALF_LASTS = timedelta(minutes=5)
MOST_CODES = 5
_SEEN_EVERY = timedelta(minutes=1)
_BYTES = 32


class SignInError(BdnewsError):
    """The name or the password is wrong; nobody learns which."""


class TooManyTriesError(SignInError):
    """There were too many wrong ones: not even a right one is looked at for a while."""


class HalfwayError(SignInError):
    """It took too long, or there were too many wrong codes: from the password again."""


@dataclass(frozen=True, slots=True)
class Entered:
    """The way in. Attributes: value: of the cookie. half: a code is still to be shown; the cookie is for that alone."""

    value: str
    half: bool


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who is at the other end.

    Attributes:
        publications: those that the role is for; none: all.
        second_factor: whether they have one.
        csrf: what every form must hold.
        unseen: `seen` has something to write.
    """

    session_id: int
    user_id: int
    email: str
    name: str
    role: Role
    publications: frozenset[str]
    language: str
    second_factor: bool
    csrf: str
    unseen: bool

    @property
    def actor(self) -> str:
        """As the audit log calls them."""
        return f"user:{self.user_id}"

    def may(self, right: Right) -> bool:
        """Whether their role holds it."""
        return right in rights_of(self.role, self.publications)

    def reaches(self, publication: str) -> bool:
        """Whether their role is for this publication."""
        return not self.publications or publication in self.publications


async def sign_in(
    database: Database, clock: Clock, *, email: str, password: str, network: str, browser: str = ""
) -> Entered:
    """A new session, or half of it where there is a second factor.

    Raises:
        SignInError: the name or the password is wrong.
        TooManyTriesError: too many were.
    """
    account = account_of(email.strip().casefold())
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
            entered = None
            # Of an account that is not there no name is kept: people type their passwords into the wrong field.
            actor = f"user:{user.id}" if user is not None else "nobody"
            await audit.record(session, clock, actor=actor, action="sign_in.failed", network=network)
        else:
            if newer:
                found.password = newer
                session.add(found)
            entered = await enter(session, clock, found, network=network, browser=browser)
        await session.execute(delete(SignInFailure).where(col(SignInFailure.at) < clock() - TRIES_WITHIN))
    if entered is None:
        raise SignInError("邮箱或密码不对", hint="忘了密码，请管理员给一个重设链接。")
    return entered


async def enter(
    session: AsyncSession, clock: Clock, user: User, *, network: str, browser: str = ""
) -> Entered:
    """Somebody has shown who they are, by a password or through the provider.

    With a second factor they are halfway in, and what they tried stays counted: who has stolen a password must not
    count their codes anew with each time they give it.
    """
    if user.totp_since is not None:
        assert user.id is not None  # noqa: S101  # from the database
        value, now = secrets.token_urlsafe(_BYTES), clock()
        session.add(HalfSignIn(sha256=_hash(value), user_id=user.id, ends_at=now + HALF_LASTS))
        await session.execute(delete(HalfSignIn).where(col(HalfSignIn.ends_at) < now))
        return Entered(value, half=True)
    return Entered(await begin_session(session, clock, user, network=network, browser=browser), half=False)


async def halfway(session: AsyncSession, clock: Clock, value: str) -> bool:
    """Whether this cookie's value is of somebody who is halfway in."""
    return await _half(session, clock, value) is not None


async def show_code(
    database: Database,
    clock: Clock,
    signer: Signer,
    *,
    value: str,
    code: str,
    network: str,
    browser: str = "",
) -> str:
    """The second half: a code of the app, or a recovery code.

    Returns:
        The cookie's value of a session.

    Raises:
        HalfwayError: begin again.
        SignInError: the code is wrong.
        TooManyTriesError: too many were.
    """
    async with database.write() as session:
        half = await _half(session, clock, value)
        user = await session.get(User, half.user_id) if half is not None else None
        if half is None or user is None or user.disabled_at is not None:
            raise HalfwayError("时间过了，或试的次数太多", hint="请从密码开始再登录一次。")
        right = await proves(session, clock, signer, user, code, network)
        if right:
            await session.delete(half)
            session_value = await begin_session(session, clock, user, network=network, browser=browser)
        else:
            half.tries += 1
            session.add(half)
            await audit.record(
                session,
                clock,
                actor=f"user:{user.id}",
                action="sign_in.failed",
                subject="code",
                network=network,
            )
    if not right:
        raise SignInError("验证码不对", hint="请看手机上现在的六位数字，或用一个没有用过的备用码。")
    return session_value


async def proves(
    session: AsyncSession, clock: Clock, signer: Signer, user: User, code: str, network: str
) -> bool:
    """Whether somebody shows a code of now; a wrong one is counted, so the caller commits either way.

    Raises:
        TooManyTriesError: too many were wrong.
    """
    account = account_of(user.email_key)
    await _check_tries(session, clock, account, network)
    if await shows(session, clock, signer, user, code):
        return True
    session.add(SignInFailure(account=account, network=network, at=clock()))
    return False


async def confirm_password(
    database: Database, clock: Clock, *, user_id: int, password: str, network: str
) -> None:
    """Somebody who is in shows once more that they know their password: it may be another one at their desk.

    Raises:
        SignInError: it is wrong.
        TooManyTriesError: too many were.
    """
    async with database.write() as session:
        user = await session.get(User, user_id)
        account = account_of(user.email_key if user is not None else "")
        await _check_tries(session, clock, account, network)
        failure = SignInFailure(account=account, network=network, at=clock())
        session.add(failure)
    hashed = user.password if user is not None else ""
    if not await asyncio.to_thread(fits, password, hashed):
        async with database.write() as session:
            await audit.record(
                session,
                clock,
                actor=f"user:{user_id}",
                action="password.refused",
                subject=f"user:{user_id}",
                network=network,
            )
        raise SignInError("现在的密码不对", hint="忘了的话，请管理员给一个重设链接。")
    async with database.write() as session:
        await session.delete(failure)


async def count_try(session: AsyncSession, clock: Clock, *, network: str) -> SignInFailure:
    """A code for the provider, from a network: counted before it is looked at, and apart from passwords.

    Returns:
        A row; the caller deletes it where the try was right.

    Raises:
        TooManyTriesError: too many came from there.
    """
    # Of no account: nobody's own tries are fewer for it, and strangers elsewhere keep nobody out.
    network = f"openid {network}"[:50]
    failure = SignInFailure(
        account=account_of(f"\0{secrets.token_urlsafe(_BYTES)}"), network=network, at=clock()
    )
    await _check_tries(session, clock, failure.account, network)
    session.add(failure)
    return failure


async def _half(session: AsyncSession, clock: Clock, value: str) -> HalfSignIn | None:
    statement = select(HalfSignIn).where(
        HalfSignIn.sha256 == _hash(value),
        col(HalfSignIn.ends_at) > clock(),
        col(HalfSignIn.tries) < MOST_CODES,
    )
    return (await session.exec(statement)).first()


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
        session_id=row.id,
        user_id=user.id,
        email=user.email,
        name=user.name,
        role=user.role,
        publications=frozenset(user.publications),
        language=user.language,
        second_factor=user.totp_since is not None,
        csrf=row.csrf,
        unseen=row.seen_at < now - _SEEN_EVERY,
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


async def sign_out(session: AsyncSession, session_id: int) -> None:
    """This session is over."""
    await session.execute(delete(ConsoleSession).where(col(ConsoleSession.id) == session_id))


async def sessions_of(session: AsyncSession, clock: Clock, user_id: int) -> Sequence[ConsoleSession]:
    """Where they are signed in now, the one used last first."""
    now = clock()
    statement = (
        select(ConsoleSession)
        .where(col(ConsoleSession.user_id) == user_id)
        .where(col(ConsoleSession.seen_at) > now - IDLE, col(ConsoleSession.created_at) > now - LASTS)
        .order_by(col(ConsoleSession.seen_at).desc(), col(ConsoleSession.id).desc())
    )
    return (await session.exec(statement)).all()


async def end_session(session: AsyncSession, user_id: int, session_id: int) -> None:
    """Another browser of theirs is signed out; nobody else's."""
    await session.execute(
        delete(ConsoleSession).where(
            col(ConsoleSession.id) == session_id, col(ConsoleSession.user_id) == user_id
        )
    )


async def end_others(session: AsyncSession, user_id: int, session_id: int) -> None:
    """All browsers of theirs but this one are signed out."""
    await session.execute(
        delete(ConsoleSession).where(
            col(ConsoleSession.user_id) == user_id, col(ConsoleSession.id) != session_id
        )
    )


async def begin_session(
    session: AsyncSession, clock: Clock, user: User, *, network: str, browser: str
) -> str:
    """A new session of somebody who has shown who they are. Returns: the cookie's value."""
    value, now = secrets.token_urlsafe(_BYTES), clock()
    assert user.id is not None  # noqa: S101  # from the database
    forget_begun(user)
    session.add(user)
    # Of this network alone: who tries elsewhere is not let off because the owner came in.
    await session.execute(
        delete(SignInFailure).where(
            col(SignInFailure.account) == account_of(user.email_key), col(SignInFailure.network) == network
        )
    )
    session.add(
        ConsoleSession(
            sha256=_hash(value),
            user_id=user.id,
            csrf=secrets.token_urlsafe(_BYTES),
            network=network,
            browser=browser[:60],
            created_at=now,
            seen_at=now,
        )
    )
    over = col(ConsoleSession.seen_at) < now - IDLE, col(ConsoleSession.created_at) < now - LASTS
    for condition in over:
        await session.execute(delete(ConsoleSession).where(condition))
    await session.flush()
    return value


async def _knows(session: AsyncSession, account: str, network: str) -> bool:
    """Whether the account's owner has a session from this network: strangers elsewhere do not keep them out of it."""
    theirs = (
        select(User.email_key)
        .join(ConsoleSession, col(ConsoleSession.user_id) == col(User.id))
        .where(ConsoleSession.network == network)
        .distinct()
    )
    return any(account_of(key) == account for key in await session.exec(theirs))


async def _check_tries(session: AsyncSession, clock: Clock, account: str, network: str) -> None:
    since = clock() - TRIES_WITHIN
    for_name, from_network = col(SignInFailure.account) == account, col(SignInFailure.network) == network
    limits = [(and_(for_name, from_network), MOST_FOR_NAME), (from_network, MOST_FROM_NETWORK)]
    if not await _knows(session, account, network):
        limits.append((for_name, MOST_FOR_NAME_ANYWHERE))
    for which, most in limits:
        number = select(func.count()).where(which, col(SignInFailure.at) > since)
        if (await session.exec(number)).one() >= most:
            minutes = int(TRIES_WITHIN.total_seconds() // 60)
            raise TooManyTriesError(
                "试的次数太多了", hint=Phrase("请 %(minutes)s 分钟后再试。", minutes=minutes)
            )


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()
