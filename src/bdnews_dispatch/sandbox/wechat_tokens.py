"""Access tokens as the platform gives them: one stable one, with rotation and an end. Called by
wechat_platform.py.

Source: getStableAccessToken.html: the same token is repeated until five minutes before its end;
    `force_refresh` ends
the last one at once, 20 times a day, 30 s apart. Get_access_token.html: the older way gives a new one each
time, and the one before lives five minutes more.
"""

import secrets
from datetime import datetime, timedelta

from bdnews_dispatch.clock import Clock, beijing

LIFE = timedelta(seconds=7200)
EARLY = timedelta(minutes=5)
FORCE_APART = timedelta(seconds=30)
FORCE_A_DAY = 20


class TokenDesk:
    """The tokens of one appid."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ends: dict[str, datetime] = {}
        self._stable = ""
        self._legacy = ""
        self._forced: list[datetime] = []

    def stable(self, *, force: bool) -> tuple[str, int] | int:
        """The token and the seconds it lives; or an errcode."""
        now = self._clock()
        if force:
            today = [at for at in self._forced if beijing(at).date() == beijing(now).date()]
            if len(today) >= FORCE_A_DAY:
                return 45009
            if today and now - today[-1] < FORCE_APART:
                return 45011
            self._forced = [*today, now]
            self._ends.pop(self._stable, None)
            self._stable = ""
        if not self._stable or self._ends.get(self._stable, now) - now <= EARLY:
            self._stable = self._new(now)
        return self._stable, int((self._ends[self._stable] - now).total_seconds())

    def legacy(self) -> tuple[str, int]:
        """A new token each time; the one before ends in five minutes."""
        now = self._clock()
        if self._legacy in self._ends:
            self._ends[self._legacy] = min(self._ends[self._legacy], now + EARLY)
        self._legacy = self._new(now)
        return self._legacy, int(LIFE.total_seconds())

    def fault_of(self, token: str) -> int:
        """The errcode for a call with this token; 0 if it is good."""
        if not token:
            return 41001
        end = self._ends.get(token)
        if end is None:
            return 40001
        return 42001 if self._clock() >= end else 0

    def expire(self) -> None:
        """End every token now (42001), as if its two hours were over."""
        now = self._clock()
        self._ends = dict.fromkeys(self._ends, now)
        self._stable = ""

    def revoke(self) -> None:
        """Forget every token (40001), as if somebody else had asked for a new one."""
        self._ends.clear()
        self._stable = ""

    def _new(self, now: datetime) -> str:
        token = f"sandbox_{secrets.token_urlsafe(96)}"
        self._ends[token] = now + LIFE
        return token
