"""A mail server that answers at once and forgets: `python -m tests.benchmarks.instant_sink PORT [FILE]`.

With a file it writes down the moment of each mail (seconds since 1970), a line a mail.
"""

import asyncio
import contextlib
import sys
import time
from pathlib import Path
from typing import TextIO, cast

import uvloop

_END = b"\r\n.\r\n"


class InstantSink(asyncio.Protocol):
    """One connection. Commands may come in groups, a message and the commands behind it in one piece or in many.

    Attributes:
        messages: how many have ended.
    """

    def __init__(self, moments: TextIO | None = None) -> None:
        """Args: moments: where to write when each mail ended."""
        self.messages = 0
        self._moments = moments
        self._pending = b""
        self._in_message = False
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is of a class of its own
        self._transport.write(b"220 sink ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        out = self.answers(data)
        if out:
            self._transport.write(out)
        if out.endswith(b"221 bye\r\n"):
            self._transport.close()

    def answers(self, data: bytes) -> bytes:
        """What is said to the next piece of what came in."""
        self._pending += data
        out = []
        while True:
            if self._in_message:
                # The line end of DATA stands in front, so that a lone dot ends an empty message.
                end = self._pending.find(_END)
                if end < 0:
                    self._pending = self._pending[-(len(_END) - 1) :]
                    break
                self._pending = self._pending[end + len(_END) :]
                self._in_message = False
                self.messages += 1
                if self._moments is not None:
                    self._moments.write(f"{time.time():.4f}\n")
                out.append(b"250 ok\r\n")
                continue
            line, found, rest = self._pending.partition(b"\r\n")
            if not found:
                break
            self._pending = rest
            verb = line[:4].upper()
            if verb == b"DATA":
                self._in_message = True
                self._pending = b"\r\n" + self._pending
                out.append(b"354 go\r\n")
            elif verb == b"EHLO":
                out.append(b"250-sink\r\n250-PIPELINING\r\n250-SIZE\r\n250 8BITMIME\r\n")
            else:
                out.append(b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
        return b"".join(out)


async def _serve(port: int, moments: TextIO | None) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: InstantSink(moments), "127.0.0.1", port, backlog=256)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    with contextlib.ExitStack() as stack:
        told = [
            stack.enter_context(Path(name).open("a", buffering=1, encoding="ascii")) for name in sys.argv[2:3]
        ]
        runner = stack.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
        runner.run(_serve(int(sys.argv[1]), told[0] if told else None))
