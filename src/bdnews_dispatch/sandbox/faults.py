"""Faults on demand: what the stand-ins do wrong, for whom, and how often. Set by tests and demos."""

import fnmatch
from dataclasses import dataclass
from typing import Literal

MailStep = Literal["mail", "rcpt", "data", "body"]
Silence = Literal["", "drop", "hang"]


@dataclass(slots=True)
class MailFault:
    """One thing the mail server does wrong.

    Attributes:
        recipient: a pattern for the address: `*`, `*@qq.com`, `anna@*`.
        at: `rcpt`, `data` (before the first byte of the message), `body` (see `drop`).
        reply: the answer instead of the right one, e.g. `450 4.2.1 try later`; empty: none.
        drop: close the connection: `at` = `rcpt` or `data`: at that command; `body`: after the first line of
            the message, that is before the final dot; `dot`: behind the dot, without an answer.
        keep: with `drop` = `dot`: whether the mail was taken all the same.
        delay_seconds: wait before answering.
        times: how often; None: always.
        every: only each n-th time that it would apply.
        hits: how often it happened.
    """

    recipient: str
    at: MailStep = "rcpt"
    reply: str = ""
    drop: Literal["", "command", "body", "dot"] = ""
    keep: bool = True
    delay_seconds: float = 0.0
    times: int | None = None
    every: int = 1
    hits: int = 0
    _seen: int = 0

    def applies(self, address: str, at: MailStep) -> bool:
        """Whether it happens now; counts."""
        if self.at != at or (self.times is not None and self.hits >= self.times):
            return False
        if not fnmatch.fnmatchcase(address.lower(), self.recipient.lower()):
            return False
        self._seen += 1
        if self._seen % self.every:
            return False
        self.hits += 1
        return True


@dataclass(slots=True)
class PlatformFault:
    """One thing the WeChat stand-in does wrong.

    Attributes:
        endpoint: `message/template/send` …; `*`: all.
        openid: only calls whose body names this user; empty: all.
        code: the errcode to answer with; 0: none.
        message: its errmsg; empty: a plain one.
        http: an HTTP status instead of an answer.
        silence: `drop` closes the connection without an answer, `hang` never answers.
        accepted: with `http` or `silence`: the call is carried out before.
        times: how often; None: always.
        hits: how often it happened.
    """

    endpoint: str
    code: int = 0
    message: str = ""
    http: int = 0
    silence: Silence = ""
    accepted: bool = False
    openid: str = ""
    times: int | None = 1
    hits: int = 0

    def applies(self, endpoint: str, body: bytes) -> bool:
        """Whether it happens now; counts."""
        if self.endpoint not in {"*", endpoint} or (self.times is not None and self.hits >= self.times):
            return False
        if self.openid and f'"{self.openid}"'.encode() not in body:
            return False
        self.hits += 1
        return True


class Faults:
    """All faults that are set; the first that applies happens.

    Attributes:
        pipelining: False: the mail server is an old one, that takes one command at a time.
    """

    def __init__(self) -> None:
        self.pipelining = True
        self.mail: list[MailFault] = []
        self.wechat: list[PlatformFault] = []

    def on_mail(self, fault: MailFault) -> MailFault:
        """Set one for the mail server; gives it back, for its `hits`."""
        self.mail.append(fault)
        return fault

    def on_wechat(self, fault: PlatformFault) -> PlatformFault:
        """Set one for the WeChat stand-in; gives it back, for its `hits`."""
        self.wechat.append(fault)
        return fault

    def of_mail(self, address: str, at: MailStep) -> MailFault | None:
        """What goes wrong for this recipient at this step."""
        return next((fault for fault in self.mail if fault.applies(address, at)), None)

    def of_wechat(self, endpoint: str, body: bytes = b"") -> PlatformFault | None:
        """What goes wrong with this call."""
        return next((fault for fault in self.wechat if fault.applies(endpoint, body)), None)

    @property
    def of_users(self) -> bool:
        """Whether any fault is one user's: then calls are looked into."""
        return any(fault.openid for fault in self.wechat)

    def clear(self) -> None:
        """From now on nothing goes wrong."""
        self.mail.clear()
        self.wechat.clear()
