"""What the benchmarks send to says the right thing however the bytes are cut: else their figures are of something else.

The sink that answers at once is fed directly. The delaying relay runs as the process that the benchmarks start.
"""

import asyncio
import random
from contextlib import suppress
from itertools import combinations

from tests.benchmarks.instant_sink import InstantSink
from tests.benchmarks.sink import delaying

#: Two messages, the second envelope behind the first dot, as the service sends them. The first has a stuffed dot and
#: a dot inside a line; the second is empty.
DIALOGUE = (
    b"EHLO bench.example\r\n"
    b"MAIL FROM:<b+1@bounce.example> BODY=8BITMIME\r\nRCPT TO:<reader1@readers.example>\r\nDATA\r\n"
    b"Subject: 1\r\n\r\nDATA\r\nQUIT\r\n..\r\na.\r\n.b\r\n.\r\n"
    b"MAIL FROM:<b+2@bounce.example>\r\nRCPT TO:<reader2@readers.example>\r\nDATA\r\n"
    b".\r\n"
    b"RSET\r\nQUIT\r\n"
)
CODES = [b"250", b"250", b"250", b"354", b"250", b"250", b"250", b"354", b"250", b"250", b"221"]


def check(pieces: list[bytes]) -> None:
    sink = InstantSink()
    lines = b"".join(sink.answers(piece) for piece in pieces).splitlines()
    assert [line[:3] for line in lines if line[3:4] == b" "] == CODES, pieces
    assert sink.messages == 2, pieces


def test_the_instant_sink_counts_right_wherever_a_dialogue_is_cut() -> None:
    check([DIALOGUE])
    check([DIALOGUE[n : n + 1] for n in range(len(DIALOGUE))])
    for cut in range(1, len(DIALOGUE)):
        check([DIALOGUE[:cut], DIALOGUE[cut:]])
    for first, second in combinations(range(1, len(DIALOGUE)), 2):
        check([DIALOGUE[:first], DIALOGUE[first:second], DIALOGUE[second:]])


def test_the_instant_sink_takes_a_message_that_is_not_over_as_none() -> None:
    sink = InstantSink()
    sink.answers(DIALOGUE[: DIALOGUE.index(b"\r\n.\r\n") + 4])
    assert sink.messages == 0
    assert sink.answers(b"\n") == b"250 ok\r\n"
    assert sink.messages == 1


async def test_the_delaying_relay_passes_bytes_unchanged_both_ways_at_once() -> None:
    """More than its buffers hold, in pieces of all sizes."""
    chance = random.Random(7)
    there, back = chance.randbytes(3_000_001), chance.randbytes(2_000_003)

    async def send(writer: asyncio.StreamWriter, content: bytes, seed: int) -> None:
        sizes, at = random.Random(seed), 0
        while at < len(content):
            size = sizes.choice((1, 2, 100, 30_000, 300_000))
            writer.write(content[at : at + size])
            await writer.drain()
            at += size

    arrived: asyncio.Queue[bytes] = asyncio.Queue()

    async def target(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # The relay is found ready by a connection that says nothing and goes: not the one that is meant.
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            begin = await reader.readexactly(1)
            rest, _ = await asyncio.gather(reader.readexactly(len(there) - 1), send(writer, back, 2))
            arrived.put_nowait(begin + rest)
        writer.close()

    server = await asyncio.start_server(target, "127.0.0.1", 0)
    async with server:
        with delaying(server.sockets[0].getsockname()[1], 4.0) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            async with asyncio.timeout(30):
                came_back, _ = await asyncio.gather(reader.readexactly(len(back)), send(writer, there, 1))
                assert await arrived.get() == there
            assert came_back == back
            writer.close()
            await writer.wait_closed()
