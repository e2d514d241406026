"""Traces by OpenTelemetry, where `[operations] traces` names a collector; else nothing of it is even imported.

In: a name, what is awaited, ids. Out: spans, sent in the background over OTLP/HTTP. A span holds names and ids only; of
an error its class, because its words may hold an address.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from bdnews_dispatch.errors import SettingsError

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

Result = TypeVar("Result")

#: A collector that is away holds up the end of the process for so long at most.
EXPORT_SECONDS = 3.0
PIP_COMMAND = 'pip install "bdnews-dispatch[traces]"'

_tracer: "Tracer | None" = None
_mail_ratio = 0.0


@asynccontextmanager
async def exporting(endpoint: str, *, mail_ratio: float, role: str) -> AsyncIterator[None]:
    """Export traces while the context lasts; at its end what is left is sent.

    Args:
        endpoint: of the collector: `http://HOST:4318`, or with a path of its own; "": no traces.
        mail_ratio: the share of mails that get a span, 0 to 1.
        role: what this process does, for `service.instance.id`.

    Raises:
        SettingsError: the endpoint is not an address, or the libraries are not installed; says how to.
    """
    global _tracer, _mail_ratio  # one for the process, as the registry of metrics
    if not endpoint:
        yield
        return
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsError("设置 operations.traces 不是收集器的地址", hint="例如 http://127.0.0.1:4318。")
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415  # an extra
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError(
            "设置 operations.traces 要用 OpenTelemetry，而它没有安装",
            hint=f"请运行 {PIP_COMMAND}，或清空此项设置。",
        ) from error
    own = version("bdnews-dispatch")
    resource = Resource.create(
        {"service.name": "bdnews-dispatch", "service.version": own, "service.instance.id": role}
    )
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    url = endpoint if parts.path.strip("/") else f"{endpoint.rstrip('/')}/v1/traces"
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url, timeout=EXPORT_SECONDS)))
    _tracer, _mail_ratio = provider.get_tracer("bdnews_dispatch", own), mail_ratio
    try:
        yield
    finally:
        _tracer, _mail_ratio = None, 0.0
        await asyncio.to_thread(provider.shutdown)


async def within(name: str, work: Awaitable[Result], **attributes: str | int) -> Result:
    """Await the work, in a span of this name where traces are on. Raises: what the work raises."""
    if _tracer is None:
        return await work
    with _tracer.start_as_current_span(
        name, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            return await work
        except Exception as error:
            from opentelemetry.trace import StatusCode  # noqa: PLC0415  # an extra

            span.set_status(StatusCode.ERROR, type(error).__name__)
            raise


def mail(dispatch_id: int, delivery_id: int, seconds: float, outcome: str) -> None:
    """A mail has ended: a span of its own for as many as the ratio says. Args: seconds: since it was offered."""
    if _tracer is None or random.random() >= _mail_ratio:  # noqa: S311  # a sample, not a secret
        return
    now = time.time_ns()
    _tracer.start_span(
        "mail",
        attributes={"dispatch": dispatch_id, "delivery": delivery_id, "outcome": str(outcome)},
        start_time=now - int(seconds * 1e9),
    ).end(now)
