"""By which modes the cards of a dispatch would go, before it begins: the card lane's own rule, asked for everybody.

In: the people who would get a card, the accounts. Out: `CardForecast`. Caller: planning's forecast.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.channels.wechat.modes import Chances, plan_of
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.dispatch.mass.sets import Waiting, sets_of
from bdnews_dispatch.dispatch.reach import Reach
from bdnews_dispatch.official_account.standing import chances_of, templates_left
from bdnews_dispatch.settings import WeChatSettings
from bdnews_dispatch.subscribers.audience import Person
from bdnews_dispatch.subscribers.models import Channel, ChannelChoice

#: Who chose one of these gets the mail where no mode is open.
_MAIL_TOO = {ChannelChoice.BOTH, ChannelChoice.EITHER}


@dataclass(frozen=True, slots=True)
class CardAccounts:
    """Whose rules hold for whom. `sandbox`: for those whom `reach` does not allow."""

    reach: Reach
    real: WeChatSettings
    sandbox: WeChatSettings

    def of(self, openid: str) -> WeChatSettings:
        return self.real if self.reach.allows(openid) else self.sandbox


@dataclass(slots=True)
class CardForecast:
    """What the card lane would do.

    Attributes:
        modes: cards by the first mode that is open; what is refused on the way goes on to the next one.
        closed: why modes are not possible, by `mode:code`, counted by follower.
        by_email: cards that no mode takes, and a mail carries instead.
        nobody: cards that no mode takes, and no mail may carry.
        masses_used_up: followers who have had all mass messages of this month.
        templates_left: of the account's template messages of today; None where it has no such mode.
        for_mass: by account, those whom only the mass message reaches, until `group` has looked at their sets.
    """

    modes: Counter[str] = field(default_factory=Counter)
    closed: Counter[str] = field(default_factory=Counter)
    by_email: int = 0
    nobody: int = 0
    masses_used_up: int = 0
    templates_left: int | None = None
    for_mass: dict[str, list[Waiting]] = field(default_factory=dict)

    async def count(
        self,
        session: AsyncSession,
        clock: Clock,
        accounts: CardAccounts,
        people: Collection[tuple[Person, Sequence[str]]],
    ) -> None:
        """Count a slice of people, each of whom would get a card of these sections."""
        by_account: dict[str, tuple[WeChatSettings, list[tuple[Person, Sequence[str]]]]] = {}
        for person, sections in people:
            account = accounts.of(person.openid or "")
            by_account.setdefault(account.appid, (account, []))[1].append((person, sections))
        for account, theirs in by_account.values():
            openids = [person.openid for person, _ in theirs if person.openid]
            chances = await chances_of(session, clock, account, openids)
            for person, sections in theirs:
                self._count(account, person, sections, chances.get(person.openid or "", Chances()))
            if "template" in account.modes and self.templates_left is None:
                self.templates_left = await templates_left(session, clock, account)

    def group(self) -> None:
        """Behind the last slice: who is alone with their set of sections gets no mass message."""
        for waiting in self.for_mass.values():
            sets = sets_of(waiting)
            self.modes["mass"] += sum(map(len, sets.groups.values()))
            for one in sets.alone:
                self._left(has_mail=one.has_mail)
            self.closed["mass:wechat.mass_alone"] += len(sets.alone)
        self.for_mass.clear()
        self.modes, self.closed = +self.modes, +self.closed

    def _count(
        self, account: WeChatSettings, person: Person, sections: Sequence[str], chances: Chances
    ) -> None:
        plan = plan_of(account, chances)
        self.closed.update(f"{mode}:{closed.code}" for mode, closed in plan.closed.items())
        self.masses_used_up += "mass" in account.modes and not chances.masses_left
        has_mail = (
            person.channel in _MAIL_TOO and bool(person.email) and Channel.EMAIL not in person.suppressed
        )
        if plan.single:
            self.modes[plan.single[0]] += 1
        elif plan.mass:
            one = Waiting(person.subscriber_id, tuple(sections), has_mail)
            self.for_mass.setdefault(account.appid, []).append(one)
        else:
            self._left(has_mail=has_mail)

    def _left(self, *, has_mail: bool) -> None:
        if has_mail:
            self.by_email += 1
        else:
            self.nobody += 1

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "modes": dict(self.modes),
            "closed": dict(self.closed),
            "by_email": self.by_email,
            "nobody": self.nobody,
            "masses_used_up": self.masses_used_up,
            "templates_left": self.templates_left,
        }
