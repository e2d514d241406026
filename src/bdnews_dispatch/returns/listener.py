"""The door for mail that comes back: SMTP or LMTP, for our own signed addresses alone.

In: mail to `b+KEY.MAC@…` and `unsubscribe+KEY.MAC@…`. Out: rows, before the sender is told that it was taken. Caller:
service.py. aiosmtpd from 1.4.6 on takes CR LF . CR LF alone for the end of a mail (CVE-2024-27305).
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session
from sqlalchemy.exc import SQLAlchemyError

from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.errors import BdnewsError, StorageError, TokenError
from bdnews_dispatch.links import UNSUBSCRIBE_TO, Signer
from bdnews_dispatch.returns.recording import Returns
from bdnews_dispatch.settings import ReturnsSettings
from bdnews_dispatch.telemetry import metrics

logger = logging.getLogger(__name__)

#: A mail that came back is about one of ours; more recipients is somebody who tries addresses.
_MOST_RECIPIENTS = 5
_SECONDS = 60


class _Handler:
    def __init__(
        self, database: Database, signer: Signer, returns: Returns, wake: Callable[[], None], way: str
    ) -> None:
        self._database = database
        self._signer = signer
        self._returns = returns
        self._wake = wake
        self._way = way

    async def handle_RCPT(  # noqa: N802  # aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Only addresses that we signed: a bounce that anybody can forge suppresses nobody."""
        del server, session, options
        if len(envelope.rcpt_tos) >= _MOST_RECIPIENTS:
            return "452 4.5.3 too many recipients"
        try:
            self._signer.read_returned(address.strip("<>").rpartition("@")[0])
        except TokenError:
            return "550 5.1.1 no such address here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Taken means stored."""
        del server, session
        raw = envelope.original_content or b""
        try:
            for address in envelope.rcpt_tos:
                local = address.strip("<>").rpartition("@")[0].lower()
                key = self._signer.read_returned(local)
                async with self._database.write() as transaction:
                    recorded = await self._returns.take(
                        transaction,
                        key,
                        raw,
                        way=self._way,
                        unsubscribe=local.startswith(UNSUBSCRIBE_TO),
                    )
                metrics.mail_returned(recorded.returned.kind, recorded.verdict or "")
                logger.info(
                    "returns.taken",
                    extra={
                        "kind": recorded.returned.kind,
                        "verdict": recorded.verdict or "",
                        "rule": recorded.rule,
                        "fresh": recorded.fresh,
                    },
                )
        except (SQLAlchemyError, StorageError) as error:
            logger.warning("returns.not_stored", extra={"error": type(error).__name__})
            return "451 4.3.0 try again later"
        self._wake()
        return "250 2.0.0 taken"


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
    kind = LMTP if settings.protocol == "lmtp" else SMTP
    handler = _Handler(database, signer, returns, wake, settings.protocol)

    def protocol() -> SMTP:
        return kind(
            handler,
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
