"""Signing in through the OpenID provider: sent there with words of our own, known again when they come back.

In: where somebody wants to go; later what their browser brings. Out: an address, a user. Caller: web/console/.
Nobody is made a user by it: a user is invited first, and found by the provider's verified address the first time, by
its `sub` from then on.
"""

import json
import secrets
from dataclasses import dataclass
from datetime import timedelta
from hmac import compare_digest

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.accounts import audit
from bdnews_dispatch.accounts.models import ProviderIdentity, User
from bdnews_dispatch.accounts.openid import Identity, OpenIdProvider, ProviderAwayError
from bdnews_dispatch.accounts.sealing import SealError, seal, unseal
from bdnews_dispatch.accounts.sessions import Entered, SignInError, count_try, enter
from bdnews_dispatch.accounts.users import find_user
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.links import Signer

#: For the provider's own page, with a second factor of its own.
LASTS = timedelta(minutes=10)
_BYTES = 32
#: A cookie holds 4,096 octets.
_LONGEST_NEXT = 1000


@dataclass(frozen=True, slots=True)
class Sent:
    """To the provider.

    Attributes:
        address: of its page.
        cookie: what the browser holds meanwhile, sealed: only the one that was sent comes back.
    """

    address: str
    cookie: str


async def send(clock: Clock, signer: Signer, provider: OpenIdProvider, *, next_: str, back: str) -> Sent:
    """To the provider.

    Args:
        next_: where they want to go here, afterwards.
        back: our address that the provider leads back to.

    Raises:
        ProviderError: it is away.
    """
    state, nonce, verifier = (secrets.token_urlsafe(_BYTES) for _ in range(3))
    address = await provider.address(state=state, nonce=nonce, verifier=verifier, back=back)
    begun = {
        "state": state,
        "nonce": nonce,
        "verifier": verifier,
        "next": next_ if len(next_) <= _LONGEST_NEXT else "",
        "ends": int((clock() + LASTS).timestamp()),
    }
    return Sent(address, seal(signer, json.dumps(begun)))


async def come_back(
    database: Database,
    clock: Clock,
    signer: Signer,
    provider: OpenIdProvider,
    *,
    cookie: str,
    state: str,
    code: str,
    back: str,
    network: str,
    browser: str,
) -> tuple[Entered, str]:
    """From the provider.

    Args:
        cookie: as `Sent` had it.
        state: as the address has it; the provider takes a code once.

    Returns:
        The way in, and where they wanted to go.

    Raises:
        SignInError: it took too long, it is another browser, or nobody here has this identity.
        TooManyTriesError: too many codes from this network were none: the provider is not asked about more.
        ProviderError: the provider does not say who it is.
    """
    try:
        begun = json.loads(unseal(signer, cookie)) if cookie else {}
    except SealError:
        begun = {}
    in_time = begun.get("ends", 0) > clock().timestamp()
    if not in_time or not compare_digest(begun["state"].encode(), state.encode("utf-8", "replace")):
        raise SignInError("这次登录已过时，或不是从这个浏览器开始的", hint="请再登录一次。")
    async with database.write() as session:
        counted = await count_try(session, clock, network=network)
    try:
        identity = await provider.identity(
            code=code, nonce=begun["nonce"], verifier=begun["verifier"], back=back
        )
    except ProviderAwayError:
        async with database.write() as session:
            await session.delete(counted)
        raise
    async with database.write() as session:
        await session.delete(counted)
        user = await _user_of(session, clock, identity, network)
        if user is None or user.disabled_at is not None:
            actor = f"user:{user.id}" if user is not None else "nobody"
            await audit.record(
                session, clock, actor=actor, action="sign_in.failed", subject="provider", network=network
            )
            entered = None
        else:
            entered = await enter(session, clock, user, network=network, browser=browser)
    if entered is None:
        raise SignInError("登录服务认得您，这里还没有您的账户", hint="请管理员用登录服务里的那个邮箱邀请您。")
    return entered, str(begun["next"])


async def _user_of(session: AsyncSession, clock: Clock, identity: Identity, network: str) -> User | None:
    statement = (
        select(User)
        .join(ProviderIdentity, col(ProviderIdentity.user_id) == col(User.id))
        .where(ProviderIdentity.issuer == identity.issuer, ProviderIdentity.subject == identity.subject)
    )
    known = (await session.exec(statement)).first()
    # Case folding takes ſ for s and ß for ss: who has such an address is not taken for who has the plain one.
    if known is not None or not identity.email.isascii() or not identity.email:
        return known
    user = await find_user(session, identity.email)
    if user is None or user.disabled_at is not None:
        return None
    # Somebody else at the provider has this address now: who was bound first stays.
    others = select(ProviderIdentity).where(
        ProviderIdentity.user_id == user.id, ProviderIdentity.issuer == identity.issuer
    )
    if (await session.exec(others)).first() is not None:
        return None
    assert user.id is not None  # noqa: S101  # from the database
    session.add(
        ProviderIdentity(
            issuer=identity.issuer, subject=identity.subject, user_id=user.id, created_at=clock()
        )
    )
    await audit.record(
        session,
        clock,
        actor=f"user:{user.id}",
        action="identity.bound",
        subject=f"user:{user.id}",
        change={"issuer": identity.issuer},
        network=network,
    )
    return user
