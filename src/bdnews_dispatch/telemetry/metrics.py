"""Metrics: what is counted and timed, by one named function each; read by Prometheus from `/metrics`.

In: words and numbers from every stage. Out: Prometheus' text. Labels are few and closed: a state, a channel, a kind of
outcome, a known provider's name, a route's pattern; never an address, a domain, or anything that a request chose.
"""

import platform
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import accumulate

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

disable_created_metrics()  # type: ignore[no-untyped-call]  # their time of birth: twice the series, nobody asks
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

#: The values of labels that are known beforehand, so that each stands at 0 from the start: a rate needs two points, and
#: an alert must not miss the first. Tests hold them to the enums, which stand in rooms above this one.
CHANNELS = ("email", "wechat")
OUTCOMES = ("accepted", "deferred", "refused", "uncertain", "gate_closed", "skipped", "unavailable")
#: Recipients at a provider that config/providers.toml does not name.
OTHERS = "others"

#: Upper bounds in seconds: 1, 2 and 5 of each power of ten where most of them lie, fewer up to the longest timeout.
_SHORT = (0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.2, 1.0)
_MIDDLE = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 30.0)
_LONG = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 60.0, 600.0)
_PAGES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)


# A mail passes here several times, and the library's own counters and histograms take a lock at each. These are for the
# event loop alone, which needs none, and cost a fifth; the library reads them like its own (ADR 0007).


class _Numbers(Collector):
    """A counter. Attributes: number: by the values of its labels; only these appear, each from 0."""

    def __init__(self, name: str, words: str, labels: Sequence[str] = ()) -> None:
        self._name, self._words, self._labels = name, words, labels
        self.number: dict[tuple[str, ...], int] = {}
        REGISTRY.register(self)

    def know(self, *values: str) -> None:
        self.number.setdefault(values, 0)

    def describe(self) -> Iterator[Metric]:
        yield CounterMetricFamily(self._name, self._words, labels=self._labels)

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(self._name, self._words, labels=self._labels)
        for values, number in self.number.items():
            family.add_metric(values, number)
        yield family


class _Times(Collector):
    """A histogram of seconds."""

    def __init__(self, name: str, words: str, bounds: Sequence[float]) -> None:
        self._name, self._words, self._bounds = name, words, bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        REGISTRY.register(self)

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def describe(self) -> Iterator[Metric]:
        yield HistogramMetricFamily(self._name, self._words)

    def collect(self) -> Iterator[Metric]:
        bounds = [*(str(bound) for bound in self._bounds), "+Inf"]
        buckets = list(zip(bounds, accumulate(self._counts), strict=True))
        yield HistogramMetricFamily(self._name, self._words, buckets=buckets, sum_value=self._sum)


# Deliveries.

_tried = _Numbers(
    "bdnews_deliveries",
    "Tries to send a delivery, by channel, kind of outcome and recipient's provider.",
    ("channel", "outcome", "provider"),
)
for _outcome in OUTCOMES:
    _tried.know("email", _outcome, OTHERS)
    _tried.know("wechat", _outcome, "")
_reasons = Counter(
    "bdnews_delivery_reasons",
    "Tries that were not accepted, by channel and class of the reason.",
    ["channel", "reason"],
    registry=REGISTRY,
)
_given_back = Counter(
    "bdnews_deliveries_given_back",
    "Deliveries that were claimed and went back untried, by channel and class of the reason.",
    ["channel", "reason"],
    registry=REGISTRY,
)
#: The first part of our own dotted codes (`connect.refused`) that stands for itself; all else is `other`.
REASONS = (
    "4xx",
    "5xx",
    "address",
    "answer",
    "auth",
    "breaker",
    "compose",
    "connect",
    "connection",
    "content",
    "dispatch_stopped",
    "gate",
    "lane",
    "ledger",
    "message",
    "no_address",
    "other",
    "paced",
    "platform",
    "reply",
    "stopping",
    "suppressed",
    "timeout",
    "tls",
    "wechat",
)
_compose = _Times("bdnews_compose_seconds", "Composing a mail: links, slots, one join.", _SHORT)
_gate = _Times("bdnews_gate_seconds", "Waiting for the ledger's gate.", _MIDDLE)
_smtp = _Times(
    "bdnews_smtp_seconds", "A mail on its line: envelope, body, dot, answers; without the gate.", _LONG
)
_wechat = _Times("bdnews_wechat_seconds", "A card on its way to the platform, gate and answer.", _LONG)
_commit = _Times("bdnews_commit_seconds", "A group of gates and results, written and on the disk.", _MIDDLE)
_commit_rows = _Numbers("bdnews_commit_rows", "Gates and results in those groups.")
_commit_rows.know()
_recovered = Counter(
    "bdnews_leases_recovered",
    "Deliveries taken back from a worker that is gone, by whether they may have been delivered.",
    ["was"],
    registry=REGISTRY,
)


def know_providers(names: Iterable[str]) -> None:
    """Announce recipients' providers: from now on they are told apart."""
    for name in names:
        for outcome in OUTCOMES:
            _tried.know("email", outcome, name)


def finished(channel: str, outcome: str, provider: str, code: str) -> None:
    """A delivery was tried.

    Args:
        outcome: an `OutcomeKind`.
        provider: the name of the recipient's, or their domain, which counts as `others`; "" for WeChat.
        code: the outcome's; its class is counted where it was not accepted.
    """
    values = (channel, outcome, provider)
    if values not in _tried.number:
        values = (channel, outcome, OTHERS if channel == "email" else "")
    _tried.number[values] += 1
    if outcome != "accepted":
        _reasons.labels(channel, reason_class(code)).inc()


def given_back(channel: str, code: str) -> None:
    """A delivery that was claimed goes back untried. Args: code: why; its class is counted."""
    _given_back.labels(channel, reason_class(code)).inc()


def reason_class(code: str) -> str:
    """One of `REASONS`: `4xx` or `5xx` of a relay, `platform` for a WeChat code, else our own name's first part."""
    if code.lstrip("-").isdecimal():
        return f"{code[0]}xx" if len(code) == 3 and code[0] in "45" else "platform"
    first = code.partition(".")[0]
    return first if first in REASONS else "other"


#: A mail was composed: seconds.
compose_seconds: Callable[[float], None] = _compose.observe
#: The gate answered a mail: seconds.
gate_seconds: Callable[[float], None] = _gate.observe
#: A mail was offered, and finished where it came so far: seconds, without those that it waited for the gate.
smtp_seconds: Callable[[float], None] = _smtp.observe
#: A card was sent, or was not: seconds, with the gate.
wechat_seconds: Callable[[float], None] = _wechat.observe


def commit_group(seconds: float, rows: int) -> None:
    """A group of gates and results was committed. Args: rows: how many."""
    _commit.observe(seconds)
    _commit_rows.number[()] += rows


def leases_recovered(claimed: int, in_flight: int) -> None:
    """Leases that ended were found. Args: claimed: certainly not sent. in_flight: perhaps sent."""
    _recovered.labels("claimed").inc(claimed)
    _recovered.labels("in_flight").inc(in_flight)


# What is left to do: read from the database, at most every few seconds; see operations/backlog.py.

_due = Gauge(
    "bdnews_deliveries_due",
    "Deliveries that could be sent now; at most 100,000 are counted.",
    registry=REGISTRY,
)
_oldest = Gauge(
    "bdnews_oldest_due_seconds", "For how long the oldest of them has been due.", registry=REGISTRY
)
_uncertain = Gauge("bdnews_deliveries_uncertain", "Deliveries in doubt; at most 100,000.", registry=REGISTRY)
_dispatches = Gauge("bdnews_dispatches", "Dispatches by state.", ["state"], registry=REGISTRY)
_database_up = Gauge("bdnews_database_up", "1: the last look at the database succeeded.", registry=REGISTRY)
_jobs = Gauge("bdnews_jobs_waiting", "Jobs in this process's queue, by kind.", ["kind"], registry=REGISTRY)
_breakers = Gauge(
    "bdnews_breaker_open",
    "1: this way out failed again and again, and has not worked since; by way.",
    ["way"],
    registry=REGISTRY,
)


def backlog(*, due: int, oldest_due_seconds: float, uncertain: int, dispatches: Mapping[str, int]) -> None:
    """What the database says is left to do. Args: dispatches: number by state."""
    _database_up.set(1)
    _due.set(due)
    _oldest.set(oldest_due_seconds)
    _uncertain.set(uncertain)
    for state, number in dispatches.items():
        _dispatches.labels(state).set(number)


def backlog_unknown() -> None:
    """The database could not be asked: old figures must not look like new ones."""
    _database_up.set(0)
    for gauge in (_due, _oldest, _uncertain):
        gauge.set(float("nan"))
    _dispatches.clear()


def jobs_waiting(by_kind: Iterable[tuple[str, int]]) -> None:
    """How many jobs of each kind wait in this process."""
    for kind, number in by_kind:
        _jobs.labels(kind).set(number)


def breakers(is_open: Mapping[str, bool]) -> None:
    """For each way out, whether its breaker has opened and nothing has got through since."""
    for way, is_broken in is_open.items():
        _breakers.labels(way).set(is_broken)


# Events, hits, pages.

_handled = Counter(
    "bdnews_event_handlings", "Events that a handler dealt with, by handler.", ["handler"], registry=REGISTRY
)
_handler_failures = Counter(
    "bdnews_event_handler_failures",
    "Handlers that failed and run again later.",
    ["handler"],
    registry=REGISTRY,
)
_hits = Counter(
    "bdnews_hits_stored",
    "Hits stored, by kind and by whom (person, machine).",
    ["kind", "by"],
    registry=REGISTRY,
)
_returned = Counter(
    "bdnews_mail_returned",
    "Mails that came back, by what they say and how a bounce counts.",
    ["kind", "verdict"],
    registry=REGISTRY,
)
_mailbox_polls = Counter(
    "bdnews_mailbox_polls", "Looks into the mailbox for mail that came back.", ["result"], registry=REGISTRY
)
_requests = Counter(
    "bdnews_http_requests",
    "Requests answered by the web pages, by method, route and status.",
    ["method", "route", "status"],
    registry=REGISTRY,
)
_request_seconds = Histogram(
    "bdnews_http_request_seconds",
    "How long they took, by route.",
    ["route"],
    buckets=_PAGES,
    registry=REGISTRY,
)


_retention = Counter(
    "bdnews_retention_removed", "Rows and files that retention removed, by rule.", ["rule"], registry=REGISTRY
)


def know_retention(rules: Iterable[str]) -> None:
    """Announce the rules."""
    for rule in rules:
        _retention.labels(rule)


def retention_removed(rule: str, number: int) -> None:
    """A rule was enforced."""
    _retention.labels(rule).inc(number)


def know_handlers(names: Iterable[str]) -> None:
    """Announce handlers of events, so that the first failure is seen as one more than none."""
    for name in names:
        _handled.labels(name)
        _handler_failures.labels(name)


def event_handled(handler: str) -> None:
    """A handler has dealt with an event."""
    _handled.labels(handler).inc()


def handler_failed(handler: str) -> None:
    """A handler failed; it runs again later."""
    _handler_failures.labels(handler).inc()


def hits_stored(kinds_and_machines: Iterable[tuple[str, str]]) -> None:
    """Hits were committed. Args: kinds_and_machines: of each its kind, and the machine that made it or ""."""
    for kind, machine in kinds_and_machines:
        _hits.labels(kind, "machine" if machine else "person").inc()


def mail_returned(kind: str, verdict: str) -> None:
    """A mail that came back was taken. Args: kind, verdict: of `returns`, closed lists."""
    _returned.labels(kind, verdict).inc()


def mailbox_polled(result: str) -> None:
    """Somebody looked into the mailbox for mail that came back. Args: result: `done` or `failed`."""
    _mailbox_polls.labels(result).inc()


def request_answered(method: str, route: str, status: int, seconds: float) -> None:
    """A page was answered. Args: route: its pattern; "" where there is none."""
    _requests.labels(method, route, str(status)).inc()
    _request_seconds.labels(route).observe(seconds)


# The process.

_tick = Gauge(
    "bdnews_scheduler_tick_timestamp_seconds",
    "When the scheduler last looked for what is due.",
    registry=REGISTRY,
)
_ready = Gauge("bdnews_ready", "1: /ready answers 200.", registry=REGISTRY)
_disk_free = Gauge("bdnews_disk_free_bytes", "Free where the data folder is.", registry=REGISTRY)
_disk_size = Gauge("bdnews_disk_size_bytes", "Size of the disk where the data folder is.", registry=REGISTRY)
Gauge("bdnews_build_info", "This program.", ["version", "python"], registry=REGISTRY).labels(
    version("bdnews-dispatch"), platform.python_version()
).set(1)


def scheduler_ticked() -> None:
    """The scheduler has looked for what is due."""
    _tick.set_to_current_time()


def ready(is_ready: bool) -> None:
    """Whether the process says that it is ready."""
    _ready.set(is_ready)


def disk(free_bytes: int, size_bytes: int) -> None:
    """The disk of the data folder."""
    _disk_free.set(free_bytes)
    _disk_size.set(size_bytes)


def exposition() -> bytes:
    """All of it, in Prometheus' text format."""
    return generate_latest(REGISTRY)
