"""A machine: real processes of the real command, each test in a folder and on ports of its own."""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.ports import free_port


@cache
def _command_server() -> str:
    """Where commands are taken; ends with this process."""
    path = str(Path(tempfile.mkdtemp(prefix="bdnews-commands-")) / "socket")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.acceptance.command_server", path],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONUTF8": "1"},
    )
    atexit.register(process.kill)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return path


class Forked:
    """A running `bdnews`, a fork of the command server: what the tests need of subprocess.Popen."""

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        *,
        stdout: Path,
        stderr: Path,
    ) -> None:
        """Args: stdout, stderr: files; what it prints is written behind what is in them."""
        self._server = socket.socket(socket.AF_UNIX)
        self._server.connect(_command_server())
        wanted = {
            "arguments": arguments,
            "environment": dict(environment),
            "folder": str(folder),
            "stdout": str(stdout),
            "stderr": str(stderr),
        }
        self._server.sendall(json.dumps(wanted).encode() + b"\n")
        self._said = self._server.makefile()
        self.pid = int(self._said.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code; None as long as it runs."""
        return self._ended_within(0)

    def wait(self, timeout: float) -> int:
        """Raises: subprocess.TimeoutExpired: it still runs after so many seconds."""
        code = self._ended_within(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("bdnews", timeout)
        return code

    def send_signal(self, number: int) -> None:
        """To it, if it runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """As hard as one can."""
        self.send_signal(signal.SIGKILL)

    def _ended_within(self, seconds: float) -> int | None:
        if self.returncode is None and select.select([self._server], [], [], seconds)[0]:
            self.returncode = int(self._said.readline())
            self._said.close()
            self._server.close()
        return self.returncode


def _command(
    arguments: Sequence[str], environment: Mapping[str, str], folder: Path
) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory() as printed:
        stdout, stderr = Path(printed) / "stdout", Path(printed) / "stderr"
        code = Forked(arguments, environment, folder, stdout=stdout, stderr=stderr).wait(120)
        return subprocess.CompletedProcess(
            list(arguments), code, stdout.read_text(encoding="utf-8"), stderr.read_text(encoding="utf-8")
        )


def _program(
    arguments: Sequence[str], environment: Mapping[str, str], folder: Path
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bdnews_dispatch", *arguments],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


Running = Forked | subprocess.Popen[Any]


class Machine:
    """Runs `bdnews` with settings from the environment, as an operator would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.web_port, self.smtp_port, self.http_port = free_port(), free_port(), free_port()
        self.base_url = f"http://127.0.0.1:{self.web_port}"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("BDNEWS_")},
            "BDNEWS_SERVICE__DATA_FOLDER": str(folder / "var"),
            "BDNEWS_DATABASE__URL": f"sqlite:///{folder}/var/bdnews.db",
            "BDNEWS_ISSUES__FOLDER": str(folder / "issues"),
            "BDNEWS_ISSUES__SETTLE_SECONDS": "0.2",
            "BDNEWS_WEB__PORT": str(self.web_port),
            "BDNEWS_SANDBOX__SMTP_PORT": str(self.smtp_port),
            "BDNEWS_SANDBOX__HTTP_PORT": str(self.http_port),
            "BDNEWS_OPERATIONS__PORT": "0",
        }
        self._running: list[Running] = []

    @property
    def _own(self) -> bool:
        """Not another installation, which is another program."""
        return self.environment.get("PYTHONPATH") == os.environ.get("PYTHONPATH")

    def run(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        run = _command if self._own else _program
        done = run(arguments, self.environment, self.folder)
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self.run(*arguments, "--json", code=code).stdout)

    def start(self, *arguments: str, until: str = "已启动", module: str = "bdnews_dispatch") -> Running:
        """Start a process that stays; wait for its word that it is up. Args: module: of tests/, instead of `bdnews`."""
        log = self.folder / f"{arguments[0]}-{len(self._running)}.log"
        log.touch()
        if self._own and module == "bdnews_dispatch":
            process: Running = Forked(arguments, self.environment, self.folder, stdout=log, stderr=log)
        else:
            process = self._started(arguments, module, log)
        self._running.append(process)
        deadline = time.monotonic() + 30
        while until not in log.read_text(encoding="utf-8"):
            assert process.poll() is None, log.read_text(encoding="utf-8")
            assert time.monotonic() < deadline, log.read_text(encoding="utf-8")
            time.sleep(0.02)
        return process

    def _started(self, arguments: Sequence[str], module: str, log: Path) -> "subprocess.Popen[str]":
        paths = (str(Path(__file__).parents[2]), self.environment.get("PYTHONPATH"))
        environment = {
            **self.environment,
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        }
        with log.open("w", encoding="utf-8") as output:
            return subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                env=environment,
                cwd=self.folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )

    def stop(self, process: Running, number: int = signal.SIGTERM) -> int:
        process.send_signal(number)
        return process.wait(timeout=40)

    def stop_all(self) -> None:
        for process in self._running:
            if process.poll() is None:
                process.kill()
            process.wait(timeout=10)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    machine.stop_all()
