"""The errors of this service, as a tree. A library's own errors are translated into these where they come in.

BdnewsError                 anything a person should read: one sentence, what to do, no traceback
├── SettingsError           a setting is missing, unknown or of the wrong kind; names the key
├── IssueError              an issue file can't be taken; names the line where one is known
├── ImportFileError         a subscriber file can't be taken as a whole
├── NotFoundError           no issue, dispatch, list … by that name
├── StateError              the transition that was asked for is not in the table
├── ChannelError            a channel can't be used at all: the relay is away, credentials are wrong
├── StorageError            the database can't be written just now: the disk is full, or it is locked
└── TokenError              a link's token is not ours, for another purpose, or over

An expected refusal (suppressed, nothing of interest, duplicate) is no exception: it is a returned reason.

Messages and hints are Chinese, and that is what commands, the API and logs say. One with values in it is a `Phrase`, so
that a page can say it in English, too: web/language.py translates, a test finds what has no English. A hint helps who
sits at a page first, and names the command behind that.
"""

from typing import Self


class Phrase(str):
    """A text with values in it: Chinese, filled in, for whoever takes it as a text; a page may say it in English.

    Attributes:
        template: the text with `%(name)s` where a value goes.
        values: a list is said with 、 between; a phrase among them is translated, all else stays as it is.
    """

    __slots__ = ("template", "values")

    template: str
    values: dict[str, object]

    def __new__(cls, template: str, **values: object) -> Self:
        """Args: template: of a phrase without more values it is that phrase."""
        if isinstance(template, cls) and not values:
            return template
        phrase = super().__new__(cls, filled(template, values, "、") if values else template)
        phrase.template, phrase.values = template, values
        return phrase


def filled(template: str, values: dict[str, object], between: str) -> str:
    """The text. Args: between: what stands between the values of a list."""
    told = {
        name: between.join(str(one) for one in value) if isinstance(value, list | tuple) else value
        for name, value in values.items()
    }
    return template % told


class BdnewsError(Exception):
    """Base of all; `hint` says what to do next."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class SettingsError(BdnewsError):
    """A setting is missing, unknown or of the wrong kind."""


class IssueError(BdnewsError):
    """An issue file can't be taken.

    Attributes:
        code: a dotted name that never changes, for machines (`issue.empty`, `issue.binary` …).
        line: the line of the file, from 1, where one is known.
    """

    def __init__(self, message: str, *, code: str, line: int | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.code = code
        self.line = line


class ImportFileError(BdnewsError):
    """A subscriber file can't be taken as a whole; single bad rows are reported, not raised."""


class NotFoundError(BdnewsError):
    """There is no such thing."""


class StateError(BdnewsError):
    """The transition that was asked for is not in the table."""


class ChannelError(BdnewsError):
    """A channel can't be used at all: the relay is away, credentials are wrong."""


class StorageError(BdnewsError):
    """The database can't be written just now; nothing of the transaction is in it."""


class TokenError(BdnewsError):
    """A link's token is not ours, is for another purpose, or is over."""
