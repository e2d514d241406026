"""The bulk dialogue on a connection that aiosmtplib has opened: commands in groups, replies matched in their order.

RFC 2920: MAIL, RCPT and DATA go out in one write, and the final dot of a mail in one write with the envelope of the
next. In a steady stream a mail costs one round trip and two writes. In: an open `Connection` whose relay offers
PIPELINING. Out: a `Line`. Caller: channel.py.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from bdnews_dispatch.channels.email.connection import SHORT_TIMEOUT_SECONDS, Connection
from bdnews_dispatch.channels.email.line import (
    CLOSING,
    DOT,
    Line,
    StaleLineError,
    lost_before_dot,
    lost_behind_dot,
    timed_out,
)
from bdnews_dispatch.channels.email.message import Ready
from bdnews_dispatch.channels.email.replies import ReplyRules, Stage
from bdnews_dispatch.channels.outcome import Outcome, OutcomeKind

#: A line is never longer, and a reply has never more of them: RFC 5321 §4.5.3.1.5 says 512 octets a line.
LONGEST_REPLY = 32_768
MOST_LINES = 200

_OK, _START_INPUT = 250, 354


class Reply(NamedTuple):
    """A reply. Attributes: words: as they came; they are read only where they matter."""

    code: int
    words: bytes

    @property
    def text(self) -> str:
        """Aiosmtplib's way: what is no UTF-8 goes through as lone surrogates; `redact` makes words of them."""
        return self.words.decode("utf-8", "surrogateescape")


class ReplyError(Exception):
    """No reply. Attributes: kind: `lost`, `timeout`, `malformed`."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class ReplyStream(asyncio.Protocol):
    """Replies in the order in which they come; one asker at a time.

    Attributes:
        error: why no more will come.
        unsent: octets that had not left our own buffer when it ended by `timeout`.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self.error = ""
        self.unsent = 0
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._replies: deque[Reply] = deque()
        self._partial = b""
        self._continued: list[bytes] = []
        self._wanted = 0
        self._waiter: asyncio.Future[None] | None = None
        self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._unwritten: asyncio.Future[None] | None = None

    # What the transport tells.

    def data_received(self, data: bytes) -> None:
        lines = (self._partial + data).split(b"\r\n")
        self._partial = lines.pop()
        for line in lines:
            code, mark = line[:3], line[3:4]
            if not code.isdigit() or mark not in b"- ":
                self._end("malformed")
                return
            if mark == b"-" or self._continued:
                self._continued.append(line[4:])
                if mark == b"-":
                    continue
                words = b"\n".join(self._continued)
                self._continued = []
            else:
                words = line[4:]
            self._replies.append(Reply(int(code), words))
        if self._partial and (b"\n" in self._partial or len(self._partial) > LONGEST_REPLY):
            self._end("malformed")  # a bare line feed, or a line without an end
        elif len(self._continued) > MOST_LINES:
            self._end("malformed")
        elif self._waiter is not None and len(self._replies) >= self._wanted:
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._end("lost")

    def eof_received(self) -> bool:
        self._end("lost")
        return False

    def pause_writing(self) -> None:
        self._unwritten = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._unwritten is not None and not self._unwritten.done():
            self._unwritten.set_result(None)
        self._unwritten = None

    # What the line asks.

    @property
    def surplus(self) -> bool:
        """Whether there are replies that nobody asked for: the relay has said goodbye, or counts differently."""
        return bool(self._replies or self._partial)

    async def next(self, number: int, seconds: float) -> list[Reply]:
        """The next replies.

        Raises:
            ReplyError: they will not come; those that have stay for `rest`.
        """
        replies = self._replies
        if len(replies) < number:
            if self.error:
                raise ReplyError(self.error)
            self._wanted = number
            self._waiter = self._loop.create_future()
            self._wait_until(self._loop.time() + seconds)
            try:
                await self._waiter
            finally:
                self._waiter = None
                self._deadline = 0.0
            if len(replies) < number:
                raise ReplyError(self.error)
        return [replies.popleft() for _ in range(number)]

    def rest(self) -> list[Reply]:
        """What has come of a group that did not come whole."""
        rest = list(self._replies)
        self._replies.clear()
        return rest

    async def written(self, seconds: float) -> bool:
        """Wait until the kernel has taken what was written. Returns: whether it did in that time."""
        if self._unwritten is not None:
            done, _ = await asyncio.wait({self._unwritten}, timeout=seconds)
            return bool(done) and not self.error
        return not self.error

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _end(self, kind: str) -> None:
        self.error = self.error or kind
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if kind != "lost":
            self.unsent = self._transport.get_write_buffer_size()
            self._transport.abort()
        self.resume_writing()
        self._wake()

    def _wait_until(self, deadline: float) -> None:
        """One timer for many waits: a deadline that moves on is looked at when the old one is over."""
        self._deadline = deadline
        if self._timer is not None and self._timer.when() > deadline:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._look)

    def _look(self) -> None:
        self._timer = None
        if not self._deadline:
            return
        if self._loop.time() < self._deadline:
            self._wait_until(self._deadline)
        else:
            self._end("timeout")


class PipelinedLine(Line):
    """Commands in groups."""

    def __init__(
        self,
        connection: Connection,
        rules: ReplyRules,
        *,
        timeout_seconds: float,
        final_timeout_seconds: float,
        out_of_step: Callable[[], None],
    ) -> None:
        """Args: out_of_step: told when replies don't match commands: this relay can't pipeline after all."""
        super().__init__(connection.extensions, rules)
        self._transport = connection.take_over()
        self._stream = ReplyStream(self._transport)
        self._transport.set_protocol(self._stream)
        self._timeout = timeout_seconds
        self._final_timeout = final_timeout_seconds
        self._out_of_step = out_of_step
        self._announced: Ready | None = None
        self._recipient = ""
        self._in_transaction = False

    @property
    def is_open(self) -> bool:
        return not (self._stream.error or self._transport.is_closing())

    async def offer(self, mail: Ready) -> Outcome | None:
        stream, recipient = self._stream, mail.recipient.address
        reused = self.sent > 0
        self.sent += 1
        self._recipient = recipient
        reset = 0
        if self._announced is not mail:
            if not self.is_open or stream.surplus:
                self.drop()
                if reused:
                    raise StaleLineError
                return lost_before_dot()
            reset = int(self._in_transaction)
            self._transport.write(b"RSET\r\n" + mail.envelope if reset else mail.envelope)
        self._announced = None
        self._in_transaction = True
        try:
            replies = (await stream.next(3 + reset, self._timeout))[reset:]
        except ReplyError as error:
            return self._no_envelope(error, stream.rest()[reset:], recipient, reused=reused)
        sender, receiver, data = replies
        if sender.code == _OK and 200 <= receiver.code < 300 and data.code == _START_INPUT:
            self._transport.write(mail.body)
            if await stream.written(self._timeout):
                return None
            late = self.is_open
            self.drop()
            return lost_before_dot("timeout.body" if late else "connection.lost")
        return await self._refusal(sender, receiver, data, recipient)

    async def finish(self, following: Ready | None = None) -> Outcome:
        if not self.is_open:
            self.drop()
            return lost_before_dot()
        if (
            self._stream.surplus
        ):  # an answer before the dot: RFC 5321 §4.2.5 knows none; most likely 421 or 552
            reply = self._stream.rest()[0]
            self.drop()
            return self._refused(reply.code, reply.text, Stage.BODY, self._recipient)
        self._announced = following
        self._transport.write(DOT + following.envelope if following else DOT)
        try:
            [reply] = await self._stream.next(1, self._final_timeout)
        except ReplyError as error:
            # What our own buffer still holds was not sent, and the dot is its last part.
            unsent = self._stream.unsent
            self.drop()
            if error.kind == "malformed":
                self._out_of_step()
            codes = {"lost": "connection.lost", "timeout": "timeout.final", "malformed": "reply.malformed"}
            code = codes[error.kind]
            return lost_before_dot(code) if unsent else lost_behind_dot(code)
        self._in_transaction = False
        return self._answered(reply.code, reply.text, self._recipient)

    async def reset(self) -> bool:
        if not self.is_open or self._stream.surplus:
            return False
        self._transport.write(b"RSET\r\n")
        try:
            [reply] = await self._stream.next(1, SHORT_TIMEOUT_SECONDS)
        except ReplyError:
            return False
        self._in_transaction = False
        return reply.code == _OK

    async def quit(self) -> None:
        try:
            if self.is_open and self._announced is None:  # behind DATA, a QUIT would be a line of the message
                self._transport.write(b"QUIT\r\n")
                await self._stream.next(1, SHORT_TIMEOUT_SECONDS)
        except ReplyError:
            pass
        finally:
            self.drop()

    def drop(self) -> None:
        self._transport.abort()

    async def _refusal(self, sender: Reply, receiver: Reply, data: Reply, recipient: str) -> Outcome:
        """The relay did not take the envelope."""
        if data.code == _START_INPUT and (400 <= sender.code < 600 or 400 <= receiver.code < 600):
            # RFC 2920 §3.1: without a recipient it should not have; a lone dot ends the empty message. Where a
            # recipient may have been taken (replies out of step), a dot would send them an empty mail.
            self._transport.write(DOT)
            try:
                await self._stream.next(1, self._timeout)
            except ReplyError:
                self.drop()
        for reply, stage in ((sender, Stage.MAIL), (receiver, Stage.RCPT), (data, Stage.DATA)):
            if not 200 <= reply.code < 300:
                if reply.code == _START_INPUT:
                    self._out_of_step()
                return self._refused(reply.code, reply.text, stage, recipient)
        self._out_of_step()  # 2xx to DATA
        return self._refused(data.code, data.text, Stage.DATA, recipient)

    def _no_envelope(self, error: ReplyError, came: list[Reply], recipient: str, *, reused: bool) -> Outcome:
        """Fewer replies than commands."""
        self.drop()
        if reused and came and came[0].code == CLOSING:
            raise StaleLineError from error
        for reply, stage in zip(came, (Stage.MAIL, Stage.RCPT, Stage.DATA), strict=False):
            if 400 <= reply.code < 600:  # a refusal, and then it hung up, as 421 announces
                return self._refused(reply.code, reply.text, stage, recipient)
        if error.kind == "timeout":
            return timed_out((Stage.MAIL, Stage.RCPT, Stage.DATA)[min(len(came), 2)])
        if error.kind == "malformed":
            self._out_of_step()
            return Outcome(OutcomeKind.DEFERRED, "reply.malformed", "中继的回答无法理解", "smtp")
        if reused and not came:
            raise StaleLineError from error
        return lost_before_dot()
