"""Secrets that must be read again, so that a hash won't do: sealed with the service's keys, which no database holds.

In: a text, the signer. Out: a sealed text, or the text again. Fernet (AES-128-CBC and HMAC-SHA256) of `cryptography`;
the first key seals, all of them open, so that a rotation loses nothing. Pure.
"""

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from bdnews_dispatch.errors import BdnewsError
from bdnews_dispatch.links import Signer

_FOR = "secrets of the console"


class SealError(BdnewsError):
    """It was sealed with a key that is no longer here."""


def seal(signer: Signer, text: str) -> str:
    """Only who has the service's keys reads it."""
    return _keys(signer).encrypt(text.encode()).decode()


def unseal(signer: Signer, sealed: str) -> str:
    """Raises: SealError: none of the keys opens it."""
    try:
        return _keys(signer).decrypt(sealed).decode()
    except (InvalidToken, ValueError) as error:  # ValueError: not even ASCII
        raise SealError(
            "封存它的签名密钥已不在 security.signing_keys 里", hint="把旧密钥放回去（放在后面），或重新设置。"
        ) from error


def _keys(signer: Signer) -> MultiFernet:
    digests = (hashlib.sha256(mark.encode()).digest() for mark in signer.marks(_FOR))
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])
