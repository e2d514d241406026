"""Trying something step by step, within a time that a page may take. Callers: mail.py, wechat.py.

In: the steps by name, and work that tells of each one that it has done. Out: `Outcome`, in words, whatever happened:
an error of the other side is an answer, not a fault of the page.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.errors import BdnewsError, Phrase
from bdnews_dispatch.web.faults import N_

#: The longest that a page waits.
PATIENCE_SECONDS = 15.0
#: The other side's, for one answer: a step that gets none is named, before the page's own patience ends.
ANSWER_SECONDS = 8.0

#: Told of each step that is done.
Passed = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `said`, `hint`: why it failed, and what to do."""

    name: str
    state: Literal["done", "failed", "left"]
    said: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it went. `said`: what the other side told, where all went well."""

    at: datetime
    steps: Sequence[Step]
    said: str = ""

    @property
    def ok(self) -> bool:
        return all(step.state == "done" for step in self.steps)


async def attempt(
    clock: Clock,
    names: Sequence[str],
    work: Callable[[Passed], Awaitable[str]],
    *,
    failing: Callable[[BdnewsError, Sequence[str]], str] | None = None,
) -> Outcome:
    """Do the work.

    Args:
        names: of the steps, in their order.
        work: tells of each step that is done; what it returns is shown. It gives back what it holds when cancelled.
        failing: which step an error is of, of those that are not done; by default the first.
    """
    done: list[str] = []
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            said = await work(done.append)
    except BdnewsError as error:
        left = [name for name in names if name not in done]
        failed = failing(error, left) if failing is not None else left[0]
        return Outcome(clock(), _until(names, failed, error.message, error.hint))
    except TimeoutError:
        failed = next(name for name in names if name not in done)
        words = Phrase("%(seconds)s 秒内没有等到答复", seconds=round(PATIENCE_SECONDS))
        return Outcome(clock(), _until(names, failed, words, N_("请检查网络与防火墙，稍后再试。")))
    return Outcome(clock(), [Step(name, "done") for name in names], said)


def _until(names: Sequence[str], failed: str, said: str, hint: str) -> list[Step]:
    at = names.index(failed)
    before = [Step(name, "done") for name in names[:at]]
    return [*before, Step(failed, "failed", said, hint), *(Step(name, "left") for name in names[at + 1 :])]
