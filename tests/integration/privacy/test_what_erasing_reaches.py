"""What lies beside a person's own rows: events, other addresses, what a worker writes afterwards, files to import."""

from sqlalchemy import update
from sqlmodel import col, select
from tests.integration.privacy.searching import JING, OPENID, TRACES, everything
from tests.integration.web.readers_site import PEOPLE, Site
from tests.making import DSJ, Imported, import_csv

from bdnews_dispatch.dispatch.models import Delivery
from bdnews_dispatch.dispatch.states import DeliveryState
from bdnews_dispatch.letters.models import Letter, LetterKind
from bdnews_dispatch.links import random_key
from bdnews_dispatch.messaging.models import Event, EventHandling
from bdnews_dispatch.messaging.outbox import record
from bdnews_dispatch.privacy.erasing import erase, was_erased
from bdnews_dispatch.subscribers import agreements, people
from bdnews_dispatch.subscribers.models import Channel, Request, RequestKind, Subscriber, Suppression

OLD = "jing.at.home@readers.example"


async def gone(site: Site) -> None:
    async with site.database.write() as session:
        assert await erase(session, site.clock, site.links.signer, 2)


def asks_for(site: Site, email: str) -> Request:
    """The reader has asked for another address."""
    return Request(
        key=random_key(site.clock()),
        kind=RequestKind.CHANGE_ADDRESS,
        publication="dsj",
        subscriber_id=2,
        email=email,
        email_key=email,
        requested_at=site.clock(),
        expires_at=site.clock(),
    )


async def imported(site: Site, csv: bytes = PEOPLE) -> Imported:
    return await import_csv(
        site.database,
        site.clock,
        DSJ,
        csv,
        list_name="专家",
        origin_name="名单.csv",
        signer=site.links.signer,
    )


async def test_who_asks_after_an_erasure_gets_a_letter(site: Site, jing: int) -> None:
    """SQLite gives the number of a request that is gone to the next one: what was told of it must be gone too."""
    async with site.database.write() as session:
        await erase(session, site.clock, site.links.signer, jing)
    request = await site.asks("chen.wei@readers.example")
    await site.handle_events()
    async with site.database.read() as session:
        letters = (await session.exec(select(Letter).where(Letter.request_id == request.id))).all()
    assert [letter.email for letter in letters] == ["chen.wei@readers.example"]


async def test_a_push_that_waits_while_its_sender_is_erased_is_no_failure(site: Site, jing: int) -> None:
    async with site.database.write() as session:
        await record(session, site.clock, "wechat.pushed", "w2", openid=OPENID, kind="text")
        await erase(session, site.clock, site.links.signer, jing)
    await site.handle_events()
    async with site.database.read() as session:
        failed = (await session.exec(select(EventHandling).where(EventHandling.last_error != ""))).all()
        waiting = (await session.exec(select(Event.name).where(col(Event.handled_at).is_(None)))).all()
    assert (list(failed), list(waiting)) == ([], [])


async def test_who_leaves_after_an_erasure_is_told_of(site: Site, jing: int) -> None:
    """As with requests: an agreement that is gone leaves its number to the next one."""
    async with site.database.write() as session:
        await agreements.unsubscribe(session, site.clock, 2, "dsj", reason="", origin="page")
    await gone(site)
    await imported(site, b"email\nchen.wei@readers.example\n")
    async with site.database.write() as session:
        assert await agreements.unsubscribe(session, site.clock, 3, "dsj", reason="", origin="page")
    async with site.database.read() as session:
        told = await session.exec(select(Event).where(Event.name == agreements.UNSUBSCRIBED_EVENT))
        assert {event.payload.get("subscriber_id") for event in told} == {None, 3}


async def test_no_file_brings_them_back(site: Site, jing: int) -> None:
    await gone(site)
    report = await imported(site)
    assert report.codes == [(3, "erased")]
    assert (report.refused, report.unchanged) == (1, 1)
    report = await imported(site, b"email,openid\nnew@readers.example," + OPENID.encode() + b"\n")
    assert [code for _, code in report.codes] == ["erased"], "by openid as well"
    async with site.database.read() as session:
        assert await people.find_by_email(session, JING) is None
        assert await people.find_by_email(session, "new@readers.example") is None


async def test_who_has_come_back_is_imported_like_anybody(site: Site, jing: int) -> None:
    await gone(site)
    request = await site.asks(JING)
    await site.post(site.links.confirm(request.key))
    report = await imported(site, f"email,name\n{JING},何静\n".encode())
    assert (report.refused, report.changed) == (0, 1)


async def test_an_address_that_was_theirs_goes_too_and_one_that_they_only_asked_for_stays(
    site: Site, jing: int
) -> None:
    """They had moved here from OLD; and once they had asked for somebody else's address, who never answered."""
    other = "somebody@readers.example"
    async with site.database.write() as session:
        session.add_all(
            Suppression(channel=Channel.EMAIL, target=target, reason="bounce", created_at=site.clock())
            for target in (OLD, other)
        )
        moved, refused = asks_for(site, JING), asks_for(site, other)
        moved.done_at = site.clock()
        session.add_all([moved, refused])
        await session.flush()
        session.add(
            Letter(
                key="l" * 24,
                kind=LetterKind.OLD_ADDRESS,
                publication="dsj",
                email=OLD.upper(),
                request_id=moved.id,
                due_at=site.clock(),
                created_at=site.clock(),
            )
        )
    await gone(site)
    after = await everything(site.database)
    assert not [row for rows in after.values() for row in rows if OLD in row.lower()]
    assert [row for row in after["suppression"] if other in row], "not theirs to erase"
    async with site.database.read() as session:
        assert await was_erased(session, site.links.signer, OLD)
        assert not await was_erased(session, site.links.signer, other)


async def test_an_address_that_was_theirs_and_is_somebody_elses_now_stays(site: Site, jing: int) -> None:
    async with site.database.write() as session:
        was = asks_for(site, OLD)
        was.done_at = site.clock()
        session.add(was)
    await imported(site, f"email,name\n{OLD},陈维\n".encode())
    request = await site.asks(OLD)
    async with site.database.write() as session:
        session.add(Suppression(channel=Channel.EMAIL, target=OLD, reason="bounce", created_at=site.clock()))
    await gone(site)
    async with site.database.read() as session:
        assert not await was_erased(session, site.links.signer, OLD)
        assert (await session.exec(select(Suppression.id).where(Suppression.target == OLD))).first()
    assert [one.id for one in await site.requests()] == [request.id], "theirs, not hers"


async def test_what_they_chose_is_no_count(site: Site, jing: int) -> None:
    """A delivery's sections say what its reader is interested in."""
    async with site.database.write() as session:
        first = (await session.exec(select(Delivery.id).where(Delivery.subscriber_id == 2))).first()
        open_ = update(Delivery).where(col(Delivery.id) == first).values(state=DeliveryState.PLANNED)
        await session.execute(open_)
    await gone(site)
    deliveries = await site.deliveries()
    own = {delivery.state: delivery.sections for delivery in deliveries if delivery.subscriber_id == 2}
    assert own == {DeliveryState.PLANNED: ["industry"], DeliveryState.SENT: []}
    assert all(delivery.sections for delivery in deliveries if delivery.subscriber_id == 1)


async def test_an_errors_words_go(site: Site, jing: int) -> None:
    async with site.database.write() as session:
        await record(session, site.clock, "issue.published", "i1", issue_id=99)
        event = (await session.exec(select(Event).where(Event.key == "i1"))).one()
        session.add(
            EventHandling(event_id=event.id or 0, handler="h", last_error=f"Key (email_key)=({JING}) exists")
        )
    await gone(site)
    after = await everything(site.database)
    assert not [row for row in after["event_handling"] for trace in TRACES if trace in row]
    async with site.database.read() as session:
        assert (await session.exec(select(Subscriber.email).where(Subscriber.id == 1))).one() is not None
