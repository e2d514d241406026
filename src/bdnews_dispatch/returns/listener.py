"""The door for mail that comes back: SMTP or LMTP, for our own signed addresses alone.

In: mail to `b+KEY.MAC@…` and `unsubscribe+KEY.MAC@…`. Out: rows, before the sender is told that it was taken. Caller:
service/. aiosmtpd from 1.4.6 on takes CR LF . CR LF alone for the end of a mail (CVE-2024-27305).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session

from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.errors import BdnewsError
from bdnews_dispatch.links import Signer
from bdnews_dispatch.returns.recording import Returns
from bdnews_dispatch.returns.taking import Taker
from bdnews_dispatch.settings import ReturnsSettings

logger = logging.getLogger(__name__)

#: A mail that came back is about one of ours; more recipients is somebody who tries addresses.
_MOST_RECIPIENTS = 5
_SECONDS = 60
_LONGEST_LINE = 100_000
_MOST_CONNECTIONS = 40
_TAKEN = "250 2.0.0 taken"
_LATER = "451 4.3.0 try again later"


class _Handler:
    def __init__(self, taker: Taker) -> None:
        self._taker = taker

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Only addresses that we signed."""
        del server, session, options
        if len(envelope.rcpt_tos) >= _MOST_RECIPIENTS:
            return "452 4.5.3 too many recipients"
        if not self._taker.is_ours(_local(address)):
            return "550 5.1.1 no such address here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Taken means stored. LMTP answers for each recipient (RFC 2033 §4.2), SMTP once: what was stored already is
        known when the mail comes again.
        """
        del session
        raw = envelope.original_content or b""
        # The loop has pages to answer meanwhile, and the transaction is everybody's.
        read = await asyncio.to_thread(self._taker.read, raw)
        stored = [await self._taker.take(_local(address), raw, read) for address in envelope.rcpt_tos]
        answers = [_TAKEN if each else _LATER for each in stored]
        if isinstance(server, LMTP):
            return "\r\n".join(answers)
        return _TAKEN if all(stored) else _LATER

    async def handle_exception(self, error: Exception) -> str:
        """By itself aiosmtpd says 500 and the error's words: the mail would be lost, the words told to anybody."""
        logger.error("returns.failed", extra={"error": type(error).__name__}, exc_info=error)
        return _LATER


def _local(address: str) -> str:
    return address.strip("<>").rpartition("@")[0]


class _Lines:
    """What both protocols share.

    Reports quote originals whose lines are longer than 998 octets; refused for that, a bounce would be lost.
    """

    line_length_limit = _LONGEST_LINE

    def __init__(self, *arguments: Any, connections: set[object], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._connections = connections

    def connection_made(self, transport: Any) -> None:
        """One more; beyond `_MOST_CONNECTIONS` it is sent away: what they hold lies in memory."""
        if len(self._connections) >= _MOST_CONNECTIONS:
            transport.write(b"421 4.3.2 too many connections\r\n")
            transport.close()
            return
        self._connections.add(self)
        super().connection_made(transport)  # type: ignore[misc]  # of the protocol behind this one

    def connection_lost(self, error: Exception | None) -> None:
        if self in self._connections:
            self._connections.discard(self)
            super().connection_lost(error)  # type: ignore[misc]  # as above


class _Smtp(_Lines, SMTP):
    pass


class _Lmtp(_Lines, LMTP):
    pass


@asynccontextmanager
async def listening(
    settings: ReturnsSettings,
    database: Database,
    signer: Signer,
    returns: Returns,
    wake: Callable[[], None],
) -> AsyncIterator[tuple[str, int]]:
    """Listen while the context lasts.

    Yields:
        The address and port.

    Raises:
        BdnewsError: the address is taken.
    """
    kind = _Lmtp if settings.protocol == "lmtp" else _Smtp
    connections: set[object] = set()
    handler = _Handler(Taker(database, signer, returns, wake, way=settings.protocol))

    def protocol() -> SMTP:
        return kind(
            handler,
            connections=connections,
            hostname="bdnews-returns",
            ident="bdnews returns",
            data_size_limit=settings.max_bytes,
            timeout=_SECONDS,
            enable_SMTPUTF8=True,
        )

    try:
        server = await asyncio.get_running_loop().create_server(protocol, settings.host, settings.port)
    except OSError as error:
        raise BdnewsError(
            f"无法在 {settings.host}:{settings.port} 接收退信：{error.strerror}",
            hint="可能已有程序占用此端口；改设置 returns.port，0 为不接收。",
        ) from error
    try:
        host, port = server.sockets[0].getsockname()[:2]
        yield str(host), int(port)
    finally:
        server.close()
        await server.wait_closed()
