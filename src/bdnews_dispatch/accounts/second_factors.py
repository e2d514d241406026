"""Second factors: an authenticator app's codes (TOTP, RFC 6238), and recovery codes for when the telephone is gone.

In: a user, what they typed. Out: rows, an address for the app, codes that are shown once. Callers: sessions.py,
web/console/, cli/. A reset of the password touches none of this; who has lost both asks an admin.
"""

import base64
import secrets
from collections.abc import Sequence
from hashlib import sha256

import pyotp
from sqlmodel import col, delete, func, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.accounts.models import RecoveryCode, User
from bdnews_dispatch.accounts.sealing import SealError, seal, unseal
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.errors import BdnewsError, StateError
from bdnews_dispatch.links import Signer

#: Seconds of a step, and how many before and behind now are taken: clocks of telephones differ (RFC 6238 §5.2).
STEP = 30
_BESIDE = 1
#: How many recovery codes somebody gets, and the octets of one: 80 bits.
CODES = 10
_OCTETS = 10


#: Wrong codes in a row, over days: NIST SP 800-63B §3.2.2 allows 100. Three of a million are right at any moment.
MOST_WRONG = 50


class CodeError(BdnewsError):
    """It is not the code of now, or it was used."""


async def begin(session: AsyncSession, signer: Signer, user: User) -> str:
    """A new secret for an app that has not shown a code yet.

    One that was begun before and not confirmed is forgotten: somebody else may have seen it.

    Returns:
        The secret in base32, as an app takes it.

    Raises:
        StateError: there is a second factor already.
    """
    if user.totp_since is not None:
        raise StateError("已经有第二重验证", hint="要换手机，请先关闭，再重新设置。")
    secret = pyotp.random_base32()
    user.totp_secret = seal(signer, secret)
    session.add(user)
    await session.flush()
    return secret


def begun(signer: Signer, user: User) -> str:
    """The secret that waits for its first code; "": none does, or no key opens it any more."""
    if not user.totp_secret or user.totp_since is not None:
        return ""
    try:
        return unseal(signer, user.totp_secret)
    except SealError:
        return ""


def forget_begun(user: User) -> None:
    """What was begun and not confirmed: with another password, or another sign-in, it begins anew."""
    if user.totp_since is None:
        user.totp_secret = ""


def address_for_app(secret: str, email: str, issuer: str) -> str:
    """What the QR code holds: `otpauth://totp/…`."""
    return pyotp.TOTP(secret, interval=STEP).provisioning_uri(name=email, issuer_name=issuer)


async def confirm(
    session: AsyncSession, clock: Clock, signer: Signer, user: User, code: str
) -> Sequence[str]:
    """The app shows the right code: from now on signing in asks for one.

    Returns:
        Recovery codes. They can't be shown again.

    Raises:
        StateError: nothing was begun, or it is confirmed already.
        CodeError: it is not the code of now.
    """
    if not user.totp_secret or user.totp_since is not None:
        raise StateError("没有正在设置的第二重验证", hint="请从头再来。")
    if not _app_shows(signer, clock, user, code):
        raise CodeError("验证码不对", hint="请看手机上现在的六位数字；手机时间要准。")
    user.totp_since = clock()
    session.add(user)
    return await new_codes(session, user)


async def new_codes(session: AsyncSession, user: User) -> Sequence[str]:
    """Other recovery codes; the ones before are no longer good."""
    await session.execute(delete(RecoveryCode).where(col(RecoveryCode.user_id) == user.id))
    codes = [_shown(secrets.token_bytes(_OCTETS)) for _ in range(CODES)]
    assert user.id is not None  # noqa: S101  # from the database
    session.add_all([RecoveryCode(sha256=_hash(code), user_id=user.id) for code in codes])
    await session.flush()
    return codes


async def codes_left(session: AsyncSession, user_id: int) -> int:
    """How many recovery codes are still good."""
    unused = select(func.count()).where(
        col(RecoveryCode.user_id) == user_id, col(RecoveryCode.used_at).is_(None)
    )
    return (await session.exec(unused)).one()


async def shows(session: AsyncSession, clock: Clock, signer: Signer, user: User, code: str) -> bool:
    """Whether this is the app's code of now, or a recovery code; either is used up by it.

    Behind `MOST_WRONG` wrong ones in a row the app's codes are not looked at any more: a recovery code, or an admin.
    """
    session.add(user)
    if user.totp_wrong < MOST_WRONG and _app_shows(signer, clock, user, code):
        user.totp_wrong = 0
        return True
    used = await session.execute(
        update(RecoveryCode)
        .where(col(RecoveryCode.user_id) == user.id, col(RecoveryCode.sha256) == _hash(code))
        .where(col(RecoveryCode.used_at).is_(None))
        .values(used_at=clock())
        .execution_options(synchronize_session=False)
    )
    right = bool(used.rowcount)  # type: ignore[attr-defined]  # of an UPDATE; SQLAlchemy types the general result
    user.totp_wrong = 0 if right else user.totp_wrong + 1
    return right


async def turn_off(session: AsyncSession, user: User) -> None:
    """Signing in asks for a password alone."""
    user.totp_secret, user.totp_since, user.totp_step, user.totp_wrong = "", None, 0, 0
    session.add(user)
    await session.execute(delete(RecoveryCode).where(col(RecoveryCode.user_id) == user.id))


def _app_shows(signer: Signer, clock: Clock, user: User, code: str) -> bool:
    """Whether the app shows it now; its half minute is written down, so that nobody who looked on uses it again."""
    digits = "".join(code.split())
    if not user.totp_secret or not (len(digits) == 6 and digits.isascii() and digits.isdigit()):
        return False
    app = pyotp.TOTP(unseal(signer, user.totp_secret), interval=STEP)
    now = int(clock().timestamp()) // STEP
    for step in range(now - _BESIDE, now + _BESIDE + 1):
        if step > user.totp_step and secrets.compare_digest(app.at(step * STEP), digits):
            user.totp_step = step
            return True
    return False


def _shown(octets: bytes) -> str:
    """Four groups of four letters and digits, none of which is taken for another (RFC 4648 base32)."""
    text = base64.b32encode(octets).decode().lower()
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))


def _hash(code: str) -> str:
    """However somebody writes it."""
    plain = "".join(character for character in code.lower() if character.isascii() and character.isalnum())
    return sha256(plain.encode()).hexdigest()
