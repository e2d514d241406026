"""How many mails came in every stretch of ten seconds. In: the moments at which they came. Out: the fewest, the most.

Callers: the acceptance test of limits, and the benchmark that runs for longer.
"""

from bisect import bisect_left
from collections.abc import Sequence

WINDOW_SECONDS = 10.0
#: From one window to the next.
STEP_SECONDS = 0.05


def fewest_and_most(moments: Sequence[float], start: float, end: float) -> tuple[int, int]:
    """Over all windows that lie between start and end.

    Args:
        moments: in their order.

    Raises:
        ValueError: there is no room for a window.
    """
    steps = int((end - start - WINDOW_SECONDS) / STEP_SECONDS)
    if steps < 1:
        raise ValueError(f"{end - start:.1f} s have no room for a window of {WINDOW_SECONDS:.0f} s")
    counts = [
        bisect_left(moments, moment + WINDOW_SECONDS) - bisect_left(moments, moment)
        for moment in (start + step * STEP_SECONDS for step in range(steps))
    ]
    return min(counts), max(counts)
