"""Passes bytes on, each piece later by half of a round trip: `… delaying_relay PORT TARGET MILLISECONDS [HOST]`.

Pieces keep their order and do not wait for one another: the way is longer, not narrower.
"""

import asyncio
import sys

import uvloop


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def read() -> None:
        while data := await reader.read(1 << 18):
            pieces.put_nowait((loop.time() + seconds, data))
        pieces.put_nowait((loop.time() + seconds, b""))

    reading = asyncio.create_task(read())
    try:
        while True:
            moment, data = await pieces.get()
            await asyncio.sleep(max(0.0, moment - loop.time()))
            if not data:
                break
            writer.write(data)
    finally:
        reading.cancel()
        writer.close()


async def serve(port: int, target: int, milliseconds: float, host: str = "127.0.0.1") -> None:
    """Until cancelled. Args: host: where it listens; the target is on this machine."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        out_reader, out_writer = await asyncio.open_connection("127.0.0.1", target, limit=1 << 20)
        seconds = milliseconds / 2000
        await asyncio.gather(
            _pass_on(reader, out_writer, seconds),
            _pass_on(out_reader, writer, seconds),
            return_exceptions=True,
        )

    server = await asyncio.start_server(connected, host, port, limit=1 << 20, backlog=256)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), *sys.argv[4:]))
