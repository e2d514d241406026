"""Whom a dispatch is meant for: lists and segments, less lists and segments.

In: names, as an editor gives them. Out: a `Target`, with each segment's rule as it is now; its condition over
`Subscriber` and their current `Subscription`. Callers: dispatch starting and planning, audience, cli/.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, not_, or_, true
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.errors import NotFoundError, Phrase
from bdnews_dispatch.subscribers.models import MailingList
from bdnews_dispatch.subscribers.segments import find_segments, on_a_list, read_rule

#: A segment in a dispatch: {"name", "rule"}.
Named = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """Who is on a list or fits a segment, or everybody where there is neither; less who is excluded."""

    lists: Sequence[str] = ()
    segments: Sequence[Named] = ()
    excluded_lists: Sequence[str] = ()
    excluded_segments: Sequence[Named] = ()

    def columns(self) -> dict[str, Any]:
        """As a dispatch holds it."""
        return {
            "lists": sorted(self.lists),
            "segments": sorted(self.segments, key=_name),
            "excluded_lists": sorted(self.excluded_lists),
            "excluded_segments": sorted(self.excluded_segments, key=_name),
        }

    @property
    def name(self) -> str:
        """The same for the same target, in at most 64 characters; empty for everybody."""
        if not (self.segments or self.excluded_lists or self.excluded_segments):
            plain = ":".join(sorted(self.lists))
            if len(plain) <= 64:
                return plain
        return hashlib.sha256(json.dumps(self.columns(), sort_keys=True).encode()).hexdigest()[:32]

    def condition(self, now: datetime) -> ColumnElement[bool]:
        """Over `Subscriber` and `Subscription`."""
        return and_(self.included(now), *(not_(condition) for _, condition in self.excluding(now)))

    def included(self, now: datetime) -> ColumnElement[bool]:
        """Whom it names, before anybody is excluded."""
        wanted = [read_rule(segment["rule"]).condition(now) for segment in self.segments]
        if self.lists:
            wanted.append(on_a_list(self.lists))
        return or_(*wanted) if wanted else true()

    def excluding(self, now: datetime) -> list[tuple[str, ColumnElement[bool]]]:
        """Each rule that leaves people out, by name."""
        lists = [(f"list:{name}", on_a_list([name])) for name in self.excluded_lists]
        segments = [
            (f"segment:{segment['name']}", read_rule(segment["rule"]).condition(now))
            for segment in self.excluded_segments
        ]
        return lists + segments


EVERYBODY = Target()


async def read_target(
    session: AsyncSession,
    *,
    lists: Sequence[str] = (),
    segments: Sequence[str] = (),
    excluded_lists: Sequence[str] = (),
    excluded_segments: Sequence[str] = (),
) -> Target:
    """A target from names.

    Raises:
        NotFoundError: a list or a segment is not there; a send to one that is not there reaches nobody, silently.
    """
    await _check_lists(session, [*lists, *excluded_lists])
    rules = {
        segment.name: {"name": segment.name, "rule": segment.rule}
        for segment in await find_segments(session, [*segments, *excluded_segments])
    }
    return Target(
        lists=sorted(set(lists)),
        segments=[rules[name] for name in sorted(set(segments))],
        excluded_lists=sorted(set(excluded_lists)),
        excluded_segments=[rules[name] for name in sorted(set(excluded_segments))],
    )


async def _check_lists(session: AsyncSession, names: Sequence[str]) -> None:
    known = set((await session.exec(select(col(MailingList.name)))).all())
    for name in names:
        if name not in known:
            raise NotFoundError(
                Phrase("没有名为“%(name)s”的名单", name=name),
                hint=Phrase("现有名单：%(there)s。", there=sorted(known) or Phrase("（无）")),
            )


def _name(segment: Named) -> str:
    return str(segment["name"])
