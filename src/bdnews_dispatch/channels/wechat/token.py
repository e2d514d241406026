"""The access token: asked for once, shared by all calls, renewed only if it is still the one that failed.

With a `TokenStore` all processes share one row: who claims it asks the platform, the others wait for what it gets.
Without one (a sandbox, a test) each process asks for itself; `stable_token` gives all of them the same. Called by
client.py.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

_log = logging.getLogger(__name__)

#: Renew this long before the end. The platform itself rotates 300 s early and lets the old one live on.
EARLY_SECONDS = 120.0
#: `force_refresh`: at most 20 a day and 30 s apart (getStableAccessToken); two stay in reserve for people.
FORCE_APART_SECONDS = 30.0
FORCE_A_DAY = 18
_DAY_SECONDS = 86_400.0

#: Asks the platform: fetch(force) -> (token, seconds it lives). Its errors go to whoever needed the token.
Fetch = Callable[[bool], Awaitable[tuple[str, float]]]


#: How often a process looks whether the one that claimed the row has written.
LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class StoredToken:
    """What the store has.

    Attributes:
        token: empty: none. A secret.
        seconds_left: that it still lives.
        version: which token it is; a write says which one was seen.
    """

    token: str
    seconds_left: float
    version: int

    def __repr__(self) -> str:
        return f"StoredToken(version={self.version}, seconds_left={self.seconds_left:.0f})"


class TokenStore(Protocol):
    """A row that all processes share; each write is a compare-and-swap on `version`."""

    async def read(self) -> StoredToken: ...
    async def claim(self, version: int) -> bool: ...
    async def keep(self, version: int, token: str, lives_seconds: float) -> bool: ...
    async def give_up(self, version: int) -> None: ...
    async def may_force(self, version: int) -> bool: ...


class _OwnStore:
    """Of one process alone: its lock is `StableToken`'s."""

    def __init__(self) -> None:
        self._forced: deque[float] = deque(maxlen=FORCE_A_DAY)

    async def read(self) -> StoredToken:
        return StoredToken("", 0.0, 0)

    async def claim(self, _version: int) -> bool:
        return True

    async def keep(self, _version: int, _token: str, _lives_seconds: float) -> bool:
        return True

    async def give_up(self, _version: int) -> None:
        pass

    async def may_force(self, _version: int) -> bool:
        now = _now()
        if self._forced and now - self._forced[-1] < FORCE_APART_SECONDS:
            return False
        if len(self._forced) == FORCE_A_DAY and now - self._forced[0] <= _DAY_SECONDS:
            return False
        self._forced.append(now)
        return True


class StableToken:
    """One token of one appid, safe under any number of concurrent calls.

    Ages are counted on the loop's own clock: a machine whose time jumps an hour keeps its token.

    Args:
        fetch: asks the platform.
        store: what all processes share; None: nothing.
    """

    def __init__(self, fetch: Fetch, store: TokenStore | None = None) -> None:
        self._fetch = fetch
        self._store = store or _OwnStore()
        self._lock = asyncio.Lock()
        self._token = ""
        self._good_until = 0.0

    async def get(self) -> str:
        """The token; asked for if there is none or it is about to end."""
        if self._token and _now() < self._good_until:
            return self._token
        async with self._lock:
            if not self._token or _now() >= self._good_until:
                await self._take("")
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
            if self._token == failed:
                await self._take(failed)
            return self._token

    async def _take(self, failed: str) -> None:
        """What the store has, unless it is the one that failed or about to end; else what the platform gives."""
        while True:
            stored = await self._store.read()
            if stored.token and stored.token != failed and stored.seconds_left > EARLY_SECONDS:
                self._use(stored.token, stored.seconds_left)
                return
            if await self._store.claim(stored.version):
                break
            await asyncio.sleep(LOOK_SECONDS)
        try:
            token, lives = await self._fetch(False)
            forced = token == failed and await self._store.may_force(stored.version)
            if forced:
                _log.warning("wechat.token.forced")
                token, lives = await self._fetch(True)
        except BaseException:
            await asyncio.shield(self._store.give_up(stored.version))
            raise
        self._use(token, lives)
        await self._store.keep(stored.version, token, lives)
        _log.info("wechat.token.renewed", extra={"forced": forced, "lives_seconds": lives})

    def _use(self, token: str, lives: float) -> None:
        # A token that ends sooner than we renew is used for half its life, so that we don't ask before each
        # call.
        self._token, self._good_until = token, _now() + max(lives - EARLY_SECONDS, lives / 2)


def _now() -> float:
    return asyncio.get_running_loop().time()
