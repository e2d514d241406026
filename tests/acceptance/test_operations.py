"""Roles as processes of their own, watched from outside, as an operator's Prometheus would."""

import json
import time
import urllib.request
from urllib.error import HTTPError, URLError

from tests.acceptance.conftest import Machine
from tests.ports import free_port


def ask(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, error.read().decode()


def ready(port: int) -> bool:
    try:
        return ask(port, "/ready")[0] == 200
    except URLError:
        return False


def test_each_role_tells_of_itself_and_a_taken_port_stops_none(machine: Machine) -> None:
    machine.environment["BDNEWS_SERVICE__LOG_FORMAT"] = "json"
    ports = {role: free_port() for role in ("worker", "scheduler")}
    processes = {}
    for role, port in ports.items():
        machine.environment["BDNEWS_OPERATIONS__PORT"] = str(port)
        processes[role] = machine.start(role)
    machine.environment["BDNEWS_OPERATIONS__PORT"] = str(ports["worker"])
    processes["web"] = machine.start("web")
    log = next(machine.folder.glob("web-*.log")).read_text(encoding="utf-8")
    (warning,) = [json.loads(line) for line in log.splitlines() if "operations.not_listening" in line]
    assert (warning["setting"], warning["port"]) == ("operations.port", ports["worker"])
    assert ask(machine.web_port, "/ready") == (200, "ready")
    assert ask(machine.web_port, "/metrics")[0] == 404
    deadline = time.monotonic() + 20
    while not all(ready(port) for port in ports.values()):
        assert time.monotonic() < deadline, {role: ask(port, "/ready") for role, port in ports.items()}
        time.sleep(0.05)
    told = {role: ask(port, "/metrics")[1] for role, port in ports.items()}
    assert 'bdnews_breaker_open{way="email"} 0.0' in told["worker"]
    assert "bdnews_breaker_open{" not in told["scheduler"]
    assert "bdnews_scheduler_tick_timestamp_seconds 0.0" in told["worker"]
    assert "bdnews_scheduler_tick_timestamp_seconds 1." in told["scheduler"]
    for process in processes.values():
        assert machine.stop(process) == 0


def test_serve_says_what_is_missing_for_traces(machine: Machine) -> None:
    machine.environment["BDNEWS_OPERATIONS__TRACES"] = "collector:4318"
    done = machine.run("web", code=1)
    assert "operations.traces" in done.stderr
