"""Reports of finished jobs: on time, late, twice, out of order, as a script says.

In: the events that a job ends with. Out: pushes. Called by sandbox.py; tests hold and release them.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

#: Takes the openid and the event's fields.
Send = Callable[[str, Mapping[str, Any]], None]


@dataclass(slots=True)
class Reports:
    """What the platform has still to report.

    Attributes:
        send: pushes one.
        hold: True: nothing goes out before `release`: late.
        times: how often each goes out.
        statuses: of the next jobs, instead of a success: `failed:user block`, `err(10001)`, for a publication `2` …
    """

    send: Send
    hold: bool = False
    times: int = 1
    statuses: deque[str] = field(default_factory=deque)
    _held: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def status(self, success: str) -> str:
        """How the next job ends."""
        return self.statuses.popleft() if self.statuses else success

    def finished(self, openid: str, event: str, fields: Mapping[str, Any]) -> None:
        """A job is over."""
        report = (openid, {"MsgType": "event", "Event": event, **fields})
        self._held.append(report)
        if not self.hold:
            self.release()

    def release(self, *, backwards: bool = False) -> int:
        """Push what was held.

        Args:
            backwards: the last first: out of order.

        Returns:
            How many went out.
        """
        held, self._held = self._held, []
        pushed = [report for report in (reversed(held) if backwards else held) for _ in range(self.times)]
        for openid, fields in pushed:
            self.send(openid, fields)
        return len(pushed)
