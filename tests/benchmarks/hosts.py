"""Three machines on one: network namespaces behind a bridge where the system lets us, else addresses of the loopback.

In: nothing. Out: hosts, each with a prefix for commands that run on it and the address at which it finds this machine.
Callers: the benchmarks of many workers. They run inside `unshare --net`, so that no interface of the system is touched.
"""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

HOSTS = 3
_HERE = "10.77.0.1"


@dataclass(frozen=True, slots=True)
class Host:
    """A machine.

    Attributes:
        prefix: in front of a command that runs on it.
        server: the address of the machine with the database and the relay, as this one sees it.
    """

    prefix: tuple[str, ...]
    server: str


def namespaces_can_be_made() -> bool:
    """Whether `unshare --net` works here, and two ends of a cable can be made inside."""
    if not all(shutil.which(tool) for tool in ("unshare", "nsenter", "ip")):
        return False
    cable = ["ip", "link", "add", "name", "bd0", "type", "veth", "peer", "name", "bd1"]
    return not subprocess.run(["unshare", "--net", *cable], capture_output=True, check=False).returncode


@contextmanager
def in_namespaces() -> Iterator[list[Host]]:
    """Hosts with a network of their own, on a bridge of this process's namespace; it must not be the system's."""
    _ip("link set lo up")
    _ip("link add name bd-hosts type bridge")
    _ip("link set bd-hosts up")
    _ip(f"addr add {_HERE}/24 dev bd-hosts")
    holders: list[subprocess.Popen[bytes]] = []
    try:
        hosts = []
        for number in range(HOSTS):
            # It says so when it is there; then it keeps the namespace.
            holder = subprocess.Popen(
                ["unshare", "--net", "sh", "-c", "echo; exec sleep infinity"], stdout=subprocess.PIPE
            )
            holders.append(holder)
            assert holder.stdout is not None
            holder.stdout.readline()
            prefix = ("nsenter", f"--net=/proc/{holder.pid}/ns/net")
            _ip(f"link add name bd-host{number} type veth peer name eth0 netns {holder.pid}")
            _ip(f"link set bd-host{number} master bd-hosts up")
            _ip("link set lo up", prefix)
            _ip(f"addr add 10.77.0.{number + 2}/24 dev eth0", prefix)
            _ip("link set eth0 up", prefix)
            hosts.append(Host(prefix, _HERE))
        yield hosts
    finally:
        for holder in holders:
            holder.kill()
            holder.wait()


@contextmanager
def on_loopback() -> Iterator[list[Host]]:
    """Hosts that differ by the address at which they find the server."""
    yield [Host((), f"127.0.0.{number + 2}") for number in range(HOSTS)]


def _ip(words: str, prefix: tuple[str, ...] = ()) -> None:
    subprocess.run([*prefix, "ip", *words.split()], check=True)
