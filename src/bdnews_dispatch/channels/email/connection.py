"""One connection to the relay: aiosmtplib's client, its errors in our words, the last step with its own care.

In: `RelaySettings`. Out: an open `Connection`, or `RelayError` that says what to do. Called by pool.py and by
`EmailChannel.check`.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Literal, Protocol, cast

import aiosmtplib
from pydantic import SecretStr

from bdnews_dispatch.channels.outcome import Remedy
from bdnews_dispatch.errors import ChannelError, Phrase

#: For QUIT and for RSET on an idle connection: politeness must not hold a slot.
SHORT_TIMEOUT_SECONDS = 5.0


class RelaySettings(Protocol):
    """What the channel reads of `EmailSettings`."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def security(self) -> Literal["none", "starttls", "tls"]: ...
    @property
    def username(self) -> str: ...
    @property
    def password(self) -> SecretStr: ...
    @property
    def connections(self) -> int: ...
    @property
    def messages_per_connection(self) -> int: ...
    @property
    def timeout_seconds(self) -> float: ...
    @property
    def final_timeout_seconds(self) -> float: ...


class RelayError(ChannelError):
    """The relay can't be used: nothing of a mail has been sent.

    Attributes:
        code: `connect.refused`, `tls.certificate`, `auth.failed` …, or the relay's own three digits.
        remedy: STOP_CHANNEL where only a person can mend it.
    """

    def __init__(self, message: str, *, code: str, hint: str = "", remedy: Remedy = Remedy.NONE) -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.remedy = remedy


class BodyLostError(Exception):
    """No answer behind the message.

    Attributes:
        code: `timeout.final`, `connection.lost`, `reply.malformed`.
        dot_may_be_out: False where the final dot is known to be still on our side.
    """

    def __init__(self, code: str, *, dot_may_be_out: bool) -> None:
        super().__init__(code)
        self.code = code
        self.dot_may_be_out = dot_may_be_out


class Connection:
    """An open, greeted, secured, signed-in connection.

    Attributes:
        in_transaction: MAIL was accepted, so RSET is due before another.
    """

    def __init__(self, client: aiosmtplib.SMTP, timeout_seconds: float) -> None:
        self._client = client
        self._timeout = timeout_seconds
        self.in_transaction = False

    @property
    def is_open(self) -> bool:
        return self._client.is_connected

    @property
    def extensions(self) -> frozenset[str]:
        """What EHLO offered, lower case."""
        return frozenset(self._client.esmtp_extensions)

    @property
    def greeting(self) -> str:
        """The relay's name, from its answer to EHLO."""
        response = self._client.last_ehlo_response
        return response.message.partition("\n")[0] if response else ""

    @property
    def cipher(self) -> str:
        """The TLS version in use; empty in plaintext."""
        ssl_object = self._client.get_transport_info("ssl_object") if self.is_open else None
        return ssl_object.version() or "" if ssl_object else ""

    async def mail(self, sender: str, options: list[str]) -> None:
        """MAIL. Raises aiosmtplib's errors."""
        self.in_transaction = True
        await self._client.mail(sender, options=options, encoding="utf-8", timeout=self._timeout)

    async def rcpt(self, recipient: str) -> None:
        """RCPT. Raises aiosmtplib's errors."""
        await self._client.rcpt(recipient, encoding="utf-8", timeout=self._timeout)

    async def data(self) -> aiosmtplib.SMTPResponse:
        """DATA alone: 354 means that the message may follow. Raises aiosmtplib's errors."""
        return await self._client.execute_command(b"DATA", timeout=self._timeout)

    def write(self, data: bytes) -> None:
        """The message behind DATA, without its dot. Raises aiosmtplib's errors."""
        if self._client.protocol is None:
            raise aiosmtplib.SMTPServerDisconnected("Connection lost")
        self._client.protocol.write(data)

    async def dot(self, dot: bytes, timeout_seconds: float) -> aiosmtplib.SMTPResponse:
        """The final dot.

        Args:
            timeout_seconds: for the answer behind it (RFC 5321 §4.5.3.2.6).

        Raises:
            BodyLostError: no answer. The connection is closed; what was not written yet stays unwritten.
        """
        protocol = self._client.protocol
        if protocol is None:
            raise BodyLostError("connection.lost", dot_may_be_out=False)
        try:
            protocol.write(dot)
        except aiosmtplib.SMTPServerDisconnected:
            raise BodyLostError("connection.lost", dot_may_be_out=False) from None
        try:
            response = await protocol.read_response(timeout=timeout_seconds)
        except aiosmtplib.SMTPReadTimeoutError:
            unwritten = self._unwritten()
            self.abort()
            raise BodyLostError("timeout.final", dot_may_be_out=not unwritten) from None
        except aiosmtplib.SMTPResponseException:
            self.abort()
            raise BodyLostError("reply.malformed", dot_may_be_out=True) from None
        except (aiosmtplib.SMTPException, OSError):
            self.abort()
            raise BodyLostError("connection.lost", dot_may_be_out=True) from None
        self.in_transaction = False
        return response

    def take_over(self) -> asyncio.Transport:
        """The transport, for somebody who goes on with the dialogue; aiosmtplib has no more part in it."""
        transport = self._client.transport
        assert transport is not None  # noqa: S101  # it was opened a moment ago
        return cast(asyncio.Transport, transport)

    async def reset(self) -> None:
        """RSET. Raises aiosmtplib's errors."""
        await self._client.rset(timeout=SHORT_TIMEOUT_SECONDS)
        self.in_transaction = False

    async def noop(self) -> aiosmtplib.SMTPResponse:
        """NOOP. Raises aiosmtplib's errors."""
        return await self._client.noop(timeout=self._timeout)

    async def quit(self) -> None:
        """Say goodbye; whatever comes back, the connection is closed after it."""
        try:
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):
                await self._client.quit(timeout=SHORT_TIMEOUT_SECONDS)
        finally:
            self.abort()

    def abort(self) -> None:
        """Close now; bytes not written yet are dropped (a plain close would flush them, dot and all)."""
        abort(self._client)

    def _unwritten(self) -> int:
        transport = cast(asyncio.WriteTransport | None, self._client.transport)
        return transport.get_write_buffer_size() if transport is not None else 0


def abort(client: aiosmtplib.SMTP) -> None:
    """Close a client's connection without flushing."""
    transport = cast(asyncio.WriteTransport | None, client.transport)
    if transport is not None:
        transport.abort()
    client.close()


def local_hostname() -> str:
    """Our name in EHLO, without asking DNS: socket.getfqdn may hang for as long as a resolver takes."""
    name = socket.gethostname()
    return name if "." in name and name.isascii() and not any(c.isspace() for c in name) else "[127.0.0.1]"


#: Told of each step that is done: `connect`, `ehlo`, `tls`, `sign_in`, `noop`.
Passed = Callable[[str], None]


def unheard(_step: str) -> None:
    """Nobody wants to know."""


async def open_connection(
    settings: RelaySettings, tls: ssl.SSLContext | None, passed: Passed = unheard
) -> Connection:
    """Connect, greet, secure, sign in.

    Args:
        settings: where and how.
        tls: checks certificates; needed unless `security` is `none`.
        passed: told of each step.

    Raises:
        RelayError: it can't be used; the text says what to do. No byte of a mail has gone out.
    """
    direct_tls = settings.security == "tls"
    client = aiosmtplib.SMTP(
        hostname=settings.host,
        port=settings.port,
        timeout=settings.timeout_seconds,
        use_tls=direct_tls,
        start_tls=False,
        tls_context=tls,
        local_hostname=local_hostname(),
    )
    where = f"{settings.host}:{settings.port}"
    try:
        await _connect(client, where)
        passed("connect")
        if direct_tls:
            passed("tls")
        await _greet(client, where)
        passed("ehlo")
        if settings.security == "starttls":
            await _secure(client, where)
            passed("tls")
        if settings.username:
            await _sign_in(client, settings, where)
            passed("sign_in")
    except BaseException:
        abort(client)
        raise
    return Connection(client, settings.timeout_seconds)


async def _connect(client: aiosmtplib.SMTP, where: str) -> None:
    try:
        await client.connect()
    except aiosmtplib.SMTPConnectResponseError as error:
        raise RelayError(
            Phrase(
                "邮件中继 %(where)s 拒绝了连接：%(code)s %(said)s",
                where=where,
                code=error.code,
                said=error.message[:200],
            ),
            code=str(error.code),
            hint="请向中继的管理员确认本机是否允许连接，或稍后再试。",
        ) from error
    except aiosmtplib.SMTPTimeoutError as error:
        raise RelayError(
            Phrase("连接邮件中继 %(where)s 超时", where=where),
            code="connect.timeout",
            hint="请检查网络、防火墙，以及 email.host 与 email.port。",
        ) from error
    except ssl.SSLError as error:
        raise _tls_error(error, where) from error
    except (aiosmtplib.SMTPException, OSError, UnicodeError) as error:
        cause = error.__cause__
        if isinstance(cause, ssl.SSLError):
            raise _tls_error(cause, where) from error
        if isinstance(cause, socket.gaierror) or isinstance(
            error, UnicodeError
        ):  # no name: `smtp..example.cn`
            raise RelayError(
                Phrase("找不到邮件中继的主机 %(where)s", where=where),
                code="connect.dns",
                hint="请检查 email.host 与本机的域名解析。",
            ) from error
        raise RelayError(
            Phrase("连不上邮件中继 %(where)s", where=where),
            code="connect.refused",
            hint="请检查中继是否在运行，以及 email.host 与 email.port。",
        ) from error


async def _greet(client: aiosmtplib.SMTP, where: str) -> None:
    try:
        try:
            await client.ehlo()
        except aiosmtplib.SMTPHeloError:
            await client.helo()
    except aiosmtplib.SMTPResponseException as error:
        raise RelayError(
            Phrase(
                "邮件中继 %(where)s 不接受 EHLO：%(code)s %(said)s",
                where=where,
                code=error.code,
                said=error.message[:200],
            ),
            code=str(error.code),
        ) from error
    except (aiosmtplib.SMTPException, OSError) as error:
        raise _lost(where) from error


async def _secure(client: aiosmtplib.SMTP, where: str) -> None:
    if not client.supports_extension("starttls"):
        raise RelayError(
            Phrase("邮件中继 %(where)s 不提供 STARTTLS，没有发出任何邮件", where=where),
            code="tls.not_offered",
            hint="设为 starttls 时绝不明文发送。请确认端口（通常是 587），或改用 tls（通常是 465）。",
            remedy=Remedy.STOP_CHANNEL,
        )
    try:
        await client.starttls()
    except ssl.SSLError as error:
        raise _tls_error(error, where) from error
    except aiosmtplib.SMTPResponseException as error:
        raise RelayError(
            Phrase(
                "邮件中继 %(where)s 拒绝了 STARTTLS：%(code)s %(said)s",
                where=where,
                code=error.code,
                said=error.message[:200],
            ),
            code="tls.refused",
            remedy=Remedy.STOP_CHANNEL if error.code >= 500 else Remedy.NONE,
        ) from error
    except (aiosmtplib.SMTPException, OSError) as error:
        raise _lost(where) from error
    await _greet(client, where)


async def _sign_in(client: aiosmtplib.SMTP, settings: RelaySettings, where: str) -> None:
    try:
        await client.login(settings.username, settings.password.get_secret_value())
    except aiosmtplib.SMTPAuthenticationError as error:
        temporary = 400 <= error.code < 500
        raise RelayError(
            Phrase(
                "邮件中继 %(where)s 不接受登录：%(code)s %(said)s",
                where=where,
                code=error.code,
                said=error.message[:200],
            ),
            code="auth.temporary" if temporary else "auth.failed",
            hint=""
            if temporary
            else "请检查 email.username 与 email.password（QQ、网易等须用授权码，不是登录密码）。",
            remedy=Remedy.NONE if temporary else Remedy.STOP_CHANNEL,
        ) from error
    except (aiosmtplib.SMTPServerDisconnected, aiosmtplib.SMTPTimeoutError, OSError) as error:
        raise _lost(where) from error
    except aiosmtplib.SMTPException as error:
        raise RelayError(
            Phrase("邮件中继 %(where)s 没有提供可用的登录方式", where=where),
            code="auth.not_offered",
            hint="多数中继只在加密之后才允许登录：请把 email.security 设为 starttls 或 tls。",
            remedy=Remedy.STOP_CHANNEL,
        ) from error


def _tls_error(error: ssl.SSLError, where: str) -> RelayError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return RelayError(
            Phrase(
                "邮件中继 %(where)s 的证书不可信：%(reason)s，没有发出任何邮件",
                where=where,
                reason=error.verify_message,
            ),
            code="tls.certificate",
            hint="请核对 email.host 与证书上的名称、证书的有效期；内部 CA 可用环境变量 SSL_CERT_FILE 指定。",
            remedy=Remedy.STOP_CHANNEL,
        )
    return RelayError(
        Phrase(
            "与邮件中继 %(where)s 建立 TLS 失败：%(reason)s，没有发出任何邮件",
            where=where,
            reason=error.reason or error,
        ),
        code="tls.failed",
        hint="请确认 email.security 与端口相符：465 通常是 tls，587 通常是 starttls。",
        remedy=Remedy.STOP_CHANNEL,
    )


def _lost(where: str) -> RelayError:
    return RelayError(
        Phrase("与邮件中继 %(where)s 的连接在握手时中断", where=where),
        code="connect.lost",
        hint="请查看中继的日志，或稍后再试。",
    )
