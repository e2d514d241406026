"""Mail goes out here: MAIL, RCPT, the gate, DATA, the message, and what the relay said to it.

In: an `OutgoingMail` and the ledger's gate. Out: an `Outcome`; no exception for anything a relay does. Called
by dispatch/. What failed before the message had left was certainly not delivered (RFC 5321 §4.1.1.10); what
got no answer behind its final dot may have been.
"""

import asyncio
import logging
import ssl
from email.utils import parseaddr
from types import TracebackType
from typing import Self

import aiosmtplib

from bdnews_dispatch.channels.email.addresses import BadAddressError, Mailbox, parse_mailbox
from bdnews_dispatch.channels.email.connection import (
    BodyLostError,
    Connection,
    RelayError,
    RelaySettings,
    open_connection,
)
from bdnews_dispatch.channels.email.message import OutgoingMail, fault_of, on_the_wire
from bdnews_dispatch.channels.email.pool import ConnectionPool
from bdnews_dispatch.channels.email.replies import ReplyRules, Stage
from bdnews_dispatch.channels.outcome import Gate, Outcome, OutcomeKind
from bdnews_dispatch.errors import ChannelError

_log = logging.getLogger(__name__)


class _StaleError(Exception):
    """A connection out of the pool was dead when it was used: nothing was sent, take a new one."""


class EmailChannel:
    """One relay.

    Args:
        settings: `EmailSettings`, or anything with the same fields.
        rules: what refusals mean.
        tls: instead of the machine's own certificate authorities.
    """

    def __init__(
        self, settings: RelaySettings, rules: ReplyRules, *, tls: ssl.SSLContext | None = None
    ) -> None:
        self._settings = settings
        self._rules = rules
        self._tls = tls
        self._pool = ConnectionPool(
            self._connect,
            limit=settings.connections,
            messages_per_connection=settings.messages_per_connection,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._pool.close()

    async def send(self, mail: OutgoingMail, gate: Gate) -> Outcome:
        """Send one mail.

        Args:
            mail: what and to whom.
            gate: asked once, after the relay accepted the recipient and before DATA.

        Returns:
            What happened. ACCEPTED only on a 2xx behind the final dot; UNCERTAIN only where the dot may have
            gone out.

        Raises:
            Exception: what `gate` or `mail.content` raise; nothing was sent then.
            asyncio.CancelledError: the connection is closed; after the gate the delivery is in doubt.
        """
        try:
            sender, recipient = _mailbox(mail.sender), _mailbox(mail.recipient)
        except BadAddressError as error:
            return Outcome(OutcomeKind.REFUSED, "address.invalid", str(error), "smtp")
        try:
            try:
                outcome = await self._attempt(mail, sender, recipient, gate, fresh=False)
            except _StaleError:
                outcome = await self._attempt(mail, sender, recipient, gate, fresh=True)
        except RelayError as error:
            outcome = Outcome(
                OutcomeKind.UNAVAILABLE, error.code, error.message[:500], "smtp", remedy=error.remedy
            )
        _log.debug(
            "email.outcome",
            extra={
                "delivery": mail.delivery_id,
                "outcome": outcome.kind.value,
                "code": outcome.code,
                "rule": outcome.rule,
                "domain": recipient.domain,
            },
        )
        return outcome

    async def check(self) -> str:
        """Connect, EHLO, AUTH, NOOP: for `bdnews doctor`.

        Returns:
            What the relay said and offers, one line.

        Raises:
            ChannelError: it can't be used; the hint says what to do.
        """
        connection = await self._connect()
        try:
            response = await connection.noop()
            parts = [
                f"{self._settings.host}:{self._settings.port}",
                connection.cipher or "明文",
                f"已登录 {self._settings.username}" if self._settings.username else "未登录",
                f"服务器 {connection.greeting}",
                f"NOOP {response.code}",
                "支持 " + " ".join(sorted(connection.extensions)).upper(),
            ]
        except (aiosmtplib.SMTPException, OSError) as error:
            raise ChannelError("邮件中继接受了连接，但没有回答 NOOP", hint="请查看中继的日志。") from error
        finally:
            await connection.quit()
        return "，".join(parts)

    async def _connect(self) -> Connection:
        if self._settings.security != "none" and self._tls is None:
            # Reading the machine's certificate authorities takes 20 ms and more.
            self._tls = await asyncio.to_thread(ssl.create_default_context)
        return await open_connection(self._settings, self._tls)

    async def _attempt(
        self, mail: OutgoingMail, sender: Mailbox, recipient: Mailbox, gate: Gate, *, fresh: bool
    ) -> Outcome:
        async with self._pool.connection(fresh=fresh) as connection:
            offered = connection.extensions
            if (sender.needs_smtputf8 or recipient.needs_smtputf8) and "smtputf8" not in offered:
                return Outcome(
                    OutcomeKind.REFUSED,
                    "address.smtputf8",
                    "地址含非 ASCII 字符，而中继不支持 SMTPUTF8",
                    "smtp",
                )
            eight_bit = "8bitmime" in offered
            message = mail.content(eight_bit)
            if fault := fault_of(message, eight_bit=eight_bit):
                return Outcome(OutcomeKind.REFUSED, *fault, "smtp")
            options = _mail_options(
                message, offered, smtputf8=sender.needs_smtputf8 or recipient.needs_smtputf8
            )
            if refusal := await self._envelope(connection, sender, recipient, options):
                return refusal
            if not await gate():
                return Outcome(OutcomeKind.GATE_CLOSED, "gate.closed", "", "smtp")
            return await self._message(connection, message, recipient)

    async def _envelope(
        self, connection: Connection, sender: Mailbox, recipient: Mailbox, options: list[str]
    ) -> Outcome | None:
        """MAIL and RCPT; None if both were accepted."""
        reused = connection.sent > 0
        stage = Stage.MAIL
        try:
            await connection.mail(sender.address, options)
            stage = Stage.RCPT
            await connection.rcpt(recipient.address)
        except aiosmtplib.SMTPResponseException as error:
            return self._refused(connection, error.code, error.message, stage, recipient)
        except aiosmtplib.SMTPTimeoutError:
            connection.abort()
            return Outcome(OutcomeKind.DEFERRED, f"timeout.{stage.value}", "中继没有按时回答", "smtp")
        except (aiosmtplib.SMTPException, OSError) as error:
            connection.abort()
            if reused:
                raise _StaleError from error
            return Outcome(OutcomeKind.DEFERRED, "connection.lost", "连接在正文之前中断", "smtp")
        return None

    async def _message(self, connection: Connection, message: bytes, recipient: Mailbox) -> Outcome:
        """DATA, the message, the dot. The gate is open."""
        try:
            response = await connection.data()
        except aiosmtplib.SMTPResponseException as error:
            return self._refused(connection, error.code, error.message, Stage.DATA, recipient)
        except aiosmtplib.SMTPTimeoutError:
            connection.abort()
            return Outcome(OutcomeKind.DEFERRED, "timeout.data", "中继没有按时回答 DATA", "smtp")
        except (aiosmtplib.SMTPException, OSError):
            connection.abort()
            return Outcome(OutcomeKind.DEFERRED, "connection.lost", "连接在正文之前中断", "smtp")
        if response.code != aiosmtplib.SMTPStatus.start_input:
            return self._refused(connection, response.code, response.message, Stage.DATA, recipient)
        try:
            response = await connection.body(on_the_wire(message), self._settings.final_timeout_seconds)
        except BodyLostError as error:
            if error.dot_may_be_out:
                return Outcome(
                    OutcomeKind.UNCERTAIN, error.code, "正文之后没有收到回答，可能已经送达", "smtp"
                )
            return Outcome(OutcomeKind.DEFERRED, error.code, "连接在正文发完之前中断", "smtp")
        if not 200 <= response.code < 300 and not 400 <= response.code < 600:
            connection.abort()
            return Outcome(
                OutcomeKind.UNCERTAIN, "reply.malformed", "正文之后的回答无法理解，可能已经送达", "smtp"
            )
        return self._rules.classify(response.code, response.message, Stage.BODY, recipient=recipient.address)

    def _refused(
        self, connection: Connection, code: int, text: str, stage: Stage, recipient: Mailbox
    ) -> Outcome:
        """A reply other than the one hoped for, before any byte of the message."""
        if not 400 <= code < 600:
            # Nonsense (aiosmtplib says -1), or a 2xx to DATA: who knows what is answered next.
            connection.abort()
            return Outcome(OutcomeKind.DEFERRED, "reply.malformed", "中继的回答无法理解", "smtp")
        return self._rules.classify(code, text, stage, recipient=recipient.address)


def _mailbox(address: str) -> Mailbox:
    mailbox = parse_mailbox(address)
    # aiosmtplib takes an address apart once more, by a laxer rule: what it would send must be what we
    # checked.
    if parseaddr(mailbox.address)[1] != mailbox.address:
        raise BadAddressError("地址有歧义")
    return mailbox


def _mail_options(message: bytes, offered: frozenset[str], *, smtputf8: bool) -> list[str]:
    options = []
    if "size" in offered:
        options.append(f"SIZE={len(message)}")  # RFC 1870: too large is refused before it is sent
    if not message.isascii():
        options.append("BODY=8BITMIME")
    if smtputf8:
        options.append("SMTPUTF8")
    return options
