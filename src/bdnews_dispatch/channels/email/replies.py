"""What a relay's answer means: config/providers.toml read once, then asked for each refusal.

In: a reply code, its text, where in the dialogue it came. Out: an `Outcome`. Called by channel.py and by
tracking/ for bounce reports (the same words come back in them).
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from bdnews_dispatch.channels.outcome import Outcome, OutcomeKind, Remedy
from bdnews_dispatch.errors import SettingsError
from bdnews_dispatch.shipped import shipped

FILE = "providers.toml"
#: `Outcome.text`: at most this many characters.
TEXT_LIMIT = 500

_ADDRESS = re.compile(r"<?[^\s<>@,;:()\"]+@[^\s<>@,;:()\"]+>?")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_QUEUED = re.compile(r"queued as ([^\s,]+)|\bid=(\S+)|\bqp (\d+)|\bmessage accepted[: ]+(\S+)", re.IGNORECASE)


class Stage(StrEnum):
    """Which command was answered."""

    MAIL = "mail"
    RCPT = "rcpt"
    #: DATA itself: no byte of the message has gone out.
    DATA = "data"
    #: Behind the final dot.
    BODY = "body"


class Meaning(StrEnum):
    """What a refusal comes down to; config/providers.toml explains each."""

    RATE = "rate"
    TEMPORARY = "temporary"
    UNKNOWN_USER = "unknown_user"
    FULL = "full"
    CONTENT = "content"
    POLICY = "policy"
    CONFIGURATION = "configuration"


_OUTCOMES: Mapping[Meaning, tuple[OutcomeKind, Remedy]] = {
    Meaning.RATE: (OutcomeKind.DEFERRED, Remedy.NONE),
    Meaning.TEMPORARY: (OutcomeKind.DEFERRED, Remedy.NONE),
    Meaning.UNKNOWN_USER: (OutcomeKind.REFUSED, Remedy.SUPPRESS),
    Meaning.FULL: (OutcomeKind.REFUSED, Remedy.NONE),
    Meaning.CONTENT: (OutcomeKind.REFUSED, Remedy.NONE),
    Meaning.POLICY: (OutcomeKind.REFUSED, Remedy.NONE),
    Meaning.CONFIGURATION: (OutcomeKind.UNAVAILABLE, Remedy.STOP_CHANNEL),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One row of config/providers.toml; the fields are explained there."""

    name: str
    codes: tuple[str, ...]
    text: re.Pattern[str] | None
    stages: frozenset[Stage]
    means: Meaning
    scope: str
    retry_after: float | None
    source: str

    def fits(self, code: int, text: str, stage: Stage) -> bool:
        """Whether this rule is about such a reply."""
        written = str(code)
        return (
            any(
                written == wanted or (wanted[1:] == "xx" and written[:1] == wanted[:1])
                for wanted in self.codes
            )
            and (not self.stages or stage in self.stages)
            and (self.text is None or self.text.search(text) is not None)
        )


class ReplyRules:
    """The rules, in their order: the first that fits decides."""

    def __init__(self, rules: tuple[Rule, ...] = ()) -> None:
        self.rules = rules

    @classmethod
    def load(cls, file: Path | None = None) -> Self:
        """Read the rules.

        Args:
            file: by default the one that ships.

        Raises:
            SettingsError: the file can't be read, or a rule in it is wrong; names the rule.
        """
        file = file or shipped("config") / FILE
        try:
            rows = tomllib.loads(file.read_text(encoding="utf-8")).get("rule", [])
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SettingsError(f"读不到退信规则 {file}：{error}") from error
        return cls(tuple(_rule(row, file) for row in rows))

    def find(self, code: int, text: str, stage: Stage) -> Rule | None:
        """The rule for a reply, if there is one."""
        return next((rule for rule in self.rules if rule.fits(code, text, stage)), None)

    def classify(self, code: int, text: str, stage: Stage, *, recipient: str = "") -> Outcome:
        """What a reply means for the delivery.

        Args:
            code: the three digits.
            text: the words, as they came.
            stage: which command was answered.
            recipient: whose address is taken out of the text.
        """
        words = redact(text, recipient)
        if 200 <= code < 300:
            return Outcome(OutcomeKind.ACCEPTED, str(code), words, "smtp", None, Remedy.NONE, queue_id(words))
        rule = self.find(code, text, stage)
        if rule is None:
            kind = OutcomeKind.REFUSED if 500 <= code < 600 else OutcomeKind.DEFERRED
            return Outcome(kind, str(code), words, "smtp")
        kind, remedy = _OUTCOMES[rule.means]
        waits = kind is OutcomeKind.DEFERRED
        return Outcome(
            kind,
            str(code),
            words,
            "smtp",
            retry_after=rule.retry_after if waits else None,
            remedy=remedy,
            scope=rule.scope if waits else "",
            rule=rule.name,
        )


def queue_id(text: str) -> str:
    """The relay's own id of the message, where its answer names one (Postfix, NetEase, Exim, qmail)."""
    found = _QUEUED.search(text)
    return found[found.lastindex or 0][:100] if found else ""


def redact(text: str, recipient: str = "") -> str:
    """The relay's words without addresses, control characters and what no database takes; at most 500
    characters.

    aiosmtplib hands bytes that are no UTF-8 through as lone surrogates; relays in China answer in GB 18030.
    """
    if not text.isascii():
        raw = text.encode("utf-8", "surrogateescape")
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            text = raw.decode("gb18030", "replace")
    if not text.isprintable():
        text = _CONTROL.sub(" ", text)
    if "@" in text:
        text = _ADDRESS.sub("<…>", text)
    local = recipient.rpartition("@")[0]
    if len(local) > 2 and local.lower() in text.lower():  # making a pattern costs more than all else here
        text = re.sub(rf"(?<!\w){re.escape(local)}(?!\w)", "…", text, flags=re.IGNORECASE)
    return text.strip()[:TEXT_LIMIT]


def _rule(row: Mapping[str, Any], file: Path) -> Rule:
    name = str(row.get("name", "?"))
    try:
        unknown = set(row) - {"name", "codes", "text", "stages", "means", "scope", "retry_after", "source"}
        if unknown:
            raise ValueError(f"没有名为 {'、'.join(sorted(unknown))} 的项")  # noqa: TRY301 — the rule is named below
        text = row.get("text")
        return Rule(
            name=row["name"],
            codes=tuple(row["codes"]),
            text=re.compile(text, re.IGNORECASE) if text is not None else None,
            stages=frozenset(Stage(stage) for stage in row.get("stages", ())),
            means=Meaning(row["means"]),
            scope=row["scope"],
            retry_after=row.get("retry_after"),
            source=row["source"],
        )
    except (KeyError, ValueError, TypeError, re.error) as error:
        raise SettingsError(f"退信规则 {name} 不正确（{file}）：{error}") from error
