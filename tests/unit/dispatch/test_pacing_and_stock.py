"""Who goes next: never faster than a provider wants, urgent first, dispatches in turn, nobody behind a slow one."""

import asyncio
import heapq
import math
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bdnews_dispatch.channels.email.limits import Limit, Limits
from bdnews_dispatch.channels.outcome import Outcome, OutcomeKind
from bdnews_dispatch.dispatch.ledger_store import Claim
from bdnews_dispatch.dispatch.pacing import Pace, who_is_slow
from bdnews_dispatch.dispatch.stock import Parcel, Stock
from bdnews_dispatch.subscribers.models import Channel

ACCEPTED = Outcome(OutcomeKind.ACCEPTED, "250")
SLOW = Limit("slow", messages_per_second=1)


def begun_in(pace: Pace, seconds: float) -> int:
    """How many messages begin in so many seconds, by somebody who never waits too long."""
    now, number = 100.0, 0
    while now < 100.0 + seconds:
        if pace.ready_at() <= now:
            pace.begin(now)
            pace.end()
            number += 1
        else:
            now = max(pace.ready_at(), now + 0.001)
    return number


@pytest.mark.parametrize("rate", [0.5, 1, 7, 100])
def test_the_rate_is_kept(rate: float) -> None:
    number = begun_in(Pace(Limit("x", messages_per_second=rate)), 60)
    assert 60 * rate - 1 <= number <= 60.2 * rate + 2


def test_so_many_are_under_way_at_the_same_time() -> None:
    pace = Pace(Limit("x", connections=2))
    pace.begin(0)
    assert pace.ready_at() <= 0
    pace.begin(0)
    assert pace.ready_at() == math.inf
    pace.end()
    assert pace.ready_at() <= 0


def test_slower_halves_once_for_what_was_under_way_and_doubles_every_minute() -> None:
    pace = Pace(Limit("x", messages_per_second=8))
    pace.slow_down(100)
    pace.slow_down(101)
    pace.slow_down(104)
    assert pace.rate(104) == pytest.approx(4 * 2 ** (4 / 60))
    pace.slow_down(106)
    assert pace.rate(106) == pytest.approx(2.1, abs=0.1)
    assert pace.rate(106 + 60) == pytest.approx(4.2, abs=0.2)
    assert pace.rate(106 + 200) == 8, "up to the limit again"


def test_a_provider_without_a_limit_gets_half_of_what_it_was_given() -> None:
    pace = Pace(Limit("x"))
    for n in range(100):
        pace.begin(100 + n / 50)
    pace.slow_down(102)
    assert pace.rate(102) == pytest.approx(25, rel=0.2)
    assert pace.rate(102 + 600) == math.inf, "forgotten when it has been quiet"


def test_who_wants_nothing_for_a_while_gets_nothing() -> None:
    pace = Pace(Limit("x"))
    pace.slow_down(100, 3600)
    assert pace.ready_at() >= 3700


def test_it_never_stops_altogether() -> None:
    pace = Pace(Limit("x", messages_per_second=1))
    for n in range(100):
        pace.slow_down(100 + 6 * n)
    assert pace.ready_at() <= 100 + 6 * 99 + 61


@pytest.mark.parametrize(
    ("outcome", "whom"),
    [
        (ACCEPTED, ""),
        (Outcome(OutcomeKind.REFUSED, "550"), ""),
        (Outcome(OutcomeKind.DEFERRED, "450"), "domain"),
        (Outcome(OutcomeKind.DEFERRED, "452"), ""),
        (Outcome(OutcomeKind.DEFERRED, "550", scope="domain", rule="qq.frequency"), "domain"),
        (Outcome(OutcomeKind.DEFERRED, "550", scope="address", rule="qq.recipient_busy"), ""),
        (Outcome(OutcomeKind.UNAVAILABLE, "421"), "relay"),
        (Outcome(OutcomeKind.UNAVAILABLE, "connect.refused"), ""),
    ],
)
def test_whom_an_answer_slows_down(outcome: Outcome, whom: str) -> None:
    assert who_is_slow(outcome) == whom


class Shelf:
    """A stock, and what it tells."""

    def __init__(self, *limits: Limit, relay: Limit | None = None, low: int = 1) -> None:
        self.back: list[tuple[int, float]] = []
        self.low: list[int] = []
        self.stock = Stock(
            Limits(relay, {f"{limit.name}.cn": limit for limit in limits}),
            low=low,
            on_low=self.low.append,
            put_back=lambda parcel, seconds: self.back.append((parcel.claim.delivery_id, seconds)),
        )

    def put(self, *ids: int, dispatch: int = 1, urgency: int = 2, domain: str = "a.cn") -> None:
        for id_ in ids:
            claim = Claim(id_, 1, dispatch, id_, Channel.EMAIL, f"k{id_}", (), 0, None)
            nobody = cast(Any, None)
            self.stock.put(Parcel(claim, nobody, nobody, f"r@{domain}", urgency, domain))

    def take(self, number: int, *, done: bool = True) -> list[int]:
        """So many at most, those that may go now."""
        ids: list[int] = []
        while len(ids) < number and (parcel := self.stock.take_now()) is not None:
            ids.append(parcel.claim.delivery_id)
            if done:
                self.stock.done(parcel, ACCEPTED)
        return ids


async def test_urgent_ones_overtake() -> None:
    shelf = Shelf()
    shelf.put(1, 2)
    shelf.put(8, 9, dispatch=2, urgency=0)
    assert shelf.take(9) == [8, 9, 1, 2]


async def test_two_dispatches_take_turns() -> None:
    shelf = Shelf()
    shelf.put(1, 2, 3)
    shelf.put(7, 8, dispatch=2)
    assert shelf.take(9) == [1, 7, 2, 8, 3]


async def test_nobody_waits_behind_a_slow_provider() -> None:
    shelf = Shelf(SLOW)
    shelf.put(1, 2, 3, domain="slow.cn")
    shelf.put(4, 5, 6)
    assert shelf.take(9) == [1, 4, 5, 6]
    assert shelf.back == []


async def test_what_would_wait_too_long_goes_back_for_as_long_as_it_would() -> None:
    shelf = Shelf(SLOW)
    shelf.put(*range(1, 101), domain="slow.cn")
    shelf.put(200)
    assert shelf.take(999) == [1, 200]
    assert 60 <= len(shelf.back) <= 75
    assert all(seconds >= 30 for _, seconds in shelf.back)
    waits = [seconds for _, seconds in shelf.back]
    assert waits == sorted(waits)
    assert waits[-1] - waits[0] > 50, "in turn, not all at once again"


async def test_a_slow_providers_urgent_parcel_goes_before_its_others() -> None:
    shelf = Shelf(Limit("slow", connections=1))
    shelf.put(1, 2, domain="slow.cn")
    [first] = shelf.take(9, done=False)
    assert first == 1
    shelf.put(3, dispatch=2, urgency=0, domain="slow.cn")
    assert shelf.take(9) == []
    claimed = Claim(1, 1, 1, 1, Channel.EMAIL, "k1", (), 0, None)
    parcel = Parcel(claimed, cast(Any, None), cast(Any, None), "r@slow.cn", 2, "slow.cn")
    parcel.pace = next(iter(shelf.stock._aside))
    shelf.stock.done(parcel, ACCEPTED)
    assert shelf.take(1) == [3]


async def test_the_relay_itself_may_have_a_limit() -> None:
    shelf = Shelf(relay=Limit("relay", connections=2))
    shelf.put(1, 2, 3)
    assert shelf.take(9, done=False) == [1, 2]


async def test_a_dispatch_that_runs_low_is_told_and_can_be_withdrawn() -> None:
    shelf = Shelf(low=1)
    shelf.put(1, 2, 3)
    shelf.put(7, dispatch=2)
    shelf.take(1)
    assert shelf.low == []
    shelf.take(2)
    assert 1 in shelf.low
    assert [parcel.claim.delivery_id for parcel in shelf.stock.withdraw(1)] == [3]
    assert shelf.stock.number_of(1) == 0
    assert shelf.take(9) in ([], [7])


async def test_who_waits_is_woken_and_at_the_end_sent_home() -> None:
    shelf = Shelf()
    waiting = [asyncio.create_task(shelf.stock.take()) for _ in range(3)]
    await asyncio.sleep(0)
    shelf.put(1)
    parcel = await waiting[0]
    assert parcel is not None
    shelf.put(2)
    assert [left.claim.delivery_id for left in shelf.stock.close()] in ([], [2])
    rest = await asyncio.gather(*waiting[1:])
    assert None in rest


async def test_who_waits_for_a_slow_provider_is_woken_at_its_moment() -> None:
    shelf = Shelf(Limit("slow", messages_per_second=20))
    shelf.put(1, 2, 3, 4, domain="slow.cn")
    async with asyncio.timeout(5):
        taken = []
        for _ in range(4):
            parcel = await shelf.stock.take()
            assert parcel is not None
            shelf.stock.done(parcel, ACCEPTED)
            taken.append(parcel.claim.delivery_id)
    assert taken == [1, 2, 3, 4]


async def test_a_dispatch_of_which_nothing_is_left_is_told_too() -> None:
    shelf = Shelf(low=2)
    shelf.put(1, 2, 3)
    shelf.take(3)
    assert shelf.low == [1, 1], "at two, and at none"


async def test_at_the_end_everybody_is_sent_home_and_nothing_goes() -> None:
    shelf = Shelf(SLOW)
    shelf.put(1, 2, 3, domain="slow.cn")
    shelf.take(1)
    waiting = [asyncio.create_task(shelf.stock.take()) for _ in range(3)]
    await asyncio.sleep(0)
    assert sorted(left.claim.delivery_id for left in shelf.stock.close()) == [2, 3]
    async with asyncio.timeout(5):
        assert await asyncio.gather(*waiting) == [None] * 3
    assert shelf.stock.take_now() is None
    assert await shelf.stock.take() is None


async def test_what_stands_aside_of_one_dispatch_is_withdrawn_with_it() -> None:
    shelf = Shelf(SLOW)
    shelf.put(1, 2, domain="slow.cn")
    shelf.put(7, 8, dispatch=2, domain="slow.cn")
    assert shelf.take(9) == [1]
    assert [parcel.claim.delivery_id for parcel in shelf.stock.withdraw(2)] == [7, 8]
    assert [parcel.claim.delivery_id for parcel in shelf.stock.withdraw()] == [2]


class Hours(Shelf):
    """A stock whose clock is moved by hand; what goes back is claimed again when it is due."""

    def __init__(self, *limits: Limit, relay: Limit | None = None) -> None:
        super().__init__(*limits, relay=relay)
        self.now = 1000.0
        self.stock._loop = cast(Any, SimpleNamespace(time=lambda: self.now))

    def run(self, seconds: float, *, domain: str = "slow.cn") -> list[int]:
        """What goes in so many seconds."""
        ids: list[int] = []
        due: list[tuple[float, int]] = []
        end = self.now + seconds
        while self.now < end:
            while due and due[0][0] <= self.now:
                self.put(heapq.heappop(due)[1], domain=domain)
            ids += self.take(10**6)
            for id_, wait in self.back:
                heapq.heappush(due, (self.now + wait, id_))
            self.back.clear()
            self.now += 0.5
        return ids


async def test_a_slow_provider_gets_all_that_it_takes() -> None:
    hours = Hours(SLOW)
    hours.put(*range(500), domain="slow.cn")
    assert len(hours.run(520)) == 500


# ---- Each of these was a fault once.


# Pace.rate: 2 ** (minutes since the slow-down) is no float any more after 1024 minutes. A provider that
# said "slower" yesterday and was given nothing for 17 hours fails the lane that begins with it today.
@pytest.mark.parametrize("most", [0, 8])
def test_a_slow_down_of_yesterday_is_forgotten(most: float) -> None:
    pace = Pace(Limit("x", messages_per_second=most))
    pace.slow_down(100)
    assert pace.rate(100 + 24 * 3600) == (most or math.inf)


# Pace.begin: the count starts again from nothing every ten seconds, so a refusal just after that finds
# one message in one second: half a message a second for a provider that was given fifty.
def test_half_of_what_it_was_given_whenever_it_says_so() -> None:
    pace = Pace(Limit("x"))
    for n in range(502):
        pace.begin(100 + n / 50)
    pace.slow_down(100 + 502 / 50)
    assert pace.rate(100 + 502 / 50) == pytest.approx(25, rel=0.3)


# Pace.turn_after: all whose turn is more than LONGEST_TURN_SECONDS away come back at the same moment,
# and `_promised` still holds the turns they were given before: all but thirty go away for another ten minutes.
# A backlog of more than ten minutes gets 32 messages in ten minutes where 600 may go.
async def test_a_slow_provider_gets_all_that_it_takes_of_a_long_backlog() -> None:
    hours = Hours(SLOW)
    hours.put(*range(5000), domain="slow.cn")
    assert len(hours.run(3600)) > 3600 * 0.9


# Pace.turn_after: the same limit cuts every turn behind a long closing to its very end: a crowd.
async def test_behind_a_long_closing_there_are_turns_too() -> None:
    hours = Hours(SLOW)
    hours.put(1, domain="slow.cn")
    parcel = hours.stock.take_now()
    assert parcel is not None
    later = Outcome(OutcomeKind.DEFERRED, "550", retry_after=3600, scope="domain", rule="qq.frequency")
    hours.stock.done(parcel, later)
    hours.put(*range(2, 102), domain="slow.cn")
    assert hours.take(1) == []
    waits = [seconds for _, seconds in hours.back]
    assert len(waits) == 100
    assert waits[-1] - waits[0] > 50


# Stock._look_again and take_now: the timer wakes one lane, and a lane that takes a parcel in turn (not
# one that stood aside) sets no timer for the next. After any wait for the relay the other lanes sleep until the next
# `put`.
async def test_all_who_wait_for_the_relay_are_woken_in_their_turn() -> None:
    shelf = Shelf(relay=Limit("relay", messages_per_second=20))
    waiting = [asyncio.create_task(shelf.stock.take()) for _ in range(8)]
    await asyncio.sleep(0)
    shelf.put(*range(1, 9))
    done, _ = await asyncio.wait(waiting, timeout=1.5)  # a third of a second is enough
    shelf.stock.close()
    await asyncio.gather(*waiting)
    assert len(done) == 8


# Stock.take_now: what stood aside goes before what is in turn, however urgent that is. Where the relay is
# the slower one, everything that stands aside goes first.
async def test_urgent_ones_overtake_what_stood_aside() -> None:
    hours = Hours(SLOW, relay=Limit("relay", messages_per_second=0.5))
    hours.put(0, domain="slow.cn")
    hours.stock._by_domain["slow.cn"].slow_down(hours.now, 5)
    hours.put(*range(1, 11), domain="slow.cn")
    assert hours.take(1) == []
    hours.now += 100
    hours.put(99, dispatch=2, urgency=0)
    assert hours.take(1) == [99]


# Stock._stand_aside: where no more fit, an urgent parcel is the one that goes back, behind all turns that
# were promised (ten minutes), and those that are not urgent keep their places.
async def test_urgent_ones_are_not_sent_away_for_others() -> None:
    shelf = Shelf(SLOW)
    shelf.put(*range(1, 701), domain="slow.cn")
    assert shelf.take(9) == [1]
    shelf.back.clear()
    shelf.put(999, dispatch=2, urgency=0, domain="slow.cn")
    shelf.take(1)
    assert 999 not in [id_ for id_, _ in shelf.back]


async def test_nobody_waits_any_more_where_nothing_is_left() -> None:
    """A worker that asks for slots of a shared budget on behalf of nobody would take them from the others."""
    shelf = Shelf(SLOW, relay=Limit("relay", messages_per_second=1))
    shelf.put(*range(1, 60), domain="slow.cn")
    assert shelf.take(9) == [1]
    assert shelf.take(9) == []
    relay = shelf.stock._relay
    assert relay.waiting == 58
    shelf.stock.withdraw()
    assert relay.waiting == 0
    shelf = Shelf(SLOW)
    shelf.put(*range(1, 100), domain="slow.cn")
    shelf.take(9)
    [(pace, heap)] = shelf.stock._aside.items()
    assert pace.waiting == len(heap) > 0
    shelf.stock.withdraw()
    assert pace.waiting == 0
