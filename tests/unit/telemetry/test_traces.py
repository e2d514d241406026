"""Traces: nothing is imported unless asked for; what is sent is what a collector reads, with ids alone."""

import random
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from bdnews_dispatch.errors import SettingsError
from bdnews_dispatch.telemetry import traces


@dataclass
class Collector:
    """A collector's OTLP/HTTP receiver, as far as it takes traces."""

    url: str = ""
    paths: list[str] = field(default_factory=list)
    requests: list[ExportTraceServiceRequest] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        self.paths.append(request.path)
        assert request.content_type == "application/x-protobuf"
        self.requests.append(ExportTraceServiceRequest.FromString(await request.read()))
        return web.Response(content_type="application/x-protobuf")

    def spans(self) -> list[Span]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    collector = Collector()
    app = web.Application()
    app.router.add_post("/{path:.*}", collector.take)
    async with TestServer(app) as server:
        collector.url = f"http://127.0.0.1:{server.port}"
        yield collector


def attributes(span: Span) -> dict[str, str | int]:
    return {
        a.key: a.value.int_value if a.value.HasField("int_value") else a.value.string_value
        for a in span.attributes
    }


async def slow_sum(*numbers: int) -> int:
    return sum(numbers)


async def test_off_work_is_just_awaited() -> None:
    async with traces.exporting("", mail_ratio=1.0, role="worker"):
        assert await traces.within("claim", slow_sum(1, 2), dispatch=1) == 3
        traces.mail(1, 2, 0.1, "accepted")


def test_nothing_is_imported_that_was_not_asked_for() -> None:
    code = (
        "import sys, bdnews_dispatch.service.running; "
        "print([m for m in sys.modules if m.startswith('opentelemetry')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


async def test_a_collector_gets_the_spans(collector: Collector) -> None:
    async with traces.exporting(collector.url, mail_ratio=1.0, role="worker"):

        async def planning() -> int:
            return await traces.within("commit", slow_sum(4), gates=4)

        assert await traces.within("planning.slice", planning(), dispatch=7) == 4
        traces.mail(7, 9, 0.25, "accepted")
    assert set(collector.paths) == {"/v1/traces"}
    spans = {span.name: span for span in collector.spans()}
    assert set(spans) == {"planning.slice", "commit", "mail"}
    assert attributes(spans["planning.slice"]) == {"dispatch": 7}
    assert spans["commit"].parent_span_id == spans["planning.slice"].span_id
    mail = spans["mail"]
    assert attributes(mail) == {"dispatch": 7, "delivery": 9, "outcome": "accepted"}
    assert mail.end_time_unix_nano - mail.start_time_unix_nano == 250_000_000
    resource = {
        a.key: a.value.string_value for a in collector.requests[0].resource_spans[0].resource.attributes
    }
    assert resource["service.name"] == "bdnews-dispatch"
    assert resource["service.instance.id"] == "worker"


async def test_an_error_is_named_by_its_class_alone(collector: Collector) -> None:
    async def fails() -> None:
        raise LookupError("no such reader lin@readers.example")

    async with traces.exporting(f"{collector.url}/own/path", mail_ratio=0.0, role="worker"):
        with pytest.raises(LookupError):
            await traces.within("event", fails(), event="issue.published")
    assert collector.paths == ["/own/path"]
    (span,) = collector.spans()
    assert span.status.message == "LookupError"
    assert len(span.events) == 0
    assert b"readers.example" not in collector.requests[0].SerializeToString()


@pytest.mark.parametrize(("ratio", "least", "most"), [(0.0, 0, 0), (0.5, 60, 140), (1.0, 200, 200)])
async def test_mails_are_sampled(
    collector: Collector, ratio: float, least: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "random", random.Random(4).random)
    async with traces.exporting(collector.url, mail_ratio=ratio, role="worker"):
        for number in range(200):
            traces.mail(1, number, 0.001, "accepted")
    assert least <= len(collector.spans()) <= most


@pytest.mark.parametrize("endpoint", ["collector:4318", "ftp://x.example", "http://", "真的"])
async def test_what_is_no_address_is_refused(endpoint: str) -> None:
    with pytest.raises(SettingsError, match=r"operations\.traces"):
        async with traces.exporting(endpoint, mail_ratio=0.0, role="worker"):
            pass


async def test_without_the_extra_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(SettingsError) as caught:
        async with traces.exporting("http://127.0.0.1:4318", mail_ratio=0.0, role="worker"):
            pass
    assert 'pip install "bdnews-dispatch[traces]"' in caught.value.hint
