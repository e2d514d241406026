"""What only several hits together show, and all hits again when the rules have changed."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlmodel import select
from tests.integration.web.readers_site import BROWSER, Site

from bdnews_dispatch.dispatch.changes import mark_changed
from bdnews_dispatch.dispatch.models import Delivery, DispatchChange
from bdnews_dispatch.tracking import judging
from bdnews_dispatch.tracking.judging import SETTLED, Judge
from bdnews_dispatch.tracking.machines import Rule, Together, the_machines
from bdnews_dispatch.tracking.models import HitKind, Judging
from bdnews_dispatch.tracking.recording import Touch, record_hits

OFFICE, HOME = "203.0.113.0/24", "198.51.100.0/24"


async def touch(
    site: Site, delivery: Delivery, kind: HitKind, link: int | None = None, *, from_: str = HOME
) -> None:
    async with site.database.write() as session:
        await record_hits(session, site.clock, [Touch(delivery.key, kind, link, BROWSER, network=from_)])


async def machines_of(site: Site) -> list[str]:
    return [hit.machine for hit in await site.hits()]


async def changed(site: Site) -> set[int]:
    async with site.database.write() as session:
        rows = (await session.exec(select(DispatchChange))).all()
        for row in rows:
            await session.delete(row)
        return {row.dispatch_id for row in rows}


async def test_whoever_tries_every_link_is_a_scanner(site: Site, sent: list[Delivery]) -> None:
    site.clock.move(hours=1)
    await touch(site, sent[0], HitKind.OPEN)
    for link in range(1, 7):
        site.clock.move(seconds=1)
        await touch(site, sent[0], HitKind.CLICK, link)
    site.clock.move(minutes=10)
    await touch(site, sent[0], HitKind.CLICK, 2)
    await touch(site, sent[1], HitKind.CLICK, 2)
    assert await machines_of(site) == [""] * 9, "one by one they look like a person's"
    await changed(site)
    site.clock.move(seconds=SETTLED.total_seconds() + 1)
    assert await Judge(site.database, site.clock).run() == 6
    assert await machines_of(site) == ["", *["scanner.every_link"] * 6, "", ""]
    assert await changed(site) == {sent[0].dispatch_id}, "its report is counted again"
    assert await Judge(site.database, site.clock).run() == 0
    assert await changed(site) == set()


async def test_a_gateway_clicks_in_step(site: Site, sent: list[Delivery]) -> None:
    few = replace(the_machines(), burst=Together(3, 10.0))
    site.clock.move(hours=1)
    for delivery in sent:
        await touch(site, delivery, HitKind.CLICK, 1, from_=OFFICE)
        site.clock.move(seconds=2)
    await touch(site, sent[0], HitKind.CLICK, 1)
    site.clock.move(minutes=5)
    await touch(site, sent[0], HitKind.CLICK, 1, from_=OFFICE)
    site.clock.move(minutes=1)
    await Judge(site.database, site.clock, few).run()
    assert await machines_of(site) == ["scanner.burst"] * 3 + ["", ""]


async def test_a_burst_on_the_edge_of_a_slice(
    site: Site, sent: list[Delivery], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judging, "SLICE", 2)
    few = replace(the_machines(), burst=Together(3, 10.0))
    site.clock.move(hours=1)
    for delivery in sent:
        await touch(site, delivery, HitKind.CLICK, 1, from_=OFFICE)
    site.clock.move(minutes=1)
    await Judge(site.database, site.clock, few).run()
    assert await machines_of(site) == ["scanner.burst"] * 3


async def test_young_hits_wait(site: Site, sent: list[Delivery]) -> None:
    site.clock.move(hours=1)
    await touch(site, sent[0], HitKind.OPEN)
    site.clock.move(seconds=SETTLED.total_seconds())
    await touch(site, sent[0], HitKind.OPEN)
    await Judge(site.database, site.clock).run()
    async with site.database.read() as session:
        known = await session.get(Judging, 1)
    hits = await site.hits()
    assert known is not None
    assert known.through == hits[0].id
    site.clock.move(seconds=SETTLED.total_seconds())
    await Judge(site.database, site.clock).run()
    async with site.database.read() as session:
        known = await session.get(Judging, 1)
    assert known is not None
    assert known.through == hits[1].id


async def test_other_rules_judge_all_hits_anew(site: Site, sent: list[Delivery]) -> None:
    site.clock.move(hours=1)
    await touch(site, sent[0], HitKind.OPEN)
    await touch(site, sent[1], HitKind.UNSUBSCRIBE)
    async with site.database.write() as session:
        await record_hits(session, site.clock, [Touch(sent[0].key, HitKind.OPEN, user_agent="curl/8.5.0")])
    site.clock.move(minutes=1)
    shipped = the_machines()
    await Judge(site.database, site.clock).run()
    await changed(site)
    assert await machines_of(site) == ["", "", "program.library"]

    strict = replace(shipped, rules=[_nobody()], version="strict", _known={})
    assert await Judge(site.database, site.clock, strict).run() == 2
    assert await machines_of(site) == ["scanner.nobody", "", "scanner.nobody"], (
        "an unsubscription is always a person's"
    )
    assert await changed(site) == {sent[0].dispatch_id}

    assert await Judge(site.database, site.clock).run() == 2
    assert await machines_of(site) == ["", "", "program.library"]


def _nobody() -> Rule:
    rule = next(rule for rule in the_machines().rules if rule.name == "timing.too_soon")
    return replace(rule, name="scanner.nobody", sooner=timedelta(days=400).total_seconds())


async def test_a_mark_is_made_once(site: Site, sent: list[Delivery]) -> None:
    for _ in range(2):
        async with site.database.write() as session:
            await mark_changed(session, [sent[0].dispatch_id])
    assert await changed(site) == {sent[0].dispatch_id}
