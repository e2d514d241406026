"""Metrics: labels are closed lists, histograms are what Prometheus reads, nothing personal gets in."""

import math
import re
from collections.abc import Mapping

import pytest
from prometheus_client import parser

from bdnews_dispatch.channels.email.limits import Limits
from bdnews_dispatch.channels.outcome import OutcomeKind
from bdnews_dispatch.subscribers.models import Channel
from bdnews_dispatch.telemetry import metrics


def value(name: str, **labels: str) -> float:
    found = metrics.REGISTRY.get_sample_value(name, labels)
    return 0.0 if found is None else found


def labels_of(name: str) -> list[Mapping[str, str]]:
    families = parser.text_string_to_metric_families(metrics.exposition().decode())
    return [sample.labels for family in families for sample in family.samples if sample.name == name]


def test_the_labels_are_the_words_of_the_enums() -> None:
    assert set(metrics.CHANNELS) == set(Channel)
    assert set(metrics.OUTCOMES) == set(OutcomeKind)
    for channel in Channel:
        for outcome in OutcomeKind:  # each stands at 0 before it has happened
            assert {"channel": channel, "outcome": outcome} in [
                {key: text for key, text in labels.items() if key != "provider"}
                for labels in labels_of("bdnews_deliveries_total")
            ]


def test_a_domain_that_no_provider_is_named_for_is_no_label() -> None:
    metrics.know_providers(Limits.load().names)
    before = value("bdnews_deliveries_total", channel="email", outcome="accepted", provider="others")
    metrics.finished(Channel.EMAIL, OutcomeKind.ACCEPTED, "secret-institute.example", "250")
    metrics.finished(Channel.EMAIL, OutcomeKind.ACCEPTED, "tencent", "250")
    after = value("bdnews_deliveries_total", channel="email", outcome="accepted", provider="others")
    assert after == before + 1
    assert value("bdnews_deliveries_total", channel="email", outcome="accepted", provider="tencent") >= 1
    assert "secret-institute" not in metrics.exposition().decode()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("450", "4xx"),
        ("550", "5xx"),
        ("250", "platform"),
        ("45015", "platform"),
        ("-1", "platform"),
        ("timeout.final", "timeout"),
        ("no_address", "no_address"),
        ("email.not_configured", "other"),
        ("reader@readers.example", "other"),
        ("", "other"),
    ],
)
def test_a_reason_is_one_of_a_few(code: str, reason: str) -> None:
    assert metrics.reason_class(code) == reason
    assert reason in metrics.REASONS


def test_what_was_not_accepted_is_counted_by_its_reason() -> None:
    before = value("bdnews_delivery_reasons_total", channel="wechat", reason="platform")
    metrics.finished(Channel.WECHAT, OutcomeKind.REFUSED, "", "43004")
    metrics.finished(Channel.WECHAT, OutcomeKind.ACCEPTED, "", "0")
    assert value("bdnews_delivery_reasons_total", channel="wechat", reason="platform") == before + 1


def test_a_histogram_of_the_loop_is_read_like_the_librarys_own() -> None:
    def read() -> dict[str, float]:
        families = {
            family.name: family
            for family in parser.text_string_to_metric_families(metrics.exposition().decode())
        }
        family = families["bdnews_gate_seconds"]
        assert family.type == "histogram"
        return {sample.labels.get("le", sample.name): sample.value for sample in family.samples}

    before = read()
    for seconds in (0.0001, 0.0002, 0.003, 99.0):  # a bound belongs to its own bucket
        metrics.gate_seconds(seconds)
    change = {key: number - before[key] for key, number in read().items()}
    assert change["0.0002"] == 2
    assert change["0.002"] == 2
    assert change["0.005"] == 3
    assert change["30.0"] == 3
    assert change["+Inf"] == change["bdnews_gate_seconds_count"] == 4
    assert change["bdnews_gate_seconds_sum"] == pytest.approx(99.0033)
    bounds = [float(key) for key in before if re.fullmatch(r"[\d.e-]+", key)]
    assert bounds == sorted(bounds)


def test_a_database_that_is_away_leaves_no_old_figures() -> None:
    metrics.backlog(due=5, oldest_due_seconds=7.0, uncertain=1, dispatches={"sending": 2})
    assert value("bdnews_deliveries_due") == 5
    assert value("bdnews_dispatches", state="sending") == 2
    metrics.backlog_unknown()
    assert value("bdnews_database_up") == 0
    assert math.isnan(value("bdnews_deliveries_due"))
    assert labels_of("bdnews_dispatches") == []


def test_names_say_their_unit() -> None:
    """As `promtool check metrics` wants them: base units, no unit in a counter's name but before `_total`."""
    families = list(parser.text_string_to_metric_families(metrics.exposition().decode()))
    for family in families:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", family.name), family.name
        assert family.documentation, family.name
        assert not family.name.endswith(("_ms", "_milliseconds", "_kb", "_mb", "_count", "_sum")), family.name
        if family.type == "histogram":
            assert family.name.endswith("_seconds"), family.name
    assert len([family for family in families if family.name.startswith("bdnews_")]) > 25
