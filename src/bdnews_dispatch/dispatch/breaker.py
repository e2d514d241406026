"""The breaker: a channel that fails again and again is left alone for a while, then tried by one message.

Waits are counted by a clock that only runs forward: one that is set back must not lengthen them.
"""

import time
from collections.abc import Callable

FIRST_WAIT_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 300.0


class Breaker:
    """Counts failures in a row of one channel."""

    def __init__(self, after: int, now: Callable[[], float] = time.monotonic) -> None:
        """Args: after: how many failures in a row open it. now: seconds, never less than before."""
        self._now = now
        self._after = after
        self._failures = 0
        self._wait = FIRST_WAIT_SECONDS
        self._closed_until: float | None = None

    def lets_through(self) -> bool:
        """May a message be tried now?"""
        return self._closed_until is None or self._now() >= self._closed_until

    def is_tried(self) -> bool:
        """Whether it has been open: one message finds out whether the channel works again."""
        return self._closed_until is not None

    def closed_for(self) -> float:
        """For how many seconds nothing is tried; 0: a message may be."""
        if self._closed_until is None:
            return 0.0
        return max(0.0, self._closed_until - self._now())

    def failed(self) -> float | None:
        """Returns: for how many seconds nothing is tried, where this failure opened the breaker; else None."""
        self._failures += 1
        if self._failures < self._after or not self.lets_through():
            return None
        wait = self._wait
        self._closed_until = self._now() + wait
        self._wait = min(self._wait * 2, LONGEST_WAIT_SECONDS)
        return wait

    def mended(self) -> bool:
        """A message went through. Returns: whether the breaker had been open."""
        was_open = self._closed_until is not None
        self._failures, self._wait, self._closed_until = 0, FIRST_WAIT_SECONDS, None
        return was_open
