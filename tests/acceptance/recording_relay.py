"""Writes down every mail before it says 250: `python -m tests.acceptance.recording_relay PORT FILE`.

A line a mail: recipient, Message-ID, the moment of its dot (seconds since 1970), tabs between them. It stands in for
the world in tests that kill the service: what is in the file was delivered. Commands may come in groups (it offers
PIPELINING). Each answer behind a dot waits a moment, as a relay's disk does, so that a kill finds mails at every step;
FILE.seconds says how long, and may change.
"""

import asyncio
import re
import sys
import time
from pathlib import Path
from typing import TextIO

#: Before the answer behind a dot.
DISK_SECONDS = 0.001

_RECIPIENT = re.compile(rb"RCPT TO:<([^>]*)>", re.IGNORECASE)
_MESSAGE_ID = re.compile(rb"^Message-ID: <([^>]*)>", re.IGNORECASE | re.MULTILINE)


def seconds(told: Path) -> float:
    """What is to be waited."""
    return float(told.read_text()) if told.exists() else DISK_SECONDS


async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, file: TextIO, told: Path) -> None:
    """One connection."""
    recipient = b""
    writer.write(b"220 relay ESMTP\r\n")
    try:
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb == b"EHLO":
                writer.write(b"250-relay\r\n250-PIPELINING\r\n250-SIZE\r\n250 8BITMIME\r\n")
            elif verb == b"RCPT":
                found = _RECIPIENT.match(line)
                recipient = found[1] if found else b""
                writer.write(b"250 ok\r\n")
            elif verb == b"DATA":
                writer.write(b"354 go\r\n")
                message = await reader.readuntil(b"\r\n.\r\n")
                moment = time.time()
                await asyncio.sleep(seconds(told))
                found = _MESSAGE_ID.search(message)
                message_id = found[1].decode() if found else ""
                file.write(f"{recipient.decode()}\t{message_id}\t{moment:.4f}\n")
                file.flush()
                writer.write(b"250 2.0.0 Ok: queued\r\n")
            elif verb == b"QUIT":
                writer.write(b"221 bye\r\n")
                return
            else:
                writer.write(b"250 ok\r\n")
    except (ConnectionError, asyncio.IncompleteReadError):
        return  # a message without its dot is no mail
    finally:
        writer.close()


async def serve(port: int, path: Path) -> None:
    """Until the process ends."""
    with path.open("a", encoding="utf-8") as file:
        server = await asyncio.start_server(
            lambda reader, writer: talk(reader, writer, file, path.with_suffix(".seconds")),
            "127.0.0.1",
            port,
            limit=1 << 22,
            backlog=256,
        )
        async with server:
            await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
