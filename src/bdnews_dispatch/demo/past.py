"""A year of dispatches, played: who gets what, what the other side says, what people and machines do with it.

In: readers, what was sent and when, lots. Out: rows of the ledger, of hits and of mail that came back, as `insert_many`
takes them; the readers know afterwards when they left. Nothing here touches a database. Caller: filling.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from bdnews_dispatch.demo.crowd import DOMAINS, Reader
from bdnews_dispatch.digests.digest import Link
from bdnews_dispatch.dispatch.models import DispatchKind
from bdnews_dispatch.dispatch.states import DeliveryState
from bdnews_dispatch.returns.models import ReturnedMail
from bdnews_dispatch.returns.reading import Kind
from bdnews_dispatch.subscribers.models import Cadence, Channel, ChannelChoice
from bdnews_dispatch.tracking.machines import Trace, family_of, the_machines
from bdnews_dispatch.tracking.models import HitKind

_S = DeliveryState
Row = dict[str, Any]
#: Behind so many soft bounces in a row an address is suppressed, as `[returns] soft_bounces` has it.
_SOFT = 5
#: Of tries that went well, older ones are left out: half a hundred thousand rows that no page shows.
_TRIES_KEPT = timedelta(days=45)
_PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
_AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    _PHONE,
    f"{_PHONE} MicroMessenger/8.0.50",
    "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36",
)
#: What fetches pictures for a mailbox, and what looks for harm in a mail.
_PROXY, _SCANNER = "Mozilla/5.0", "Mozilla/5.0 (compatible; FortiSandbox)"
#: What relays say: code, words.
_HARD = ("5.1.1", 550, "550 5.1.1 User unknown")
_FULL = ("5.2.2", 552, "552 5.2.2 Mailbox full")
_RATE = ("5.7.1", 550, "550 5.7.1 Too many messages from your network")


@dataclass(frozen=True, slots=True)
class Sent:
    """One past dispatch.

    Attributes:
        holds: keys of the sections that it has something in; of a bulletin, of whom it concerns (none: everybody).
        links: as its digests hold them.
        until: after so many deliveries it was stopped: `stopped` is what became of the others.
    """

    id: int
    kind: DispatchKind
    cadence: Cadence | None
    at: datetime
    holds: frozenset[str]
    links: Sequence[Link]
    until: int | None = None
    stopped: DeliveryState = _S.CANCELLED


@dataclass(slots=True)
class Played:
    """Rows; ids of deliveries are given, all other ones are the database's."""

    deliveries: list[Row] = field(default_factory=list)
    attempts: list[Row] = field(default_factory=list)
    hits: list[Row] = field(default_factory=list)
    returned: list[Row] = field(default_factory=list)
    suppressions: list[Row] = field(default_factory=list)


class Year:
    """Plays dispatches in their order. Args: first: id of the first delivery. now: nothing is known of later."""

    def __init__(self, lots: Random, readers: Sequence[Reader], first: int, now: datetime) -> None:
        self.rows = Played()
        self._lots = lots
        self._readers = readers
        self._next = first
        self._now = now
        self._machines = the_machines()
        self._appeal = 1.0
        self._family = {agent: family_of(agent) for agent in (*_AGENTS, _PROXY, _SCANNER)}

    def play(self, sent: Sent) -> datetime:
        """One dispatch. Returns: when the last of it had gone out."""
        number, last = 0, sent.at
        self._appeal = self._lots.uniform(0.85, 1.15)
        for reader in self._readers:
            if not reader.reads(sent.at) or (
                sent.kind is DispatchKind.PERIOD and reader.cadence is not sent.cadence
            ):
                continue
            for channel in _channels(reader):
                sections, reason = _sections(sent, reader)
                reason = reason or _unreachable(reader, channel, sent.at)
                row = self._row(sent, reader, channel, sections, reason)
                if reason:
                    continue
                number += 1
                if sent.until is not None and number > sent.until:
                    self._stop(sent, row, number)
                    continue
                last = sent.at + timedelta(seconds=20 + number * 0.12)
                self._send(sent, reader, row, last)
        return last

    def _row(self, sent: Sent, reader: Reader, channel: Channel, sections: list[str], reason: str) -> Row:
        chance = self._lots.getrandbits(64)
        row: Row = {
            "id": self._next,
            "dispatch_id": sent.id,
            "subscriber_id": reader.id,
            "channel": channel,
            "key": f"{int(sent.at.timestamp()):08x}{chance:016x}",
            "sections": sections,
            "state": _S.SKIPPED if reason else _S.PLANNED,
            "reason": reason,
            "worker": None,
            "epoch": 0,
            "due_at": sent.at,
            "attempts": 0,
            "mode": "",
            "untracked": reader.untracked,
            "first_tried_at": None,
            "sent_at": None,
            "updated_at": sent.at,
        }
        self._next += 1
        self.rows.deliveries.append(row)
        return row

    def _stop(self, sent: Sent, row: Row, number: int) -> None:
        """What had not gone out when somebody stopped it: the next ones were on the wire, the others wait or do not."""
        assert sent.until is not None  # noqa: S101  # the caller's
        if sent.stopped is _S.CANCELLED:
            row.update(state=_S.CANCELLED, reason="dispatch_cancelled")
        elif row["channel"] is Channel.EMAIL and number <= sent.until + 4:
            row.update(state=_S.UNCERTAIN, reason="lost_answer", epoch=1, attempts=1, mode="smtp")
            row.update(first_tried_at=sent.at, updated_at=sent.at + timedelta(minutes=12))
            self._attempt(row, row["updated_at"], "uncertain", "lost_answer", "没有得到答复")
        elif row["channel"] is Channel.WECHAT:
            row.update(state=_S.SKIPPED, reason="not_following")

    def _send(self, sent: Sent, reader: Reader, row: Row, at: datetime) -> None:
        lots = self._lots
        wechat = row["channel"] is Channel.WECHAT
        row.update(epoch=1, attempts=1, mode="custom" if wechat else "smtp", first_tried_at=at, updated_at=at)
        come_back = 1.0 if wechat else DOMAINS[reader.domain][2]
        fate = lots.random() * 1000
        if fate < 3:
            code, words = (
                ("45015", "response out of time limit") if wechat else ("550", "550 Message refused")
            )
            row.update(state=_S.FAILED, reason=code)
            self._attempt(row, at, "refused", code, words)
            return
        row.update(state=_S.SENT, sent_at=at)
        if lots.random() < 0.02:
            row["attempts"] = 2
            self._attempt(row, at - timedelta(seconds=90), "deferred", "451", "451 4.7.1 Try again later")
        self._attempt(
            row, at, "accepted", "0" if wechat else "250", "ok" if wechat else "250 2.0.0 Ok: queued"
        )
        if wechat:
            self._read(sent, reader, row, at)
        elif fate < 3 + come_back:
            self._bounce(reader, row, at + timedelta(minutes=lots.uniform(1, 200)))
        else:
            reader.soft = 0
            if reader.domain == "institute.example":
                row.update(state=_S.DELIVERED)
            if fate > 999.4:
                self._complain(reader, row, at + timedelta(hours=lots.uniform(2, 60)))
            self._read(sent, reader, row, at)

    def _attempt(self, row: Row, at: datetime, outcome: str, code: str, words: str) -> None:
        if outcome == "accepted" and at < self._now - _TRIES_KEPT:
            return
        self.rows.attempts.append(
            {
                "delivery_id": row["id"],
                "at": at,
                "outcome": outcome,
                "code": code,
                "text": words,
                "mode": row["mode"],
                "reference": "",
            }
        )

    def _bounce(self, reader: Reader, row: Row, at: datetime) -> None:
        if at > self._now:
            return
        reader.soft += 1
        (status, code, words), verdict = self._lots.choices(
            ((_HARD, "hard"), (_FULL, "soft"), (_RATE, "blocked")), (5, 4, 1)
        )[0]
        row.update(state=_S.BOUNCED, reason=f"{verdict}:{status}", updated_at=at)
        self._returned(row, at, Kind.BOUNCE, status=status, code=code, verdict=verdict, text=words)
        if verdict == "hard":
            self._suppress(reader, at, "bounce")
        elif verdict == "soft" and reader.soft >= _SOFT:
            self._suppress(reader, at, "soft_bounces")

    def _complain(self, reader: Reader, row: Row, at: datetime) -> None:
        if at > self._now:
            return
        row.update(state=_S.COMPLAINED, reason="complaint", updated_at=at)
        self._returned(row, at, Kind.COMPLAINT)
        self._suppress(reader, at, "complaint")
        reader.left, reader.why = at, "complaint"

    def _returned(self, row: Row, at: datetime, kind: Kind, **more: Any) -> None:
        filled = ReturnedMail(
            fingerprint=f"{row['id']:064x}",
            way="lmtp",
            kind=kind,
            delivery_id=row["id"],
            rule="demo",
            received_at=at,
            **more,
        )
        self.rows.returned.append(filled.model_dump(exclude={"id"}))

    def _suppress(self, reader: Reader, at: datetime, why: str) -> None:
        if reader.stopped is not None or reader.email is None:
            return
        reader.stopped, reader.stopped_why = at, why
        self.rows.suppressions.append(
            {
                "channel": Channel.EMAIL,
                "target": reader.email,
                "reason": why,
                "source": "returns",
                "evidence": f"returned_mail:{len(self.rows.returned)}",
                "created_at": at,
            }
        )

    def _read(self, sent: Sent, reader: Reader, row: Row, at: datetime) -> None:
        """What is done with one that arrived."""
        lots = self._lots
        if reader.untracked:
            pass
        elif row["channel"] is Channel.EMAIL:
            self._machine(reader, row, at, sent.links)
        theirs = [link for link in sent.links if link.section is None or link.section in row["sections"]]
        if lots.random() < reader.eager * self._appeal and not reader.untracked:
            agent, network = (
                _AGENTS[(reader.id * 7) % len(_AGENTS)],
                f"10.{reader.id % 199}.{reader.id % 83}.0/24",
            )
            opened = at + timedelta(seconds=5 + lots.lognormvariate(9.3, 1.5))
            kind = HitKind.OPEN if row["channel"] is Channel.EMAIL else HitKind.PAGE_VIEW
            self._hit(reader, row, kind, opened, agent, network)
            if theirs and lots.random() < 0.38:
                for place in range(lots.choice((1, 1, 1, 2, 2, 3))):
                    # The first ones are seen by most.
                    link = theirs[min(int(lots.expovariate(0.45)), len(theirs) - 1)]
                    clicked = opened + timedelta(seconds=30 + 70 * place + lots.uniform(0, 40))
                    self._hit(reader, row, HitKind.CLICK, clicked, agent, network, link.number)
        if reader.left is None and lots.random() < 0.0075:
            left = at + timedelta(hours=lots.uniform(0.5, 40))
            if left < self._now:
                reader.left, reader.why = (
                    left,
                    lots.choice(("page", "one_click", "page:too_often", "page:not_relevant")),
                )
                self._hit(reader, row, HitKind.UNSUBSCRIBE, left, _AGENTS[0], "")

    def _machine(self, reader: Reader, row: Row, at: datetime, links: Sequence[Link]) -> None:
        lots, what = self._lots, DOMAINS[reader.domain][3]
        if what == "gateway" and lots.random() < 0.6:
            soon = at + timedelta(seconds=lots.uniform(3, 30))
            self._hit(reader, row, HitKind.OPEN, soon, _SCANNER, "")
            for link in links[:2]:
                self._hit(reader, row, HitKind.CLICK, soon, _SCANNER, "", link.number)
        elif what == "proxy" or (reader.id % 9 == 0 and lots.random() < 0.8):
            self._hit(reader, row, HitKind.OPEN, at + timedelta(seconds=lots.uniform(20, 900)), _PROXY, "")

    def _hit(
        self,
        reader: Reader,
        row: Row,
        kind: HitKind,
        at: datetime,
        agent: str,
        network: str,
        link: int | None = None,
    ) -> None:
        if at > self._now:
            return
        seconds = (at - row["sent_at"]).total_seconds()
        trace = Trace(kind, agent, "GET", announced=False, network=network, seconds=seconds)
        machine = "" if kind is HitKind.UNSUBSCRIBE else self._machines.reason(trace)
        if not machine:
            reader.opened = at
        filled: Row = {
            "delivery_id": row["id"],
            "kind": kind,
            "link": link,
            "machine": machine,
            "user_agent": agent,
            "family": self._family[agent],
            "method": "POST" if kind is HitKind.UNSUBSCRIBE else "GET",
            "announced": False,
            "network": network,
            "seconds": seconds,
            "at": at,
        }
        self.rows.hits.append(filled)


def _channels(reader: Reader) -> tuple[Channel, ...]:
    if reader.channel is not ChannelChoice.EITHER:
        return reader.channel.channels
    return (Channel.WECHAT,) if reader.following else (Channel.EMAIL,)


def _sections(sent: Sent, reader: Reader) -> tuple[list[str], str]:
    """As planning does it: what this reader's digest holds, or why there is none."""
    wanted = reader.chosen(sent.at)
    if sent.kind is DispatchKind.BULLETIN:
        concerned = not sent.holds or reader.whole or sent.holds & set(wanted)
        return (sorted(sent.holds), "") if concerned else ([], "no_matching_section")
    if reader.cadence is not sent.cadence:
        return [], f"cadence_{reader.cadence}"
    found = sorted(sent.holds if reader.whole else sent.holds & set(wanted))
    return (found, "") if found else ([], "no_matching_section")


def _unreachable(reader: Reader, channel: Channel, at: datetime) -> str:
    if channel is Channel.WECHAT:
        return "" if reader.following else "not_following"
    return "suppressed" if reader.stopped is not None and reader.stopped < at else ""
