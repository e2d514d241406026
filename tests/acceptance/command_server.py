"""Runs `bdnews` in processes of their own that don't load everything anew: each is a fork of this one.

In: by a socket, a line of JSON: arguments, environment, folder, files for what it prints. Out: its number; its exit
code when it has ended. Loading the libraries took three quarters of a command's time, and there are hundreds. The
tests of the wheel, of upgrades and of service managers start it as an operator does.
"""

import json
import os
import select
import socket
import sys
from contextlib import suppress
from importlib import import_module
from typing import Any

from bdnews_dispatch.cli.entry import COMMANDS, main


def serve(path: str) -> None:
    """Until whoever started it closes its standard input. Single-threaded: a fork is whole."""
    for module, _ in COMMANDS.values():
        import_module(f"bdnews_dispatch.cli.{module}")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(16)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while sys.stdin not in select.select([listening, sys.stdin], [], [])[0]:
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                _answer(connection)
            connection.close()
            with suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


def _answer(connection: socket.socket) -> None:
    """In a process beside: starts the command, waits for it."""
    wanted = json.loads(connection.makefile().readline())
    child = os.fork()
    if child == 0:
        connection.close()
        os._exit(_run(wanted))
    connection.sendall(f"{child}\n".encode())
    _, status = os.waitpid(child, 0)
    connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _run(wanted: dict[str, Any]) -> int:
    os.setpgid(0, 0)
    os.environ.clear()
    os.environ.update(wanted["environment"])
    os.chdir(wanted["folder"])
    for number, file in ((1, wanted["stdout"]), (2, wanted["stderr"])):
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(descriptor, number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a text file, as it is everywhere
    sys.argv = ["bdnews", *wanted["arguments"]]
    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  # as the interpreter does at its end
        sys.excepthook(*sys.exc_info())
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    serve(sys.argv[1])
