"""`/quotas`: how much of today's and this month's the WeChat accounts have used."""

from typing import Literal

from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.official_account.quotas import used_quotas
from bdnews_dispatch.web.api.calls import Call, Endpoint
from bdnews_dispatch.web.api.models import Answer
from bdnews_dispatch.web.keys import CARD_ACCOUNTS, CLOCK


class QuotaAnswer(Answer):
    """One quota, in Beijing's days and months.

    `templates`, `mass_calls`: of today; `mass_full`: followers who have had all mass messages of this month (`used`),
    of those who have had any (`limit`).
    """

    account: Literal["real", "sandbox"]
    appid: str
    quota: Literal["templates", "mass_calls", "mass_full"]
    used: int
    limit: int


class Quotas(Answer):
    """Of the real account, where there is one, then of the sandbox's."""

    items: list[QuotaAnswer]


async def index(call: Call) -> Quotas:
    """公众号今日与本月用掉多少：模板消息、群发，按北京时间。"""
    app = call.request.app
    accounts = app[CARD_ACCOUNTS]
    shown = {"sandbox": accounts.sandbox}
    if accounts.real.appid not in {
        "",
        accounts.sandbox.appid,
    }:  # where the sandbox stands in its place, it is one
        shown = {"real": accounts.real, **shown}
    return Quotas(
        items=[
            QuotaAnswer.model_validate({"account": name, "appid": account.appid, **row})
            for name, account in shown.items()
            for row in await used_quotas(call.session, app[CLOCK], account)
        ]
    )


ENDPOINTS = (Endpoint("GET", "/quotas", Right.DISPATCHES_READ, index, Quotas),)
