"""What a run has done so far, as its row holds it.

In: entries and their outcomes. Out: sums, kinds of problems, refused rows. Callers: running, checking.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bdnews_dispatch.subscribers.imports.deciding import Outcome
from bdnews_dispatch.subscribers.imports.models import ImportRun
from bdnews_dispatch.subscribers.imports.packing import RefusedRow
from bdnews_dispatch.subscribers.imports.rows import Entry

#: Rows that are named for each kind of problem.
MOST_NAMED = 20


@dataclass(slots=True)
class Counts:
    """Attributes: kinds: as `ImportRun.kinds`."""

    done: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: int = 0
    kinds: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, run: ImportRun) -> "Counts":
        """As the run's row has it."""
        kinds = {code: {**kind, "first": list(kind["first"])} for code, kind in run.kinds.items()}
        return cls(run.done, run.added, run.changed, run.unchanged, run.refused, kinds)

    def columns(self) -> dict[str, Any]:
        """As the run's row takes it."""
        return {
            "done": self.done,
            "added": self.added,
            "changed": self.changed,
            "unchanged": self.unchanged,
            "refused": self.refused,
            "kinds": self.kinds,
        }

    def add(self, entries: Sequence[Entry], outcomes: Sequence[Outcome]) -> list[RefusedRow]:
        """Count a slice. Returns: its refused rows."""
        refused = []
        for entry, outcome in zip(entries, outcomes, strict=False):
            self.done += 1
            status = outcome.status
            if status == "added":
                self.added += 1
            elif status == "changed":
                self.changed += 1
            elif status == "unchanged":
                self.unchanged += 1
            else:
                self.refused += 1
                refused.append(self._refuse(entry, outcome))
                continue
            if outcome.code:
                self._tell(entry.raw.number, outcome.code, outcome.message, refused=False)
            for warning in entry.warnings:
                self._tell(entry.raw.number, warning.code, warning.message, refused=False)
        return refused

    def _refuse(self, entry: Entry, outcome: Outcome) -> RefusedRow:
        raw = entry.raw
        problems = [(one.column, one.code, one.message) for one in entry.problems]
        if outcome.code:
            problems.append((outcome.column, outcome.code, outcome.message))
        for _, code, message in problems:
            self._tell(raw.number, code, message, refused=True)
        # Of whom everything was erased nothing is kept again.
        cells = [] if outcome.code == "erased" else raw.cells
        return RefusedRow(raw.number, cells, problems)

    def _tell(self, row: int, code: str, message: str, *, refused: bool) -> None:
        kind = self.kinds.setdefault(code, {"rows": 0, "refused": refused, "first": []})
        kind["rows"] += 1
        if len(kind["first"]) < MOST_NAMED:
            kind["first"].append([row, message])
