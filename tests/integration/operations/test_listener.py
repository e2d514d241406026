"""/live, /ready and /metrics: on a listener of their own, for every role; the public port tells one word."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client import parser
from tests.making import readers, test_settings
from tests.ports import free_port

from bdnews_dispatch.operations import readiness as readiness_module
from bdnews_dispatch.operations.readiness import Readiness
from bdnews_dispatch.parts import Parts
from bdnews_dispatch.service.roles import Role
from bdnews_dispatch.service.running import running
from bdnews_dispatch.settings import Settings
from bdnews_dispatch.web.access import Permission
from bdnews_dispatch.web.routes import OPERATIONS_ROUTES, ROUTES


@dataclass
class Running:
    """A running service and how to ask it."""

    parts: Parts
    operations: str
    session: aiohttp.ClientSession

    @property
    def web(self) -> str:
        return f"http://127.0.0.1:{self.parts.settings.web.port}"

    async def ask(self, url: str, method: str = "GET") -> tuple[int, str]:
        async with self.session.request(method, url) as answer:
            return answer.status, await answer.text()

    async def ready(self) -> tuple[int, dict[str, dict[str, Any]]]:
        status, text = await self.ask(f"{self.operations}/ready")
        body = json.loads(text)
        assert body["ready"] == (status == 200)
        return status, {check["check"]: check for check in body["checks"]}

    async def until(self, status: int) -> dict[str, dict[str, Any]]:
        async with asyncio.timeout(20):
            while True:
                found, checks = await self.ready()
                if found == status:
                    return checks
                await asyncio.sleep(0.05)

    async def figures(self) -> dict[str, float]:
        status, text = await self.ask(f"{self.operations}/metrics")
        assert status == 200
        families = parser.text_string_to_metric_families(text)
        return {
            sample.name
            + "".join(f",{key}={value}" for key, value in sorted(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }


@asynccontextmanager
async def run(folder: Path, roles: Collection[Role], **overrides: dict[str, Any]) -> AsyncIterator[Running]:
    port = free_port()
    overrides = {"operations": {"port": port}, **overrides}
    settings = test_settings(folder, **overrides)
    async with running(settings, roles) as (parts, _), aiohttp.ClientSession() as session:
        yield Running(parts, f"http://127.0.0.1:{settings.operations.port}", session)


@pytest.fixture(autouse=True)
def _ask_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness_module, "ANSWER_SECONDS", 0.0)


@pytest.mark.parametrize("role", list(Role))
async def test_every_role_answers(tmp_path: Path, role: Role) -> None:
    async with run(tmp_path, [role]) as service:
        assert await service.ask(f"{service.operations}/live") == (200, "ok")
        checks = await service.until(200)
        wanted = {"database", "disk"} | ({"queue", "ledger", "channels"} if role is Role.WORKER else set())
        assert set(checks) == wanted
        assert not any(check["what_to_do"] for check in checks.values())
        figures = await service.figures()
        assert figures["bdnews_ready"] == 1
        assert figures["bdnews_database_up"] == 1
        assert 0 < figures["bdnews_disk_free_bytes"] < figures["bdnews_disk_size_bytes"]
        if role is Role.WORKER:
            assert figures["bdnews_jobs_waiting,kind=send"] == 0
            assert figures["bdnews_breaker_open,way=email"] == 0
        if role is Role.SCHEDULER:
            assert figures["bdnews_scheduler_tick_timestamp_seconds"] > 1.7e9


async def test_the_public_port_tells_one_word(tmp_path: Path) -> None:
    async with run(tmp_path, list(Role)) as service:
        assert await service.ask(f"{service.web}/ready") == (200, "ready")
        assert await service.ask(f"{service.web}/live") == (200, "ok")
        status, page = await service.ask(f"{service.web}/metrics")
        assert status == 404
        assert "bdnews_" not in page
    assert "/metrics" not in {route.path for route in ROUTES}


async def test_every_route_has_a_permission_and_answers_nothing_else(tmp_path: Path) -> None:
    assert {(route.path, route.permission) for route in OPERATIONS_ROUTES} == {
        ("/live", Permission.PUBLIC),
        ("/ready", Permission.OPERATIONS),
        ("/metrics", Permission.OPERATIONS),
        ("/dispatches", Permission.OPERATIONS),
        ("/dispatches/{id}", Permission.OPERATIONS),
        ("/dispatches/{id}/events", Permission.OPERATIONS),
        ("/assets/{name}", Permission.PUBLIC),
    }
    assert not any(route.permission is Permission.OPERATIONS for route in ROUTES)
    async with run(tmp_path, [Role.WORKER]) as service:
        for route in OPERATIONS_ROUTES:
            path = route.path.format(id="1", name="progress.js")
            async with service.session.get(service.operations + path) as answer:
                assert answer.status in ({404} if "{id}" in route.path else {200, 503})
                assert answer.headers["Cache-Control"] in {"no-store", "no-cache"}
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert "Server" not in answer.headers
            assert (await service.ask(service.operations + path, "POST"))[0] == 405
        for path in ("/", "/demo", "/issues/dsj", "/wechat/callback", "/metrics/x", "/dispatches/x"):
            assert (await service.ask(service.operations + path))[0] == 404


async def test_an_operations_route_on_another_app_is_not_there(tmp_path: Path) -> None:
    """Even if somebody adds it to the public table."""
    from aiohttp import web  # noqa: PLC0415
    from aiohttp.test_utils import TestClient, TestServer  # noqa: PLC0415

    from bdnews_dispatch.web.access import access_of  # noqa: PLC0415

    app = web.Application(middlewares=[access_of(OPERATIONS_ROUTES)])
    for route in OPERATIONS_ROUTES:
        app.router.add_get(route.path, route.handler)
    client: TestClient[Any, Any]
    async with TestServer(app) as server, TestClient(server) as client:
        assert (await client.get("/live")).status == 200
        assert (await client.get("/metrics")).status == 404
        assert (await client.get("/ready")).status == 404


async def test_a_broken_channel_is_named_and_readers_are_not_turned_away(tmp_path: Path) -> None:
    email = {"host": "127.0.0.1", "port": free_port(), "connections": 1, "password": "s3cret-of-the-relay"}
    delivery = {"allow": "everybody", "breaker_after": 1}
    async with run(tmp_path, list(Role), email=email, delivery=delivery) as service:
        await service.until(200)
        await _start(service.parts)
        checks = await service.until(503)
        assert not checks["channels"]["ok"]
        assert "email" in checks["channels"]["message"]
        assert "bdnews doctor" in checks["channels"]["what_to_do"]
        assert checks["database"]["ok"]
        status, text = await service.ask(f"{service.operations}/ready")
        assert "readers.example" not in text
        assert "s3cret" not in text
        assert str(tmp_path) not in text
        assert await service.ask(f"{service.web}/ready") == (200, "ready")
        figures = await service.figures()
        assert figures["bdnews_breaker_open,way=email"] == 1
        assert figures["bdnews_ready"] == 0
        assert status == 503


async def _start(parts: Parts) -> None:
    from tests.making import Station  # noqa: PLC0415

    station = Station(parts, None)  # type: ignore[arg-type]  # nothing here goes to the sandbox
    await station.people(readers(3))
    await station.start(await station.publish())


async def test_a_schema_of_another_version_and_a_full_disk_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run(tmp_path, [Role.WEB]) as service:
        monkeypatch.setattr(readiness_module, "newest_revision", lambda: "9999")
        checks = (await service.ready())[1]
        assert "9999" in checks["database"]["message"]
        assert checks["database"]["what_to_do"]
        assert await service.ask(f"{service.web}/ready") == (503, "not ready")
        monkeypatch.undo()
        monkeypatch.setattr(readiness_module, "ANSWER_SECONDS", 0.0)
        monkeypatch.setattr(readiness_module, "LOWEST_FREE_BYTES", 2**60)
        status, checks = await service.ready()
        assert (status, checks["disk"]["ok"], checks["database"]["ok"]) == (503, False, True)
        assert "腾出空间" in checks["disk"]["what_to_do"]


async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    settings: Settings = test_settings(tmp_path)
    async with running(settings, [Role.WEB]) as (parts, _):
        found = {}
        for name in ("not-a-folder", "nowhere"):
            (tmp_path / "not-a-folder").touch()
            other = settings.service.model_copy(update={"data_folder": tmp_path / name})
            checks = await Readiness(settings.model_copy(update={"service": other}), parts.database).look()
            found[name] = next(check for check in checks if check.check == "disk")
    assert not found["not-a-folder"].ok
    assert found["not-a-folder"].what_to_do
    assert "not-a-folder" not in found["not-a-folder"].message
    assert found["nowhere"].ok, "nobody has needed it yet"


async def test_a_worker_that_no_longer_looks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run(tmp_path, [Role.WORKER]) as service:
        await service.until(200)
        monkeypatch.setattr(readiness_module, "LONGEST_LOOK_SECONDS", -1.0)
        checks = (await service.ready())[1]
        assert not checks["queue"]["ok"]
        assert "worker.look_failed" in checks["queue"]["what_to_do"]


async def test_answers_are_kept_for_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness_module, "ANSWER_SECONDS", 60.0)
    async with run(tmp_path, [Role.WEB]) as service:
        assert (await service.ready())[0] == 200
        monkeypatch.setattr(readiness_module, "newest_revision", lambda: "9999")
        assert (await service.ready())[0] == 200, "nobody keeps the database busy by asking"


async def test_a_second_process_on_the_port_says_so_and_works(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with run(tmp_path, [Role.WEB]) as first:
        port = first.parts.settings.operations.port
        with caplog.at_level(logging.WARNING, "bdnews_dispatch"):
            async with run(tmp_path, [Role.WORKER], operations={"port": port}) as second:
                assert second.parts.settings.operations.port == port
                assert (await first.ask(f"{first.operations}/live"))[0] == 200
        (line,) = [record for record in caplog.records if record.message == "operations.not_listening"]
        assert vars(line)["setting"] == "operations.port"
        assert vars(line)["port"] == port


async def test_port_0_is_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "bdnews_dispatch"):
        async with run(tmp_path, [Role.WEB], operations={"port": 0}) as service:
            assert await service.ask(f"{service.web}/live") == (200, "ok")
    assert not [record for record in caplog.records if record.message.startswith("operations")]


async def test_pages_are_counted_by_pattern_never_by_what_was_asked(tmp_path: Path) -> None:
    async with run(tmp_path, [Role.WEB]) as service:
        before = await service.figures()
        for path in ("/issues/dsj", "/issues/other-secret", "/no/such/secret", "/u/secret-token"):
            await service.ask(service.web + path)
        await service.ask(f"{service.web}/live", "PROPFIND")
        after = await service.figures()
    change = {key: value - before.get(key, 0) for key, value in after.items() if "http_requests" in key}
    assert change["bdnews_http_requests_total,method=GET,route=/issues/{publication},status=200"] == 1
    assert change["bdnews_http_requests_total,method=GET,route=/issues/{publication},status=404"] == 1
    assert change["bdnews_http_requests_total,method=GET,route=none,status=404"] == 1
    assert change["bdnews_http_requests_total,method=GET,route=/u/{token},status=404"] == 1
    assert change["bdnews_http_requests_total,method=other,route=none,status=405"] == 1
    assert not any("secret" in key or "PROPFIND" in key for key in after)
    assert after["bdnews_http_request_seconds_count,route=/u/{token}"] >= 1
