"""What is to be written for an entry. Pure: rows known and terms in, rows to write and an outcome out.

Callers: applying, which writes them; the check, which does not.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple

from bdnews_dispatch.subscribers.fields import FieldError, Wish, check_reachable, natural_channel
from bdnews_dispatch.subscribers.imports.known import Current, Known, Person
from bdnews_dispatch.subscribers.imports.models import ImportMode
from bdnews_dispatch.subscribers.imports.rows import Entry
from bdnews_dispatch.subscribers.models import Cadence, ChannelChoice

#: A subscription that began so was the reader's own choice; a file does not overrule it.
OWN_CHOICE = frozenset({"form", "preferences", "undo", "wechat"})
ORIGIN = "import"

Status = Literal["added", "changed", "unchanged", "refused"]
_WHOLE = Wish(whole=True)


class Outcome(NamedTuple):
    """What became of an entry; `code` and `message` where there is something to tell."""

    status: Status
    subscriber_id: int | None = None
    column: str = ""
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for every row of a run."""

    run_id: int
    mode: ImportMode
    publication: str
    list_id: int | None
    consent: str
    now: datetime

    @property
    def reason(self) -> str:
        """Why something ended."""
        return f"{ORIGIN}:{self.run_id}"

    def evidence(self, row: int) -> str:
        """What shows where it came from."""
        return f"import {self.run_id}, row {row}"


class Agreed(NamedTuple):
    """A subscription that begins."""

    subscriber_id: int
    wish: Wish
    channel: str
    cadence: str
    paused_until: Any
    row: int


@dataclass(slots=True)
class Changes:
    """What is to be written, table by table.

    Attributes:
        new_people: id, email, its key, openid, name, language; `people` the same of who is there.
        ended: ids of subscriptions that another one follows; `left`: that nothing follows, with whose they are.
        joined: who is put on the list, and by which row; `named`: who is in the file.
        suppressed: channel, target, row.
    """

    new_people: list[Person] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    agreed: list[Agreed] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    left: list[tuple[int, int]] = field(default_factory=list)
    joined: list[tuple[int, int]] = field(default_factory=list)
    named: list[int] = field(default_factory=list)
    tags: list[tuple[int, str]] = field(default_factory=list)
    attributes: list[tuple[int, str, str]] = field(default_factory=list)
    suppressed: list[tuple[str, str, int]] = field(default_factory=list)


class Decider:
    """Decides entry after entry; each is another person."""

    def __init__(self, terms: Terms, known: Known, ids: Iterator[int]) -> None:
        """Args: ids: for people who are new."""
        self._terms = terms
        self._known = known
        self._ids = ids
        self.changes = Changes()

    def decide(self, entry: Entry, by_email: Person | None, by_openid: Person | None) -> Outcome:
        """What becomes of the entry; what it takes is in `changes`.

        Args:
            by_email: whose the address is; `by_openid`: whose the openid is.
        """
        person = by_email or by_openid
        if person is not None:
            self.changes.named.append(person.id)
        if entry.problems:
            return Outcome("refused", person.id if person else None)
        if self._terms.mode is ImportMode.SUPPRESS:
            return self._suppress(entry, person)
        if by_email is not None and by_openid is not None and by_email.id != by_openid.id:
            told = "这个邮箱和这个 openid 已属于两位不同的订阅者，请先核对"
            return Outcome("refused", None, "openid", "identity.conflict", told)
        if self._terms.mode is ImportMode.UNSUBSCRIBE:
            return self._unsubscribe(person)
        refusal = self._must_stay_away(entry, person)
        return refusal if refusal is not None else self._take(entry, person)

    def _must_stay_away(self, entry: Entry, person: Person | None) -> Outcome | None:
        known, who = self._known, person.id if person else None
        targets = [entry.email.key if entry.email else None, entry.openid]
        if known.erased and any(target in known.erased for target in targets):
            return Outcome("refused", who, "", "erased", "此人已要求删除其全部数据，不能由文件重新加入")
        if person is not None:
            targets += [person.email_key, person.openid]
        if known.suppressed and any(target in known.suppressed for target in targets if target):
            return Outcome("refused", who, "", "suppressed", "此人在停发名单上，没有导入")
        if person is not None and known.agreements.get(person.id, _NEVER) is None:
            return Outcome("refused", who, "", "unsubscribed", "此人已退订，保持退订，没有重新订阅")
        return None

    def _take(self, entry: Entry, person: Person | None) -> Outcome:
        current = self._known.agreements.get(person.id) if person is not None else None
        keeps = current is not None and self._terms.mode is ImportMode.ADD
        if person is not None and current is not None and keeps:
            self._join(person.id, entry.raw.number)
            return Outcome("unchanged", person.id)
        email = entry.email.email if entry.email else (person.email if person else None)
        openid = entry.openid or (person.openid if person else None)
        has_email, has_openid = email is not None, openid is not None
        channel = entry.channel or (ChannelChoice(current.channel) if current else None)
        if channel is None:
            channel = natural_channel(has_email=has_email, has_openid=has_openid)
        else:
            try:
                check_reachable(channel, has_email=has_email, has_openid=has_openid)
            except FieldError as error:
                who = person.id if person else None
                return Outcome("refused", who, error.column, error.code, error.message)
        subscriber_id, changed = self._person(entry, person)
        told_own = False
        agreed = Agreed(
            subscriber_id,
            entry.wish or (Wish(current.whole_issue, current.sections) if current else _WHOLE),
            channel.value,
            entry.cadence.value if entry.cadence else (current.cadence if current else Cadence.ISSUE.value),
            current.paused_until if current else None,
            entry.raw.number,
        )
        if current is None or _differs(agreed, current):
            if current is not None and current.origin in OWN_CHOICE:
                told_own = True
            else:
                if current is not None:
                    self.changes.ended.append(current.id)
                self.changes.agreed.append(agreed)
                changed = True
        if entry.tags or entry.attributes:
            changed |= self._describe(entry, subscriber_id)
        left_list = self._join(subscriber_id, entry.raw.number)
        status: Status = "added" if current is None else "changed" if changed else "unchanged"
        if told_own:
            return Outcome(status, subscriber_id, "", "own_choice", "此人自己选定了订阅内容，已保留其选择")
        if left_list:
            return Outcome(status, subscriber_id, "", "list.left", "此人自己离开了这个名单，没有重新加入")
        return Outcome(status, subscriber_id)

    def _person(self, entry: Entry, person: Person | None) -> tuple[int, bool]:
        """Who it is, and whether anything about them is new."""
        if person is None:
            subscriber_id = next(self._ids)
            email, key = (entry.email.email, entry.email.key) if entry.email else (None, None)
            self.changes.new_people.append(
                Person(subscriber_id, email, key, entry.openid, entry.name, entry.language or "zh")
            )
            return subscriber_id, True
        # An address in another case is the same one, and stays as it was.
        other = entry.email is not None and entry.email.key != person.email_key
        now = Person(
            person.id,
            entry.email.email if entry.email and other else person.email,
            entry.email.key if entry.email and other else person.email_key,
            entry.openid or person.openid,
            entry.name or person.name,
            entry.language or person.language,
        )
        if now == person:
            return person.id, False
        self.changes.people.append(now)
        return person.id, True

    def _describe(self, entry: Entry, subscriber_id: int) -> bool:
        tags = set(entry.tags) - self._known.tags.get(subscriber_id, set())
        there = self._known.attributes.get(subscriber_id, {})
        attributes = [(name, value) for name, value in entry.attributes if there.get(name) != value]
        self.changes.tags += [(subscriber_id, tag) for tag in sorted(tags)]
        self.changes.attributes += [(subscriber_id, name, value) for name, value in attributes]
        return bool(tags or attributes)

    def _join(self, subscriber_id: int, row: int) -> bool:
        """Put them on the run's list. Returns: whether they had left it themselves, and stay away."""
        if self._terms.list_id is None or subscriber_id in self._known.members:
            return False
        if subscriber_id in self._known.left:
            return True
        self.changes.joined.append((subscriber_id, row))
        return False

    def _unsubscribe(self, person: Person | None) -> Outcome:
        if person is None:
            return Outcome("unchanged", None, "", "person.unknown", "没有这位订阅者，无须退订")
        current = self._known.agreements.get(person.id)
        if current is None:
            return Outcome("unchanged", person.id)
        self.changes.left.append((current.id, person.id))
        return Outcome("changed", person.id)

    def _suppress(self, entry: Entry, person: Person | None) -> Outcome:
        targets = [("email", entry.email.key if entry.email else None), ("wechat", entry.openid)]
        fresh = [
            (channel, target, entry.raw.number)
            for channel, target in targets
            if target is not None and target not in self._known.suppressed
        ]
        self.changes.suppressed += fresh
        return Outcome("added" if fresh else "unchanged", person.id if person else None)


#: Whoever never subscribed; None is somebody who has left.
_NEVER = Current(0, True, (), "", "", "", None)  # a row


def _differs(agreed: Agreed, current: Current) -> bool:
    return (agreed.wish.whole, agreed.wish.sections, agreed.channel, agreed.cadence) != current[1:5]
