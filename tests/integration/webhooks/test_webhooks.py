"""Webhooks to a real receiver over HTTP: signed, in order, until taken; given up behind five days; never inside."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from sqlmodel import select
from tests.making import SIGNER, HandClock
from yarl import URL

from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.messaging.models import Event
from bdnews_dispatch.messaging.outbox import record
from bdnews_dispatch.safe_client import AddressError, PublicResolver, check_address, is_public
from bdnews_dispatch.webhooks import endpoints, sending
from bdnews_dispatch.webhooks.models import Webhook, WebhookTry
from bdnews_dispatch.webhooks.sending import _A_TURN, WAITS, Sender
from bdnews_dispatch.webhooks.signing import secret_of

INSIDE = ("127.0.0.1", "localhost")


class Receiver:
    """Answers as it is told, and keeps what came."""

    def __init__(self) -> None:
        self.status = 200
        self.got: list[tuple[dict[str, str], bytes]] = []

    async def take(self, request: web.Request) -> web.Response:
        self.got.append(({k.lower(): v for k, v in request.headers.items()}, await request.read()))
        headers = {"Location": "/elsewhere"} if 300 <= self.status < 400 else {}
        return web.Response(status=self.status, headers=headers)

    def numbers(self) -> list[int]:
        return [json.loads(body)["data"]["number"] for _, body in self.got]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/{tail:.*}", receiver.take)
    async with TestServer(app) as server:
        receiver.url = str(server.make_url("/hook"))  # type: ignore[attr-defined]  # of this test
        yield receiver


@pytest.fixture
async def sender(database: Database, clock: HandClock) -> Sender:
    return Sender(database, clock, SIGNER, inside=INSIDE)


async def hook(database: Database, clock: HandClock, receiver: Receiver, *names: str) -> int:
    async with database.write() as session:
        url: str = receiver.url  # type: ignore[attr-defined]  # as above
        made = await endpoints.add(session, clock, url, names, inside=INSIDE)
        assert made.id is not None
        return made.id


async def happened(database: Database, clock: HandClock, *numbers: int, name: str = "test.done") -> None:
    for number in numbers:
        async with database.write() as session:
            await record(session, clock, name, f"{name}:{number}", number=number)


async def row(database: Database) -> Webhook:
    async with database.read() as session:
        return (await session.exec(select(Webhook))).one()


def is_signed(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """As the specification says a receiver checks it."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    told = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mine = base64.b64encode(hmac.digest(key, told, hashlib.sha256)).decode()
    return f"v1,{mine}" in headers["webhook-signature"].split(" ")


async def test_what_happens_comes_signed_and_in_order(
    database: Database, clock: HandClock, receiver: Receiver, sender: Sender
) -> None:
    await happened(database, clock, 0)
    id_ = await hook(database, clock, receiver, "test.*")
    await happened(database, clock, 1, 2, 3)
    await happened(database, clock, 9, name="other.thing")
    await happened(database, clock, 8, name="wechat.pushed")
    assert await sender.run() == 3
    assert receiver.numbers() == [1, 2, 3], "from now on, and only what it wants"
    secret = secret_of(SIGNER, id_, 0)
    assert all(is_signed(secret, *one) for one in receiver.got)
    assert not is_signed(secret_of(SIGNER, id_, 1), *receiver.got[0])
    assert not is_signed(secret, receiver.got[0][0], receiver.got[0][1] + b" ")
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 3
    assert await sender.run() == 0
    async with database.read() as session:
        newest = (await session.exec(select(Event.id).where(Event.name == "wechat.pushed"))).one()
    assert (await row(database)).cursor == newest, "what it does not want is behind it too"


@pytest.mark.parametrize("status", [500, 404, 302, 429])
async def test_what_is_not_taken_comes_again_later_under_the_same_id(
    database: Database, clock: HandClock, receiver: Receiver, sender: Sender, status: int
) -> None:
    await hook(database, clock, receiver)
    await happened(database, clock, 1, 2)
    receiver.status = status
    assert await sender.run() == 0
    assert len(receiver.got) == 1, "the next ones wait behind it; a redirect is not followed"
    assert await sender.run() == 0
    assert len(receiver.got) == 1, "and not at once"
    clock.move(seconds=WAITS[0] * 1.3)
    receiver.status = 204
    assert await sender.run() == 2
    assert receiver.numbers() == [1, 1, 2]
    assert receiver.got[0][0]["webhook-id"] == receiver.got[1][0]["webhook-id"]
    assert (await row(database)).failures == 0


async def test_what_is_kept_of_a_try_holds_no_secret_address(database: Database, clock: HandClock) -> None:
    url = "http://localhost:9/hook/a-secret-of-theirs?key=another"
    async with database.write() as session:
        await endpoints.add(session, clock, url, (), inside=INSIDE)
    await happened(database, clock, 1)

    class Slow:
        def post(self, url: str, **_: object) -> None:
            # As aiohttp 3 says it, with the whole of the address (client_reqrep, connector).
            raise aiohttp.ConnectionTimeoutError(f"Connection timeout to host {URL(url)}")

    sender = Sender(database, clock, SIGNER, inside=INSIDE)
    webhook = await row(database)
    async with database.read() as session:
        event = (await session.exec(select(Event))).all()[-1]
    assert not await sender._send(Slow(), webhook, event)  # type: ignore[arg-type]  # of this test
    async with database.read() as session:
        (kept,) = (await session.exec(select(WebhookTry))).all()
    assert kept.error == "ConnectionTimeoutError: Connection timeout to host …"


@pytest.mark.parametrize("url", ["https://a\\b/x", f"https://{'字' * 70}/x", "https://\u00ad/"])
async def test_an_address_that_nothing_can_send_to_is_refused_and_stops_nobody(
    database: Database, clock: HandClock, receiver: Receiver, sender: Sender, url: str
) -> None:
    async with database.write() as session:
        with pytest.raises(AddressError):
            await endpoints.add(session, clock, url, (), inside=INSIDE)
    id_ = await hook(database, clock, receiver, "test.*")
    async with database.write() as session:  # of a time when it was taken
        session.add(Webhook(url=url, names=["test.*"], next_at=clock.now, created_at=clock.now))
    await happened(database, clock, 1)
    assert await sender.run() == 1
    assert receiver.numbers() == [1]
    async with database.read() as session:
        other = (await session.exec(select(Webhook).where(Webhook.id != id_))).one()
        tries = (await session.exec(select(WebhookTry).where(WebhookTry.webhook_id == other.id))).all()
    assert other.failures == 1
    assert [one.status for one in tries] == [0]


async def test_behind_five_days_it_is_off_and_says_so(
    database: Database, clock: HandClock, receiver: Receiver, sender: Sender
) -> None:
    id_ = await hook(database, clock, receiver, "test.*")
    await happened(database, clock, 1)
    receiver.status = 500
    for _ in range(40):
        await sender.run()
        if (await row(database)).disabled_at is not None:
            break
        clock.move(hours=25)
    webhook = await row(database)
    assert webhook.disabled_at is not None
    assert webhook.failures >= 5
    async with database.read() as session:
        names = list(await session.exec(select(Event.name)))
    assert names.count("webhook.disabled") == 1
    receiver.status = 200
    assert await sender.run() == 0
    async with database.write() as session:
        await endpoints.switch(session, clock, id_, on=True)
    assert await sender.run() == 1, "what happened meanwhile is sent"


async def test_who_is_gone_is_left_alone(
    database: Database, clock: HandClock, receiver: Receiver, sender: Sender
) -> None:
    await hook(database, clock, receiver)
    await happened(database, clock, 1)
    receiver.status = 410
    await sender.run()
    assert "410" in (await row(database)).why


async def test_a_new_secret_and_the_one_before_sign_for_a_day(
    database: Database, clock: HandClock, receiver: Receiver, sender: Sender
) -> None:
    id_ = await hook(database, clock, receiver)
    async with database.write() as session:
        await endpoints.rotate(session, clock, id_)
    old, new = secret_of(SIGNER, id_, 0), secret_of(SIGNER, id_, 1)
    await happened(database, clock, 1)
    await sender.run()
    assert is_signed(old, *receiver.got[0])
    assert is_signed(new, *receiver.got[0])
    clock.move(hours=25)
    await happened(database, clock, 2)
    await sender.run()
    assert not is_signed(old, *receiver.got[1])
    assert is_signed(new, *receiver.got[1])


async def test_it_is_sent_anew_from_where_one_says(
    database: Database, clock: HandClock, receiver: Receiver, sender: Sender
) -> None:
    id_ = await hook(database, clock, receiver)
    await happened(database, clock, 1, 2, 3)
    await sender.run()
    async with database.write() as session:
        first = (await session.exec(select(Event.id).where(Event.key == "test.done:1"))).one()
        await endpoints.replay(session, clock, id_, after=first or 0)
    await sender.run()
    assert receiver.numbers() == [1, 2, 3, 2, 3]
    async with database.read() as session:
        tries = list(await session.exec(select(WebhookTry.status)))
    assert tries == [200] * 5


async def test_one_that_hangs_holds_up_no_other(
    database: Database, clock: HandClock, receiver: Receiver, sender: Sender, tmp_path: Path
) -> None:
    async with database.write() as session:
        gone = await endpoints.add(session, clock, "http://127.0.0.1:9/", [], inside=INSIDE)
    await hook(database, clock, receiver)
    await happened(database, clock, 1)
    assert await sender.run() == 1
    async with database.read() as session:
        failed = await session.get(Webhook, gone.id)
    assert failed is not None
    assert failed.failures == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "https://user:pass@example.com/",
        "https://127.0.0.1/",
        "https://10.0.0.8/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:10.0.0.8]/",
        "https://0.0.0.0/",
        "https://2130706433/ x",
        "https:///",
        "https://[",
        "",
    ],
)
def test_addresses_that_may_not_be_asked(url: str) -> None:
    with pytest.raises(AddressError):
        check_address(url)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.1.1", "100.64.0.1", "fe80::1%eth0", "fc00::1", "2002:a00:1::", "x"],
)
def test_what_is_inside(address: str) -> None:
    assert not is_public(address)
    assert is_public("1.1.1.1")
    assert is_public("2606:4700:4700::1111")


async def test_a_name_that_leads_inside_is_refused_when_it_is_resolved() -> None:
    resolver = PublicResolver()
    with pytest.raises(OSError, match="不是公网地址"):
        await resolver.resolve("localhost", 443)
    assert await PublicResolver(INSIDE).resolve("localhost", 443)
    await resolver.close()


async def test_what_it_does_not_want_is_passed_by_in_one_turn(
    database: Database, clock: HandClock, receiver: Receiver, sender: Sender
) -> None:
    """However many have read an issue meanwhile."""
    await hook(database, clock, receiver, "test.*", "testing")
    async with database.write() as session:
        for number in range(_A_TURN + 50):
            await record(session, clock, "testXopened", f"opened:{number}", number=number)
    await happened(database, clock, 1)
    await happened(database, clock, 2, name="testing")
    await happened(database, clock, 3, name="tes_.of")
    assert await sender.run() == 2
    assert receiver.numbers() == [1, 2]
    async with database.read() as session:
        newest = (await session.exec(select(Event.id).where(Event.name == "tes_.of"))).one()
    assert (await row(database)).cursor == newest


async def test_what_is_to_be_sent_anew_meanwhile_is_not_passed_by(
    database: Database, clock: HandClock, receiver: Receiver, sender: Sender
) -> None:
    id_ = await hook(database, clock, receiver, "test.*")
    await happened(database, clock, 1)
    assert await sender.run() == 1
    await happened(database, clock, 2, name="other.thing")
    looked_at = await row(database)
    async with database.write() as session:
        await endpoints.replay(session, clock, id_, after=0)
    await sender._move_on(looked_at, looked_at.cursor + 1)
    assert (await row(database)).cursor == 0
    assert await sender.run() == 1
    assert receiver.numbers() == [1, 1]


async def test_what_has_gathered_is_sent_in_one_go(
    database: Database, clock: HandClock, receiver: Receiver, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a turn at each tick: an issue that is opened by all of its readers would keep it behind for hours."""
    monkeypatch.setattr(sending, "_A_TURN", 2)
    await hook(database, clock, receiver, "test.*")
    await happened(database, clock, 1, 2, 3, 4, 5)
    assert await sender.run() == 5
    assert receiver.numbers() == [1, 2, 3, 4, 5]
    await happened(database, clock, 6, 7)
    receiver.status = 500
    assert await sender.run() == 0
    assert len(receiver.got) == 6, "one that is refused is not asked again at once"
