"""Who gets which mass message: a pure function.

In: deliveries that wait for it. Out: groups by exact set of sections, and who is left alone. Caller: job.py.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from bdnews_dispatch.channels.wechat.mass import FEWEST, MOST


class Waiting(NamedTuple):
    """A delivery that waits for the mass message.

    Attributes:
        has_mail: a mail can take its place.
    """

    delivery_id: int
    sections: tuple[str, ...]
    has_mail: bool


class Sets(NamedTuple):
    """Groups of two and more by their sections; the others alone."""

    groups: Mapping[tuple[str, ...], Sequence[Waiting]]
    alone: Sequence[Waiting]


def sets_of(waiting: Iterable[Waiting]) -> Sets:
    """Group by exact set of sections.

    A set of one can't be sent (40130). Who is alone gets the mail; who has none joins the smallest group that has all
    of their sections and more, rather than get nothing; where there is no such group, they are alone all the same.
    """
    groups: dict[tuple[str, ...], list[Waiting]] = defaultdict(list)
    for one in sorted(waiting):
        groups[one.sections].append(one)
    large = {sections: members for sections, members in groups.items() if len(members) >= FEWEST}
    alone = []
    for (one,) in (members for members in groups.values() if len(members) < FEWEST):
        wider = [sections for sections in large if set(sections) > set(one.sections)]
        if one.has_mail or not wider:
            alone.append(one)
        else:
            large[min(wider, key=lambda sections: (len(sections), sections))].append(one)
    return Sets(large, alone)


def portions(members: Sequence[Waiting]) -> list[Sequence[Waiting]]:
    """At most 10,000 each, and none of one."""
    cuts = [members[start : start + MOST] for start in range(0, len(members), MOST)]
    if len(cuts) > 1 and len(cuts[-1]) < FEWEST:
        return [*cuts[:-2], cuts[-2][:-1], [cuts[-2][-1], *cuts[-1]]]
    return cuts
