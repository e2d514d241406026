"""Logs: events with names and fields, as text for people or as JSON, one object a line. Callers: service/, cli/.

What is worked on (`carry`) stands in every line that is written meanwhile, without anybody handing it down.
"""

import json
import logging
import re
import sys
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

_OWN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

#: An address, or an openid (28 characters). No line of ours names one; somebody else's words in a traceback might.
_PERSONAL = re.compile(r"[^\s@<>\"'(]+@[^\s@<>\"'),;]+|(?<![\w-])o[\w-]{27}(?![\w-])")


class Subject(Protocol):
    """What work is about: a claim of the ledger, or a dispatch as a whole (`OfDispatch`)."""

    @property
    def dispatch_id(self) -> int: ...

    @property
    def delivery_id(self) -> int | None: ...


class OfDispatch(NamedTuple):
    """Work on a dispatch as a whole."""

    dispatch_id: int
    delivery_id: int | None = None


_subject: ContextVar[Subject | None] = ContextVar("subject", default=None)

#: From here on the lines of this task, and of those that it begins, are about this. Each task has its own. It is the
#: variable's own method, because it is called three times a mail: 0.1 µs each, whether a line is written or not.
carry: Callable[[Subject | None], object] = _subject.set


def carried() -> dict[str, int]:
    """The ids of what this task works on, as fields of a line."""
    subject = _subject.get()
    if subject is None:
        return {}
    ids = {"dispatch": subject.dispatch_id}
    return ids if subject.delivery_id is None else ids | {"delivery": subject.delivery_id}


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    return carried() | {key: value for key, value in vars(record).items() if key not in _OWN}


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{key}={value}" for key, value in _fields(record).items())
        at = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        line = f"{at} {record.levelname.lower():7} {record.getMessage()} {fields}".rstrip()
        return _masked(f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line)


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "logger": record.name,
            **_fields(record),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        # Before it becomes JSON: behind a backslash a mask would tear an escape apart.
        plain = {key: _masked(value) if isinstance(value, str) else value for key, value in entry.items()}
        return json.dumps(plain, ensure_ascii=False, default=lambda value: _masked(str(value)))


def _masked(line: str) -> str:
    return _PERSONAL.sub("***", line)


def _their_fault(record: logging.LogRecord) -> bool:
    """A request that is no HTTP is refused with 400 and is no error of ours: at `info` a line without a traceback, and
    without what was sent. By name: to import aiohttp's class would cost every command its loading.
    """
    kind = record.exc_info[0] if record.exc_info else None
    if kind is None or not any(base.__name__ == "BadHttpMessage" for base in kind.__mro__):
        return True
    record.msg, record.args = "http.bad_request", ()
    record.__dict__["error"] = kind.__name__
    record.exc_info, record.exc_text = None, None
    record.levelno, record.levelname = logging.INFO, "INFO"
    return logging.getLogger("aiohttp.server").isEnabledFor(logging.INFO)


def set_up_logs(level: str, form: str) -> None:
    """Write logs to standard error. Args: level: debug, info, warning or error. form: text or json."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else _Text())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel("WARNING")
    logging.getLogger("bdnews_dispatch").setLevel(level.upper())
    # These two write addresses of clients and whole mails at their lower levels.
    logging.getLogger("mail.log").setLevel("ERROR")
    logging.getLogger("aiohttp.access").setLevel("WARNING")
    logging.getLogger("aiohttp.server").addFilter(_their_fault)
