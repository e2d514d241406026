"""As `bdnews serve` runs it: a digest comes back by the addresses that it carries, and the next one is not sent."""

import asyncio
import re
import smtplib
from pathlib import Path

from sqlmodel import col, select
from tests.making import DSJ, document, import_csv, read_mail, test_settings
from tests.ports import free_port
from tests.unit.returns.samples import dsn, plain

from bdnews_dispatch.dispatch.models import Delivery
from bdnews_dispatch.dispatch.states import DeliveryState
from bdnews_dispatch.issues.intake import take
from bdnews_dispatch.parts import Parts
from bdnews_dispatch.sandbox import Sandbox
from bdnews_dispatch.service.roles import Role
from bdnews_dispatch.service.running import running
from bdnews_dispatch.subscribers.models import Subscriber

PEOPLE = "email,name\ngone@readers.example,甲\nleaves@readers.example,乙\nstays@readers.example,丙\n".encode()


async def publish(parts: Parts, number: int) -> None:
    async with parts.database.write() as session:
        await take(session, parts.clock, document(number), source_name="t.md", source=b"", publish_now=True)


async def mails(sandbox: Sandbox, number: int) -> dict[str, list[tuple[str, str]]]:
    """Envelope sender and List-Unsubscribe of each mail by its recipient, once so many are there."""
    async with asyncio.timeout(30):
        while len(sandbox.mails()) < number:
            await asyncio.sleep(0.05)
    found: dict[str, list[tuple[str, str]]] = {}
    for mail in sandbox.mails():
        leave = re.search(r"<mailto:([^?>]+)", str(read_mail(mail)["List-Unsubscribe"]))
        assert leave is not None
        found.setdefault(mail.recipients[0], []).append((mail.sender, leave[1]))
    return found


async def states(parts: Parts, address: str) -> list[tuple[DeliveryState, str]]:
    async with parts.database.read() as session:
        rows = await session.exec(
            select(Delivery)
            .join(Subscriber, col(Subscriber.id) == col(Delivery.subscriber_id))
            .where(Subscriber.email_key == address)
            .order_by(col(Delivery.id))
        )
        return [(row.state, row.reason) for row in rows]


async def settled(parts: Parts, number: int) -> None:
    """Wait until so many deliveries are over, whatever came of them."""
    going = (DeliveryState.PLANNED, DeliveryState.CLAIMED, DeliveryState.IN_FLIGHT)
    async with asyncio.timeout(30):
        while True:
            async with parts.database.read() as session:
                found = (await session.exec(select(Delivery.state))).all()
            if len(found) >= number and not set(found) & set(going):
                return
            await asyncio.sleep(0.05)


async def test_what_comes_back_by_its_own_addresses_gets_no_more(tmp_path: Path) -> None:
    port = free_port()
    settings = test_settings(tmp_path, returns={"port": port})
    async with running(settings, list(Role)) as (parts, sandbox):
        assert sandbox is not None
        await import_csv(parts.database, parts.clock, DSJ, PEOPLE, list_name=None, origin_name="test.csv")
        await publish(parts, 112)
        first = await mails(sandbox, 3)
        await settled(parts, 3)

        def give(to: str, raw: bytes) -> None:
            with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
                assert client.sendmail("", [to], raw) == {}

        ((bounces_to, _),) = first["gone@readers.example"]
        ((_, leave),) = first["leaves@readers.example"]
        unknown = dsn("MAILER-DAEMON@relay.example", "550 5.1.1 User unknown", status="5.1.1")
        await asyncio.to_thread(give, bounces_to, unknown)
        await asyncio.to_thread(give, leave, plain("leaves@readers.example", "unsubscribe", ""))
        assert await states(parts, "gone@readers.example") == [(DeliveryState.BOUNCED, "hard:5.1.1")]

        await publish(parts, 113)
        second = await mails(sandbox, 4)
        await settled(parts, 5)
        assert {address: len(found) for address, found in second.items()} == {
            "gone@readers.example": 1,
            "leaves@readers.example": 1,
            "stays@readers.example": 2,
        }
        assert (await states(parts, "gone@readers.example"))[1:] == [(DeliveryState.SKIPPED, "suppressed")]
        assert len(await states(parts, "leaves@readers.example")) == 1
