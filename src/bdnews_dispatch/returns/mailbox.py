"""Mail that comes back to a mailbox, where no MX can lead to the listener: fetched by IMAP, read and recorded the same.

In: `[mailbox]`. Out: rows; a mail is marked as read, and moved, only when it is stored. Caller: service/, in the
scheduler's role, so that one process of all reads it; `bdnews returns poll`. Of a mail's addresses only those that we
signed count, wherever a server keeps them (Delivered-To, X-Original-To, Envelope-To, To).
"""

import asyncio
import logging
import re
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email import policy
from email.parser import BytesHeaderParser
from typing import TypeVar, TypeVarTuple

from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError

from bdnews_dispatch.errors import BdnewsError
from bdnews_dispatch.returns.taking import Taker
from bdnews_dispatch.settings import MailboxSettings
from bdnews_dispatch.telemetry import metrics

logger = logging.getLogger(__name__)
_Args = TypeVarTuple("_Args")
_Result = TypeVar("_Result")

#: Mails a look; the rest is for the next one, so that a full mailbox holds nothing up.
_MOST_AT_ONCE = 200
#: Behind a look that failed: doubled each time, up to this.
_LONGEST_REST = 900.0
_RECIPIENTS = ("Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "X-Delivered-To", "To", "Cc")
_LOCAL = re.compile(r"([A-Za-z0-9+._=-]{8,64})@")
#: As the listener: a mail that came back is about one of ours.
_MOST_RECIPIENTS = 5


class MailboxError(BdnewsError):
    """The mailbox can't be read."""


@dataclass(frozen=True, slots=True)
class Polled:
    """A look into the mailbox.

    Attributes:
        taken: stored, now or since earlier.
        waiting: not stored: they stay unread, for the next look.
        not_ours: to none of our addresses: read, and left where they are.
        cut: of those taken, larger than `returns.max_bytes`: the front was read.
    """

    taken: int = 0
    waiting: int = 0
    not_ours: int = 0
    cut: int = 0


class Mailbox:
    """One mailbox.

    Args:
        settings: with a host.
        max_bytes: of a mail, no more is fetched.
    """

    def __init__(self, settings: MailboxSettings, taker: Taker, *, max_bytes: int) -> None:
        self._settings = settings
        self._taker = taker
        self._max_bytes = max_bytes

    async def run(self) -> None:
        """Look again and again, until cancelled. What goes wrong is logged, and tried again later."""
        rest = float(self._settings.every_seconds)
        while True:
            try:
                await self.poll()
                rest = float(self._settings.every_seconds)
            except MailboxError as error:
                logger.warning("mailbox.failed", extra={"error": str(error)})
                rest = min(rest * 2, _LONGEST_REST)
            except Exception:
                logger.exception("mailbox.failed")
                rest = min(rest * 2, _LONGEST_REST)
            await asyncio.sleep(rest)

    async def poll(self) -> Polled:
        """Take what is unread.

        Raises:
            MailboxError: the server is away, or refuses; what was stored before is marked.
        """
        try:
            polled = await self._poll()
        except MailboxError:
            metrics.mailbox_polled("failed")
            raise
        metrics.mailbox_polled("done")
        if polled != Polled():
            logger.info(
                "mailbox.polled",
                extra={
                    "taken": polled.taken,
                    "waiting": polled.waiting,
                    "not_ours": polled.not_ours,
                    "cut": polled.cut,
                },
            )
        return polled

    async def _poll(self) -> Polled:
        opened: list[IMAPClient] = []
        try:
            with self._told():
                await _to_the_end(self._open, opened)
            (client,) = opened
            with self._told():
                unread = await _to_the_end(self._unread, client)
            taken = waiting = not_ours = cut = 0
            for number in unread:
                with self._told():
                    raw, whole = await _to_the_end(self._fetch, client, number)
                if raw is None:  # somebody else has deleted it
                    continue
                addresses = [local for local in _locals(raw) if self._taker.is_ours(local)][:_MOST_RECIPIENTS]
                if not addresses:
                    not_ours += 1
                elif await self._take(addresses, raw):
                    taken += 1
                    cut += not whole
                else:
                    waiting += 1
                    continue
                with self._told():
                    await _to_the_end(self._mark, client, number, bool(addresses))
            return Polled(taken, waiting, not_ours, cut)
        finally:
            for client in opened:
                await _to_the_end(_close, client)

    async def _take(self, addresses: Sequence[str], raw: bytes) -> bool:
        read = await asyncio.to_thread(self._taker.read, raw)
        return all([await self._taker.take(local, raw, read) for local in addresses])

    def _open(self, opened: list[IMAPClient]) -> None:
        """Args: opened: gets the connection as soon as there is one, for whoever closes it."""
        settings = self._settings
        context = ssl.create_default_context(cafile=settings.ca_file or None)
        client = IMAPClient(
            settings.host,
            settings.port,
            use_uid=True,
            ssl=settings.security == "tls",
            ssl_context=context,
            timeout=settings.timeout_seconds,
        )
        opened.append(client)
        if settings.security == "starttls":
            client.starttls(context)
        client.login(settings.username, settings.password.get_secret_value())
        client.select_folder(settings.folder)
        if settings.done and not client.folder_exists(settings.done):
            client.create_folder(settings.done)

    def _unread(self, client: IMAPClient) -> list[int]:
        return sorted(client.search(["UNSEEN", "UNDELETED"]))[:_MOST_AT_ONCE]

    def _fetch(self, client: IMAPClient, number: int) -> tuple[bytes | None, bool]:
        """The mail, or its front, and whether it is whole. It is not marked as read by that."""
        size = client.fetch([number], ["RFC822.SIZE"]).get(number, {}).get(b"RFC822.SIZE", 0)
        found = client.fetch([number], [f"BODY.PEEK[]<0.{self._max_bytes}>"]).get(number, {})
        raw = next((value for name, value in found.items() if name.startswith(b"BODY[]")), None)
        return (bytes(raw) if raw is not None else None), size <= self._max_bytes

    def _mark(self, client: IMAPClient, number: int, move: bool) -> None:
        client.add_flags([number], [b"\\Seen"])
        if not (move and self._settings.done):
            return
        if client.has_capability("MOVE"):
            client.move([number], self._settings.done)
        else:
            client.copy([number], self._settings.done)
            client.delete_messages([number])
            if client.has_capability("UIDPLUS"):
                client.uid_expunge([number])

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What the server, the network or TLS say, in our words; never the password."""
        settings = self._settings
        where = f"{settings.host}:{settings.port}"
        try:
            yield
        except ssl.SSLError as error:
            raise MailboxError(
                f"退信邮箱 {where} 不能安全地连上：{error.reason or error}",
                hint="请检查 mailbox.security、mailbox.ca_file 与证书上的名字。没有明文登录过。",
            ) from error
        except IMAPClientError as error:
            raise MailboxError(
                f"退信邮箱 {where} 拒绝：{_words(error, settings)}",
                hint="请检查 mailbox.username、mailbox.password 与 mailbox.folder。未读的邮件都还在。",
            ) from error
        except OSError as error:
            raise MailboxError(
                f"退信邮箱 {where} 连不上：{error}", hint="请检查 mailbox.host 与网络；稍后会再试。"
            ) from error


async def _to_the_end(step: Callable[[*_Args], _Result], *args: *_Args) -> _Result:
    """One step of the dialogue, in a thread; who is cancelled meanwhile waits for its end: nobody else may speak on
    the connection before, or close it.
    """
    running = asyncio.ensure_future(asyncio.to_thread(step, *args))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


def _close(client: IMAPClient) -> None:
    """Politely, else at once; what went wrong before counts, not that the connection is gone already."""
    try:
        client.logout()
    except (IMAPClientError, OSError):
        with suppress(OSError):
            client.shutdown()


def _words(error: Exception, settings: MailboxSettings) -> str:
    text = str(error)
    for secret in (settings.password.get_secret_value(), settings.username):
        if secret:
            text = text.replace(secret, "…")
    return text[:200]


def _locals(raw: bytes) -> Iterator[str]:
    """What stands before an @ in the fields that name recipients, each once."""
    fields = BytesHeaderParser(policy=policy.compat32).parsebytes(raw[:65_536])
    found: dict[str, None] = {}
    for name in _RECIPIENTS:
        for value in fields.get_all(name, []):
            found.update(dict.fromkeys(_LOCAL.findall(str(value))))
    yield from found
