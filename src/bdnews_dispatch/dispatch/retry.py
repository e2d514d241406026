"""When to try again: exponential, with jitter, to a limit in time."""

import random
from datetime import datetime, timedelta

#: No wait is longer, so that a relay that is back is noticed within the hour.
LONGEST_SECONDS = 3600.0


def next_try(
    now: datetime,
    attempts: int,
    *,
    first_seconds: float,
    asked_seconds: float | None = None,
    jitter: random.Random | None = None,
) -> datetime:
    """The moment of the next try.

    Args:
        attempts: how many have been made, at least 1.
        first_seconds: the wait after the first one; it doubles with each.
        asked_seconds: what the other side, or a rule, asks for; waited at the least.
        jitter: the source of chance; up to a quarter is added, so that refused mails don't come back all at once.
    """
    wait = min(first_seconds * 2 ** (max(attempts, 1) - 1), LONGEST_SECONDS)
    wait = max(wait, asked_seconds or 0.0)
    chance = jitter or random.SystemRandom()
    return now + timedelta(seconds=wait * (1 + chance.random() / 4))
