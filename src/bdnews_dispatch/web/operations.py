"""For those who run the service: /live, /ready, /metrics; and what every page's request adds to the metrics.

The public port has /live and one word for /ready; all else is on the operations listener (`[operations]` in the
settings), because it tells how much is sent, and by whom.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy.exc import SQLAlchemyError

from bdnews_dispatch.errors import BdnewsError
from bdnews_dispatch.telemetry import metrics
from bdnews_dispatch.web.keys import BACKLOG, READINESS

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: All that a route of ours answers; anything else that a request calls its method is no label.
_METHODS = frozenset({"GET", "HEAD", "POST"})
_NOT_KEPT = {"Cache-Control": "no-store"}


async def live(request: web.Request) -> web.Response:
    """The process answers, so its loop goes round."""
    del request
    return web.Response(text="ok", headers=_NOT_KEPT)


async def ready_word(request: web.Request) -> web.Response:
    """For a load balancer, in one word: can pages be served.

    That mail can't go out just now is no reason to turn readers away.
    """
    is_ready = all(check.ok for check in await request.app[READINESS].look())
    return web.Response(
        text="ready" if is_ready else "not ready", status=200 if is_ready else 503, headers=_NOT_KEPT
    )


async def ready(request: web.Request) -> web.Response:
    """The whole process, check by check, with what to do; 503 where one is not right."""
    checks = await request.app[READINESS].look()
    is_ready = all(check.ok for check in checks)
    body = {"ready": is_ready, "checks": [asdict(check) for check in checks]}
    return web.json_response(
        body,
        status=200 if is_ready else 503,
        headers=_NOT_KEPT,
        dumps=lambda value: json.dumps(value, ensure_ascii=False),
    )


async def read_metrics(request: web.Request) -> web.Response:
    """Everything that is counted, for Prometheus."""
    readiness = request.app[READINESS]
    checks = await readiness.look()
    metrics.ready(all(check.ok for check in checks))
    await request.app[BACKLOG].refresh()
    if readiness.worker is not None:
        metrics.breakers(readiness.worker.breakers())
        with suppress(SQLAlchemyError, BdnewsError):  # then `bdnews_ready` tells of it
            metrics.jobs_waiting((await readiness.worker.jobs_waiting()).items())
    return web.Response(body=metrics.exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST, **_NOT_KEPT})


@web.middleware
async def count_requests(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The outermost: counts what is answered, by the route's pattern; what was asked for instead is never a label."""
    began, status = time.perf_counter(), 500
    try:
        response = await handler(request)
        status = response.status
    except web.HTTPException as error:
        status = error.status
        raise
    except asyncio.CancelledError:
        status = 499  # as nginx calls it: nobody waits for the answer any more
        raise
    finally:
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "none"
        method = request.method if request.method in _METHODS else "other"
        metrics.request_answered(method, route, status, time.perf_counter() - began)
    return response
