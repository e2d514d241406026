"""Feeds of others, over real HTTP: new entries become issues once; whatever a server does, it ends in words.

The servers here are slow, huge, lying, lead in circles or into our own network: security.md says how each must end.
"""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlmodel import col, select
from tests.making import HandClock, document, test_settings
from tests.zipping import issue_with_picture

from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.errors import BdnewsError
from bdnews_dispatch.issues.models import Issue, IssueState, Picture
from bdnews_dispatch.issues.publications import load_publications
from bdnews_dispatch.safe_client import AddressError
from bdnews_dispatch.watched_feeds import rooms
from bdnews_dispatch.watched_feeds.fetching import FetchError, open_fetcher
from bdnews_dispatch.watched_feeds.models import FeedEntry, WatchedFeed
from bdnews_dispatch.watched_feeds.reading import FeedError, read_feed
from bdnews_dispatch.watched_feeds.taking import FeedReader, Reading

PUBLICATIONS = load_publications()
INSIDE = ("127.0.0.1",)
WORDS = """<h1>国策要论</h1><h2>数据要素怎样流通</h2><p>第一句话讲了背景。第二句话讲了做法。</p><p>来源：样刊编辑部</p>
<h1>地方新政</h1><h2>贵州的新办法</h2><p>第一句话讲了办法。</p><p>来源：样刊编辑部</p>"""


def atom(*totals: int, words: str = WORDS) -> bytes:
    """A feed whose entries are whole issues, newest first."""
    entries = "".join(
        f"<entry><id>urn:issue:{total}</id><title>第{total % 24 + 1}期 总第{total}期</title>"
        f"<updated>2026-11-20T01:00:00Z</updated><content type='html'>"
        f"{words.replace('&', '&amp;').replace('<', '&lt;')}</content></entry>"
        for total in sorted(totals, reverse=True)
    )
    return (
        "<?xml version='1.0' encoding='utf-8'?><feed xmlns='http://www.w3.org/2005/Atom'><title>动态</title>"
        f"<id>urn:feed</id><updated>2026-11-20T01:00:00Z</updated>{entries}</feed>"
    ).encode()


def rss(url: str) -> bytes:
    """A feed whose entry leads to a file."""
    return (
        "<?xml version='1.0'?><rss version='2.0'><channel><title>动态</title><item><guid>a</guid><title>第7期</title>"
        f"<enclosure url='{url}' type='application/zip' length='1'/></item></channel></rss>"
    ).encode()


class Publisher:
    """Somebody else's server."""

    def __init__(self) -> None:
        self.body = atom(112)
        self.etag = '"1"'
        self.asked: list[dict[str, str]] = []
        self.url = ""
        self.file = b""

    async def feed(self, request: web.Request) -> web.Response:
        self.asked.append(dict(request.headers))
        if request.headers.get("If-None-Match") == self.etag:
            return web.Response(status=304)
        return web.Response(body=self.body, content_type="application/atom+xml", headers={"ETag": self.etag})

    async def attached(self, _request: web.Request) -> web.Response:
        return web.Response(body=self.file, status=200 if self.file else 503)


@pytest.fixture
async def publisher() -> AsyncIterator[Publisher]:
    made = Publisher()
    app = web.Application()
    app.router.add_get("/feed", made.feed)
    app.router.add_get("/issue.zip", made.attached)
    async with TestServer(app) as server:
        made.url = str(server.make_url("/")).rstrip("/").replace("localhost", "127.0.0.1")
        yield made


@pytest.fixture
def reader(database: Database, clock: HandClock, tmp_path: Path) -> FeedReader:
    settings = test_settings(tmp_path, feeds={"inside": INSIDE})
    return FeedReader(database, clock, PUBLICATIONS, settings, seconds=2)


async def watch(
    database: Database, clock: HandClock, url: str, *, backlog: bool = True, publish: bool = False
) -> int:
    async with database.write() as session:
        feed = await rooms.add(
            session, clock, PUBLICATIONS, url, publish=publish, backlog=backlog, inside=INSIDE
        )
        assert feed.id is not None
        return feed.id


async def issues(database: Database) -> list[Issue]:
    async with database.read() as session:
        return list(await session.exec(select(Issue).order_by(col(Issue.total_number))))


async def row(database: Database) -> WatchedFeed:
    async with database.read() as session:
        return (await session.exec(select(WatchedFeed))).one()


async def test_entries_become_issues_once_and_changed_ones_corrections(
    database: Database, clock: HandClock, publisher: Publisher, reader: FeedReader
) -> None:
    await watch(database, clock, f"{publisher.url}/feed")
    assert await reader.run() == 1
    (issue,) = await issues(database)
    assert (issue.total_number, issue.state, str(issue.date)) == (112, IssueState.REVIEW, "2026-11-20")
    assert await reader.run() == 0, "not before it is due"
    assert len(publisher.asked) == 1
    clock.move(seconds=900)
    await reader.run()
    assert publisher.asked[-1]["If-None-Match"] == '"1"'
    assert len(publisher.asked) == 2
    publisher.body, publisher.etag = atom(112, 113), '"2"'
    clock.move(seconds=900)
    assert await reader.run() == 1
    publisher.body, publisher.etag = atom(112, 113, words=WORDS.replace("背景", "来历")), '"3"'
    clock.move(seconds=900)
    assert await reader.run() == 2
    assert [(one.total_number, one.revision) for one in await issues(database)] == [(112, 2), (113, 2)]
    again = await reader.read(1)
    assert (again.taken, again.unchanged) == (0, True)


async def test_what_was_there_before_is_not_taken_unless_wanted(
    database: Database, clock: HandClock, publisher: Publisher, reader: FeedReader
) -> None:
    publisher.body = atom(110, 111, 112)
    await watch(database, clock, f"{publisher.url}/feed", backlog=False, publish=True)
    assert await reader.run() == 0
    publisher.body, publisher.etag = atom(111, 112, 113), '"2"'
    clock.move(seconds=900)
    assert await reader.run() == 1
    assert [(one.total_number, one.state) for one in await issues(database)] == [(113, IssueState.PUBLISHED)]


async def test_a_file_that_an_entry_leads_to_is_taken_with_its_pictures(
    database: Database, clock: HandClock, publisher: Publisher, reader: FeedReader
) -> None:
    publisher.body = rss("/issue.zip")
    await watch(database, clock, f"{publisher.url}/feed")
    assert await reader.run() == 0, "the file is not there yet"
    assert "HTTP 503" in (await row(database)).problem
    publisher.file = issue_with_picture()
    clock.move(seconds=900)
    assert await reader.run() == 1, "and is asked for again, though the feed is the same"
    assert len(await issues(database)) == 1
    async with database.read() as session:
        assert len(list(await session.exec(select(Picture.digest)))) == 1
    assert (await row(database)).problem == ""


async def test_an_entry_that_holds_no_issue_is_told_and_the_others_go_on(
    database: Database, clock: HandClock, publisher: Publisher, reader: FeedReader
) -> None:
    bad = atom(1).replace("总第1期".encode(), "无".encode()).replace("第2期".encode(), "无".encode())
    good = atom(112)
    publisher.body = good.replace(b"</feed>", bad[bad.index(b"<entry>") :])
    await watch(database, clock, f"{publisher.url}/feed")
    assert await reader.run() == 1
    async with database.read() as session:
        problems = {entry.title: entry.problem for entry in await session.exec(select(FeedEntry))}
    assert sorted(bool(problem) for problem in problems.values()) == [False, True]
    assert "总期号" in "".join(problems.values())
    clock.move(seconds=900)
    assert await reader.run() == 0, "not tried again while it says the same"


async def test_words_that_are_nested_too_deep_are_refused(
    database: Database, clock: HandClock, publisher: Publisher, reader: FeedReader
) -> None:
    publisher.body = atom(112, words="<ul><li>" * 3000 + "深")
    await watch(database, clock, f"{publisher.url}/feed")
    reading = await reader.read(1)
    assert (reading.taken, reading.refused, reading.problem) == (0, 1, "")


async def test_rules_of_adding(database: Database, clock: HandClock, publisher: Publisher) -> None:
    await watch(database, clock, f"{publisher.url}/feed")
    with pytest.raises(rooms.WatchedAlreadyError):
        await watch(database, clock, f"{publisher.url}/feed")
    for url in (
        "ftp://news.example/feed",
        "http://10.0.0.1/feed",
        "http://u:p@news.example/",
        "file:///etc/passwd",
    ):
        with pytest.raises(AddressError):
            await watch(database, clock, url)
    async with database.write() as session:
        with pytest.raises(BdnewsError):
            await rooms.find(session, 99)
        await rooms.remove(session, 1)
    async with database.read() as session:
        assert await rooms.feeds(session) == []


# What servers do.


async def _slow(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    while True:
        await answer.write(b" ")
        await asyncio.sleep(0.05)


async def _circle(request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound(request.path)


async def _inward(_request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound("http://169.254.169.254/latest/meta-data/")


async def _to_a_file(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "file:///etc/passwd"})


async def _huge(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    while True:
        await answer.write(b"x" * 65_536)


async def _bomb(_request: web.Request) -> web.StreamResponse:
    packed = gzip.compress(bytes(64 * 1024 * 1024))
    return web.Response(body=packed, headers={"Content-Encoding": "gzip"})


async def _half(_request: web.Request) -> web.StreamResponse:
    return web.Response(body=gzip.compress(atom(112))[:-20], headers={"Content-Encoding": "gzip"})


async def _brotli(_request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"x", headers={"Content-Encoding": "br"})


async def _no_feed(_request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"<html><body>hello</body></html>")


async def _a_path(_request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"/etc/passwd")


async def _laughs(_request: web.Request) -> web.StreamResponse:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
    dtd = f'<!DOCTYPE feed [<!ENTITY l0 "lol"><!ENTITY x SYSTEM "file:///etc/passwd">{entities}]>'
    return web.Response(
        body=f"<?xml version='1.0'?>{dtd}<feed xmlns='http://www.w3.org/2005/Atom'><entry><id>1</id><title>&l11;&x;</title></entry></feed>".encode()
    )


async def _gone(_request: web.Request) -> web.StreamResponse:
    return web.Response(status=410)


@pytest.fixture
async def hostile() -> AsyncIterator[str]:
    app = web.Application()
    for name, handler in globals().copy().items():
        if name.startswith("_") and asyncio.iscoroutinefunction(handler):
            app.router.add_get(f"/{name}", handler)
    async with TestServer(app) as server:
        yield str(server.make_url("/")).rstrip("/").replace("localhost", "127.0.0.1")


ENDS: list[tuple[Callable[[web.Request], Awaitable[web.StreamResponse]], str]] = [
    (_slow, "2 秒内没有读完"),
    (_circle, "转向超过 5 次"),
    (_inward, "169.254.169.254 不是公网地址"),
    (_to_a_file, "只读取 http 与 https"),
    (_huge, "超过 4 MB"),
    (_bomb, "超过 4 MB"),
    (_half, "不完整"),
    (_brotli, "没有请求的压缩方式"),
    (_no_feed, "不是 Atom、RSS 或 JSON Feed"),
    (_a_path, "不是 Atom、RSS 或 JSON Feed"),
    (_gone, "HTTP 410"),
]


async def test_servers_that_mean_harm_end_in_words_and_a_later_try(
    database: Database, clock: HandClock, hostile: str, reader: FeedReader
) -> None:
    for handler, _ in ENDS:
        await watch(database, clock, f"{hostile}/{handler.__name__}")
    assert await reader.run() == 0
    async with database.read() as session:
        found = {feed.url.rpartition("/")[2]: feed for feed in await rooms.feeds(session)}
    for handler, says in ENDS:
        feed = found[handler.__name__]
        assert says in feed.problem, handler.__name__
        assert (feed.failures, feed.read_at) == (1, None)
        assert (feed.next_at - clock()).total_seconds() == 1800
    assert await issues(database) == []


async def test_no_entity_is_opened(hostile: str, reader: FeedReader) -> None:
    async with open_fetcher(INSIDE, 5) as fetcher:
        body = (await fetcher.fetch(f"{hostile}/_laughs", most=10**6)).body
    assert body is not None
    with suppress(FeedError):
        titles = "".join(entry.title + entry.html for entry in read_feed(body, hostile))
        assert "root:" not in titles
        assert len(titles) < 10_000


@pytest.mark.parametrize(
    ("claimed", "sent"),
    [(50, 10), (10**12, 10)],
    ids=["it says more than it sends", "it says a terabyte"],
)
async def test_a_length_that_lies(claimed: int, sent: int) -> None:
    async def answer(reading: asyncio.StreamReader, writing: asyncio.StreamWriter) -> None:
        await reading.readuntil(b"\r\n\r\n")
        writing.write(f"HTTP/1.1 200 OK\r\nContent-Length: {claimed}\r\n\r\n".encode() + b"x" * sent)
        await writing.drain()
        writing.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, open_fetcher(INSIDE, 2) as fetcher:
        with pytest.raises(FetchError, match="断开"):
            await fetcher.fetch(f"http://127.0.0.1:{port}/", most=1000)


async def test_our_own_network_is_not_asked_by_any_name(publisher: Publisher) -> None:
    port = publisher.url.rpartition(":")[2]
    names = ("127.0.0.1", "localhost", "127.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0")  # noqa: S104
    async with open_fetcher((), 2) as fetcher:
        for name in names:
            with pytest.raises(FetchError, match=r"公网|读不到"):
                await fetcher.fetch(f"http://{name}:{port}/feed", most=1000)
    assert publisher.asked == []


def test_json_feeds_and_what_is_none() -> None:
    item = {
        "id": 7,
        "title": "第7期 总第112期",
        "content_text": "一\n<b>二</b>",
        "date_published": "2026-11-19T17:00:00Z",
        "attachments": [{"url": "/7.pdf", "mime_type": "application/pdf"}, "x"],
    }
    feed = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": "t",
        "items": [item, 5, {"title": "no id"}],
    }
    (entry,) = read_feed(json.dumps(feed).encode(), "https://news.example/feed.json")
    assert (entry.id, entry.file, str(entry.day)) == ("7", "https://news.example/7.pdf", "2026-11-20")
    assert entry.html == "<p>一</p><p>&lt;b&gt;二&lt;/b&gt;</p>"
    for wrong in (
        b"{}",
        b"{",
        b'{"version": "https://jsonfeed.org/version/1", "items": 3}',
        b"[" * 100_000,
        b"",
        b"\0",
    ):
        with pytest.raises(FeedError):
            read_feed(wrong, "https://news.example/")


async def test_a_file_in_json_must_be_of_the_feeds_publication(
    database: Database, clock: HandClock, publisher: Publisher, reader: FeedReader
) -> None:
    publisher.body, publisher.file = rss("/issue.zip"), document().model_dump_json().encode()
    await watch(database, clock, f"{publisher.url}/feed")
    reading: Reading = await reader.read(1)
    assert (reading.taken, reading.problem) == (1, "")
