"""Mail goes out here: the envelope, the body, the gate, the final dot, and what the relay said to it.

In: an `OutgoingMail` and the ledger's gate, one at a time (`send`) or over a line (`line`). Out: an `Outcome`; no
exception for anything a relay does. Called by dispatch/. What failed before the final dot was certainly not delivered
(RFC 5321 §4.1.1.10); what got no answer behind it may have been.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

import aiosmtplib

from bdnews_dispatch.channels.email.connection import (
    Connection,
    Passed,
    RelayError,
    RelaySettings,
    open_connection,
    unheard,
)
from bdnews_dispatch.channels.email.line import Line, StaleLineError, StepwiseLine
from bdnews_dispatch.channels.email.message import OutgoingMail
from bdnews_dispatch.channels.email.pipelining import PipelinedLine
from bdnews_dispatch.channels.email.pool import LinePool
from bdnews_dispatch.channels.email.replies import ReplyRules
from bdnews_dispatch.channels.outcome import Gate, Outcome, OutcomeKind
from bdnews_dispatch.errors import ChannelError, Phrase

_log = logging.getLogger(__name__)


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
        self._in_step = True
        self._pool = LinePool(
            self._open_line,
            limit=settings.connections,
            messages_per_connection=settings.messages_per_connection,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._pool.close()

    @asynccontextmanager
    async def line(self, *, fresh: bool = False) -> AsyncIterator[Line]:
        """A line of the pool, for one mail or for many (`is_spent` says when to take another).

        Args:
            fresh: a new connection, whatever stands idle.

        Raises:
            RelayError: the relay can't be used; nothing was sent.
        """
        async with self._pool.line(fresh=fresh) as line:
            yield line

    def is_spent(self, line: Line) -> bool:
        """Whether no other mail may go over the line."""
        return self._pool.is_spent(line)

    async def send(self, mail: OutgoingMail, gate: Gate) -> Outcome:
        """Send one mail.

        Args:
            mail: what and to whom.
            gate: asked once, when all but the final dot is out.

        Returns:
            What happened. ACCEPTED only on a 2xx behind the final dot; UNCERTAIN only where the dot may have
            gone out.

        Raises:
            Exception: what `gate` or `mail.content` raise; nothing was sent then.
            asyncio.CancelledError: the connection is closed; after the gate the delivery is in doubt.
        """
        try:
            try:
                outcome = await self._attempt(mail, gate, fresh=False)
            except StaleLineError:
                outcome = await self._attempt(mail, gate, fresh=True)
        except RelayError as error:
            outcome = unavailable(error)
        _log.debug(
            "email.outcome",
            extra={
                "delivery": mail.delivery_id,
                "outcome": outcome.kind.value,
                "code": outcome.code,
                "rule": outcome.rule,
            },
        )
        return outcome

    async def check(self, passed: Passed = unheard) -> str:
        """Connect, EHLO, AUTH, NOOP: for `bdnews doctor` and the console. No mail goes out.

        Args:
            passed: told of each step that is done.

        Returns:
            What the relay said and offers, one line.

        Raises:
            ChannelError: it can't be used; the hint says what to do.
        """
        connection = await self._connect(passed)
        try:
            response = await connection.noop()
            passed("noop")
            user = self._settings.username
            said = Phrase(
                "%(where)s，%(cipher)s，%(user)s，服务器 %(greeting)s，NOOP %(code)s，支持 %(extensions)s",
                where=f"{self._settings.host}:{self._settings.port}",
                cipher=connection.cipher or Phrase("明文"),
                user=Phrase("已登录 %(user)s", user=user) if user else Phrase("未登录"),
                greeting=connection.greeting,
                code=response.code,
                extensions=" ".join(sorted(connection.extensions)).upper(),
            )
        except (aiosmtplib.SMTPException, OSError) as error:
            raise ChannelError("邮件中继接受了连接，但没有回答 NOOP", hint="请查看中继的日志。") from error
        finally:
            await connection.quit()
        return said

    async def _connect(self, passed: Passed = unheard) -> Connection:
        if self._settings.security != "none" and self._tls is None:
            # Reading the machine's certificate authorities takes 20 ms and more.
            self._tls = await asyncio.to_thread(ssl.create_default_context)
        return await open_connection(self._settings, self._tls, passed)

    async def _open_line(self) -> Line:
        connection = await self._connect()
        settings = self._settings
        if "pipelining" in connection.extensions and self._in_step:
            return PipelinedLine(
                connection,
                self._rules,
                timeout_seconds=settings.timeout_seconds,
                final_timeout_seconds=settings.final_timeout_seconds,
                out_of_step=self._lost_step,
            )
        return StepwiseLine(connection, self._rules, settings.final_timeout_seconds)

    def _lost_step(self) -> None:
        """Replies did not match commands: from now on one command at a time."""
        if self._in_step:
            self._in_step = False
            _log.warning("email.out_of_step", extra={"host": self._settings.host})

    async def _attempt(self, mail: OutgoingMail, gate: Gate, *, fresh: bool) -> Outcome:
        async with self._pool.line(fresh=fresh) as line:
            ready = line.prepare(mail)
            if isinstance(ready, Outcome):
                return ready
            if refusal := await line.offer(ready):
                return refusal
            if not await gate():
                line.drop()
                return Outcome(OutcomeKind.GATE_CLOSED, "gate.closed", "", "smtp")
            return await line.finish()


def unavailable(error: RelayError) -> Outcome:
    """What it means for a mail that the relay can't be used."""
    return Outcome(OutcomeKind.UNAVAILABLE, error.code, error.message[:500], "smtp", remedy=error.remedy)
