"""An answer that is given once: what an Idempotency-Key got stands beside the change, for a day.

In: a call with its key. Out: the answer before, or a row. Caller: handling.py.
"""

from datetime import timedelta
from hashlib import sha256
from typing import NamedTuple

from sqlmodel import col, delete
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.accounts.models import OnceAnswered
from bdnews_dispatch.web.api.calls import LONGEST_HEADER, Call, Endpoint
from bdnews_dispatch.web.api.problems import ApiError, Detail
from bdnews_dispatch.web.keys import CLOCK

#: How long an answer is given again.
_KEPT = timedelta(days=1)


class Done(NamedTuple):
    """What is answered. `following`: cursor of the next page; `again`: it was answered before."""

    status: int
    body: bytes
    tag: str = ""
    location: str = ""
    again: bool = False
    following: str = ""


def check_key(key: str) -> None:
    """Raises: ApiError: it is no key."""
    if not (0 < len(key) <= LONGEST_HEADER and all("!" <= sign <= "~" for sign in key)):  # as it is described
        where = Detail(parameter="Idempotency-Key", detail=f"应为 1–{LONGEST_HEADER} 个可见的 ASCII 字符")
        raise ApiError(422, "idempotency.key", "Idempotency-Key 不能这样写", errors=[where])


def fingerprint_of(endpoint: Endpoint, call: Call, digest: str) -> str:
    """Of a request. Args: digest: hex SHA-256 of what it holds."""
    return sha256(f"{endpoint.method}\0{call.request.rel_url}\0{digest}".encode()).hexdigest()


async def is_answered(session: AsyncSession, call: Call, key: str) -> bool:
    """Whether this key has got an answer, to whatever it was."""
    row = await session.get(OnceAnswered, (call.bearer.token_id, key))
    return row is not None and row.at > call.request.app[CLOCK]() - _KEPT


async def known_answer(session: AsyncSession, call: Call, key: str, fingerprint: str) -> Done | None:
    """The answer that was given to this key."""
    known = await session.get(OnceAnswered, (call.bearer.token_id, key))
    if known is None or known.at <= call.request.app[CLOCK]() - _KEPT:
        return None
    if known.fingerprint != fingerprint:
        raise ApiError(422, "idempotency.reused", "这个 Idempotency-Key 已用于另一个请求", hint="请换一个。")
    return Done(known.status, known.body.encode(), location=known.location, again=True)


async def keep(session: AsyncSession, call: Call, key: str, fingerprint: str, done: Done) -> None:
    """For a day; older ones of this token go."""
    clock = call.request.app[CLOCK]
    await session.execute(
        delete(OnceAnswered).where(
            col(OnceAnswered.token_id) == call.bearer.token_id, col(OnceAnswered.at) <= clock() - _KEPT
        )
    )
    session.add(
        OnceAnswered(
            token_id=call.bearer.token_id,
            key=key,
            fingerprint=fingerprint,
            status=done.status,
            location=done.location,
            body=done.body.decode(),
            at=clock(),
        )
    )
    await session.flush()
