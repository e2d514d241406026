"""What a provider, or the relay, takes from all workers together: a budget in the database, leased in portions.

A rate is leased as slots of time: whoever asks gets the next tenth of a second or so of the provider's time, and nobody
else sends to it then. A worker that dies wastes its slot and nothing more; one that was suspended finds its slot over.
Connections are seats with a lease: a worker that dies leaves its seats when that ends. A "slower" of the other side
holds for everybody. In: limits, wishes. Out: `SharedPace`s that the stock asks. Caller: sending. Only on PostgreSQL;
with SQLite one process sends.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from asyncpg import Connection
from sqlalchemy.engine import URL

from bdnews_dispatch.channels.email.limits import Limit
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.db.postgres import OneConnection
from bdnews_dispatch.dispatch.pacing import ONE_REFUSAL_SECONDS, SLOWEST_RATE, Pace, rate_at
from bdnews_dispatch.errors import StorageError

logger = logging.getLogger(__name__)

#: A slot is this long, or one message's time where that is longer. Two of them are lost where a worker dies: 4 % of ten
#: seconds.
SLOT_SECONDS = 0.2
#: The next slot is asked for this long before the one that one has is over.
AHEAD_SECONDS = 0.1
#: Between two questions to the database at least; and at most, while anything is under way or was lately.
SOONEST_SECONDS = 0.02
LATEST_SECONDS = 1.0
#: Seats are free again this long after the last sign of life of who has them.
SEATS_SECONDS = 10.0
#: A budget that nobody here has wanted for so long is not asked for any more.
IDLE_SECONDS = 30.0


class Ask(NamedTuple):
    """What a worker wants of a budget.

    Attributes:
        slots: messages that it would send now; 0: it has a slot, or nothing to send.
        seats: connections that it would use.
        in_use: connections that it uses.
        refused: the rate that it had when the other side said "slower"; 0: it did not.
        closed_for: seconds in which the other side wants nothing; 0: it did not say.
    """

    limit: Limit
    slots: int = 0
    seats: int = 0
    in_use: int = 0
    refused: float = 0.0
    closed_for: float = 0.0


class Grant(NamedTuple):
    """What it gets. Times are seconds since 1970 by the server's clock.

    Attributes:
        start, end: of its slot; equal: none.
        rate: within the slot; infinite: no slot is needed.
        seats: connections that it may use; infinite where there is no limit.
    """

    start: float
    end: float
    rate: float
    seats: float
    slowed_rate: float
    slowed_at: float
    closed_until: float


@dataclass(slots=True)
class _Row:
    promised_until: float
    slowed_rate: float
    slowed_at: float
    closed_until: float


def fair_seats(number: int, wanted: Mapping[str, int]) -> dict[str, int]:
    """Share seats: nobody gets more than wanted, or less than another who wants no more (but for a remainder of one).

    Args:
        wanted: by worker; the remainder goes by name.
    """
    shares: dict[str, int] = {}
    left = number
    for place, (worker, wish) in enumerate(sorted(wanted.items(), key=lambda item: (item[1], item[0]))):
        share = min(wish, -(-left // (len(wanted) - place)))
        shares[worker] = share
        left -= share
    return shares


class BudgetStore:
    """The rows. Used as `async with`."""

    def __init__(self, url: URL, worker: str) -> None:
        self._worker = worker
        self._connection = OneConnection(url)

    async def __aenter__(self) -> Self:
        await self._connection.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._connection.__aexit__()

    async def lease(self, asks: Sequence[Ask]) -> list[Grant]:
        """Take what there is, for each ask.

        Raises:
            StorageError: the server is away; nothing is taken, or what was is lost.
        """

        async def work(connection: Connection) -> list[Grant]:
            async with connection.transaction():
                return await self._lease(connection, asks)

        return await self._connection.run(work)

    async def _lease(self, connection: Connection, asks: Sequence[Ask]) -> list[Grant]:
        names = sorted({ask.limit.name for ask in asks})
        await connection.execute(_MAKE, names)
        locked = await connection.fetch(_LOCK, names)
        now = locked[0]["now"] if locked else 0.0
        rows = {row["name"]: _Row(*row[1:5]) for row in locked}
        seats = await self._seats(connection, [ask for ask in asks if ask.limit.connections], now)
        grants = []
        for ask in asks:
            row = rows[ask.limit.name]
            _slow_down(row, ask, now)
            start, end, rate = _slot(row, ask, now)
            grants.append(
                Grant(
                    start,
                    end,
                    rate,
                    seats.get(ask.limit.name, math.inf),
                    row.slowed_rate,
                    row.slowed_at,
                    row.closed_until,
                )
            )
        values = [
            (name, row.promised_until, row.slowed_rate, row.slowed_at, row.closed_until)
            for name, row in rows.items()
        ]
        if values:
            await connection.execute(_STORE, *map(list, zip(*values, strict=True)))
        return grants

    async def _seats(self, connection: Connection, asks: Sequence[Ask], now: float) -> dict[str, int]:
        if not asks:
            return {}
        names = [ask.limit.name for ask in asks]
        found = await connection.fetch(_SEATS, names, now, self._worker)
        granted: dict[str, int] = {}
        for ask in asks:
            others = [row for row in found if row["budget"] == ask.limit.name]
            wanted = {row["worker"]: max(row["wanted"], row["held"]) for row in others} | {
                self._worker: ask.seats
            }
            fair = fair_seats(ask.limit.connections, wanted)[self._worker]
            free = ask.limit.connections - sum(row["held"] for row in others)
            granted[ask.limit.name] = max(min(fair, free), ask.in_use, 0)
        await connection.execute(
            _SIT,
            names,
            self._worker,
            [ask.seats for ask in asks],
            [granted[name] for name in names],
            now + SEATS_SECONDS,
        )
        return granted

    async def slowed(self) -> list[tuple[str, float, float, float]]:
        """Name, rate, since when, closed until: of every budget that was told "slower" lately."""
        rows = await self._connection.run(lambda connection: connection.fetch(_SLOWED))
        return [tuple(row) for row in rows]

    async def leave(self) -> None:
        """Give all seats up."""
        await self._connection.run(
            lambda connection: connection.execute("DELETE FROM seat WHERE worker = $1", self._worker)
        )


def _slow_down(row: _Row, ask: Ask, now: float) -> None:
    if ask.closed_for:
        row.closed_until = max(row.closed_until, now + ask.closed_for)
    if ask.refused and now - row.slowed_at >= ONE_REFUSAL_SECONDS:
        rate = rate_at(now, ask.limit, row.slowed_rate, row.slowed_at, row.closed_until)
        row.slowed_rate = max(min(rate, ask.refused) / 2, SLOWEST_RATE)
        row.slowed_at = now


def _slot(row: _Row, ask: Ask, now: float) -> tuple[float, float, float]:
    start = max(row.promised_until, row.closed_until, now)
    rate = rate_at(start, ask.limit, row.slowed_rate, row.slowed_at, row.closed_until)
    if rate == math.inf or not ask.slots:
        return start, start, rate
    number = max(1, min(ask.slots, math.floor(rate * SLOT_SECONDS)))
    row.promised_until = start + number / rate
    return start, row.promised_until, rate


_MAKE = """
INSERT INTO budget (name, promised_until, slowed_rate, slowed_at, closed_until)
SELECT name, 0, 0, 0, 0 FROM unnest($1::text[]) AS wanted (name)
WHERE NOT EXISTS (SELECT 1 FROM budget WHERE budget.name = wanted.name)
ON CONFLICT (name) DO NOTHING
"""
_LOCK = """
SELECT name, promised_until, slowed_rate, slowed_at, closed_until,
    extract(epoch FROM clock_timestamp())::float8 AS now
FROM (SELECT * FROM budget WHERE name = ANY($1) ORDER BY name FOR UPDATE) AS locked
"""
#: A rate that was halved is forgotten after six minutes: pacing.rate_at.
_SLOWED = """
SELECT name, slowed_rate, slowed_at, closed_until FROM budget
WHERE greatest(slowed_at, closed_until) > extract(epoch FROM clock_timestamp()) - 600
"""
_STORE = """
UPDATE budget SET promised_until = told.promised_until, slowed_rate = told.slowed_rate, slowed_at = told.slowed_at,
    closed_until = told.closed_until
FROM unnest($1::text[], $2::float8[], $3::float8[], $4::float8[], $5::float8[])
    AS told (name, promised_until, slowed_rate, slowed_at, closed_until)
WHERE budget.name = told.name
"""
_SEATS = (
    "SELECT budget, worker, wanted, held FROM seat WHERE budget = ANY($1) AND until > $2 AND worker <> $3"
)
_SIT = """
INSERT INTO seat (budget, worker, wanted, held, until)
SELECT budget, $2, wanted, held, $5 FROM unnest($1::text[], $3::int[], $4::int[]) AS mine (budget, wanted, held)
ON CONFLICT (budget, worker) DO UPDATE SET wanted = excluded.wanted, held = excluded.held, until = excluded.until
"""


class SharedPace(Pace):
    """One provider as one worker sees it, where all workers share what it takes."""

    def __init__(self, limit: Limit, ask: Callable[[], None]) -> None:
        """Args: ask: called when there is something to ask the database for."""
        super().__init__(limit)
        self._ask = ask
        self._slotted = limit.messages_per_second > 0
        self._slot_ends = 0.0
        self._next_slot: tuple[float, float] | None = None
        self._seats: float = 0 if limit.connections else math.inf
        self._refused = 0.0
        self._closed_for = 0.0
        self._wanted_at = -math.inf

    def ready_at(self) -> float:
        if self._slotted and self._next_at >= self._slot_ends and self._next_slot is not None:
            (self._next_at, self._slot_ends), self._next_slot = self._next_slot, None
        if self.under_way >= self._seats or (self._slotted and self._next_at >= self._slot_ends):
            self._ask()
            return math.inf
        return max(self.closed_until, self._next_at)

    def begin(self, now: float) -> None:
        super().begin(now)
        if self._slotted and now > self._slot_ends - AHEAD_SECONDS and self._next_slot is None:
            self._ask()

    def slow_down(self, now: float, wait: float | None = None) -> None:
        rate = self.rate(now)
        self._refused = rate if rate < math.inf else max(self.given(now), SLOWEST_RATE)
        self._closed_for = wait or 0.0
        super().slow_down(now, wait)
        self._slotted, self._slot_ends, self._next_slot = True, 0.0, None  # nothing more goes before all know
        self._ask()

    def asks(self, now: float) -> Ask | None:
        """What is to be asked for now; None: nothing."""
        wanted = self.under_way + self.waiting
        if wanted or self._refused:
            self._wanted_at = now
        limited = self._slotted or self.limit.connections
        if not limited or now - self._wanted_at > IDLE_SECONDS:
            return None
        over = now > self._slot_ends - AHEAD_SECONDS or self._next_at >= self._slot_ends
        slots = self.waiting if self._slotted and over and self._next_slot is None else 0
        seats = min(wanted, self.limit.connections)
        ask = Ask(self.limit, slots, seats, self.under_way, self._refused, self._closed_for)
        self._refused = self._closed_for = 0.0
        return ask

    def not_told(self, ask: Ask) -> None:
        """The database has not heard of it: what the other side said is told the next time."""
        self._refused = self._refused or ask.refused
        self._closed_for = max(self._closed_for, ask.closed_for)

    def take(self, grant: Grant, ahead: float) -> None:
        """Use what was granted. Args: ahead: what the server's clock shows more than this loop's."""
        self.hear(grant.slowed_rate, grant.slowed_at, grant.closed_until, ahead)
        self._seats = grant.seats
        self._slotted = grant.rate < math.inf
        if grant.end > grant.start:
            # Half a message short: seconds since 1970 are exact to a quarter of a microsecond, and in a slot that is so
            # much longer than its messages there would be room for one too many: 5 % at a hundred a second.
            self._next_slot = grant.start - ahead, grant.end - ahead - 0.5 / grant.rate

    def hear(self, slowed_rate: float, slowed_at: float, closed_until: float, ahead: float) -> None:
        """Somebody was told "slower"."""
        self._slowed_rate = slowed_rate
        self._slowed_at = slowed_at - ahead if slowed_rate else -math.inf
        self.closed_until = max(0.0, closed_until - ahead)
        self._slotted = self._slotted or slowed_rate > 0


class Budgets:
    """Asks for all the paces of one worker. Used as `async with`."""

    def __init__(self, store: BudgetStore, clock: Clock) -> None:
        """Args: clock: the server's."""
        self._store = store
        self._clock = clock
        self._paces: dict[str, SharedPace] = {}
        self._wanted = asyncio.Event()
        self._heard_at = -math.inf
        self._listeners: list[Callable[[], None]] = []
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._store.__aenter__()
        self._task = asyncio.create_task(self._lease_again_and_again(), name="budgets")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        try:
            await self._store.leave()
        except StorageError as error:
            logger.warning("budgets.not_left", extra={"error": str(error)})
        await self._store.__aexit__()

    def pace_of(self, limit: Limit) -> Pace:
        """This worker's part of the budget of that name."""
        found = self._paces.get(limit.name)
        if found is None:
            found = self._paces[limit.name] = SharedPace(limit, self._wanted.set)
        return found

    def tell(self, listener: Callable[[], None]) -> None:
        """Args: listener: called when something may be ready."""
        self._listeners.append(listener)

    async def _lease_again_and_again(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._wanted.clear()
            try:
                await self._lease(loop.time())
            except Exception as error:  # noqa: BLE001  # without grants nothing goes to who has a limit: it is tried again
                log = logger.warning if isinstance(error, StorageError) else logger.exception
                log("budgets.unavailable", extra={"error": str(error)})
                await asyncio.sleep(LATEST_SECONDS)
            await asyncio.sleep(SOONEST_SECONDS)
            try:
                async with asyncio.timeout(LATEST_SECONDS):
                    await self._wanted.wait()
            except TimeoutError:
                continue

    async def _lease(self, now: float) -> None:
        heard: list[tuple[str, float, float, float]] = []
        if now - self._heard_at >= LATEST_SECONDS:
            self._heard_at, heard = now, await self._store.slowed()
        asked = [(pace, ask) for pace in self._paces.values() if (ask := pace.asks(now)) is not None]
        try:
            grants = await self._store.lease([ask for _, ask in asked]) if asked else []
        except Exception:
            for pace, ask in asked:
                pace.not_told(ask)
            raise
        ahead = self._clock().timestamp() - asyncio.get_running_loop().time()
        for name, rate, since, closed_until in heard:
            if name in self._paces:
                self._paces[name].hear(rate, since, closed_until, ahead)
        for (pace, _), grant in zip(asked, grants, strict=True):
            pace.take(grant, ahead)
        for listener in self._listeners:
            listener()
