"""Users of the console: added, given a role, disabled; the links by which they choose a password.

In: an address and a role. Out: rows; a link that is shown once. Callers: cli/, web/console/.
"""

import secrets
from collections.abc import Collection, Sequence
from datetime import timedelta
from hashlib import sha256

from sqlmodel import col, delete, func, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.accounts.models import (
    ConsoleSession,
    HalfSignIn,
    PasswordLink,
    ProviderIdentity,
    SignInFailure,
    User,
)
from bdnews_dispatch.accounts.passwords import Hashed
from bdnews_dispatch.accounts.rights import Role
from bdnews_dispatch.accounts.second_factors import forget_begun
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.errors import BdnewsError, NotFoundError, StateError

#: A link to choose a password is good for a day.
LINK_LASTS = timedelta(hours=24)
LONGEST_NAME = 100
_BYTES = 32


async def add_user(
    session: AsyncSession,
    clock: Clock,
    *,
    email: str,
    name: str,
    role: Role,
    publications: Collection[str] = (),
) -> User:
    """Somebody new; they can't sign in before they have chosen a password.

    Args:
        publications: those that the role is for; none: all.

    Raises:
        BdnewsError: it is no address, or an admin would be one of some publications alone.
        StateError: there is somebody with this address.
    """
    _check_reach(role, publications)
    email = email.strip()
    if (
        not 3 <= len(email) <= 254
        or email.count("@") != 1
        or any(c.isspace() or not c.isprintable() for c in email)
    ):
        raise BdnewsError("这不是一个邮箱地址", hint="用户以邮箱登录，如 zhang@example.cn。")
    if await find_user(session, email) is not None:
        raise StateError("已有使用这个邮箱的用户", hint="见“设置 › 用户”；命令行：bdnews users list。")
    user = User(
        email=email,
        email_key=email.casefold(),
        name=" ".join(name.split())[:LONGEST_NAME],
        role=role,
        publications=sorted(set(publications)),
        created_at=clock(),
    )
    session.add(user)
    await session.flush()
    return user


async def first_admin(session: AsyncSession, clock: Clock, host: str) -> tuple[User, str] | None:
    """Where nobody is here yet, an admin and the secret of a link; another one while they have chosen no password.

    Args:
        host: of the pages; the admin signs in as `admin@host`.

    Returns:
        None: there is somebody.
    """
    email = f"admin@{host}"
    everybody = await users(session)
    if not everybody:
        user = await add_user(session, clock, email=email, name="", role=Role.ADMIN)
    elif len(everybody) == 1 and everybody[0].email == email and not everybody[0].password:
        user = everybody[0]
    else:
        return None
    return user, await make_link(session, clock, user)


async def find_user(session: AsyncSession, email: str) -> User | None:
    """By their address, in any case."""
    return (await session.exec(select(User).where(User.email_key == email.strip().casefold()))).first()


async def named_user(session: AsyncSession, email: str) -> User:
    """Raises: NotFoundError: there is nobody with this address."""
    found = await find_user(session, email)
    if found is None:
        raise NotFoundError("没有使用这个邮箱的用户", hint="见“设置 › 用户”；命令行：bdnews users list。")
    return found


async def users(session: AsyncSession) -> Sequence[User]:
    """Everybody, the first first."""
    return (await session.exec(select(User).order_by(col(User.id)))).all()


async def anybody(session: AsyncSession) -> bool:
    """Whether there is any user yet."""
    return bool((await session.exec(select(func.count()).select_from(User))).one())


async def change_role(
    session: AsyncSession, user: User, role: Role, publications: Collection[str] = ()
) -> None:
    """Another role, at once.

    Args:
        publications: those that it is for; none: all.

    Raises:
        StateError: nobody would be left who may manage users.
        BdnewsError: an admin would be one of some publications alone.
    """
    _check_reach(role, publications)
    if user.role is Role.ADMIN and role is not Role.ADMIN:
        await _another_admin(session, user)
    user.role, user.publications = role, sorted(set(publications))
    session.add(user)
    await session.flush()


async def disable(session: AsyncSession, clock: Clock, user: User) -> None:
    """They can't sign in any more, and are signed out everywhere. Raises: StateError: as above."""
    if user.role is Role.ADMIN:
        await _another_admin(session, user)
    user.disabled_at = user.disabled_at or clock()
    session.add(user)
    await end_sessions(session, user)
    await _end_links(session, clock, user)


async def enable(session: AsyncSession, user: User) -> None:
    """They may sign in again."""
    user.disabled_at = None
    session.add(user)
    await session.flush()


async def end_sessions(session: AsyncSession, user: User) -> None:
    """Sign them out everywhere, also where they are halfway in."""
    await session.execute(delete(ConsoleSession).where(col(ConsoleSession.user_id) == user.id))
    await session.execute(delete(HalfSignIn).where(col(HalfSignIn.user_id) == user.id))


async def make_link(session: AsyncSession, clock: Clock, user: User) -> str:
    """A link's secret by which they choose a password; earlier ones are no longer good."""
    now = clock()
    await _end_links(session, clock, user)
    secret = secrets.token_urlsafe(_BYTES)
    assert user.id is not None  # noqa: S101  # flushed
    session.add(PasswordLink(sha256=_hash(secret), user_id=user.id, created_at=now, ends_at=now + LINK_LASTS))
    await session.flush()
    return secret


async def user_of_link(session: AsyncSession, clock: Clock, secret: str) -> User | None:
    """Whose link it is; None: it is none, was used, or is over."""
    statement = (
        select(User)
        .join(PasswordLink, col(PasswordLink.user_id) == col(User.id))
        .where(PasswordLink.sha256 == _hash(secret), col(PasswordLink.used_at).is_(None))
        .where(col(PasswordLink.ends_at) > clock(), col(User.disabled_at).is_(None))
    )
    return (await session.exec(statement)).first()


async def choose_password(session: AsyncSession, clock: Clock, secret: str, password: Hashed) -> User:
    """By the link, once; they are signed out everywhere.

    Raises:
        NotFoundError: the link is none, was used, or is over.
    """
    user = await user_of_link(session, clock, secret)
    if user is None:
        raise NotFoundError(
            "这个链接已用过或已过期",
            hint="请管理员在“设置 › 用户”里再给一个；命令行：bdnews users reset 邮箱。",
        )
    user.password = password
    forget_begun(user)
    session.add(user)
    # Whoever kept them out by wrong tries does so no longer: the link is an admin's word.
    await session.execute(
        delete(SignInFailure).where(col(SignInFailure.account) == account_of(user.email_key))
    )
    await session.execute(
        update(PasswordLink).where(col(PasswordLink.sha256) == _hash(secret)).values(used_at=clock())
    )
    await end_sessions(session, user)
    return user


async def change_password(session: AsyncSession, clock: Clock, user: User, password: Hashed) -> None:
    """By who has shown the one before; they are signed out everywhere, and links to choose one are no longer good."""
    user.password = password
    forget_begun(user)
    session.add(user)
    await _end_links(session, clock, user)
    await end_sessions(session, user)


async def unbind(session: AsyncSession, user: User) -> None:
    """Whom the OpenID provider knows them as is forgotten; the next sign-in there binds by the verified address."""
    await session.execute(delete(ProviderIdentity).where(col(ProviderIdentity.user_id) == user.id))


def _check_reach(role: Role, publications: Collection[str]) -> None:
    if role is Role.ADMIN and publications:
        raise BdnewsError("管理员总是管全部刊物", hint="只管几种刊物的，请给编辑、审核或分析的角色。")


async def _end_links(session: AsyncSession, clock: Clock, user: User) -> None:
    await session.execute(
        update(PasswordLink)
        .where(col(PasswordLink.user_id) == user.id, col(PasswordLink.used_at).is_(None))
        .values(used_at=clock())
    )


async def _another_admin(session: AsyncSession, user: User) -> None:
    others = select(func.count()).where(
        col(User.role) == Role.ADMIN, col(User.disabled_at).is_(None), col(User.id) != user.id
    )
    if not (await session.exec(others)).one():
        raise StateError("这是最后一位管理员", hint="先把另一位用户设为管理员。")


def account_of(email_key: str) -> str:
    """As failed tries name an account: no address stands there."""
    return _hash(email_key)


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
