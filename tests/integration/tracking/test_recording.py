"""Hits: people and machines apart, first ones told once, lost answers settled."""

from sqlmodel import select
from tests.integration.web.readers_site import BROWSER, Site

from bdnews_dispatch.dispatch.models import Delivery
from bdnews_dispatch.dispatch.states import DeliveryState
from bdnews_dispatch.subscribers.models import Subscriber
from bdnews_dispatch.tracking.models import HitKind
from bdnews_dispatch.tracking.reading import counts_of_deliveries, counts_of_dispatch
from bdnews_dispatch.tracking.recording import MOST_HITS, Stored, Touch, record_hits


async def touch(
    site: Site, key: str, kind: HitKind, times: int = 1, *, agent: str = BROWSER, method: str = "GET"
) -> list[Stored]:
    found = []
    async with site.database.write() as session:
        for _ in range(times):
            found += await record_hits(session, site.clock, [Touch(key, kind, 1, agent, method)])
    return found


async def test_the_first_open_and_click_of_a_person_are_told_once(site: Site, sent: list[Delivery]) -> None:
    before = len(await site.events())
    await touch(site, sent[0].key, HitKind.OPEN, agent="GoogleImageProxy")
    assert len(await site.events()) == before
    await touch(site, sent[0].key, HitKind.OPEN, 3)
    await touch(site, sent[0].key, HitKind.CLICK, 3)
    assert (await site.events())[before:] == ["delivery.opened", "delivery.clicked"]
    assert len(await site.hits()) == 7


async def test_counts_are_of_people(site: Site, sent: list[Delivery]) -> None:
    lin, jing_mail, jing_card = sent
    await touch(site, lin.key, HitKind.OPEN, 2, agent="GoogleImageProxy")
    await touch(site, lin.key, HitKind.CLICK, method="HEAD")
    await touch(site, jing_mail.key, HitKind.CLICK, 2)
    await touch(site, jing_card.key, HitKind.PAGE_VIEW)
    await touch(site, jing_card.key, HitKind.UNSUBSCRIBE)
    async with site.database.read() as session:
        counts = await counts_of_dispatch(session, lin.dispatch_id)
        each = await counts_of_deliveries(session, [d.id or 0 for d in sent])
    assert (counts.opened, counts.clicked, counts.unsubscribed) == (1, 1, 1)
    assert (counts.machine_opened, counts.machine_clicked) == (1, 1)
    assert (each[lin.id or 0].opened, each[lin.id or 0].machines) == (False, 3)
    assert (each[jing_mail.id or 0].opened, each[jing_mail.id or 0].clicks) == (True, 2)
    assert each[jing_card.id or 0].unsubscribed


async def test_a_dispatch_that_nobody_touched_has_zeros(site: Site, sent: list[Delivery]) -> None:
    async with site.database.read() as session:
        counts = await counts_of_dispatch(session, sent[0].dispatch_id)
    assert (counts.opened, counts.clicked, counts.unsubscribed, counts.machine_opened) == (0, 0, 0, 0)


async def test_who_opens_it_has_it(site: Site, sent: list[Delivery]) -> None:
    async with site.database.write() as session:
        for delivery in sent:
            delivery.state, delivery.sent_at = DeliveryState.UNCERTAIN, None
            session.add(delivery)
    await touch(site, sent[0].key, HitKind.OPEN, agent="YahooMailProxy")
    await touch(site, sent[1].key, HitKind.OPEN)
    await touch(site, sent[2].key, HitKind.UNSUBSCRIBE)
    after = await site.deliveries()
    assert [d.state for d in after] == [DeliveryState.UNCERTAIN, DeliveryState.SENT, DeliveryState.SENT]
    assert after[1].reason == "evidence.open"
    assert after[1].sent_at is not None


async def test_a_bounced_delivery_stays_so(site: Site, sent: list[Delivery]) -> None:
    async with site.database.write() as session:
        sent[0].state = DeliveryState.BOUNCED
        session.add(sent[0])
    await touch(site, sent[0].key, HitKind.OPEN)
    assert (await site.deliveries())[0].state is DeliveryState.BOUNCED


async def test_an_unknown_key_writes_nothing(site: Site, sent: list[Delivery]) -> None:
    assert await touch(site, "nobody", HitKind.OPEN) == [Stored.UNKNOWN]
    assert await site.hits() == []


async def test_hits_of_one_delivery_are_bounded(site: Site, sent: list[Delivery]) -> None:
    await touch(site, sent[0].key, HitKind.OPEN, MOST_HITS + 20, agent="x\r\n\ud800" + "y" * 500)
    hits = await site.hits()
    assert len(hits) == MOST_HITS
    assert max(len(hit.user_agent) for hit in hits) <= 200
    assert "\n" not in hits[0].user_agent


async def test_who_does_not_want_to_be_counted_is_not(site: Site, sent: list[Delivery]) -> None:
    async with site.database.write() as session:
        for person in (await session.exec(select(Subscriber))).all():
            person.no_tracking = True
            session.add(person)
    await touch(site, sent[0].key, HitKind.OPEN)
    await touch(site, sent[0].key, HitKind.UNSUBSCRIBE)
    assert [hit.kind for hit in await site.hits()] == [HitKind.UNSUBSCRIBE]
