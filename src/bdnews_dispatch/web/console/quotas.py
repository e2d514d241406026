"""The account's quotas as the console's pages show them. In: a session. Out: rows. Callers: today.py, month.py."""

from dataclasses import dataclass

from aiohttp import web
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.dispatch import words
from bdnews_dispatch.official_account.quotas import used_quotas
from bdnews_dispatch.web.keys import CARD_ACCOUNTS, CLOCK


@dataclass(frozen=True, slots=True)
class Quota:
    """One quota of today or of this month, in words.

    Attributes:
        used, limit: of the month's mass messages: followers who have had all of theirs, of those who have had any.
        a_month: how many of them a follower may have; 0: it is another quota.
    """

    name: str
    used: int
    limit: int
    a_month: int = 0

    @property
    def left(self) -> int:
        return max(0, self.limit - self.used)


async def quotas(request: web.Request, session: AsyncSession) -> list[Quota]:
    """Of the real account, else of the sandbox's; none where there is no account."""
    accounts = request.app[CARD_ACCOUNTS]
    shown = [account for account in (accounts.real, accounts.sandbox) if account.appid][:1]
    return [
        Quota(
            words.QUOTAS[row["quota"]],
            row["used"],
            row["limit"],
            account.masses_a_month if row["quota"] == "mass_full" else 0,
        )
        for account in shown
        for row in await used_quotas(session, request.app[CLOCK], account)
    ]
