"""A whole dispatch, with everything that goes wrong in one: what is logged, counted and traced of it."""

import json
import logging
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from sqlalchemy import text
from tests.making import open_station, readers

from bdnews_dispatch.sandbox.scripted_relay import ScriptedRelay
from bdnews_dispatch.telemetry import logs, metrics, set_up_logs, traces


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[StringIO]:
    """What the service writes to standard error, as JSON, at the lowest level; nothing is masked."""
    monkeypatch.setattr(logs, "_masked", lambda line: line)
    stream = StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    set_up_logs("debug", "json")
    yield stream
    root.handlers = handlers
    root.setLevel(level)


def count(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


def outcomes() -> dict[str, float]:
    return {
        outcome: count("bdnews_deliveries_total", channel="email", outcome=outcome, provider="others")
        for outcome in metrics.OUTCOMES
    }


async def test_logs_name_deliveries_and_nobody(tmp_path: Path, told: StringIO) -> None:
    before = outcomes()
    observed = {name: count(f"bdnews_{name}_seconds_count") for name in ("compose", "gate", "smtp", "commit")}
    refused = {"reader2@readers.example"}
    words = ["550 5.1.1 <reader2@readers.example> unknown", "250 2.0.0 ok"]
    async with ScriptedRelay(answers={"DOT": words}) as relay:
        relay.refused_recipients = refused
        email = {"host": relay.address[0], "port": relay.address[1], "connections": 1, "timeout_seconds": 2}
        delivery = {"allow": "everybody", "retry_first_seconds": 3600}
        async with open_station(tmp_path, email=email, delivery=delivery) as station:
            await station.people(readers(6))
            async with station.parts.database.write() as session:
                bad = {"bad": "reader5@x\r\nDATA.readers.example"}
                await session.execute(text("UPDATE subscriber SET email = :bad WHERE id = 5"), bad)
                broken = {"bad": "a\r\nBcc: v@readers.example"}
                await session.execute(text("UPDATE subscriber SET name = :bad WHERE id = 6"), broken)
            dispatch = await station.start(await station.publish())
            async with station.worker():
                shown = await station.until(dispatch, seconds=30)
            numbers = {row.subscriber_id: row.id for row in await station.deliveries(dispatch)}
    change = {outcome: number - before[outcome] for outcome, number in outcomes().items()}
    assert change["accepted"] == shown["counts"]["sent"]
    assert change["refused"] == shown["counts"]["failed"] > 0
    assert sum(change.values()) == 6
    for name, earlier in observed.items():
        assert count(f"bdnews_{name}_seconds_count") > earlier, name
    logged = told.getvalue()
    assert "readers.example" not in logged
    assert "读者" not in logged
    lines = [json.loads(line) for line in logged.splitlines()]
    ours = [line for line in lines if line["logger"].startswith("bdnews_dispatch")]
    assert ours
    of_delivery = [line for line in ours if line["event"].startswith(("delivery.", "lane."))]
    for line in of_delivery:
        assert line["dispatch"] == dispatch
        assert line["delivery"] in numbers.values()


async def test_a_line_in_the_middle_of_a_mail_has_its_numbers(
    tmp_path: Path, told: StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever logs in composing, at the gate or on the line: the ids are those of this mail, not of the next one."""
    from bdnews_dispatch.channels.email.pipelining import PipelinedLine  # noqa: PLC0415
    from bdnews_dispatch.dispatch.composing import Composer  # noqa: PLC0415

    log = logging.getLogger("bdnews_dispatch.test")
    composed, finish = Composer.mail, PipelinedLine.finish
    on_line: list[int] = []

    def mail(self: Composer, claim: object, person: object) -> object:
        log.info("composing", extra={"wanted": claim.delivery_id})  # type: ignore[attr-defined]
        return composed(self, claim, person)  # type: ignore[arg-type]

    async def finished(self: PipelinedLine, following: object = None) -> object:
        log.info("finishing")
        outcome = await finish(self, following)  # type: ignore[arg-type]
        on_line.append(1)
        return outcome

    monkeypatch.setattr(Composer, "mail", mail)
    monkeypatch.setattr(PipelinedLine, "finish", finished)
    async with ScriptedRelay() as relay:
        email = {"host": relay.address[0], "port": relay.address[1], "connections": 1}
        async with open_station(tmp_path, email=email, delivery={"allow": "everybody"}) as station:
            await station.people(readers(5))
            dispatch = await station.start(await station.publish())
            async with station.worker():
                await station.until(dispatch)
            numbers = [row.id for row in await station.deliveries(dispatch)]
    lines = [json.loads(line) for line in told.getvalue().splitlines()]
    assert [line["delivery"] == line["wanted"] for line in lines if line["event"] == "composing"] == [
        True
    ] * 5
    assert sorted(line["delivery"] for line in lines if line["event"] == "finishing") == numbers
    assert {line["dispatch"] for line in lines if line["event"] in {"composing", "finishing"}} == {dispatch}


async def test_a_dispatch_as_a_trace(tmp_path: Path) -> None:
    bodies: list[bytes] = []

    async def take(request: web.Request) -> web.Response:
        bodies.append(await request.read())
        return web.Response(content_type="application/x-protobuf")

    app = web.Application()
    app.router.add_post("/v1/traces", take)
    async with TestServer(app) as server, open_station(tmp_path) as station:
        endpoint = f"http://127.0.0.1:{server.port}"
        async with traces.exporting(endpoint, mail_ratio=1.0, role="worker"):
            await station.people(readers(8))
            await station.publish()
            async with station.worker():
                shown = await station.until(1)
    assert shown["counts"]["sent"] == 8
    spans = [
        span
        for body in bodies
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    names = [span.name for span in spans]
    assert set(names) == {"event", "planning.slice", "claim", "commit", "mail"}
    assert names.count("mail") == 8
    assert b"readers.example" not in b"".join(bodies)
