"""A relay that says exactly what it is told to, and remembers what it was told: real sockets, real TLS.

In: a script. Out: what the client said, byte for byte. Called by tests of the channel; relay.py
is the one for people.
"""

import asyncio
import ipaddress
import itertools
import ssl
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bdnews_dispatch.clock import Clock, system_clock

#: What is offered behind EHLO unless a script says else.
EXTENSIONS = ("PIPELINING", "8BITMIME", "SIZE 10000000")
#: Between two octets of a slow-loris.
DRIP_SECONDS = 0.02


class ScriptedRelay:
    """Answers each verb by `answers`, else as a relay does.

    Args:
        extensions: offered behind EHLO.
        answers: verb → what is said instead, one after the other, then as a relay does; `DOT` is the answer behind the
            message, and anything for `BODY` hangs up in the middle of it; `DROP` closes the connection; `SILENCE` says
            nothing more; `HALF x` says `x` without its line end, and closes; `DRIP x` says `x` again and again, one
            octet each DRIP_SECONDS, and never its line end.
        tls: for STARTTLS, or with `tls_at_once` from the first byte.
        greeting: the first line.
        read_body: False: after 354 nothing is read any more.
        close_after: so many messages, then the relay closes the connection by itself.

    Attributes:
        connections: one list of commands for each connection that was made.
        plaintext: every byte that came in before TLS.
        refused_recipients: get 550.
        bodies: the messages that were ended by a dot.
    """

    def __init__(
        self,
        *,
        extensions: Sequence[str] | None = None,
        answers: Mapping[str, Sequence[str]] | None = None,
        tls: ssl.SSLContext | None = None,
        tls_at_once: bool = False,
        greeting: str = "220 relay.example ESMTP",
        read_body: bool = True,
        close_after: int = 0,
    ) -> None:
        self.extensions = EXTENSIONS if extensions is None else tuple(extensions)
        self.answers = {verb: list(lines) for verb, lines in (answers or {}).items()}
        self.tls = tls
        self.tls_at_once = tls_at_once
        self.greeting = greeting
        self.read_body = read_body
        self.close_after = close_after
        self.refused_recipients: set[str] = set()
        self.connections: list[list[str]] = []
        self.plaintext = bytearray()
        self.bodies: list[bytes] = []
        self.address = ("127.0.0.1", 0)
        self.closed_by_us = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, ssl=self.tls if self.tls_at_once else None, limit=1 << 20
        )
        self.address = self._server.sockets[0].getsockname()[:2]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
        try:
            await self._talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        finally:
            if task is not None:
                self._tasks.discard(task)
            writer.transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        commands: list[str] = []
        self.connections.append(commands)
        secured = self.tls_at_once
        done = 0
        accepted = False

        def say(line: str) -> None:
            writer.write(line.encode("utf-8", "surrogateescape") + b"\r\n")

        say(self.greeting)
        while line := await reader.readline():
            if not secured:
                self.plaintext += line
            command = line.decode("utf-8", "surrogateescape").rstrip("\r\n")
            commands.append(command)
            verb = command.split(" ")[0].upper()
            accepted = verb == "RCPT" or (verb == "DATA" and accepted)
            scripted = self.answers.get(verb)
            if verb == "RCPT" and any(address in command for address in self.refused_recipients):
                say("550 5.1.1 no such user")
                accepted = False
                continue
            if scripted:
                answer = scripted.pop(0)
                if not await self._says_more(answer, writer):
                    return
                say(answer)
                accepted = accepted and (verb != "RCPT" or answer.startswith("2"))
                if verb == "STARTTLS" and answer.startswith("220"):
                    await self._secure(writer)
                    secured = True
                if verb != "DATA" or not answer.startswith("354"):
                    continue
            elif verb == "EHLO":
                offered = [e for e in self.extensions if not (secured and e == "STARTTLS")]
                for extension in ["relay.example", *offered][:-1]:
                    say(f"250-{extension}")
                say(f"250 {['relay.example', *offered][-1]}")
            elif verb == "STARTTLS":
                say("220 go")
                await self._secure(writer)
                secured = True
            elif verb == "DATA" and not accepted:
                say("554 5.5.1 no valid recipients")
                continue
            elif verb == "DATA":
                say("354 go")
            elif verb == "QUIT":
                say("221 bye")
                return
            else:
                say("235 ok" if verb == "AUTH" else "250 ok")
            if verb == "DATA":
                if not self.read_body:
                    await asyncio.get_running_loop().create_future()
                if self.answers.get("BODY"):
                    self.answers["BODY"].pop()
                    await reader.readline()
                    writer.close()
                    await writer.wait_closed()
                    self.closed_by_us.set()
                    return
                body = bytearray()
                while not body.endswith(b"\r\n.\r\n") and body != b".\r\n":
                    if not (read := await reader.readline()):
                        return
                    body += read
                if not secured:
                    self.plaintext += body
                self.bodies.append(bytes(body))
                final = self.answers.get("DOT")
                answer = final.pop(0) if final else "250 2.0.0 Ok: queued as 4XyZ"
                if not await self._says_more(answer, writer):
                    return
                say(answer)
                done += 1
                if self.close_after and done >= self.close_after:
                    await writer.drain()
                    writer.close()
                    await writer.wait_closed()
                    self.closed_by_us.set()
                    return

    async def _says_more(self, answer: str, writer: asyncio.StreamWriter) -> bool:
        """Whether the answer is one; else what it stands for is done."""
        if answer == "SILENCE":
            await asyncio.get_running_loop().create_future()
        if answer.startswith("DRIP "):
            for octet in itertools.cycle(answer.removeprefix("DRIP ").encode()):
                writer.write(bytes([octet]))
                await writer.drain()
                await asyncio.sleep(DRIP_SECONDS)
        if answer.startswith("HALF "):
            writer.write(answer.removeprefix("HALF ").encode())
            await writer.drain()
            writer.close()
        return answer != "DROP" and not answer.startswith("HALF ")

    async def _secure(self, writer: asyncio.StreamWriter) -> None:
        await writer.start_tls(self.tls or ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))


def certificate(
    folder: Path,
    *,
    name: str = "localhost",
    address: str = "127.0.0.1",
    days: int = 1,
    clock: Clock = system_clock,
) -> Path:
    """A self-signed certificate with its key, in one PEM file.

    Args:
        folder: where the file goes.
        name, address: whom it is for.
        days: until it ends; negative: it has ended.
        clock: for its dates.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    now = clock()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(ipaddress.ip_address(address))])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=10))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}-{address}-{days}.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return file


def server_context(pem: Path) -> ssl.SSLContext:
    """For the relay."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    return context
