"""Pacing: when the next message to a provider may go, from its limits and from what it has answered lately.

In: limits (config/providers.toml), outcomes. Out: a moment. Caller: stock.py. A provider that says "slower" gets half
of what it got; every minute in which it does not say so again doubles it, up to its limit. Times are seconds of a clock
that only runs forward (the event loop's).
"""

import math

from bdnews_dispatch.channels.email.limits import Limit
from bdnews_dispatch.channels.outcome import Outcome, OutcomeKind

#: Codes that mean "slower" whatever their words: RFC 5321 §4.2.3 (421 and 45x are about load and policy of the moment).
SLOWER = frozenset({"421", "450", "451"})
#: Refusals of messages that were under way together are one refusal.
ONE_REFUSAL_SECONDS = 5.0
#: After a slow-down the rate doubles in this time.
DOUBLES_IN_SECONDS = 60.0
#: Never slower than one message in this time, so that somebody finds out when it is over.
SLOWEST_RATE = 1 / 60
#: What may be caught up at once of a rate that was not used.
BURST_SECONDS = 0.1
#: Where the rate is only what was measured nobody is sent away for longer: it may become quick again.
LONGEST_TURN_SECONDS = 600.0
#: Over this time the rate is measured that a provider without a limit has been given.
MEASURED_SECONDS = 10.0


def rate_at(now: float, limit: Limit, slowed_rate: float, slowed_at: float, closed_until: float) -> float:
    """Messages a second at a moment, which may be one to come; infinite where nothing limits them.

    Args:
        slowed_rate: what a refusal left of it; 0: none has.
        slowed_at, closed_until: it doubles from the later one of these.
    """
    most = limit.messages_per_second or math.inf
    if not slowed_rate:
        return most
    quiet = max(0.0, now - max(slowed_at, closed_until))
    doubled = 2 ** min(quiet / DOUBLES_IN_SECONDS, 64.0)
    # Without a limit: forgotten when it is sixty-four times what it was slowed down to.
    return most if doubled >= 64 else min(most, slowed_rate * doubled)


class Pace:
    """One provider, or the relay as a whole, as one worker sees it.

    Attributes:
        under_way: messages begun and not ended.
        waiting: how many wait for it here; the stock says so.
        closed_until: nothing goes before.
    """

    def __init__(self, limit: Limit) -> None:
        self.limit = limit
        self.under_way = 0
        self.waiting = 0
        self.closed_until = 0.0
        self._next_at = 0.0
        self._promised = 0.0
        self._slowed_rate = 0.0
        self._slowed_at = -math.inf
        self._measured_from = -math.inf
        self._measured = 0
        self._measured_before = 0

    def rate(self, now: float) -> float:
        """Messages a second at this moment, which may be one to come; infinite where nothing limits them."""
        return rate_at(now, self.limit, self._slowed_rate, self._slowed_at, self.closed_until)

    def ready_at(self) -> float:
        """When the next message may begin; infinity: when one of those under way has ended."""
        if self.limit.connections and self.under_way >= self.limit.connections:
            return math.inf
        return max(self.closed_until, self._next_at)

    def turn_after(self, now: float, waiting: float) -> float:
        """For what can't be kept waiting here: seconds until its turn, each later than the one before.

        Args:
            waiting: seconds that those before it take.
        """
        first = max(self._promised, now + waiting)
        rate = self.rate(first)
        if rate < math.inf:
            self._promised = first + 1 / rate
            return self._promised - now
        turn = first + 1 / max(self.given(now), 1.0)
        if turn - now > max(LONGEST_TURN_SECONDS, waiting):
            return max(
                LONGEST_TURN_SECONDS, waiting
            )  # not a promise: the next ones still get the turns before
        self._promised = turn
        return turn - now

    def begin(self, now: float) -> None:
        """A message begins."""
        self.under_way += 1
        if self._slowed_rate or self.limit.messages_per_second:
            rate = self.rate(now)
            if rate < math.inf:
                self._next_at = max(self._next_at, now - BURST_SECONDS) + 1 / rate
        since = now - self._measured_from
        if since > MEASURED_SECONDS:
            self._measured_before = self._measured if since < 2 * MEASURED_SECONDS else 0
            self._measured_from, self._measured = now, 0
        self._measured += 1

    def end(self) -> None:
        """A message has ended, one way or another."""
        self.under_way -= 1

    def slow_down(self, now: float, wait: float | None = None) -> None:
        """The other side says "slower". Args: wait: seconds in which it wants nothing at all, where it says so."""
        rate = self.rate(now)
        if rate == math.inf:
            rate = self.given(now)
        if wait:
            self.closed_until = max(self.closed_until, now + wait)
        if now - self._slowed_at < ONE_REFUSAL_SECONDS:
            return
        self._slowed_rate = max(rate / 2, SLOWEST_RATE)
        self._slowed_at = now
        self._next_at = now + 1 / self._slowed_rate

    def given(self, now: float) -> float:
        """Messages a second that were begun lately: this stretch, and of the one before what still counts."""
        since = min(max(now - self._measured_from, 0.0), 2 * MEASURED_SECONDS)
        if not self._measured_before:
            return self._measured / max(since, 1.0)
        counts = max(0.0, 1 - since / MEASURED_SECONDS)
        return (self._measured + self._measured_before * counts) / max(since, MEASURED_SECONDS)


def who_is_slow(outcome: Outcome) -> str:
    """Whom an outcome slows down: `domain`, `relay`, or nobody ("")."""
    if outcome.kind is OutcomeKind.UNAVAILABLE:
        return "relay" if outcome.code in SLOWER else ""
    if outcome.kind is not OutcomeKind.DEFERRED:
        return ""
    if outcome.rule:
        return {"domain": "domain", "connection": "domain", "sender": "domain", "channel": "relay"}.get(
            outcome.scope, ""
        )
    return "domain" if outcome.code in SLOWER else ""
