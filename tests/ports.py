"""Ports that are free, for programs that are told theirs. Not of those that the system gives to outgoing connections:
one that was free would be taken a moment later by somebody else's.
"""

import itertools
import os
import random
import socket

#: Below Linux's 32768 (net.ipv4.ip_local_port_range); each process of a test run has a thousand of its own.
_FIRST, _OWN = 20_000, 1_000
_next = itertools.count(random.randrange(_OWN))


def free_port() -> int:
    """One that nobody listens on, and that this process has not named lately."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 12
    for _ in range(_OWN):
        port = _FIRST + worker * _OWN + next(_next) % _OWN
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
    raise RuntimeError("no port is free")
