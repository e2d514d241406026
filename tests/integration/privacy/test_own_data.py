"""One's own data: a copy that holds all of it, an erasure that leaves nothing. Every table is searched."""

import json
import logging
from pathlib import Path

import pytest
from sqlalchemy import event, text
from sqlmodel import select
from tests.integration.privacy.searching import JING, OPENID, TRACES, everything, in_files
from tests.integration.web.readers_site import PEOPLE, Site, words
from tests.making import document

from bdnews_dispatch.clock import beijing
from bdnews_dispatch.db.engine import Backend
from bdnews_dispatch.dispatch.models import Attempt, Delivery
from bdnews_dispatch.errors import NotFoundError
from bdnews_dispatch.letters.models import Letter
from bdnews_dispatch.links import Signer, SigningKey
from bdnews_dispatch.official_account.follower_tables import WeChatTagged
from bdnews_dispatch.official_account.models import WeChatCredit, WeChatQuota
from bdnews_dispatch.privacy.copying import copy_of, number_of_deliveries, seen_of
from bdnews_dispatch.privacy.erasing import erase, forget_erasure, was_erased
from bdnews_dispatch.subscribers import people
from bdnews_dispatch.subscribers.models import (
    RequestKind,
    Subscriber,
)
from bdnews_dispatch.tracking.models import Hit
from bdnews_dispatch.web.keys import LINKS


async def test_a_copy_holds_what_every_table_knows(site: Site, jing: int) -> None:
    async with site.database.read() as session:
        copy = await copy_of(session, site.clock, jing)
        with pytest.raises(NotFoundError):
            await copy_of(session, site.clock, 99)
    said = json.dumps(copy, ensure_ascii=False)
    for trace in TRACES:
        assert trace in said, trace
    assert "lin.zhiyuan" not in said
    async with site.database.read() as session:
        keys = [delivery.key for delivery in (await session.exec(select(Delivery))).all()]
        keys += [letter.key for letter in (await session.exec(select(Letter))).all()]
        keys += [request.key for request in await site.requests()]
    assert not [key for key in keys if key in said], "a copy may be passed on; a link may not"
    assert copy["deliveries"][0]["hits"][0]["kind"] == "open"
    assert copy["lists"][0]["list"] == "专家"
    assert [(said["kind"], said["text"]) for said in copy["messages"]] == [("text", "密")]
    assert copy["requests"][0]["sections"] == ["policy", "industry"]
    assert json.loads(said) == copy


async def test_erased_means_that_nothing_is_left(
    site: Site, jing: int, tmp_path: Path, backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "bdnews_dispatch")
    before = await everything(site.database)
    knowing = {name for name, rows in before.items() if any(trace in row for row in rows for trace in TRACES)}
    assert {
        "subscriber",
        "attempt",
        "hit",
        "request",
        "letter",
        "event",
        "list_membership",
        "returned_mail",
        "lifted_suppression",
    } <= knowing
    hits, deliveries = len(before["hit"]), len(before["delivery"])
    if backend is Backend.SQLITE:
        assert in_files(tmp_path)
    async with site.database.write() as session:
        assert await erase(session, site.clock, site.links.signer, jing)
        assert not await erase(session, site.clock, site.links.signer, jing)
    after = await everything(site.database)
    left = [(name, row) for name, rows in after.items() for row in rows for trace in TRACES if trace in row]
    assert left == []
    assert (len(after["hit"]), len(after["delivery"])) == (hits, deliveries), "counts stay"
    assert len(after["subscriber"]) == 2
    assert "lin.zhiyuan@readers.example" in str(after["subscriber"])
    assert not [record for record in caplog.records if any(trace in record.getMessage() for trace in TRACES)]
    async with site.database.read() as session:
        assert await was_erased(session, site.links.signer, JING)
        assert not await was_erased(session, site.links.signer, "lin.zhiyuan@readers.example")
    if backend is Backend.SQLITE:
        async with site.database.engine.connect() as connection:
            await connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
        assert in_files(tmp_path) == [], "what was deleted is overwritten"


async def test_a_mark_is_known_after_the_key_was_replaced_and_forgotten_when_they_come_back(
    site: Site, jing: int
) -> None:
    old, new = site.links.signer.first, SigningKey("k2", b"another-key-of-thirty-two-octets!!")
    async with site.database.write() as session:
        await erase(session, site.clock, Signer([old]), jing)
        assert await was_erased(session, Signer([new, old]), JING)
        assert not await was_erased(session, Signer([new]), JING)
    request = await site.asks(JING)
    await site.post(site.links.confirm(request.key))
    async with site.database.read() as session:
        assert not await was_erased(session, site.links.signer, JING)
        person = await people.find_by_email(session, JING)
    assert person is not None
    assert person.id == 3, "somebody new: the old number belongs to nobody"


async def ask_for(site: Site, data: str) -> str:
    """The link in the letter."""
    async with site.database.read() as session:
        own = (await session.exec(select(Delivery.key).where(Delivery.subscriber_id == 2))).first()
    assert own is not None
    answer = await site.post(f"{site.links.preferences(own)}/data", data={"data": data})
    assert answer.headers["Location"].endswith(f"?asked={data}")
    request = (await site.requests())[-1]
    assert request.kind is RequestKind(data)
    return site.links.confirm(request.key)


async def test_a_copy_by_page_and_by_file(site: Site, jing: int) -> None:
    async with site.database.write() as session:
        now = site.clock()
        session.add(WeChatCredit(openid=OPENID, template_id="Notice-1", granted=2, used=1, updated_at=now))
        session.add(WeChatQuota(name="mass:wx", holder=OPENID, period="2026-11", used=3))
        session.add(WeChatTagged(appid="wx", openid=OPENID, section="policy"))
    link = await ask_for(site, "export")
    asked = words(await (await site.get(link)).text())
    assert "查看您的全部数据" in asked
    assert JING not in asked
    for _ in range(2):
        page = words(await (await site.post(link)).text())
        for said in (JING, "何静", "贵阳", "专家", "总第112期", "Notice-1", "月份 2026-11", "国策要论"):
            assert said in page, said
        assert "mass_messages" not in page
        assert f"截至 {beijing(site.clock()):%Y-%m-%d %H:%M}" in page, "as the reader's own clock has it"
        assert "{'" not in page, "as words, not as a program writes it"
    english = await (await site.post(f"{link}?lang=en")).text()
    assert "All your data" in english
    file = await site.post(link, data={"download": "1"})
    assert "attachment" in file.headers["Content-Disposition"]
    assert file.headers["Cache-Control"] == "no-store"
    assert json.loads(await file.text())["person"]["email"] == JING
    site.clock.move(days=8)
    late = await site.post(link, data={"download": "1"})
    assert JING not in await late.text()


async def test_erased_by_page_after_a_tick(site: Site, jing: int) -> None:
    link = await ask_for(site, "erase")
    assert "删除您的全部数据？" in words(await (await site.get(link)).text())
    refused = await site.post(link)
    assert refused.status == 422
    assert "请先勾选" in words(await refused.text())
    async with site.database.read() as session:
        assert (await people.find_by_id(session, 2)).erased_at is None
    done = await site.post(link, data={"sure": "1"})
    assert done.status == 200
    assert "您的数据已删除" in words(await done.text())
    assert (await site.post(link, data={"sure": "1"})).status == 404, "the request went with the rest"
    async with site.database.read() as session:
        person = await session.get(Subscriber, 2)
    assert person is not None
    assert person.erased_at is not None


async def test_old_links_of_an_erased_person_say_so(site: Site, jing: int) -> None:
    async with site.database.read() as session:
        own = (await session.exec(select(Delivery.key).where(Delivery.subscriber_id == 2))).first()
    assert own is not None
    async with site.database.write() as session:
        await erase(session, site.clock, site.app[LINKS].signer, jing)
    for url in (site.links.preferences(own), site.links.web_copy(own)):
        answer = await site.get(url)
        assert answer.status == 410
        assert "您的数据已删除" in words(await answer.text())
    for answer in (
        await site.get(site.links.unsubscribe(own)),
        await site.post(site.links.unsubscribe(own), data={"List-Unsubscribe": "One-Click"}),
    ):
        assert answer.status == 200
        assert "也不会再寄送" in words(await answer.text())
    before = len(await site.hits())
    assert (await site.get(site.links.pixel(own), headers={"User-Agent": "Trace/1.0"})).status == 200
    assert len(await site.hits()) == before, "who is erased is not counted"
    async with site.database.write() as session:
        await forget_erasure(session, site.links.signer, JING)
        assert (await session.exec(select(Hit))).first() is not None


async def test_a_page_reads_the_latest_of_them_alone(site: Site, jing: int) -> None:
    """Years of issues: how many there are is known, and what came of the last ones."""
    for total in (113, 114):
        await site.send(await site.publish(document(total)), PEOPLE)
    async with site.database.read() as session:
        person = await people.find_by_id(session, jing)
        whole = await seen_of(session, person)
    read: list[object] = []

    def seen(one: object, _context: object) -> None:
        read.append(one)

    for table in (Delivery, Attempt, Hit):
        event.listen(table, "load", seen)
    try:
        async with site.database.read() as session:
            person = await people.find_by_id(session, jing)
            latest = await seen_of(session, person, latest=4)
            assert await number_of_deliveries(session, jing) == len(whole["deliveries"]) == 6
    finally:
        for table in (Delivery, Attempt, Hit):
            event.remove(table, "load", seen)
    assert latest["deliveries"] == whole["deliveries"][-4:]
    assert len(read) == 4, "nothing of the first one, which was tried and opened"
    assert {**latest, "deliveries": whole["deliveries"]} == whole
