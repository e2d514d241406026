"""Which hits are no person's: mail scanners, proxies that fetch pictures ahead, programs. Rules: config/machines.toml.

In: what a request says of itself, and how long after the send it came; then the hits of a delivery together. Out: the
name of the rule that is met (`scanner.named`), or "". Callers: recording, judging. What is hostile claims to be a
browser, so this errs towards people; machines' hits are kept and shown apart, and never trigger anything.
"""

import ipaddress
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import crawleruseragents
from ua_parser import parse_user_agent

from bdnews_dispatch.errors import SettingsError
from bdnews_dispatch.shipped import shipped
from bdnews_dispatch.tracking.models import HitKind

FILE = "machines.toml"
CLASSES = ("proxy", "prefetch", "scanner", "preview", "crawler", "program", "timing")
EVERY_LINK = "scanner.every_link"
BURST = "scanner.burst"
#: Fewer links than this are what a reader may well open in one go.
_FEWEST_LINKS = 3
#: Different User-Agents that are remembered; a dispatch sees some thousands.
_AGENTS = 8_192

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Trace:
    """What a hit tells of who made it; a row of `hit` holds the same.

    Attributes:
        kind: what was touched.
        agent: the User-Agent; "": none.
        method: of the request; "": not known.
        announced: the request says itself that it comes ahead of a reader.
        network: of the client, as web/clients.py gives it; "": not known.
        seconds: after the relay took the message; None: not known.
    """

    kind: HitKind
    agent: str
    method: str = "GET"
    announced: bool = False
    network: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """See config/machines.toml. What is None or empty is not asked for."""

    name: str
    agents: re.Pattern[str] | None = None
    families: frozenset[str] = frozenset()
    crawler: bool = False
    no_agent: bool = False
    methods: frozenset[str] = frozenset()
    announced: bool = False
    networks: tuple[_Network, ...] = ()
    kinds: frozenset[HitKind] = frozenset()
    sooner: float | None = None

    @property
    def by_agent_alone(self) -> bool:
        """Whether the User-Agent decides, so that the answer can be remembered."""
        return not (self.methods or self.announced or self.networks or self.kinds or self.sooner is not None)

    def fits(self, trace: Trace) -> bool:
        """Whether all that the rule names fits."""
        return (
            (not self.methods or trace.method in self.methods)
            and (not self.announced or trace.announced)
            and (not self.kinds or trace.kind in self.kinds)
            and (self.sooner is None or (trace.seconds is not None and trace.seconds < self.sooner))
            and (not self.no_agent or not trace.agent.strip())
            and (self.agents is None or self.agents.search(trace.agent) is not None)
            and (not self.families or family_of(trace.agent) in self.families)
            and (not self.crawler or crawleruseragents.is_crawler(trace.agent))
            and (not self.networks or _within(trace.network, self.networks))
        )


@dataclass(frozen=True, slots=True)
class Together:
    """So many within so many seconds."""

    number: int
    seconds: float


@dataclass(slots=True)
class Machines:
    """All rules.

    Attributes:
        version: of the file and of the list of crawlers: other rules judge hits anew.
    """

    rules: Sequence[Rule]
    every_link: Together
    burst: Together
    version: str
    _others: Sequence[tuple[int, Rule]] = ()
    _known: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._others = [(place, rule) for place, rule in enumerate(self.rules) if not rule.by_agent_alone]

    @classmethod
    def load(cls, file: Path | None = None) -> Self:
        """Args: file: instead of the one that ships.

        Raises:
            SettingsError: the file can't be read, or a rule in it is wrong; names which.
        """
        file = file or shipped("config") / FILE
        try:
            text = file.read_bytes()
            told = tomllib.loads(text.decode())
            rules = [_rule(row) for row in told.get("rule", [])]
            every, burst = told["every_link"], told["burst"]
            return cls(
                rules,
                Together(int(every["links"]), float(every["seconds"])),
                Together(int(burst["deliveries"]), float(burst["seconds"])),
                _version(text),
            )
        except (OSError, UnicodeDecodeError, KeyError, TypeError, ValueError, re.error) as error:
            raise SettingsError(f"读不到识别机器的规则 {file}：{error}") from error

    @property
    def soonest(self) -> float:
        """Before so many seconds after the send, whoever comes is a machine."""
        return max((rule.sooner for rule in self.rules if rule.sooner is not None), default=0.0)

    def reason(self, trace: Trace) -> str:
        """The name of the first rule that fits; "": it may be a person."""
        of_agent = self._place(trace.agent)
        for place, rule in self._others:
            if place > of_agent:
                break
            if rule.fits(trace):
                return rule.name
        return self.rules[of_agent].name if of_agent < len(self.rules) else ""

    def _place(self, agent: str) -> int:
        """Of the first rule that the User-Agent alone decides; behind the last: none. Remembered."""
        place = self._known.get(agent)
        if place is None:
            if len(self._known) >= _AGENTS:
                self._known.clear()
            trace = Trace(HitKind.OPEN, agent)
            fits = (n for n, rule in enumerate(self.rules) if rule.by_agent_alone and rule.fits(trace))
            place = self._known[agent] = next(fits, len(self.rules))
        return place


@cache
def the_machines() -> Machines:
    """The rules that ship, read once. Raises: as `Machines.load`."""
    return Machines.load()


def tries_every_link(
    clicks: Sequence[tuple[datetime, int]], links: int, limit: Together
) -> tuple[datetime, datetime] | None:
    """Where in a delivery's clicks a scanner was at work.

    Args:
        clicks: when, and which link's number, in the order of time.
        links: that the digest has.
        limit: different links, and within how many seconds.

    Returns:
        From when to when; None: nowhere.
    """
    enough = max(min(limit.number, links), _FEWEST_LINKS)
    start = 0
    first = last = None
    for end, (at, _) in enumerate(clicks):
        while (at - clicks[start][0]).total_seconds() > limit.seconds:
            start += 1
        if len({link for _, link in clicks[start : end + 1]}) >= enough:
            first, last = first or clicks[start][0], at
    return (first, last) if first is not None and last is not None else None


def bursts(hits: Sequence[tuple[datetime, int, int]], limit: Together) -> set[int]:
    """Which hits of one network and one User-Agent came in step, over many people's mails.

    Args:
        hits: when, the hit's id, the delivery's id; in the order of time.
        limit: different deliveries, and within how many seconds.

    Returns:
        Ids of hits.
    """
    found: set[int] = set()
    start, counts = 0, dict[int, int]()
    for end, (at, _, delivery) in enumerate(hits):
        counts[delivery] = counts.get(delivery, 0) + 1
        while (at - hits[start][0]).total_seconds() > limit.seconds:
            gone = hits[start][2]
            counts[gone] -= 1
            if not counts[gone]:
                del counts[gone]
            start += 1
        if len(counts) >= limit.number:
            found.update(id_ for _, id_, _ in hits[start : end + 1])
    return found


@lru_cache(maxsize=_AGENTS)
def family_of(agent: str) -> str:
    """The User-Agent's family by ua-parser (`Chrome Mobile`, `Outlook`), at most 40 characters; "": not known."""
    found = parse_user_agent(agent) if agent else None
    return found.family[:40] if found else ""


def announced(headers: Mapping[str, str]) -> bool:
    """Whether the request says itself that nobody looks yet."""
    purposes = " ".join(headers.get(name, "") for name in ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"))
    return any(word in purposes.lower() for word in ("prefetch", "preview", "prerender"))


def _rule(row: Mapping[str, Any]) -> Rule:
    name = row.get("name", "?")
    known = {
        "name",
        "source",
        "agents",
        "families",
        "crawler",
        "no_agent",
        "methods",
        "announced",
        "networks",
    }
    if strange := set(row) - known - {"kinds", "sooner"}:
        raise ValueError(f"{name}：不认识 {'、'.join(sorted(strange))}")
    if name.partition(".")[0] not in CLASSES or not name.partition(".")[2] or not row.get("source"):
        raise ValueError(f"{name}：name 应写成“类.原因”，类是 {'、'.join(CLASSES)} 之一，并写明 source")
    if len(name) > 40 or not set(row) - {"name", "source"}:
        raise ValueError(f"{name}：名字最多 40 个字符，至少要看一样")
    try:
        agents = re.compile("|".join(row["agents"]), re.IGNORECASE) if "agents" in row else None
        return Rule(
            name,
            agents,
            frozenset(row.get("families", ())),
            bool(row.get("crawler", False)),
            bool(row.get("no_agent", False)),
            frozenset(row.get("methods", ())),
            bool(row.get("announced", False)),
            tuple(ipaddress.ip_network(text) for text in row.get("networks", ())),
            frozenset(HitKind(kind) for kind in row.get("kinds", ())),
            float(row["sooner"]) if "sooner" in row else None,
        )
    except (ValueError, re.error) as error:
        raise ValueError(f"{name}：{error}") from error


@cache
def _crawlers() -> bytes:
    return "\n".join(row["pattern"] for row in crawleruseragents.CRAWLER_USER_AGENTS_DATA).encode()


def _version(text: bytes) -> str:
    return sha256(text + b"\0" + _crawlers()).hexdigest()[:16]


def _within(network: str, wanted: Sequence[_Network]) -> bool:
    if not network:
        return False
    try:
        found = ipaddress.ip_network(network)
    except ValueError:
        return False
    return any(
        found.version == one.version and found.subnet_of(one)  # type: ignore[arg-type]  # of one version
        for one in wanted
    )
