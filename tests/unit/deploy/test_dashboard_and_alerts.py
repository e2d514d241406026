"""The dashboard and the alerts name only what the service tells, in its units, and say what to do."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import promql_parser as promql
import pytest
import yaml

from bdnews_dispatch.cli.entry import root
from bdnews_dispatch.telemetry import metrics

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
ALERTS: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
]
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text("utf-8"))
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
#: Of every series that is read from a target.
OF_TARGETS = frozenset({"job", "instance"})


def series() -> dict[str, frozenset[str]]:
    """Every series that the service can tell, with its labels."""
    found: dict[str, frozenset[str]] = {"up": frozenset()}
    for collector in list(metrics.REGISTRY._collector_to_names):
        labels = frozenset(getattr(collector, "_labelnames", getattr(collector, "_labels", ())))
        for family in collector.collect():
            if family.type == "histogram":
                found |= {f"{family.name}_{part}": labels for part in ("sum", "count")}
                found[f"{family.name}_bucket"] = labels | {"le"}
            else:
                found[family.name + ("_total" if family.type == "counter" else "")] = labels
    return found


SERIES = series()


def parsed(expression: str) -> Any:
    """Grafana's own words are filled in as it would."""
    return promql.parse(expression.replace("$__rate_interval", "1m"))


def nodes(expression: Any) -> Iterator[Any]:
    yield expression
    for name in ("expr", "lhs", "rhs", "param", "vector_selector", "vs"):
        below = getattr(expression, name, None)
        if below is not None and type(below).__module__.startswith("promql"):
            yield from nodes(below)
    for argument in getattr(expression, "args", None) or ():
        yield from nodes(argument)


def selected(expression: Any) -> list[Any]:
    """The selectors in it. `Any`: a selector may be without a name, ours never are."""
    return [node for node in nodes(expression) if isinstance(node, promql.VectorSelector)]


def selectors(expression: str) -> list[Any]:
    return selected(parsed(expression))


EXPRESSIONS = [
    *((rule["alert"], rule["expr"]) for rule in ALERTS),
    *((panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]),
]


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS)
def test_what_is_named_exists(where: str, expression: str) -> None:
    found = selectors(expression)
    assert len(found) == len(re.findall(r"\b(?:bdnews|process)_\w+|\bup\b", expression)), (
        "each selector is seen"
    )
    for selector in found:
        assert selector.name in SERIES, f"{where}: no series {selector.name}"
        for matcher in selector.matchers.matchers:
            assert matcher.name in SERIES[selector.name] | OF_TARGETS, (
                f"{where}: {selector.name} has no {matcher.name}"
            )


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS)
def test_what_is_grouped_by_exists(where: str, expression: str) -> None:
    for node in nodes(parsed(expression)):
        if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            known = frozenset[str]().union(*(SERIES[n.name] for n in selected(node.expr)))
            assert set(node.modifier.labels) <= known | OF_TARGETS, where
        if isinstance(node, promql.Call) and node.func.name == "histogram_quantile":
            assert "le" in node.args[1].modifier.labels, where


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS)
def test_counters_are_never_shown_as_they_stand_and_gauges_never_as_rates(
    where: str, expression: str
) -> None:
    for node in nodes(parsed(expression)):
        if isinstance(node, promql.Call) and node.func.name in {"rate", "increase"}:
            below = [n.name for n in selected(node)]
            assert all(name.endswith(("_total", "_bucket", "_count", "_sum")) for name in below), where
    bare = re.sub(r"(rate|increase)\([^()]*\)", "", expression)
    assert not re.search(r"_(total|bucket|count|sum)\b", bare), where


def values_of(label: str) -> set[str]:
    """What the label can say, where that is a closed list."""
    return {
        "outcome": set(metrics.OUTCOMES),
        "channel": set(metrics.CHANNELS),
        "state": {"scheduled", "planning", "sending", "paused", "finished", "cancelled"},
        "job": {"bdnews"},
    }.get(label, set())


@pytest.mark.parametrize(("where", "expression"), EXPRESSIONS)
def test_a_labels_value_is_one_that_it_can_have(where: str, expression: str) -> None:
    for selector in selectors(expression):
        for matcher in selector.matchers.matchers:
            if known := values_of(matcher.name):
                assert set(matcher.value.split("|")) <= known, f"{where}: {matcher.name}={matcher.value}"


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: str(panel["title"]))
def test_a_panels_unit_is_its_series_unit(panel: dict[str, Any]) -> None:
    unit = panel["fieldConfig"]["defaults"]["unit"]
    for target in panel["targets"]:
        expression = target["expr"]
        names = [selector.name for selector in selectors(expression)]
        per_second = "rate(" in expression and "histogram_quantile" not in expression
        if "/" in expression and len({name.rpartition("_")[2] for name in names}) == 1:
            expected = {"percentunit"}
        elif per_second and "/" not in expression:
            expected = {"short"} if names == ["process_cpu_seconds_total"] else {"cps", "reqps"}
        elif all("_seconds" in name for name in names):
            expected = {"s"}
        elif all(name.endswith("_bytes") for name in names):
            expected = {"bytes"}
        else:
            expected = {"short"}
        assert unit in expected, f"{expression}: {unit}"


def test_the_dashboard_has_its_rows_and_nothing_lies_over_another() -> None:
    rows = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert rows == ["发送", "渠道", "数据库与队列", "网页"]
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert re.search(r"[\u4e00-\u9fff]", panel["description"]), panel["title"]


def test_every_alert_says_what_to_do_and_where_to_read_on() -> None:
    guide = (ROOT / "docs" / "guides" / "operator.md").read_text("utf-8")
    for rule in ALERTS:
        notes = rule["annotations"]
        assert re.search(r"[\u4e00-\u9fff]", notes["summary"]), rule["alert"]
        assert re.search(r"请|先看|运行|核对|启动|看|用", notes["description"]), rule["alert"]
        file, _, heading = notes["runbook"].partition("#")
        assert (ROOT / file).is_file()
        assert f"\n## {heading}\n" in guide
        assert f"`{rule['alert']}`" in guide, "the guide has a row for each"
        assert rule["labels"]["severity"] in {"warning", "critical"}
    assert sorted(re.findall(r"`(Bdnews\w+)`", guide)) == sorted(rule["alert"] for rule in ALERTS)


def test_commands_that_are_named_exist() -> None:
    texts = [note for rule in ALERTS for note in rule["annotations"].values()]
    texts += [panel["description"] for panel in PANELS]
    texts.append((ROOT / "docs" / "guides" / "operator.md").read_text("utf-8").partition("## 告警")[2])
    named = {match for text in texts for match in re.findall(r"\bbdnews ((?:[a-z]+)(?: [a-z]+)?)", text)}
    assert len(named) > 5
    context = click.Context(root)
    for words in named:
        command: click.Command | None = root
        for word in words.split():
            assert isinstance(command, click.Group), words
            command = command.get_command(context, word)
        assert command is not None, words


def test_prometheus_reads_our_port() -> None:
    settings = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text("utf-8"))
    assert settings["rule_files"] == ["alerts.yml"]
    (job,) = settings["scrape_configs"]
    assert job["job_name"] == "bdnews"
    assert job["static_configs"][0]["targets"] == ["127.0.0.1:9464"]


needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="needs promtool (Debian: prometheus)"
)


@needs_promtool
def test_promtool_takes_the_rules_and_the_settings() -> None:
    for command, file in (("rules", "alerts.yml"), ("config", "prometheus.yml")):
        done = subprocess.run(
            ["promtool", "check", command, str(DEPLOY / "prometheus" / file)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    told = subprocess.run(
        ["promtool", "check", "metrics"],
        input=metrics.exposition().decode(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr


def _series(text: str, values: str) -> dict[str, str]:
    return {"series": text, "values": values}


#: For each alert: series by the minute, and the minute at which it must be there, and one at which it must not yet.
CASES: list[tuple[str, list[dict[str, str]], int, int]] = [
    (
        "BdnewsNothingSent",
        [
            _series(
                'bdnews_deliveries_total{channel="email",outcome="accepted",provider="others"}',
                "0+60x10 600x40",
            ),
            _series("bdnews_deliveries_due", "100x50"),
        ],
        24,
        15,
    ),
    ("BdnewsNothingSent", [_series("bdnews_deliveries_due", "1x30")], 11, 9),
    ("BdnewsOldestDue", [_series("bdnews_oldest_due_seconds", "0+60x40")], 22, 17),
    ("BdnewsUncertain", [_series("bdnews_deliveries_uncertain", "0x5 1x30")], 12, 8),
    ("BdnewsBreakerOpen", [_series('bdnews_breaker_open{way="email"}', "0x5 1x30")], 17, 13),
    (
        "BdnewsFailureRatio",
        [
            _series(
                'bdnews_deliveries_total{channel="email",outcome="accepted",provider="others"}', "0+90x60"
            ),
            _series(
                'bdnews_deliveries_total{channel="email",outcome="refused",provider="others"}', "0x20 0+10x40"
            ),
        ],
        50,
        20,
    ),
    (
        "BdnewsHandlersFailing",
        [_series('bdnews_event_handler_failures_total{handler="start_dispatch"}', "0x5 1x30")],
        8,
        4,
    ),
    ("BdnewsNotReady", [_series('bdnews_ready{job="bdnews"}', "1x5 0x30")], 12, 9),
    ("BdnewsNotReady", [_series('up{job="bdnews"}', "1x5 0x30")], 12, 9),
    (
        "BdnewsDiskLow",
        [_series("bdnews_disk_free_bytes", "50-5x9 5x40"), _series("bdnews_disk_size_bytes", "100x60")],
        25,
        15,
    ),
    ("BdnewsSchedulerAbsent", [_series("bdnews_scheduler_tick_timestamp_seconds", "0+60x5 300x30")], 17, 9),
    ("BdnewsSchedulerAbsent", [_series("up", "1x30")], 6, 4),
]


@needs_promtool
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[2]}")
def test_an_alert_fires_when_it_should_and_not_before(
    case: tuple[str, list[dict[str, str]], int, int], tmp_path: Path
) -> None:
    name, given, fires, waits = case
    rule = next(rule for rule in ALERTS if rule["alert"] == name)
    # Without words: they are not what is tested here.
    bare = {key: value for key, value in rule.items() if key != "annotations"}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": [bare]}]}), "utf-8")

    def run(minute: int, *, expected: bool) -> subprocess.CompletedProcess[str]:
        # promtool tells what it got where that is not what was expected: nothing, here.
        test = {
            "rule_files": ["rules.yml"],
            "evaluation_interval": "1m",
            "tests": [
                {
                    "interval": "1m",
                    "input_series": given,
                    "alert_rule_test": [{"eval_time": f"{minute}m", "alertname": name, "exp_alerts": []}],
                }
            ],
        }
        file = tmp_path / f"{expected}.yml"
        file.write_text(yaml.safe_dump(test), "utf-8")
        return subprocess.run(
            ["promtool", "test", "rules", str(file)], capture_output=True, text=True, timeout=60, check=False
        )

    assert run(waits, expected=False).returncode == 0, "too early"
    fired = run(fires, expected=True)
    assert fired.returncode != 0, "did not fire"
    assert f'alertname="{name}"' in fired.stdout + fired.stderr
