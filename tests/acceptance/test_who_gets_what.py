"""Who gets what: each state of a person × each thing that is sent, by the real planner, worker and letterbox."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import col, select
from tests.making import DSJ, Station, open_station

from bdnews_dispatch.bulletins.writing import write_bulletin
from bdnews_dispatch.dispatch.models import Delivery
from bdnews_dispatch.dispatch.starting import start_bulletin
from bdnews_dispatch.letters.models import Letter
from bdnews_dispatch.letters.writing import write_letters
from bdnews_dispatch.privacy.erasing import erase
from bdnews_dispatch.service.letters import open_letterbox
from bdnews_dispatch.subscribers import agreements, lists, requests, suppressions
from bdnews_dispatch.subscribers.agreements import Agreement, Proof
from bdnews_dispatch.subscribers.fields import read_address
from bdnews_dispatch.subscribers.models import Channel

PEOPLE = (
    "confirmed",
    "unconfirmed",
    "paused",
    "left_list",
    "left_all",
    "hard_bounce",
    "complained",
    "erased",
    "bulletins_only",
)
#: Sent, or why not; empty: not even planned.
EXPECTED = {
    #                  issue                issue to a list      bulletin      urgent        opt-in mail
    "confirmed": ("sent", "sent", "sent", "sent", "sent"),
    "unconfirmed": ("", "", "", "", "sent"),
    "paused": ("paused", "paused", "paused", "paused", "sent"),
    "left_list": ("sent", "", "sent", "sent", "sent"),
    "left_all": ("", "", "", "", "sent"),
    "hard_bounce": ("suppressed", "suppressed", "suppressed", "suppressed", "suppressed"),
    "complained": ("", "", "", "", "suppressed"),
    "erased": ("", "", "", "", "sent"),
    "bulletins_only": ("cadence_bulletins", "cadence_bulletins", "sent", "sent", "sent"),
}
LIST = "专家"


def address(name: str) -> str:
    return f"{name}@readers.example"


@pytest.fixture
async def station(tmp_path: Path) -> AsyncIterator[Station]:
    """Everybody in their state, as it really comes about."""
    async with open_station(tmp_path) as station:
        rows = [
            f"{address(name)},,,policy,email,{'bulletins' if name == 'bulletins_only' else 'issue'}\n"
            for name in PEOPLE
            if name != "unconfirmed"
        ]
        head = "email,name,openid,sections,channel,cadence\n"
        await station.people((head + "".join(rows)).encode(), list_name=LIST)
        clock, parts = station.parts.clock, station.parts
        number = {
            name: place for place, name in enumerate((n for n in PEOPLE if n != "unconfirmed"), start=1)
        }
        async with parts.database.write() as session:
            until = clock() + timedelta(days=3)
            paused = Agreement(whole_issue=False, sections=["policy"], paused_until=until)
            await agreements.agree(session, clock, number["paused"], DSJ, paused, Proof("preferences"))
            found = await lists.find_list(session, LIST)
            assert found.id is not None
            await lists.leave_list(session, clock, found.id, [number["left_list"]], reason="page")
            for name, origin in (("left_all", "page_all"), ("complained", "complaint")):
                await agreements.unsubscribe(session, clock, number[name], "dsj", reason="", origin=origin)
            for name, reason in (("hard_bounce", "bounce"), ("complained", "complaint")):
                await suppressions.suppress(
                    session, clock, Channel.EMAIL, address(name), reason=reason, source="returns"
                )
            await erase(session, clock, parts.links.signer, number["erased"])
        yield station


async def outcomes(station: Station, dispatch_id: int) -> dict[str, str]:
    """By address: `sent`, or the reason."""
    async with station.worker():
        await station.until(dispatch_id)
    reached = {mail.recipients[0].partition("@")[0] for mail in station.sandbox.mails()}
    found = dict.fromkeys(reached, "sent")
    numbers = [n for n in PEOPLE if n != "unconfirmed"]
    async with station.parts.database.read() as session:
        rows = await session.exec(select(Delivery).where(col(Delivery.dispatch_id) == dispatch_id))
        for delivery in rows:
            if delivery.reason:
                found[numbers[delivery.subscriber_id - 1]] = delivery.reason
    return found


def column(place: int) -> dict[str, str]:
    return {name: expected[place] for name, expected in EXPECTED.items() if expected[place]}


async def test_an_issue(station: Station) -> None:
    assert await outcomes(station, await station.start(await station.publish())) == column(0)


async def test_an_issue_to_a_list(station: Station) -> None:
    assert await outcomes(station, await station.start(await station.publish(), lists=[LIST])) == column(1)


@pytest.mark.parametrize("urgent", [False, True])
async def test_a_bulletin(station: Station, urgent: bool) -> None:
    clock = station.parts.clock
    async with station.parts.database.write() as session:
        bulletin = await write_bulletin(
            session, clock, publication="dsj", title="通知", body="正文", urgent=urgent, ad=False, audience=""
        )
        started = await start_bulletin(session, clock, bulletin, sections=["policy"])
    assert started.dispatch.id is not None
    assert await outcomes(station, started.dispatch.id) == column(3 if urgent else 2)


async def test_the_mail_that_asks(station: Station) -> None:
    clock = station.parts.clock
    async with station.parts.database.write() as session:
        for name in PEOPLE:
            request = await requests.ask_to_subscribe(
                session,
                clock,
                DSJ,
                address=read_address(address(name)),
                name="",
                language="zh",
                agreement=Agreement(),
                origin=requests.Origin(),
            )
            assert request is not None
            assert request.id is not None
            await write_letters(session, clock, request.id)
    async with open_letterbox(station.parts) as letterbox:
        await letterbox.send_due()
    found = {mail.recipients[0].partition("@")[0]: "sent" for mail in station.sandbox.mails()}
    async with station.parts.database.read() as session:
        for letter in await session.exec(select(Letter)):
            if letter.reason:
                found[letter.email.partition("@")[0]] = letter.reason
    assert found == column(4)
