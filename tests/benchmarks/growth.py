"""A model of growth: bytes, hours and machines for so many subscribers, and what is in the way first.

    python -m tests.benchmarks.growth --subscribers 10000000
    python -m tests.benchmarks.growth --subscribers 100000000 --json --days-kept 30

Pure arithmetic on the constants below. Each says where it comes from: measured (and by what), derived, or assumed;
every one can be set on the command line. docs/scale.md reads the results.
"""

import argparse
import json
import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any

HOUR, DAY = 3600.0, 86_400.0
MEASURED, ASSUMED = "measured", "assumed"


def _input(value: float, source: str, words: str) -> Any:
    return field(default=value, metadata={"source": source, "words": words})


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the model is fed with. Rates a second, sizes in bytes, times in microseconds of one core."""

    subscribers: float = _input(
        10_000_000, ASSUMED, "subscribers, each with one subscription and one channel"
    )
    issues_a_week: float = _input(1, ASSUMED, "issues that everybody gets")
    opens_a_delivery: float = _input(0.5, ASSUMED, "opens, those of machines with them")
    clicks_a_delivery: float = _input(0.1, ASSUMED, "clicks")
    days_kept: float = _input(365, ASSUMED, "days for which deliveries, attempts and hits are kept")
    hours_wanted: float = _input(12, ASSUMED, "hours within which an issue should be out")
    hits_peak: float = _input(0.2, ASSUMED, "share of an issue's hits in its busiest hour")
    subscriber_bytes: float = _input(463, MEASURED, "subscriber and subscription with their indexes (--rows)")
    delivery_bytes: float = _input(
        790, MEASURED, "a sent delivery with its indexes and what its updates leave (--rows)"
    )
    attempt_bytes: float = _input(124, MEASURED, "an attempt (--rows)")
    hit_bytes: float = _input(288, MEASURED, "a hit (--rows)")
    wal_bytes: float = _input(2140, MEASURED, "write-ahead log a delivery, claim to result (--rows)")
    planning_us: float = _input(133, MEASURED, "planning a reader, slice after slice (--rows)")
    worker_us: float = _input(170, MEASURED, "CPU of a worker a mail (make bench)")
    postgres_us: float = _input(110, MEASURED, "CPU of PostgreSQL a mail (make bench)")
    mail_bytes: float = _input(34_690, MEASURED, "of the benchmark's mail (make bench)")
    round_trip_ms: float = _input(50, ASSUMED, "to the relay and back")
    connections: float = _input(20, ASSUMED, "connections of a worker to the relay")
    worker_cores: float = _input(1, ASSUMED, "cores that a worker process can use")
    postgres_cores: float = _input(16, ASSUMED, "cores of the database's machine")
    postgres_share: float = _input(0.5, ASSUMED, "of them for sending; the rest is for hits, pages, VACUUM")
    decisions_a_second: float = _input(300, "measured (ADR 0008)", "decisions under the one writer's lock")
    locks_a_hit: float = _input(
        0.1, ASSUMED, "times that lock is taken for a hit: they come in groups (web/hits.py)"
    )
    qq_share: float = _input(0.45, ASSUMED, "of the addresses at Tencent (a Chinese audience)")
    netease_share: float = _input(0.30, ASSUMED, "at NetEase")
    google_share: float = _input(0.03, ASSUMED, "at Google")
    qq_rate: float = _input(
        10, "config/providers.toml", "mails a second that Tencent is given from one sender"
    )
    netease_rate: float = _input(10, "config/providers.toml", "NetEase")
    google_rate: float = _input(20, "config/providers.toml", "Google")
    senders: float = _input(1, ASSUMED, "outgoing addresses, each with limits of its own")


def simulate(inputs: Inputs) -> dict[str, Any]:
    """The figures, and in which order things are in the way."""
    i = inputs
    kept = i.issues_a_week * i.days_kept / 7
    delivery = i.delivery_bytes + i.attempt_bytes + (i.opens_a_delivery + i.clicks_a_delivery) * i.hit_bytes
    rows = i.subscribers * kept
    by_worker = min(i.worker_cores * 1e6 / i.worker_us, i.connections * 1000 / i.round_trip_ms)
    by_database = i.postgres_cores * i.postgres_share * 1e6 / i.postgres_us
    wanted = i.subscribers / (i.hours_wanted * HOUR)
    providers = {
        "tencent": i.subscribers * i.qq_share / (i.qq_rate * i.senders),
        "netease": i.subscribers * i.netease_share / (i.netease_rate * i.senders),
        "google": i.subscribers * i.google_share / (i.google_rate * i.senders),
    }
    hits_a_second = i.subscribers * (i.opens_a_delivery + i.clicks_a_delivery) * i.hits_peak / HOUR
    planning = i.subscribers * i.planning_us / 1e6
    # Each as a multiple of what there is: above 1 it is in the way.
    strain = {
        "limits of the largest provider": max(providers.values()) / (i.hours_wanted * HOUR),
        "decisions under one lock (hits)": hits_a_second * i.locks_a_hit / i.decisions_a_second,
        "planning by one worker": planning / (i.hours_wanted * HOUR),
        "PostgreSQL's cores": wanted / by_database,
        "ids of 32 bits (subscription rows, some changes each)": i.subscribers * 4 / 2**31,
        "an index that VACUUM goes through (1 TB of deliveries)": rows * i.delivery_bytes / 1e12,
    }
    return {
        "deliveries_kept": rows,
        "bytes": {
            "subscribers": i.subscribers * i.subscriber_bytes,
            "deliveries": rows * i.delivery_bytes,
            "attempts": rows * i.attempt_bytes,
            "hits": rows * (i.opens_a_delivery + i.clicks_a_delivery) * i.hit_bytes,
            "all": i.subscribers * i.subscriber_bytes + rows * delivery,
            "write_ahead_log_an_issue": i.subscribers * i.wal_bytes,
            "mail_an_issue": i.subscribers * i.mail_bytes,
        },
        "hours": {
            "planning": planning / HOUR,
            "sending_by_one_worker": i.subscribers / by_worker / HOUR,
            **{f"limit_{name}": seconds / HOUR for name, seconds in providers.items()},
        },
        "wanted_a_second": wanted,
        "one_worker_a_second": by_worker,
        "one_database_a_second": by_database,
        "workers": math.ceil(wanted / by_worker),
        "databases": math.ceil(wanted / by_database),
        "senders_for_the_limits": math.ceil(max(providers.values()) * i.senders / (i.hours_wanted * HOUR)),
        "hits_a_second_at_the_peak": hits_a_second,
        "strain": dict(sorted(strain.items(), key=lambda item: -item[1])),
        "first_in_the_way": max(strain, key=lambda name: strain[name]),
    }


def _table(inputs: Inputs, told: dict[str, Any]) -> str:
    lines = ["inputs"]
    for one in fields(inputs):
        words = f"{one.metadata['words']} [{one.metadata['source']}]"
        lines.append(f"  {one.name:20} {getattr(inputs, one.name):>14,.10g}  {words}")
    for name, value in told.items():
        if isinstance(value, dict):
            lines.append(name)
            for key, each in value.items():
                amount = f"{each / 1e9:,.1f} GB" if name == "bytes" else f"{each:,.2f}"
                lines.append(f"  {key:56} {amount:>16}")
        else:
            lines.append(f"{name:30} {value if isinstance(value, str) else f'{value:,.0f}'}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    for one in fields(Inputs):
        words = f"{one.metadata['words']}; {one.metadata['source']} (%(default)s)"
        parser.add_argument(f"--{one.name.replace('_', '-')}", type=float, default=one.default, help=words)
    arguments = vars(parser.parse_args())
    as_json = arguments.pop("json")
    inputs = Inputs(**arguments)
    told = simulate(inputs)
    print(json.dumps({"inputs": asdict(inputs), **told}) if as_json else _table(inputs, told))  # noqa: T201


if __name__ == "__main__":
    main()
