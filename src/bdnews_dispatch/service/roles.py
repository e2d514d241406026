"""What a process does, and what it is called."""

import secrets
import socket
from enum import StrEnum

#: SIGTERM: what is on the wire is finished within this; systemd and Kubernetes wait 30 s by default.
DRAIN_SECONDS = 25.0


class Role(StrEnum):
    """What a process does."""

    WEB = "web"
    WORKER = "worker"
    SCHEDULER = "scheduler"


def node_name() -> str:
    """Unique to this process and start."""
    return f"{socket.gethostname()[:20]}-{secrets.token_hex(6)}"
