"""make bench: the service beside its peers, on the same message, machine and sink, as one JSON object.

    make bench                        readable
    make bench ARGS=--json            JSON alone
    make bench ARGS="--number 5000 --rounds 1"
    make bench ARGS="--million"       plan and send a million deliveries to a sink that answers at once
    make bench ARGS="--workers"       1, 2, 4, 8 worker processes on PostgreSQL behind a round trip of 50 ms
    make bench ARGS="--rows"          what a row of each table weighs, for `python -m tests.benchmarks.growth`
    make bench ARGS="--importing"     rows a second of an import, beside plain INSERTs of the same rows; its memory
    make bench ARGS="--cards"         template messages over a platform that answers after 50 ms
    make bench ARGS="--hits"          opens and clicks that are stored, beside the same handlers that store nothing
    make bench ARGS="--limit"         a limit that four of them keep while they are killed one by one

Times are of this machine and this moment: read the ratios. The peers run in turn, round after round, and the median of
the rounds is told, because a machine is never quiet. No test asserts a time.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import version
from typing import Any

from tests.benchmarks import peers, sink
from tests.benchmarks.fleet import FilledServer
from tests.benchmarks.service import ARTICLES, DATABASE_VARIABLE, PID_VARIABLE, thirty_kib
from tests.making import DSJ, START

from bdnews_dispatch.channels.outcome import OutcomeKind
from bdnews_dispatch.digests.composition import IssueEdition, compose
from bdnews_dispatch.digests.message import Headers, Slots, Variant
from bdnews_dispatch.digests.rendering import render_digest
from bdnews_dispatch.digests.slots import SENTINELS
from bdnews_dispatch.dispatch.ledger_store import Claim
from bdnews_dispatch.issues.parsing import parse_issue
from bdnews_dispatch.links import Links, Signer, SigningKey, random_key
from bdnews_dispatch.shipped import shipped
from bdnews_dispatch.subscribers.models import Channel
from bdnews_dispatch.telemetry import logs, metrics, traces

CONNECTIONS = 10
ROUND_TRIP_MS = 20.0
#: Naive sending is slow: a tenth of the messages tells its rate as well.
NAIVE_SHARE = 10
#: With a round trip of 20 ms, ten connections of four round trips a mail send 125 a second: a twentieth is enough.
DELAYED_SHARE = 20

LINKS = Links("https://news.example.cn", Signer([SigningKey("a", b"x" * 32)]))


def variant_of(total: int) -> tuple[Variant, Callable[[], Variant]]:
    """The benchmark's message, and how it is made."""
    document = thirty_kib(total)
    edition = IssueEdition(issue_id=1, document=document, url=LINKS.issue("dsj", total))
    headers = Headers(
        "大数据发展动态", "digest@news.example.cn", "dsj.news.example.cn", "1:dsj:issue:news", START
    )

    def render() -> Variant:
        digest = compose(DSJ, [edition], frozenset(DSJ.section_keys), article_url=lambda e, n: f"{e.url}/{n}")
        return render_digest(digest, headers, track=True)

    return render(), render


def slots_of(key: str) -> Slots:
    links = LINKS.of_delivery(key)
    return Slots(
        recipient_name="林致远",
        recipient_address="lin@readers.example",
        message_id=f"{key}.1@news.example.cn",
        click_url=links.click,
        pixel_url=links.pixel,
        web_url=links.web_copy,
        preferences_url=links.preferences,
        unsubscribe_url=links.unsubscribe,
        one_click_url=links.unsubscribe,
        unsubscribe_mailto=f"unsubscribe+{key}@news.example.cn",
        delivery_reference=key,
    )


def microseconds(work: Callable[[], object], *, times: int, rounds: int = 5) -> float:
    """Median over rounds of the CPU time of one call."""
    rounds_us = []
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(times):
            work()
        rounds_us.append((time.process_time() - began) / times * 1e6)
    return round(statistics.median(rounds_us), 1)


def composing() -> dict[str, Any]:
    """What a mail costs before it is sent."""
    variant, render = variant_of(2)
    key = random_key(START)
    one = slots_of(key)
    beyond = microseconds(lambda: variant.on_the_wire(slots_of(key), eight_bit=True), times=2000)
    sample = (shipped("config") / "samples" / "dsj-sample.md").read_bytes()
    return {
        "message_bytes": len(variant.assemble(one, eight_bit=True)),
        "parse_issue_us": microseconds(lambda: parse_issue(sample, DSJ), times=10),
        "render_variant_us": microseconds(render, times=5),
        "beyond_the_variant_us": beyond,
        "assembled_per_second": round(1e6 / beyond),
        "base64_us": microseconds(lambda: variant.on_the_wire(one, eight_bit=False), times=200),
    }


def being_watched() -> float:
    """What a mail costs to be counted, timed and named in logs: the calls of dispatch/sending.py, and nothing else."""
    metrics.know_providers(["tencent"])
    claim = Claim(1, 1, 1, 1, Channel.EMAIL, "key", (), 0, None)

    def one_mail() -> None:
        logs.carry(claim)
        began = time.perf_counter()
        metrics.compose_seconds(time.perf_counter() - began)
        logs.carry(claim)
        began = asked = time.perf_counter()
        metrics.gate_seconds(time.perf_counter() - asked)
        logs.carry(claim)
        other_seconds = time.perf_counter() - asked
        seconds = time.perf_counter() - began
        metrics.smtp_seconds(seconds - other_seconds)
        traces.mail(claim.dispatch_id, claim.delivery_id, seconds, OutcomeKind.ACCEPTED)
        metrics.finished(claim.channel, OutcomeKind.ACCEPTED, "tencent", "250")

    def commit_of_seven() -> None:
        for _ in range(7):
            one_mail()
        metrics.commit_group(0.001, 14)

    return round(microseconds(commit_of_seven, times=5000) / 7, 1)


def service(port: int, number: int, server: FilledServer | None = None) -> dict[str, Any]:
    """Args: server: of PostgreSQL; None: SQLite."""
    with ExitStack() as stack:
        environment = dict(os.environ)
        if server is not None:
            url = stack.enter_context(server.database())
            environment[DATABASE_VARIABLE] = url.render_as_string(hide_password=False)
            environment[PID_VARIABLE] = str(server.process)
        return _service(port, number, environment)


def _service(port: int, number: int, environment: dict[str, str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.service", str(port), str(number), str(CONNECTIONS)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment)
    measured: dict[str, Any] = json.loads(done.stdout)
    return measured


def side_by_side(number: int, rounds: int) -> dict[str, Any]:
    """Service and peers in turn, into Postfix's sink."""
    variant, _ = variant_of(2)
    message = variant.assemble(slots_of(random_key(START)), eight_bit=True)
    kinds: dict[str, Callable[[int], dict[str, Any]]] = {
        "service": lambda port: service(port, number),
        "smtp_source": lambda port: peers.smtp_source(
            port, number=number, size=len(message), connections=CONNECTIONS
        ),
        "pool": lambda port: peers.pool(port, number=number, message=message, connections=CONNECTIONS),
        "naive": lambda port: peers.naive(
            port,
            number=number // NAIVE_SHARE,
            html=_template(variant.html),
            text=_template(variant.text),
            connections=CONNECTIONS,
        ),
    }
    server = FilledServer(0)
    kinds["service_postgresql"] = lambda port: service(port, number, server)
    try:
        with sink.smtp_sink() as port:
            return _in_turn(kinds, port, rounds)
    finally:
        server.remove()


def far_away(number: int, rounds: int) -> dict[str, Any]:
    """The service and the pool with so many milliseconds added to each round trip."""
    variant, _ = variant_of(2)
    message = variant.assemble(slots_of(random_key(START)), eight_bit=True)
    few = max(200, number // DELAYED_SHARE)
    kinds: dict[str, Callable[[int], dict[str, Any]]] = {
        "service": lambda port: service(port, few),
        "pool": lambda port: peers.pool(port, number=few, message=message, connections=CONNECTIONS),
    }
    with sink.smtp_sink() as target, sink.delaying(target, ROUND_TRIP_MS) as port:
        return {"round_trip_ms": ROUND_TRIP_MS, **_in_turn(kinds, port, rounds)}


def _in_turn(kinds: dict[str, Callable[[int], dict[str, Any]]], port: int, rounds: int) -> dict[str, Any]:
    results: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
    for turn in range(rounds):
        for kind, run in kinds.items():
            results[kind].append(run(port))
            _say(f"{turn + 1}/{rounds} {kind}: {results[kind][-1]['rate']}/s")
    told = {
        kind: {name: statistics.median(one[name] for one in ones) for name in ones[0]}
        for kind, ones in results.items()
    }
    ratios = {
        f"service_to_{kind}": round(
            statistics.median(
                ours["rate"] / theirs["rate"]
                for ours, theirs in zip(results["service"], results[kind], strict=True)
            ),
            2,
        )
        for kind in kinds
        if kind != "service"
    }
    return {**told, "ratios": ratios}


def _template(text: str) -> str:
    """The variant's text as a Jinja2 template: what differs for a recipient is a variable."""
    variables = {"recipient_name": "name", "recipient_address": "address"}
    for name, character in SENTINELS.items():
        text = text.replace(character, "{{ " + variables.get(name, "link") + " }}")
    return text


def _machine() -> dict[str, Any]:
    model = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):  # noqa: PTH110  # not a path of ours
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123  # see above
            model = next(
                (line.split(":")[1].strip() for line in file if line.startswith("model name")), model
            )
    return {"cpu": model, "cores": os.cpu_count(), "system": platform.platform()}


def _versions() -> dict[str, str]:
    names = ("bdnews-dispatch", "aiosmtplib", "uvloop", "SQLAlchemy", "Jinja2")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def _say(words: str) -> None:
    print(words, file=sys.stderr)  # noqa: T201  # progress


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    parser.add_argument("--number", type=int, default=20_000, help="recipients")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--million", action="store_true", help="plan and send a million deliveries instead")
    parser.add_argument(
        "--workers", action="store_true", help="worker processes behind a round trip of 50 ms instead"
    )
    parser.add_argument("--limit", action="store_true", help="a limit that four workers keep instead")
    parser.add_argument("--importing", action="store_true", help="an import of 50 × --number rows instead")
    parser.add_argument("--rows", action="store_true", help="what rows weigh on PostgreSQL instead")
    parser.add_argument("--hits", action="store_true", help="opens and clicks instead")
    parser.add_argument("--cards", action="store_true", help="template messages on WeChat instead")
    parser.add_argument("--pages", action="store_true", help="the console's pages instead")
    parser.add_argument("--subscribers", type=int, default=20_000, help="of --pages")
    parser.add_argument("--deliveries", type=int, default=200_000, help="of --pages")
    arguments = parser.parse_args()
    if arguments.pages:
        from tests.benchmarks import pages  # noqa: PLC0415  # as below

        times = 10 * arguments.rounds
        result: dict[str, Any] = {
            "pages": pages.measure(arguments.subscribers, arguments.deliveries, times, pages.DATABASES)
        }
    elif arguments.importing:
        from tests.benchmarks import importing  # noqa: PLC0415  # as below

        result = {"importing": importing.measure(50 * arguments.number, arguments.rounds)}
    elif arguments.hits:
        from tests.benchmarks import hits  # noqa: PLC0415  # as below

        result = {"hits": hits.measure(arguments.number, arguments.rounds)}
    elif arguments.cards:
        from tests.benchmarks import cards  # noqa: PLC0415  # as below

        result = {"cards": cards.measure(arguments.number // 10, arguments.rounds)}
    elif arguments.rows:
        from tests.benchmarks import rows  # noqa: PLC0415  # as below

        result = {"rows": rows.measure(5 * arguments.number)}
    elif arguments.workers or arguments.limit:
        from tests.benchmarks import workers  # noqa: PLC0415  # as below

        result = {}
        if arguments.workers:
            result["workers"] = workers.measure("--rounds", str(arguments.rounds))
        if arguments.limit:
            result["limit"] = workers.measure("--limit")
    elif arguments.million:
        from tests.benchmarks.million import measure  # noqa: PLC0415  # it takes ten minutes: only when asked for

        result = {"million": measure(1_000_000 if arguments.number == 20_000 else arguments.number)}
    else:
        result = {
            **side_by_side(arguments.number, arguments.rounds),
            "far_away": far_away(arguments.number, arguments.rounds),
            "composing": composing(),
            "being_watched_us": being_watched(),
        }
    result |= {
        "number": arguments.number,
        "connections": CONNECTIONS,
        "articles_a_section": ARTICLES,
        "machine": _machine(),
        "versions": _versions(),
    }
    print(json.dumps(result, ensure_ascii=False, indent=None if arguments.json else 2))  # noqa: T201


if __name__ == "__main__":
    main()
