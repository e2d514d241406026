"""What benchmarks send to: Postfix's smtp-sink, a sink of our own that answers at once, a relay that adds a delay.

Each is its own process. In: nothing, or a port. Out: a port of 127.0.0.1. Caller: the benchmark's main.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.ports import free_port

_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
_WAIT_SECONDS = 20.0


def postfix_tool(name: str) -> str:
    """The path of `smtp-sink` or `smtp-source`; Debian's postfix is installed where it is missing and we may.

    Raises:
        RuntimeError: it is not there; says what to install.
    """
    found = shutil.which(name, path=_PATH)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "postfix"]
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (install, ["apt-get", "update", "-qq"], install):
            subprocess.run(command, env=environment, check=False, stdout=sys.stderr)
            if found := shutil.which(name, path=_PATH):
                break
    if found is None:
        raise RuntimeError(
            f"{name} is missing: install the package postfix (Debian: apt-get install postfix)"
        )
    return found


@contextmanager
def smtp_sink() -> Iterator[int]:
    """Postfix's sink: takes every mail and forgets it."""
    port = free_port()
    as_user = ["-u", "postfix"] if os.geteuid() == 0 else []
    with _process([postfix_tool("smtp-sink"), *as_user, f"127.0.0.1:{port}", "256"]):
        _wait_for(port)
        yield port


@contextmanager
def instant_sink(moments: Path | None = None) -> Iterator[int]:
    """Ours: answers at once and offers PIPELINING, as cheap as can be. Args: moments: a line for each mail's."""
    port = free_port()
    told = [str(moments)] if moments is not None else []
    with _process([sys.executable, "-m", "tests.benchmarks.instant_sink", str(port), *told]):
        _wait_for(port)
        yield port


@contextmanager
def delaying(target: int, milliseconds: float, host: str = "127.0.0.1") -> Iterator[int]:
    """A way to the target on which every round trip takes so much longer. Args: host: where it listens."""
    port = free_port()
    way = [str(port), str(target), str(milliseconds), host]
    with _process([sys.executable, "-m", "tests.benchmarks.delaying_relay", *way]):
        _wait_for(port, "127.0.0.1" if host == "0.0.0.0" else host)  # noqa: S104  # asked, not listened on
        yield port


@contextmanager
def _process(command: Sequence[str]) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(port: int, host: str = "127.0.0.1") -> None:
    give_up = time.monotonic() + _WAIT_SECONDS
    while True:
        try:
            socket.create_connection((host, port), 1).close()
        except OSError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.05)
        else:
            return
