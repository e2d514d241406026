"""Who calls, and how often they may. In: a request's `Authorization`. Out: the bearer, kept with the request.

Called by access.py for every route that needs a token. The count is kept in this process: with several of them a token
may come so often to each.
"""

import time
from dataclasses import dataclass

from aiohttp import web

from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.accounts.tokens import Bearer, bearer_of, seen
from bdnews_dispatch.web.api.problems import ApiError
from bdnews_dispatch.web.keys import CLOCK, DATABASE, SETTINGS

BEARER = web.RequestKey("bearer", Bearer)
_SECONDS = 60


@dataclass(slots=True)
class _Window:
    """Requests of a token since a minute began."""

    began: float
    used: int = 0


@dataclass(frozen=True, slots=True)
class Remaining:
    """What a token has left. Attributes: seconds: until there is a whole minute's again."""

    most: int
    left: int
    seconds: int


class Limits:
    """Requests a minute by token."""

    def __init__(self) -> None:
        self._windows: dict[int, _Window] = {}

    def take(self, token_id: int, most: int) -> Remaining:
        """One more. Raises: ApiError: there were as many as may be in this minute."""
        now = time.monotonic()
        window = self._windows.setdefault(token_id, _Window(now))
        if now - window.began >= _SECONDS:
            window.began, window.used = now, 0
        seconds = max(int(window.began + _SECONDS - now), 1)
        if window.used >= most:
            raise ApiError(
                429,
                "too_many",
                f"这个令牌每分钟最多 {most} 次",
                hint=f"请等 {seconds} 秒。",
                headers={"Retry-After": str(seconds), **headers_of(Remaining(most, 0, seconds))},
            )
        window.used += 1
        return Remaining(most, most - window.used, seconds)


LIMITS = web.AppKey("api_limits", Limits)
REMAINING = web.RequestKey("remaining", Remaining)


async def authenticate(request: web.Request, right: Right) -> None:
    """Let in who shows a good token with this right.

    Raises:
        ApiError: 401 without one, 403 where its scope is too small, 429 where it comes too often.
    """
    app = request.app
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    bearer = None
    if scheme.lower() == "bearer":
        async with app[DATABASE].read() as session:
            bearer = await bearer_of(session, app[CLOCK], token.strip())
    if bearer is None:
        raise ApiError(
            401,
            "token",
            "没有令牌，或令牌不对、已到期、已作废",
            hint="写 Authorization: Bearer 令牌；令牌在控制台的“令牌”里建，或由管理员用 bdnews tokens add。",
            headers={"WWW-Authenticate": 'Bearer realm="bdnews"'},
        )
    request[BEARER] = bearer
    request[REMAINING] = app[LIMITS].take(bearer.token_id, app[SETTINGS].web.api_requests_a_minute)
    if right not in bearer.scope:
        raise ApiError(
            403,
            "scope",
            f"这个令牌不能做这件事：需要 {right.value}",
            headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{right.value}"'},
        )
    if bearer.unseen:
        async with app[DATABASE].write_beside() as session:
            await seen(session, app[CLOCK], bearer.token_id)


def headers_of(remaining: Remaining) -> dict[str, str]:
    """draft-ietf-httpapi-ratelimit-headers: a policy, and what is left of it."""
    return {
        "RateLimit-Policy": f'"token";q={remaining.most};w={_SECONDS}',
        "RateLimit": f'"token";r={remaining.left};t={remaining.seconds}',
    }
