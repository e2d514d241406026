"""When to try again, when to leave a channel alone, and who may really be reached."""

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdnews_dispatch.dispatch.breaker import FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS, Breaker
from bdnews_dispatch.dispatch.reach import Reach
from bdnews_dispatch.dispatch.retry import LONGEST_SECONDS, next_try
from bdnews_dispatch.errors import SettingsError

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@given(st.integers(1, 200), st.floats(0, 7200), st.integers())
def test_a_wait_grows_within_bounds(attempts: int, asked: float, seed: int) -> None:
    due = next_try(NOW, attempts, first_seconds=60, asked_seconds=asked, jitter=random.Random(seed))
    wait = (due - NOW).total_seconds()
    least = max(min(60 * 2 ** (attempts - 1), LONGEST_SECONDS), asked)
    assert least <= wait + 1e-3
    assert wait <= least * 1.25 + 1e-3


class Hands:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += seconds


def test_a_breaker_opens_waits_longer_each_time_and_closes_again() -> None:
    clock = Hands()
    breaker = Breaker(3, clock)
    assert [breaker.failed() for _ in range(3)] == [None, None, FIRST_WAIT_SECONDS]
    assert not breaker.lets_through()
    clock.move(FIRST_WAIT_SECONDS)
    assert breaker.lets_through()
    assert breaker.failed() == FIRST_WAIT_SECONDS * 2
    clock.move(LONGEST_WAIT_SECONDS)
    assert breaker.mended()
    assert not breaker.mended()
    assert breaker.failed() is None


def test_failures_while_it_is_open_do_not_lengthen_it() -> None:
    clock = Hands()
    breaker = Breaker(1, clock)
    assert breaker.failed() == FIRST_WAIT_SECONDS
    assert [breaker.failed() for _ in range(10)] == [None] * 10
    clock.move(FIRST_WAIT_SECONDS)
    assert breaker.lets_through()


@pytest.mark.parametrize("text", ["nobody", "", "NOBODY", "none"])
def test_nobody_is_nobody(text: str) -> None:
    assert Reach.read(text).nobody
    assert not Reach.read(text).allows("a@b.example")


def test_some_are_reached() -> None:
    reach = Reach.read("Editor@News.Example, @team.example; oOpenId123")
    assert reach.allows("editor@news.example")
    assert reach.allows("Anyone@TEAM.example")
    assert reach.allows("oOpenId123")
    assert not reach.allows("editor@other.example")
    assert not reach.allows("editor@news.example.evil.example")
    assert not reach.allows("x@sub.team.example")


@pytest.mark.parametrize("text", ["everybody", "all", "*", "everyone"])
def test_everybody_is_everybody(text: str) -> None:
    assert Reach.read(text).allows("a@b.example")


@pytest.mark.parametrize(
    "text", ["nobody, a@b.example", "everybody,@x.example", "a b@c.example", "everbody", "nobdy"]
)
def test_what_contradicts_itself_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        Reach.read(text)
