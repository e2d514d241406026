"""The arithmetic of the benchmarks."""

import pytest
from tests.benchmarks.growth import Inputs, simulate
from tests.benchmarks.windows import fewest_and_most


def test_all_windows_are_looked_at() -> None:
    moments = [(number + 0.5) / 100 for number in range(3000)]
    assert fewest_and_most(moments, 0, 30) == (1000, 1000)
    with_a_gap = [moment for moment in moments if not 14 <= moment < 15]
    assert fewest_and_most(with_a_gap, 0, 30) == (900, 1000)
    with_a_burst = sorted(moments + [20.0] * 60)
    assert fewest_and_most(with_a_burst, 0, 30) == (1000, 1060)
    with pytest.raises(ValueError, match="no room"):
        fewest_and_most(moments, 0, 9)


def test_ten_times_the_subscribers_are_ten_times_the_bytes_and_hours() -> None:
    small, large = (simulate(Inputs(subscribers=number)) for number in (10_000_000, 100_000_000))
    for group in ("bytes", "hours"):
        for name, value in small[group].items():
            assert large[group][name] == pytest.approx(10 * value), name


def test_what_is_in_the_way_first_is_what_strains_most() -> None:
    told = simulate(Inputs(subscribers=10_000_000))
    assert told["first_in_the_way"] == "limits of the largest provider"
    told = simulate(Inputs(subscribers=100_000_000))
    enough = simulate(Inputs(subscribers=100_000_000, senders=told["senders_for_the_limits"]))
    assert enough["strain"]["limits of the largest provider"] <= 1
    assert enough["first_in_the_way"] != "limits of the largest provider"
    few_cores = simulate(Inputs(subscribers=10_000_000, senders=1000, postgres_us=1e9))
    assert few_cores["first_in_the_way"] == "PostgreSQL's cores"
    assert few_cores["databases"] > 1
