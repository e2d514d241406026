"""A line to the relay: one open connection, one mail after the other, each in two steps.

`offer` brings a mail to where only its final dot is missing: until then it was certainly not delivered (RFC 5321
§4.1.1.10). `finish` sends the dot. Between the two the caller asks its gate. Where the relay takes commands in groups
(RFC 2920), the dot travels with the next mail's envelope: one round trip a mail (pipelining.py); else aiosmtplib's own
calls, one command at a time (here).

In: `Ready` mails. Out: `Outcome`s. Callers: `EmailChannel.send`, and the lanes of dispatch/ by `EmailChannel.line`.
"""

from abc import ABC, abstractmethod
from email.utils import parseaddr

import aiosmtplib

from bdnews_dispatch.channels.email.addresses import BadAddressError, parse_mailbox
from bdnews_dispatch.channels.email.connection import BodyLostError, Connection
from bdnews_dispatch.channels.email.message import OutgoingMail, Ready, UnfitMessageError
from bdnews_dispatch.channels.email.replies import ReplyRules, Stage
from bdnews_dispatch.channels.outcome import Outcome, OutcomeKind

DOT = b".\r\n"
#: "Service not available, closing transmission channel" (RFC 5321 §4.2.3): behind a mail it means a new connection.
CLOSING = 421


class StaleLineError(Exception):
    """A line that had served before was dead when it was used: nothing of this mail was sent, take another line."""


class Line(ABC):
    """One open connection.

    Attributes:
        sent: how many mails were tried on it.
        extensions: what EHLO offered, lower case.
        served: how many of them went to each provider.
        retired: no other mail may go over it.
        idle_since: the loop's time when it was given back.
    """

    def __init__(self, extensions: frozenset[str], rules: ReplyRules) -> None:
        self.sent = 0
        self.served: dict[str, int] = {}
        self.retired = False
        self.extensions = extensions
        self.idle_since = 0.0
        self.eight_bit = "8bitmime" in extensions
        self._sizes = "size" in extensions
        self._rules = rules

    def prepare(self, mail: OutgoingMail) -> Ready | Outcome:
        """Make a mail ready for this line.

        Returns:
            The mail, or why it can never go out.

        Raises:
            Exception: what `mail.content` raises; nothing was sent.
        """
        try:
            sender, recipient = parse_mailbox(mail.sender), parse_mailbox(mail.recipient)
        except BadAddressError as error:
            return Outcome(OutcomeKind.REFUSED, "address.invalid", str(error), "smtp")
        options: tuple[str, ...] = ()
        if sender.needs_smtputf8 or recipient.needs_smtputf8:
            if "smtputf8" not in self.extensions:
                words = "地址含非 ASCII 字符，而中继不支持 SMTPUTF8"
                return Outcome(OutcomeKind.REFUSED, "address.smtputf8", words, "smtp")
            options = ("SMTPUTF8",)
        try:
            body = mail.content(self.eight_bit)
        except UnfitMessageError as error:
            return Outcome(OutcomeKind.REFUSED, error.code, str(error), "smtp")
        if not body.isascii():
            if not self.eight_bit:
                words = "邮件是 8bit 编码，但中继不支持 8BITMIME，未发送"
                return Outcome(OutcomeKind.REFUSED, "message.eight_bit", words, "smtp")
            options = ("BODY=8BITMIME", *options)
        if self._sizes:
            options = (f"SIZE={len(body)}", *options)  # RFC 1870: too large is refused before it is sent
        first = " ".join((f"MAIL FROM:<{sender.address}>", *options))
        envelope = f"{first}\r\nRCPT TO:<{recipient.address}>\r\nDATA\r\n".encode()
        return Ready(sender, recipient, options, envelope, body)

    @property
    @abstractmethod
    def is_open(self) -> bool:
        """Whether another mail can be tried."""

    @abstractmethod
    async def offer(self, mail: Ready) -> Outcome | None:
        """Bring the mail to where only its dot is missing.

        Returns:
            None: it stands before its dot. Else the relay's refusal, or that the connection was lost.

        Raises:
            StaleLineError: the line was dead; nothing is known against the mail.
        """

    @abstractmethod
    async def finish(self, following: Ready | None = None) -> Outcome:
        """Send the dot.

        Args:
            following: the next mail for this line; it must be offered next.

        Returns:
            What became of the mail that was offered last.
        """

    @abstractmethod
    async def reset(self) -> bool:
        """RSET. Returns: whether the relay answered."""

    @abstractmethod
    async def quit(self) -> None:
        """Say goodbye; whatever comes back, the connection is closed after it."""

    @abstractmethod
    def drop(self) -> None:
        """Close now; bytes not written yet are dropped (a plain close would flush them, dot and all)."""

    def _refused(self, code: int, text: str, stage: Stage, recipient: str) -> Outcome:
        """A reply other than the one hoped for, before the dot."""
        if not 400 <= code < 600:
            # Nonsense, or a 2xx to DATA: who knows what is answered next.
            self.drop()
            return Outcome(OutcomeKind.DEFERRED, "reply.malformed", "中继的回答无法理解", "smtp")
        if code == CLOSING:
            self.drop()
        return self._rules.classify(code, text, stage, recipient=recipient)

    def _answered(self, code: int, text: str, recipient: str) -> Outcome:
        """The reply behind the dot."""
        if not 200 <= code < 300 and not 400 <= code < 600:
            self.drop()
            words = "正文之后的回答无法理解，可能已经送达"
            return Outcome(OutcomeKind.UNCERTAIN, "reply.malformed", words, "smtp")
        if code == CLOSING:
            self.drop()
        return self._rules.classify(code, text, Stage.BODY, recipient=recipient)


def lost_before_dot(code: str = "connection.lost") -> Outcome:
    """The connection went away, or stood still, while the dot was still on our side."""
    return Outcome(OutcomeKind.DEFERRED, code, "连接在正文发完之前中断", "smtp")


def timed_out(stage: Stage) -> Outcome:
    """No answer to a command before the dot."""
    return Outcome(OutcomeKind.DEFERRED, f"timeout.{stage.value}", "中继没有按时回答", "smtp")


def lost_behind_dot(code: str) -> Outcome:
    """No answer behind the dot: the relay may have taken the mail."""
    return Outcome(OutcomeKind.UNCERTAIN, code, "正文之后没有收到回答，可能已经送达", "smtp")


class StepwiseLine(Line):
    """One command at a time, by aiosmtplib: for a relay without PIPELINING."""

    def __init__(self, connection: Connection, rules: ReplyRules, final_timeout_seconds: float) -> None:
        super().__init__(connection.extensions, rules)
        self._connection = connection
        self._final_timeout = final_timeout_seconds
        self._recipient = ""

    @property
    def is_open(self) -> bool:
        return self._connection.is_open

    async def offer(self, mail: Ready) -> Outcome | None:
        connection, recipient = self._connection, mail.recipient.address
        reused = self.sent > 0
        self.sent += 1
        self._recipient = recipient
        if fault := _ambiguous(mail):
            return fault
        stage = Stage.MAIL
        try:
            if connection.in_transaction:
                await connection.reset()
            await connection.mail(mail.sender.address, list(mail.options))
            stage = Stage.RCPT
            await connection.rcpt(recipient)
            stage = Stage.DATA
            response = await connection.data()
            if response.code != aiosmtplib.SMTPStatus.start_input:
                return self._refused(response.code, response.message, stage, recipient)
            connection.write(mail.body)
        except aiosmtplib.SMTPResponseException as error:
            if error.code == CLOSING and reused and stage is Stage.MAIL:
                self.drop()
                raise StaleLineError from error
            return self._refused(error.code, error.message, stage, recipient)
        except aiosmtplib.SMTPTimeoutError:
            self.drop()
            return timed_out(stage)
        except (aiosmtplib.SMTPException, OSError) as error:
            self.drop()
            if reused and stage is not Stage.DATA:
                raise StaleLineError from error
            return lost_before_dot()
        return None

    async def finish(self, following: Ready | None = None) -> Outcome:
        del following  # it waits for its turn
        try:
            response = await self._connection.dot(DOT, self._final_timeout)
        except BodyLostError as error:
            return lost_behind_dot(error.code) if error.dot_may_be_out else lost_before_dot(error.code)
        return self._answered(response.code, response.message, self._recipient)

    async def reset(self) -> bool:
        try:
            await self._connection.reset()
        except (aiosmtplib.SMTPException, OSError):
            return False
        return True

    async def quit(self) -> None:
        await self._connection.quit()

    def drop(self) -> None:
        self._connection.abort()


def _ambiguous(mail: Ready) -> Outcome | None:
    """Aiosmtplib takes an address apart once more, by a laxer rule: what it would send must be what we checked."""
    for mailbox in (mail.sender, mail.recipient):
        if parseaddr(mailbox.address)[1] != mailbox.address:
            return Outcome(OutcomeKind.REFUSED, "address.invalid", "地址有歧义", "smtp")
    return None
