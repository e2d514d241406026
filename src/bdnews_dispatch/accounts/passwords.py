"""Passwords: argon2id, by RFC 9106's second recommendation (64 MiB, three passes), as argon2-cffi has it by default.

In: what somebody typed. Out: a hash, or whether it fits one. Both take tens of milliseconds: call them in a thread, and
never while others wait for the database's one writer.
"""

import asyncio
from functools import cache
from typing import NewType

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from bdnews_dispatch.errors import BdnewsError, Phrase

#: NIST SP 800-63B §3.1.1.2 asks for 15 where there is no second factor; no rules about kinds of characters.
SHORTEST = 15
LONGEST = 200
_HASHER = PasswordHasher()

#: What stands in the database; a type of its own, so that what somebody typed never does.
Hashed = NewType("Hashed", str)


class PasswordError(BdnewsError):
    """It can't be a password here."""


def check_password(password: str, *, email: str) -> None:
    """Raises: PasswordError: it is too short or too long, of one character only, or the address."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise PasswordError(
            Phrase("密码应为 %(shortest)s–%(most)s 个字符", shortest=SHORTEST, most=LONGEST),
            hint="用一句自己记得住的话，或由密码管理器生成。",
        )
    if len(set(password)) < 5 or password.casefold() == email.casefold():
        raise PasswordError("这个密码太容易猜到", hint="用一句自己记得住的话，或由密码管理器生成。")


async def hash_new(password: str, *, email: str) -> Hashed:
    """The hash of a password that its user has just chosen. Raises: PasswordError: it can't be one."""
    check_password(password, email=email)
    return await asyncio.to_thread(hash_password, password)


def hash_password(password: str) -> Hashed:
    """A hash, with its salt and costs in it."""
    return Hashed(_HASHER.hash(password))


def fits(password: str, hashed: str) -> bool:
    """Whether it is the password. An empty hash fits nothing, and takes as long to say so."""
    try:
        _HASHER.verify(hashed or _nobody(), password[:LONGEST])
    except (VerificationError, InvalidHashError):
        return False
    return bool(hashed)


def is_outdated(hashed: str) -> bool:
    """Whether it was made with lower costs than today's."""
    return _HASHER.check_needs_rehash(hashed)


@cache
def _nobody() -> str:
    """So that an unknown name takes as long as a known one."""
    return _HASHER.hash("nobody's password, which nobody types")
