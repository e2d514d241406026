"""Tokens of the JSON API: made, shown once, found again by their hash, revoked.

In: a name, rights, an end; later the token of a request. Out: rows, and who it is. Callers: cli/, web/api/.
"""

import re
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from sqlmodel import col, or_, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.accounts.models import ApiToken, User
from bdnews_dispatch.accounts.rights import Right, rights_of
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.errors import BdnewsError, NotFoundError, Phrase

#: What a token looks like: scanners for leaked secrets find it by its front.
_FORM = re.compile(r"bdn_[A-Za-z0-9_-]{43}")
_BYTES = 32
LONGEST_NAME = 100
#: The last use is written no more often: a row that every request changes would be the slowest part of it.
_SEEN_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who calls.

    Attributes:
        token_id: of the row.
        user_id: whose token it is; None: the machine's, made at the command line.
        scope: what it may now.
        unseen: `seen` has something to write.
    """

    token_id: int
    user_id: int | None
    name: str
    scope: frozenset[Right]
    unseen: bool

    @property
    def actor(self) -> str:
        """Whose deeds these are: a user's, whatever token of theirs it is, or the machine's own token's."""
        return f"user:{self.user_id}" if self.user_id is not None else f"token:{self.token_id}"


async def make_token(
    session: AsyncSession,
    clock: Clock,
    *,
    name: str,
    scope: Collection[Right],
    ends_at: datetime | None,
    user: User | None = None,
) -> tuple[ApiToken, str]:
    """Make a token.

    Args:
        user: whose it is; None: the machine's.

    Returns:
        Its row, and the token, which can't be shown again.

    Raises:
        BdnewsError: the name is missing, no right is named or one that the user does not hold, or it would be over
            already.
    """
    name = " ".join(name.split())
    if not 0 < len(name) <= LONGEST_NAME:
        raise BdnewsError(
            Phrase("令牌的名称应为 1–%(most)s 个字", most=LONGEST_NAME), hint="写明给谁、做什么用。"
        )
    if not scope:
        raise BdnewsError(
            "没有写明令牌可以做什么", hint=Phrase("从这些中选：%(rights)s。", rights=list(Right))
        )
    now = clock()
    if ends_at is not None and ends_at <= now:
        raise BdnewsError("令牌的期限已经过了", hint="请写将来的一天。")
    if user is not None and user.publications:
        raise BdnewsError("只管几种刊物的用户不能建令牌", hint="API 管全部刊物；请管理员建。")
    if user is not None and (beyond := set(scope) - rights_of(user.role, user.publications)):
        raise BdnewsError(Phrase("您自己没有的权限，令牌也不能有：%(rights)s", rights=sorted(beyond)))
    token = f"bdn_{secrets.token_urlsafe(_BYTES)}"
    row = ApiToken(
        name=name,
        sha256=_hash(token),
        scope=sorted({right.value for right in scope}),
        user_id=user.id if user is not None else None,
        created_at=now,
        ends_at=ends_at,
    )
    session.add(row)
    await session.flush()
    return row, token


async def bearer_of(session: AsyncSession, clock: Clock, token: str) -> Bearer | None:
    """Who shows this token; None: nobody that may come in.

    A right that no longer exists allows nothing, nor does one that its user holds no more. The API reaches over all
    publications: the token of somebody who is of some alone, by now, allows nothing.
    """
    if not _FORM.fullmatch(token):
        return None
    now = clock()
    statement = select(ApiToken).where(ApiToken.sha256 == _hash(token), col(ApiToken.revoked_at).is_(None))
    found = (await session.exec(statement)).first()
    if found is None or found.id is None or not is_good(found, now):
        return None
    user = await session.get(User, found.user_id) if found.user_id is not None else None
    if found.user_id is not None and (user is None or user.disabled_at is not None):
        return None
    known = set(Right)
    unseen = found.used_at is None or found.used_at < now - _SEEN_EVERY
    scope = frozenset(Right(text) for text in found.scope if text in known)
    if user is not None:
        scope = frozenset() if user.publications else scope & rights_of(user.role, ())
    return Bearer(found.id, found.user_id, found.name, scope, unseen)


async def seen(session: AsyncSession, clock: Clock, token_id: int) -> None:
    """It was used."""
    now = clock()
    await session.execute(
        update(ApiToken)
        .where(col(ApiToken.id) == token_id)
        .where(or_(col(ApiToken.used_at).is_(None), col(ApiToken.used_at) < now - _SEEN_EVERY))
        .values(used_at=now)
        .execution_options(synchronize_session=False)
    )


async def tokens(session: AsyncSession, user_id: int | None = None) -> Sequence[ApiToken]:
    """All of them, or a user's own, the newest first."""
    statement = select(ApiToken).order_by(col(ApiToken.id).desc())
    if user_id is not None:
        statement = statement.where(ApiToken.user_id == user_id)
    return (await session.exec(statement)).all()


def is_good(token: ApiToken, now: datetime) -> bool:
    """Neither revoked nor over."""
    return token.revoked_at is None and (token.ends_at is None or token.ends_at > now)


async def revoke(session: AsyncSession, clock: Clock, token_id: int) -> ApiToken:
    """It is not good from now on. Raises: NotFoundError: there is none of that number."""
    found = await session.get(ApiToken, token_id)
    if found is None:
        raise NotFoundError(
            Phrase("没有编号为 %(id)s 的令牌", id=token_id),
            hint="请刷新“设置 › 令牌”；命令行：bdnews tokens list。",
        )
    if found.revoked_at is None:
        found.revoked_at = clock()
        session.add(found)
        await session.flush()
    return found


def _hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()
