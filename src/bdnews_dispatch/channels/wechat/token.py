"""The access token: asked for once, shared by all calls, renewed only if it is still the one that failed.

`stable_token` gives the same token to everybody who asks until five minutes before its end, so any number of
worker processes hold the same one without a common store. Called by client.py.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

_log = logging.getLogger(__name__)

#: Renew this long before the end. The platform itself rotates 300 s early and lets the old one live on.
EARLY_SECONDS = 120.0
#: `force_refresh`: at most 20 a day and 30 s apart (getStableAccessToken); two stay in reserve for people.
FORCE_APART_SECONDS = 30.0
FORCE_A_DAY = 18
_DAY_SECONDS = 86_400.0

#: Asks the platform: fetch(force) -> (token, seconds it lives). Its errors go to whoever needed the token.
Fetch = Callable[[bool], Awaitable[tuple[str, float]]]


class StableToken:
    """One token of one appid, safe under any number of concurrent calls.

    Ages are counted on the loop's own clock: a machine whose time jumps an hour keeps its token.
    """

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._lock = asyncio.Lock()
        self._token = ""
        self._good_until = 0.0
        self._forced: deque[float] = deque(maxlen=FORCE_A_DAY)

    async def get(self) -> str:
        """The token; asked for if there is none or it is about to end."""
        if self._token and self._now() < self._good_until:
            return self._token
        async with self._lock:
            if not self._token or self._now() >= self._good_until:
                await self._take(force=False)
            return self._token

    async def renew(self, failed: str) -> str:
        """A token other than the one the platform just refused.

        Of all the calls that failed with the same token, one asks the platform; the others get what it got.
        If the platform still gives the one that failed, one `force_refresh` follows, if the last is not too
        near.

        Args:
            failed: the token that was refused.

        Returns:
            The token to use now; the failed one again where nothing could be done.
        """
        async with self._lock:
            if self._token != failed:
                return self._token
            await self._take(force=False)
            if self._token == failed and self._may_force():
                _log.warning("wechat.token.forced")
                self._forced.append(self._now())
                await self._take(force=True)
            return self._token

    async def _take(self, *, force: bool) -> None:
        self._token, lives = await self._fetch(force)
        # A token that ends sooner than we renew is used for half its life, so that we don't ask before each
        # call.
        self._good_until = self._now() + max(lives - EARLY_SECONDS, lives / 2)
        _log.info("wechat.token.renewed", extra={"forced": force, "lives_seconds": lives})

    def _may_force(self) -> bool:
        now = self._now()
        if self._forced and now - self._forced[-1] < FORCE_APART_SECONDS:
            return False
        return len(self._forced) < FORCE_A_DAY or now - self._forced[0] > _DAY_SECONDS

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
