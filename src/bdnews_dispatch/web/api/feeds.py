"""`/watched-feeds`: feeds of others that issues come from."""

from datetime import datetime

from pydantic import Field

from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.watched_feeds import rooms
from bdnews_dispatch.watched_feeds.models import WatchedFeed
from bdnews_dispatch.web.api.calls import Call, Created, Endpoint
from bdnews_dispatch.web.api.models import Answer, Body, Numbered, Text
from bdnews_dispatch.web.api.problems import ApiError
from bdnews_dispatch.web.api.webhooks import Switch, url_told
from bdnews_dispatch.web.keys import CLOCK, PUBLICATIONS, SETTINGS


class WatchedFeedAnswer(Answer):
    """A feed. `read_at`: the last reading that went well; `problem`: of the last one, in words.

    `url`: it may be a secret; a token without settings.write is told its beginning, with … for the rest.
    """

    id: int
    url: str
    publication: str
    publish: bool
    backlog: bool
    read_at: datetime | None
    failures: int
    problem: str
    next_at: datetime
    disabled_at: datetime | None
    created_at: datetime


class WatchedFeeds(Answer):
    """All of them, at most 50."""

    items: list[WatchedFeedAnswer]


class FeedEntryAnswer(Answer):
    """An entry. `issue_id`: null where it was there before, or could not be taken (`problem`)."""

    title: str
    issue_id: int | None
    problem: str
    seen_at: datetime


class FeedEntries(Answer):
    """Seen last, first."""

    items: list[FeedEntryAnswer]


class NewFeed(Body):
    """A feed to watch."""

    url: Text = Field(min_length=1, max_length=500)
    publication: Text | None = Field(default=None, max_length=40, description="刊物的键；null 是默认的。")
    publish: bool = Field(default=False, description="其中的各期立即发布，随即分发。")
    backlog: bool = Field(default=False, description="其中已有的也收。")


async def index(call: Call) -> WatchedFeeds:
    """读取的来源，按编号。"""
    return WatchedFeeds(items=[_answer(call, row) for row in await rooms.feeds(call.session)])


async def create(call: Call) -> Created:
    """新增来源，从此刻起定时读取。"""
    body: NewFeed = call.body
    app = call.request.app
    try:
        feed = await rooms.add(
            call.session,
            app[CLOCK],
            app[PUBLICATIONS],
            body.url,
            publication=body.publication,
            publish=body.publish,
            backlog=body.backlog,
            inside=app[SETTINGS].feeds.inside,
        )
    except rooms.WatchedAlreadyError as error:
        raise ApiError(409, "watched_already", error.message) from error
    call.tell(publish=feed.publish)
    return Created(_answer(call, feed), f"/watched-feeds/{feed.id}")


async def show(call: Call) -> WatchedFeedAnswer:
    """一个来源：上次读到的时间，是否在失败。"""
    return _answer(call, await rooms.find(call.session, call.path.id))


async def remove(call: Call) -> None:
    """删除来源；由它收入的各期保留。"""
    await rooms.remove(call.session, call.path.id)


async def entries(call: Call) -> FeedEntries:
    """最近的各条：收为哪一期，或为什么没有收入。"""
    await rooms.find(call.session, call.path.id)
    rows = await rooms.entries_of(call.session, call.path.id)
    return FeedEntries(items=[FeedEntryAnswer.model_validate(row) for row in rows])


async def read(call: Call) -> WatchedFeedAnswer:
    """尽快读一次，不等到下次。"""
    return _answer(call, await rooms.ask_soon(call.session, call.request.app[CLOCK], call.path.id))


async def switch(call: Call) -> WatchedFeedAnswer:
    """停用或启用；启用后马上读一次。"""
    body: Switch = call.body
    feed = await rooms.switch(call.session, call.request.app[CLOCK], call.path.id, on=body.on)
    call.tell(on=body.on)
    return _answer(call, feed)


def _answer(call: Call, row: WatchedFeed) -> WatchedFeedAnswer:
    return WatchedFeedAnswer.model_validate(row).model_copy(update={"url": url_told(call, row.url)})


_READ, _WRITE = Right.SETTINGS_READ, Right.SETTINGS_WRITE
_ONE = "/watched-feeds/{id}"
ENDPOINTS = (
    Endpoint("GET", "/watched-feeds", _READ, index, WatchedFeeds),
    Endpoint(
        "POST",
        "/watched-feeds",
        _WRITE,
        create,
        WatchedFeedAnswer,
        201,
        body=NewFeed,
        faults=frozenset({404, 409}),
    ),
    Endpoint("GET", _ONE, _READ, show, WatchedFeedAnswer, path_model=Numbered),
    Endpoint("DELETE", _ONE, _WRITE, remove, None, 204, path_model=Numbered),
    Endpoint("GET", f"{_ONE}/entries", _READ, entries, FeedEntries, path_model=Numbered),
    Endpoint("POST", f"{_ONE}/read", _WRITE, read, WatchedFeedAnswer, path_model=Numbered),
    Endpoint("POST", f"{_ONE}/switch", _WRITE, switch, WatchedFeedAnswer, path_model=Numbered, body=Switch),
)
