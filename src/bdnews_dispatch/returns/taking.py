"""Taking one mail that came back to one of our signed addresses, in a transaction of its own.

In: the address's local part, the mail. Out: rows; whether it is stored. Callers: the listener, the mailbox.
"""

import logging
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.errors import StorageError, TokenError
from bdnews_dispatch.links import Purpose, Signer
from bdnews_dispatch.returns.recording import Recorded, Returns, TooEarlyError
from bdnews_dispatch.telemetry import metrics

logger = logging.getLogger(__name__)


class Taker:
    """Takes mails.

    Args:
        wake: told when something was stored.
        way: how they come: `smtp`, `lmtp`, `imap`.
    """

    def __init__(
        self, database: Database, signer: Signer, returns: Returns, wake: Callable[[], None], *, way: str
    ) -> None:
        self._database = database
        self._signer = signer
        self._returns = returns
        self._wake = wake
        self._way = way

    def is_ours(self, local: str) -> bool:
        """Whether we signed this address: a bounce that anybody can forge suppresses nobody."""
        try:
            self._signer.read_returned(local)
        except TokenError:
            return False
        return True

    def read(self, raw: bytes) -> Recorded:
        """What it says. It takes its time: call it in a thread."""
        return self._returns.read(raw)

    async def take(self, local: str, raw: bytes, read: Recorded) -> bool:
        """Take it.

        Args:
            local: before the @ of the address that it was sent to; one of ours.
            read: by `read`.

        Returns:
            Whether it is stored, now or since earlier; else it must be handed over again later.
        """
        purpose, key = self._signer.read_returned(local)
        try:
            async with self._database.write() as transaction:
                recorded = await self._returns.take(
                    transaction, key, raw, read, way=self._way, leave=purpose is Purpose.LEAVE
                )
        except (SQLAlchemyError, StorageError, TooEarlyError) as error:
            logger.warning("returns.not_stored", extra={"error": type(error).__name__})
            return False
        if recorded.fresh:
            metrics.mail_returned(recorded.returned.kind, recorded.verdict or "")
            self._wake()
        logger.info(
            "returns.taken",
            extra={
                "kind": recorded.returned.kind,
                "verdict": recorded.verdict or "",
                "rule": recorded.rule,
                "fresh": recorded.fresh,
            },
        )
        return True
