"""What parsing noticed and a person should look at. In: a line, a code, a sentence. Out: `Warning_`s in line order.

Callers: every module of this package. A code is dotted and never changes.
"""

from collections import Counter

from bdnews_dispatch.issues.document import Warning_

#: More of one kind than this are counted, not listed: a broken file must not bury its own report.
LISTED_PER_CODE = 200


class Findings:
    """Collects warnings."""

    def __init__(self) -> None:
        self._warnings: list[Warning_] = []
        self._counts: Counter[str] = Counter()

    def warn(self, line: int, code: str, message: str) -> None:
        self._counts[code] += 1
        if self._counts[code] <= LISTED_PER_CODE:
            self._warnings.append(Warning_(line=line, code=code, message=message))

    def listed(self) -> tuple[Warning_, ...]:
        """All of them, by line, with one sentence for each kind that had too many."""
        more = [
            Warning_(line=0, code=code, message=f"同类问题共 {count} 处，这里只列出前 {LISTED_PER_CODE} 处。")
            for code, count in self._counts.items()
            if count > LISTED_PER_CODE
        ]
        return (*sorted(self._warnings, key=lambda warning: warning.line), *more)
