"""What a bounce means for its address: pure, by the same rules as a relay's own answers (config/providers.toml).

In: a `Returned` of kind bounce. Out: a `Verdict`. Callers: recording, cli/.
"""

from enum import StrEnum

from bdnews_dispatch.channels.email.replies import Meaning, ReplyRules, Stage
from bdnews_dispatch.returns.reading import Returned


class Verdict(StrEnum):
    """How a bounce counts."""

    #: There is no such mailbox: never again.
    HARD = "hard"
    #: Full, or away: counts; five in a row are enough.
    SOFT = "soft"
    #: They did not want us, or this mail, or so much of it: not the address's fault.
    BLOCKED = "blocked"


_MEANINGS = {
    Meaning.UNKNOWN_USER: Verdict.HARD,
    Meaning.FULL: Verdict.SOFT,
    Meaning.TEMPORARY: Verdict.SOFT,
    Meaning.RATE: Verdict.BLOCKED,
    Meaning.CONTENT: Verdict.BLOCKED,
    Meaning.POLICY: Verdict.BLOCKED,
    Meaning.CONFIGURATION: Verdict.BLOCKED,
}
#: By RFC 3463 where no rule knows the words: X.1 address, X.2 mailbox, X.6 content, X.7 policy; the longest fits.
_STATUSES = {
    "5.1.1": Verdict.HARD,
    "5.1.2": Verdict.HARD,
    "5.1.3": Verdict.HARD,
    "5.1.6": Verdict.HARD,
    "5.1.10": Verdict.HARD,
    "5.2.1": Verdict.HARD,
    "5.1.8": Verdict.BLOCKED,
    "5.6": Verdict.BLOCKED,
    "5.7": Verdict.BLOCKED,
    "4.7": Verdict.BLOCKED,
}


def verdict_of(returned: Returned, rules: ReplyRules) -> tuple[Verdict, str]:
    """The verdict, and the rule's name by which it was found; empty: by its status, or by nothing."""
    code = returned.code or (int(returned.status[0]) * 100 + 50 if returned.status else 550)
    text = f"{returned.text} {returned.status}"
    # Only a status says which step was refused; a bare 550 of a report is no word about a mailbox.
    stage = Stage.RCPT if returned.status.startswith(("5.1.", "5.2.")) else Stage.BODY
    rule = rules.find(code, text, stage)
    if rule is not None and not (rule.means is Meaning.UNKNOWN_USER and rule.text is None):
        return _MEANINGS[rule.means], rule.name
    for status, verdict in sorted(_STATUSES.items(), key=lambda item: -len(item[0])):
        if returned.status == status or returned.status.startswith(f"{status}."):
            return verdict, ""
    return Verdict.SOFT, ""
