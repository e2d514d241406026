"""The sandbox's mail server: takes every mail, keeps it, sends nothing on.

In: SMTP on an address of its own. Out: `KeptMail` in the mailbox. Called by sandbox.py. Built on aiosmtpd,
which ends a message at CRLF.CRLF alone (CVE-2024-27305).
"""

import asyncio
import logging
from collections.abc import Callable

from aiosmtpd.smtp import SMTP, Envelope, Session

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.errors import BdnewsError
from bdnews_dispatch.sandbox.faults import Faults, MailFault, MailStep
from bdnews_dispatch.sandbox.kept import KeptMail, MailBox

#: Larger than any digest, and than what public relays take (QQ 50 MB, Gmail 25 MB).
SIZE_LIMIT = 30 * 1024 * 1024
HOSTNAME = "sandbox.bdnews.example"

# aiosmtpd logs every envelope at INFO; addresses don't belong in logs.
logging.getLogger("mail.log").setLevel(logging.ERROR)
_log = logging.getLogger(__name__)


class _Dialogue(SMTP):
    """One connection, with faults where aiosmtpd has no hook."""

    def __init__(self, relay: "Relay") -> None:
        super().__init__(
            relay,
            hostname=HOSTNAME,
            ident="bdnews sandbox",
            enable_SMTPUTF8=True,
            data_size_limit=SIZE_LIMIT,
            loop=asyncio.get_running_loop(),
        )
        self._relay = relay
        self.body_fault: MailFault | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._relay.dialogues.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._relay.dialogues.discard(self)
        super().connection_lost(error)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802 — aiosmtpd finds commands by name
        """Faults before the message, then aiosmtpd's own."""
        self.body_fault = None
        for recipient in self.envelope.rcpt_tos if self.envelope else ():
            if fault := await self._relay.fault(self, recipient, "data"):
                await self.push(fault.reply)
                return
            fault = self._relay.faults.of_mail(recipient, "body")
            if fault and fault.drop == "body":
                await self.push("354 End data with <CR><LF>.<CR><LF>")
                await self._reader.readuntil(b"\r\n")
                await self.vanish()
            self.body_fault = self.body_fault or fault
        await super().smtp_DATA(arg)

    async def vanish(self) -> None:
        """Close without a word, and wait to be cancelled for it."""
        self._abort()
        await asyncio.get_running_loop().create_future()

    async def stop(self) -> None:
        """Close, and wait for its task."""
        task = self._handler_coroutine
        self._abort()
        if task is not None:
            await asyncio.wait({task}, timeout=1.0)

    def _abort(self) -> None:
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()


class Relay:
    """The server. Hooks named `handle_…` are called by aiosmtpd.

    Args:
        mailbox: where mails are kept.
        faults: what goes wrong.
        clock: for the time of each mail.
        arrived: called after each mail.
    """

    def __init__(
        self, mailbox: MailBox, faults: Faults, clock: Clock, arrived: Callable[[KeptMail], None]
    ) -> None:
        self.faults = faults
        self.dialogues: set[_Dialogue] = set()
        self._mailbox = mailbox
        self._clock = clock
        self._arrived = arrived
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen.

        Args:
            host: where.
            port: 0: any that is free.

        Returns:
            The address that it listens on.

        Raises:
            BdnewsError: it can't; says what to do.
        """
        try:
            self._server = await asyncio.get_running_loop().create_server(lambda: _Dialogue(self), host, port)
        except OSError as error:
            raise BdnewsError(
                f"沙箱的邮件端口 {host}:{port} 用不了：{error.strerror or error}",
                hint="可能已有一个沙箱在运行。请停掉它，或改 sandbox.smtp_port（0 表示任选一个空闲端口）。",
            ) from error
        name = self._server.sockets[0].getsockname()
        return str(name[0]), int(name[1])

    async def stop(self) -> None:
        """Close the port and every connection."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        for dialogue in list(self.dialogues):
            await dialogue.stop()

    async def fault(self, dialogue: _Dialogue, recipient: str, at: MailStep) -> MailFault | None:
        """Waits and drops as the fault says; gives it back if there is a reply to be sent instead."""
        fault = self.faults.of_mail(recipient, at)
        if fault is None:
            return None
        if fault.delay_seconds:
            await asyncio.sleep(fault.delay_seconds)
        if fault.drop:
            await dialogue.vanish()
        return fault if fault.reply else None

    async def handle_EHLO(  # noqa: N802  # aiosmtpd finds hooks by name
        self, server: _Dialogue, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """EHLO: aiosmtpd reads commands one by one from a buffer, so it may be given them in groups."""
        del server, envelope
        session.host_name = hostname
        return [*responses[:-1], "250-PIPELINING", responses[-1]] if self.faults.pipelining else responses

    async def handle_RCPT(  # noqa: N802 — aiosmtpd finds hooks by name
        self, server: _Dialogue, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """RCPT: taken, unless a fault is set."""
        del session
        if fault := await self.fault(server, address, "rcpt"):
            return fault.reply
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: _Dialogue, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """The message is there: keep it, say so."""
        del session
        fault = server.body_fault
        if fault and fault.delay_seconds:
            await asyncio.sleep(fault.delay_seconds)
        if fault and fault.reply:
            return fault.reply
        if fault and fault.drop and not fault.keep:
            await server.vanish()
        mail = self._mailbox.keep(
            envelope.mail_from or "",
            tuple(envelope.rcpt_tos),
            bytes(envelope.original_content or b""),
            self._clock(),
        )
        _log.debug("sandbox.mail", extra={"mail": mail.id, "size": mail.size})
        self._arrived(mail)
        if fault and fault.drop:
            await server.vanish()
        return f"250 2.0.0 Ok: queued as {mail.id:08d}"
