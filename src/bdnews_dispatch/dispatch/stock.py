"""The stock: what is claimed and waits for its turn on one way out.

In: parcels as they are claimed. Out: the next parcel for a lane that has room. Urgent ones first, dispatches of the
same urgency in turn, and nobody waits behind a provider that is slow: its parcels stand aside until their moment, and
those for which it would take too long go back to the ledger. Caller: sending.
"""

import asyncio
import heapq
import itertools
import math
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from bdnews_dispatch.channels.email.limits import Limit, Limits
from bdnews_dispatch.channels.outcome import Outcome, OutcomeKind
from bdnews_dispatch.channels.wechat.modes import Chances
from bdnews_dispatch.dispatch.composing import Composer
from bdnews_dispatch.dispatch.ledger_store import Claim
from bdnews_dispatch.dispatch.pacing import Pace, who_is_slow
from bdnews_dispatch.subscribers.audience import Person

#: A parcel that can't go within this time goes back to the ledger: another worker, or this one later, will claim it.
#: Half a lease of the default length.
STANDS_ASIDE_SECONDS = 30.0
#: The same as a number, where only connections are limited and nobody knows how long they take.
STAND_ASIDE = 200
#: Seconds that those who stand aside take, where nobody knows.
BACK_SECONDS = 10.0


_UNKNOWN = Chances()


@dataclass(slots=True, eq=False)
class Parcel:
    """A claimed delivery with all that sending needs.

    Attributes:
        target: the address or openid.
        urgency: smaller goes first.
        domain: of the address, lower case; "" for WeChat.
        chances: by which modes the platform takes a card for this follower now.
    """

    claim: Claim
    person: Person
    composer: Composer
    target: str
    urgency: int
    domain: str = ""
    chances: Chances = _UNKNOWN
    pace: Pace | None = field(default=None, repr=False)


class Stock:
    """Parcels of one way out (a relay, an account)."""

    def __init__(
        self,
        limits: Limits,
        *,
        low: int,
        on_low: Callable[[int], None],
        put_back: Callable[[Parcel, float], None],
        pace_of: Callable[[Limit], Pace] = Pace,
    ) -> None:
        """Args:
        low: a dispatch that has fewer parcels here is told of by `on_low`.
        on_low: gets the dispatch's id.
        put_back: gets a parcel that can't go soon, and after how many seconds it may be claimed again.
        pace_of: makes the pace of a limit: this worker's own, or its part of what all workers share.
        """
        self._limits = limits
        self._low = low
        self._on_low = on_low
        self._put_back = put_back
        self._pace_of = pace_of
        self._relay = pace_of(limits.relay)
        self._by_domain: dict[str, Pace] = {}
        self._by_provider: dict[str, Pace] = {}
        self._in_turn: dict[int, OrderedDict[int, deque[Parcel]]] = {}
        self._number: dict[int, int] = {}
        self._aside: dict[Pace, list[tuple[int, int, Parcel]]] = {}
        self._order = itertools.count()
        self._sleepers: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._loop = asyncio.get_running_loop()

    def number_of(self, dispatch_id: int) -> int:
        """Parcels of the dispatch that could go at once."""
        return self._number.get(dispatch_id, 0)

    def put(self, parcel: Parcel) -> None:
        """A parcel has been claimed."""
        if self._closed:
            self._put_back(parcel, 0.0)
            return
        pace = self._by_domain.get(parcel.domain)
        if pace is None:
            limit = self._limits.of(parcel.domain)
            pace = self._by_provider.get(limit.name)
            if pace is None:
                pace = self._by_provider[limit.name] = self._pace_of(limit)
            self._by_domain[parcel.domain] = pace
        parcel.pace = pace
        dispatch = parcel.claim.dispatch_id
        turn = self._in_turn.setdefault(parcel.urgency, OrderedDict())
        turn.setdefault(dispatch, deque()).append(parcel)
        self._number[dispatch] = self._number.get(dispatch, 0) + 1
        self._wake()

    def take_now(self) -> Parcel | None:
        """The next parcel that may go at this moment; it counts as under way until `done`."""
        now = self._loop.time()
        if self._closed:
            return None
        if self._relay.ready_at() > now:
            self._relay.waiting = sum(self._number.values()) + sum(map(len, self._aside.values()))
            return None
        while True:
            urgency = next((urgency for urgency in sorted(self._in_turn) if self._in_turn[urgency]), math.inf)
            if self._aside and (stood := self._next_of_aside(now, urgency)) is not None:
                return self._begin(stood, now)
            if urgency == math.inf:
                self._relay.waiting = 0
                return None
            parcel = self._next_in_turn(int(urgency))
            assert parcel.pace is not None  # noqa: S101  # `put` has set it
            if parcel.pace.ready_at() <= now:
                return self._begin(parcel, now)
            self._stand_aside(parcel, parcel.pace, now)

    async def take(self) -> Parcel | None:
        """The next parcel, when there is one; None: the stock is closed."""
        while not self._closed:
            if (parcel := self.take_now()) is not None:
                return parcel
            self._look_again()
            sleeper: asyncio.Future[None] = self._loop.create_future()
            self._sleepers.append(sleeper)
            await sleeper
        return None

    def done(self, parcel: Parcel, outcome: Outcome) -> None:
        """What became of a parcel that was taken."""
        assert parcel.pace is not None  # noqa: S101  # `put` has set it
        parcel.pace.end()
        self._relay.end()
        if outcome.kind is OutcomeKind.ACCEPTED and not self._aside:
            return
        match who_is_slow(outcome):
            case "domain":
                parcel.pace.slow_down(self._loop.time(), outcome.retry_after)
            case "relay":
                self._relay.slow_down(self._loop.time(), outcome.retry_after)
        if self._aside:
            self._wake()

    def look(self) -> None:
        """A pace may be ready earlier than it was."""
        if not self._closed:
            self._look_again()

    def withdraw(self, dispatch_id: int | None = None) -> list[Parcel]:
        """Take out what has not begun: of one dispatch, or of all."""
        out: list[Parcel] = []
        for turn in self._in_turn.values():
            for dispatch in [dispatch_id] if dispatch_id is not None else list(turn):
                out += turn.pop(dispatch, ())
                if self._number.pop(dispatch, None):
                    self._on_low(dispatch)
        for pace, heap in list(self._aside.items()):
            out += [entry[2] for entry in heap if dispatch_id in (None, entry[2].claim.dispatch_id)]
            heap[:] = [entry for entry in heap if dispatch_id not in (None, entry[2].claim.dispatch_id)]
            heapq.heapify(heap)
            pace.waiting = len(heap)
            if not heap:
                del self._aside[pace]
        self._relay.waiting = min(self._relay.waiting, sum(self._number.values()))
        return out

    def close(self) -> list[Parcel]:
        """Give nothing out any more. Returns: what has not begun."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        while self._sleepers:
            self._wake()
        return self.withdraw()

    def _next_of_aside(self, now: float, urgency: float) -> Parcel | None:
        """The first whose moment has come, if nothing more urgent is in turn."""
        ready = [heap for pace, heap in self._aside.items() if pace.ready_at() <= now]
        heap = min(ready, key=lambda heap: heap[0], default=None)
        if heap is None or heap[0][0] > urgency:
            return None
        parcel = heapq.heappop(heap)[2]
        assert parcel.pace is not None  # noqa: S101  # `put` has set it
        parcel.pace.waiting = len(heap)
        if not heap:
            del self._aside[parcel.pace]
        return parcel

    def _next_in_turn(self, urgency: int) -> Parcel:
        turn = self._in_turn[urgency]
        dispatch, parcels = turn.popitem(last=False)
        parcel = parcels.popleft()
        if parcels:
            turn[dispatch] = parcels  # at the end: the next dispatch's turn
        self._number[dispatch] -= 1
        if self._number[dispatch] == self._low:
            self._on_low(dispatch)
        elif not self._number[dispatch]:
            del self._number[dispatch]
            self._on_low(dispatch)
        return parcel

    def _begin(self, parcel: Parcel, now: float) -> Parcel:
        assert parcel.pace is not None  # noqa: S101  # `put` has set it
        parcel.pace.begin(now)
        self._relay.begin(now)
        if self._sleepers:  # a timer wakes one lane: this one sets it for the next
            self._look_again()
        return parcel

    def _stand_aside(self, parcel: Parcel, pace: Pace, now: float) -> None:
        heap = self._aside.setdefault(pace, [])
        rate = pace.rate(now)
        closed_for = max(0.0, pace.closed_until - now)
        wait = closed_for + (len(heap) / rate if rate < math.inf else 0.0)
        heapq.heappush(heap, (parcel.urgency, next(self._order), parcel))
        pace.waiting = len(heap)
        if max(closed_for, wait) > STANDS_ASIDE_SECONDS or len(heap) > STAND_ASIDE:
            last = max(heap)  # the least urgent goes back, and of those the one that came last
            heap.remove(last)
            heapq.heapify(heap)
            pace.waiting = len(heap)
            if not heap:
                del self._aside[pace]
            self._put_back(last[2], pace.turn_after(now, wait or BACK_SECONDS))

    def _look_again(self) -> None:
        """Wake a lane when the first provider is ready again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._loop.time()
        moments = [pace.ready_at() for pace in self._aside]
        if any(self._in_turn.values()):
            moments.append(now)
        relay = self._relay.ready_at()
        moments = [max(moment, relay) for moment in moments]
        first = min(moments, default=math.inf)
        if first < math.inf:
            self._timer = self._loop.call_at(max(first, now + 0.001), self._wake)

    def _wake(self) -> None:
        while self._sleepers:
            sleeper = self._sleepers.popleft()
            if not sleeper.done():
                sleeper.set_result(None)
                return
