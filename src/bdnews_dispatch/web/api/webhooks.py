"""`/webhooks`: endpoints of other programs that get events as they happen."""

from datetime import datetime
from typing import Annotated

from pydantic import Field
from sqlmodel import col, select

from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.web.addresses import beginning_of
from bdnews_dispatch.web.api.calls import Call, Created, Endpoint
from bdnews_dispatch.web.api.models import HIGHEST_LONG, Answer, Body, Numbered, Page, PageQuery, Text
from bdnews_dispatch.web.api.pages import page_of, read_cursor
from bdnews_dispatch.web.keys import CLOCK, LINKS, SETTINGS
from bdnews_dispatch.webhooks import endpoints as rooms
from bdnews_dispatch.webhooks.models import Webhook
from bdnews_dispatch.webhooks.sending import due_at
from bdnews_dispatch.webhooks.signing import secret_of


class WebhookAnswer(Answer):
    """An endpoint. `cursor`: the last event it has taken; `next_at`: of the next try, null where it is off.

    `url`: it may be a secret; a token without settings.write is told its beginning, with … for the rest.
    """

    id: int
    url: str
    description: str
    names: list[str]
    cursor: int
    failures: int
    failing_since: datetime | None
    next_at: datetime | None
    disabled_at: datetime | None
    why: str
    created_at: datetime


class WithSecret(WebhookAnswer):
    """An endpoint with its secret, shown this once."""

    secret: str


class WebhookTryAnswer(Answer):
    """One request. `status`: 0 where there was no answer."""

    event_id: int
    at: datetime
    status: int
    error: str
    seconds: float


class WebhookTries(Answer):
    """The newest tries."""

    items: list[WebhookTryAnswer]


class NewWebhook(Body):
    """An endpoint to add."""

    url: Text = Field(min_length=1, max_length=500)
    names: list[Annotated[Text, Field(max_length=64)]] = Field(
        default_factory=list, max_length=50, description="如 issue.published、dispatch.*；[] 是全部。"
    )
    description: Text = Field(default="", max_length=200)


class Switch(Body):
    """On or off."""

    on: bool


class Replay(Body):
    """From where."""

    after: int = Field(ge=0, le=HIGHEST_LONG, description="事件的编号；0 是保留着的全部。")


async def index(call: Call) -> Page[WebhookAnswer]:
    """推送地址，按编号。"""
    query: PageQuery = call.query
    statement = (
        select(Webhook)
        .where(col(Webhook.id) > read_cursor(query.cursor))
        .order_by(col(Webhook.id))
        .limit(query.limit + 1)
    )
    shown, following = page_of(list(await call.session.exec(statement)), query.limit, lambda row: row.id)
    return Page(items=[_answer(call, row) for row in shown], next=following)


async def create(call: Call) -> Created:
    """新建推送地址；答复中的 secret 只给这一次。"""
    body: NewWebhook = call.body
    app = call.request.app
    webhook = await rooms.add(
        call.session,
        app[CLOCK],
        body.url,
        body.names,
        description=body.description,
        inside=app[SETTINGS].webhooks.inside,
    )
    call.tell(names=webhook.names)
    return Created(_with_secret(call, webhook), f"/webhooks/{webhook.id}")


async def show(call: Call) -> WebhookAnswer:
    """一个推送地址：送到哪里，是否在失败。"""
    return _answer(call, await rooms.find(call.session, call.path.id))


async def remove(call: Call) -> None:
    """删除推送地址及其记录。"""
    await rooms.remove(call.session, call.path.id)


async def tries(call: Call) -> WebhookTries:
    """最近的请求与答复，最新的在前。"""
    await rooms.find(call.session, call.path.id)
    found = await rooms.tries_of(call.session, call.path.id)
    told = [row.model_dump(exclude={"id", "webhook_id"}) for row in found]
    return WebhookTries(items=[WebhookTryAnswer.model_validate(one) for one in told])


async def rotate(call: Call) -> WithSecret:
    """换一个密钥；一天之内新旧两个同时签名。"""
    return _with_secret(call, await rooms.rotate(call.session, call.request.app[CLOCK], call.path.id))


async def switch(call: Call) -> WebhookAnswer:
    """停用或启用；启用后补送其间发生的。"""
    body: Switch = call.body
    webhook = await rooms.switch(call.session, call.request.app[CLOCK], call.path.id, on=body.on)
    call.tell(on=body.on)
    return _answer(call, webhook)


async def replay(call: Call) -> WebhookAnswer:
    """从某个事件之后重送一遍；对方以 webhook-id 认出重复。"""
    body: Replay = call.body
    webhook = await rooms.replay(call.session, call.request.app[CLOCK], call.path.id, after=body.after)
    return _answer(call, webhook)


def url_told(call: Call, url: str) -> str:
    """As this token may know it."""
    return url if Right.SETTINGS_WRITE in call.bearer.scope else beginning_of(url)


def _answer(call: Call, row: Webhook) -> WebhookAnswer:
    told = row.model_dump(exclude={"rotation", "rotated_at", "next_at"})
    return WebhookAnswer(**told | {"url": url_told(call, row.url)}, next_at=due_at(row))


def _with_secret(call: Call, row: Webhook) -> WithSecret:
    assert row.id is not None  # noqa: S101  # flushed
    secret = secret_of(call.request.app[LINKS].signer, row.id, row.rotation)
    return WithSecret(**_answer(call, row).model_dump(), secret=secret)


_READ, _WRITE = Right.SETTINGS_READ, Right.SETTINGS_WRITE
_ONE = "/webhooks/{id}"
ENDPOINTS = (
    Endpoint("GET", "/webhooks", _READ, index, Page[WebhookAnswer], query=PageQuery),
    Endpoint("POST", "/webhooks", _WRITE, create, WithSecret, 201, body=NewWebhook),
    Endpoint("GET", _ONE, _READ, show, WebhookAnswer, path_model=Numbered),
    Endpoint("DELETE", _ONE, _WRITE, remove, None, 204, path_model=Numbered),
    Endpoint("GET", f"{_ONE}/tries", _READ, tries, WebhookTries, path_model=Numbered),
    Endpoint("POST", f"{_ONE}/rotate", _WRITE, rotate, WithSecret, path_model=Numbered),
    Endpoint("POST", f"{_ONE}/switch", _WRITE, switch, WebhookAnswer, path_model=Numbered, body=Switch),
    Endpoint("POST", f"{_ONE}/replay", _WRITE, replay, WebhookAnswer, path_model=Numbered, body=Replay),
)
