"""Versions: the ETag of an answer, and the conditions that name one.

In: headers, answers. Out: tags; problems where a condition does not hold. Caller: handling.py.
"""

import re
from hashlib import sha256

from pydantic import BaseModel

from bdnews_dispatch.errors import NotFoundError
from bdnews_dispatch.web.api.calls import LONGEST_HEADER, Call, Endpoint
from bdnews_dispatch.web.api.problems import CHANGED, ApiError, Detail

#: Entity tags (RFC 9110 §8.8.3), or all of them.
TAGS = r'\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*'


def refuse_unknown(endpoint: Endpoint, call: Call) -> None:
    """A condition that nobody looks at, or can read, must not seem to hold."""
    wanted = call.request.headers.get("If-Match")
    if wanted is not None and not (len(wanted) <= LONGEST_HEADER and re.fullmatch(TAGS, wanted.strip())):
        where = Detail(
            parameter="If-Match", detail=f'应为 * 或 "…"，多个以逗号分隔，最多 {LONGEST_HEADER} 个字符'
        )
        raise ApiError(422, "condition.malformed", "If-Match 不能这样写", errors=[where])
    if wanted is not None and endpoint.current is None:
        where = Detail(parameter="If-Match", detail="这个操作没有可比的版本")
        raise ApiError(422, "condition.unknown", "这个操作不能带 If-Match", errors=[where])


async def check(endpoint: Endpoint, call: Call) -> None:
    """`If-Match` (RFC 9110 §13.1.1), in the transaction of the change."""
    wanted = call.request.headers.get("If-Match")
    if endpoint.current is None or wanted is None:
        return
    try:
        now = await endpoint.current(call)
    except NotFoundError:
        if endpoint.method != "PUT":
            raise
        now = None  # there is none to match: it would be made
    if isinstance(now, BaseModel):
        if wanted.strip() == "*":
            return
        stable = tag_of(now).partition(".")[0]
        if stable in [one.strip().partition(".")[0] for one in wanted.split(",")]:
            return
    raise ApiError(412, "condition.failed", "它已被别人改过，没有更改任何内容", hint=CHANGED)


def tag_of(answer: BaseModel) -> str:
    """Of what somebody may change, and, behind a dot, of the whole: `If-Match` takes the first, `If-None-Match` all."""
    counted: frozenset[str] = getattr(answer, "COUNTED", frozenset())
    stable = sha256(answer.model_dump_json(exclude=set(counted)).encode()).hexdigest()[:24]
    return f'"{stable}.{sha256(answer.model_dump_json().encode()).hexdigest()[:16]}"'


def is_known(asked: str, tag: str) -> bool:
    """`If-None-Match` (RFC 9110 §13.1.2): the comparison is the weak one."""
    if asked.strip() == "*":
        return bool(tag)
    return tag in [one.strip().removeprefix("W/") for one in asked.split(",")]
