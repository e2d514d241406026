"""How long anything is kept: each rule by itself."""

import os
from datetime import timedelta
from pathlib import Path

from sqlalchemy import delete, update
from sqlmodel import col, select
from tests.integration.privacy.keeping import DAY, Keep, all_of, carried_out, delivery_of
from tests.integration.privacy.searching import JING, TRACES, everything, in_files
from tests.integration.web.readers_site import Site
from tests.making import test_settings as settings_of

from bdnews_dispatch.accounts.models import ApiToken, OnceAnswered
from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.accounts.tokens import make_token
from bdnews_dispatch.channels.outcome import OutcomeKind
from bdnews_dispatch.clock import beijing
from bdnews_dispatch.db.engine import Backend
from bdnews_dispatch.dispatch.models import Attempt, Delivery
from bdnews_dispatch.dispatch.states import DeliveryState
from bdnews_dispatch.letters.models import Letter, LetterKind, LetterState
from bdnews_dispatch.links import random_key
from bdnews_dispatch.messaging.models import Event, EventHandling
from bdnews_dispatch.messaging.outbox import record
from bdnews_dispatch.official_account.models import WeChatQuota
from bdnews_dispatch.privacy.erasing import erase
from bdnews_dispatch.returns.models import ReturnedMail
from bdnews_dispatch.returns.reading import Kind
from bdnews_dispatch.sandbox.kept import CardBox, MailBox
from bdnews_dispatch.subscribers.models import Request, RequestKind, Subscriber
from bdnews_dispatch.tracking.models import Hit, HitKind


def came_back(site: Site, raw: bytes, letter_id: int | None = None) -> ReturnedMail:
    return ReturnedMail(
        fingerprint=raw.decode(),
        way="smtp",
        kind=Kind.BOUNCE,
        letter_id=letter_id,
        raw=raw,
        received_at=site.clock(),
    )


async def test_hits(site: Site, jing: int, keep: Keep) -> None:
    site.clock.move(days=10)
    async with site.database.write() as session:
        delivery = await delivery_of(site, 1)
        session.add(Hit(delivery_id=delivery, kind=HitKind.OPEN, at=site.clock() - 5 * DAY - DAY / 24))
        session.add(Hit(delivery_id=delivery, kind=HitKind.OPEN, at=site.clock() - 5 * DAY + DAY / 24))
    before, deliveries = len(await site.hits()), len(await site.deliveries())
    last_opened = [person.last_opened_at for person in await all_of(site.database, Subscriber)]
    assert await carried_out(keep(hits=5)) == {"hits": before - 1}
    assert [hit.at > site.clock() - 5 * DAY for hit in await site.hits()] == [True]
    assert len(await site.deliveries()) == deliveries
    assert [person.last_opened_at for person in await all_of(site.database, Subscriber)] == last_opened


async def test_attempts_but_not_the_evidence_of_a_delivery_in_doubt(
    site: Site, jing: int, keep: Keep
) -> None:
    sure, unsure = await delivery_of(site, 1), await delivery_of(site, 2)
    async with site.database.write() as session:
        in_doubt = update(Delivery).where(col(Delivery.id) == unsure)
        await session.execute(in_doubt.values(state=DeliveryState.UNCERTAIN))
        session.add(Attempt(delivery_id=sure, at=site.clock(), outcome=OutcomeKind.ACCEPTED))
    site.clock.move(days=3)
    async with site.database.write() as session:
        session.add(Attempt(delivery_id=sure, at=site.clock(), outcome=OutcomeKind.ACCEPTED))
    done = await keep(attempts=2).run()
    assert {name: number for name, number in done.items() if number} == {"attempts": 1}
    old, young = await all_of(site.database, Attempt)
    assert (old.delivery_id, young.delivery_id) == (unsure, sure)
    assert old.text, "what the other side said"
    async with site.database.write() as session:
        settled = update(Delivery).where(col(Delivery.id) == unsure)
        await session.execute(settled.values(state=DeliveryState.SENT))
    assert await carried_out(keep(attempts=2)) == {"attempts": 1}


async def test_requests_that_nobody_confirmed(site: Site, jing: int, keep: Keep) -> None:
    confirmed = await site.asks("wu.min@readers.example")
    await site.post(site.links.confirm(confirmed.key))
    copied = await site.asks("copied@readers.example")
    async with site.database.write() as session:
        which = update(Request).where(col(Request.id) == copied.id)
        await session.execute(which.values(kind=RequestKind.EXPORT, done_at=site.clock()))
    await site.handle_events()
    assert len(await all_of(site.database, Letter)) == 1, "his; the others were answered"
    site.clock.move(days=7 + 29)
    await site.asks("late@readers.example")
    assert await carried_out(keep(requests=30)) == {}
    site.clock.move(days=2)
    assert await carried_out(keep(requests=30)) == {"requests": 2}
    left = [request.email for request in await site.requests()]
    assert left == ["wu.min@readers.example", "late@readers.example"]
    assert await all_of(site.database, Letter) == []


async def test_a_request_after_those_that_went_has_its_letter(site: Site, jing: int, keep: Keep) -> None:
    """On SQLite it gets the number of one that is gone."""
    site.clock.move(days=60)
    assert await carried_out(keep(requests=30)) == {"requests": 1}
    request = await site.asks("late@readers.example")
    await site.handle_events()
    letters = await all_of(site.database, Letter)
    assert [(letter.email, letter.request_id) for letter in letters] == [(request.email, request.id)]


async def test_mails_that_came_back(site: Site, jing: int, keep: Keep) -> None:
    [returned] = await all_of(site.database, ReturnedMail)
    site.clock.move(days=31)
    async with site.database.write() as session:
        session.add(came_back(site, b"young"))
    assert await carried_out(keep(returns=30)) == {"returns": 1}
    old, young_one = await all_of(site.database, ReturnedMail)
    assert (old.raw, old.text, old.delivery_id) == (b"", returned.text, returned.delivery_id)
    assert young_one.raw == b"young"


async def test_a_letter_that_came_back_goes_with_what_came(site: Site, jing: int, keep: Keep) -> None:
    for days in ({"letters": 60}, {"requests": 30}):
        request = await site.asks("wu.min@readers.example")
        await site.handle_events()
        async with site.database.write() as session:
            letter = (await session.exec(select(Letter).where(Letter.request_id == request.id))).one()
            letter.state = LetterState.SENT
            session.add(letter)
            session.add(came_back(site, f"no such user {days}".encode(), letter.id))
        site.clock.move(days=61)
        await keep(**days).run()
        left = await all_of(site.database, ReturnedMail)
        assert [row.letter_id for row in left] == [None], days
        assert request.email not in str([letter.email for letter in await all_of(site.database, Letter)])


async def test_letters(site: Site, jing: int, keep: Keep) -> None:
    def letter(state: LetterState) -> Letter:
        return Letter(
            key=random_key(site.clock()),
            kind=LetterKind.SUBSCRIBE,
            publication="dsj",
            email="wu.min@readers.example",
            state=state,
            due_at=site.clock(),
            created_at=site.clock(),
        )

    async with site.database.write() as session:
        session.add_all([letter(state) for state in LetterState])
    site.clock.move(days=91)
    async with site.database.write() as session:
        session.add(letter(LetterState.SENT))
    assert await carried_out(keep(letters=90)) == {"letters": 2}
    left = [(letter.state, letter.created_at) for letter in await all_of(site.database, Letter)]
    assert [state for state, _ in left] == [LetterState.WAITING, LetterState.WAITING, LetterState.SENT]


async def test_events_that_are_handled(site: Site, jing: int, keep: Keep) -> None:
    await site.handle_events()
    handled = [row.id for row in await all_of(site.database, Event) if row.handled_at is not None]
    assert handled
    assert await all_of(site.database, EventHandling)
    waiting = [row.id for row in await all_of(site.database, Event) if row.handled_at is None]
    site.clock.move(days=91)
    async with site.database.write() as session:
        await record(session, site.clock, "issue.withdrawn", "young", issue_id=99)
    await site.handle_events()
    done = await carried_out(keep(events=90))
    assert done == {"events": len(handled)}
    left = await all_of(site.database, Event)
    assert {row.id for row in left if row.key != "young"} == set(waiting), "one that waits is never old"
    assert [row.key for row in left if row.handled_at is not None] == ["young"]
    known = {row.id for row in left}
    assert {row.event_id for row in await all_of(site.database, EventHandling)} <= known


async def test_what_the_sandbox_has_taken(site: Site, keep: Keep, tmp_path: Path) -> None:
    folder = settings_of(tmp_path).service.data_folder / "sandbox"
    mails, cards = MailBox(folder / "mail"), CardBox(folder / "wechat")
    mails.load()
    cards.load()
    (folder / "wechat" / "followers.json").write_text("{}")
    old = [mails.keep("a@x.example", (JING,), b"Subject: old\n\n", site.clock()) for _ in range(2)]
    card = {"openid": "o", "mode": "custom", "title": "t", "description": "", "url": "", "picture_url": ""}
    cards.keep(site.clock(), **card, fields={}, data={}, msgid=1, client_msg_id="")
    long_ago = (site.clock() - 8 * DAY).timestamp()
    for file in folder.rglob("*"):
        os.utime(file, (long_ago, long_ago))
    new = mails.keep("a@x.example", (JING,), b"Subject: new\n\n", site.clock())
    os.utime(new.file, (site.clock().timestamp(),) * 2)
    os.utime(new.file.with_suffix(".json"), (site.clock().timestamp(),) * 2)
    assert mails.get(old[0].id) == old[0]
    assert await carried_out(keep(sandbox=7)) == {"sandbox": 3}
    assert sorted(file.name for file in folder.rglob("*.*")) == [
        f"{new.id:08d}.eml",
        f"{new.id:08d}.json",
        "followers.json",
    ]
    assert (mails.get(old[1].id), mails.all(), cards.all()) == (None, [new], [])


async def test_what_came_late_about_somebody_erased(
    site: Site, jing: int, keep: Keep, tmp_path: Path, backend: Backend
) -> None:
    """A worker had a mail of theirs on the wire; its answer is written after they are gone."""
    delivery = await delivery_of(site, 2)
    async with site.database.write() as session:
        on_the_wire = update(Delivery).where(col(Delivery.id) == delivery)
        await session.execute(on_the_wire.values(state=DeliveryState.IN_FLIGHT))
        await erase(session, site.clock, site.links.signer, 2)
    async with site.database.write() as session:
        session.add(
            Attempt(delivery_id=delivery, at=site.clock(), outcome=OutcomeKind.ACCEPTED, text=f"<{JING}> ok")
        )
        answered = update(Delivery).where(col(Delivery.id) == delivery)
        await session.execute(answered.values(state=DeliveryState.SENT))
    assert [row for row in (await everything(site.database))["attempt"] if JING in row]
    assert await carried_out(keep()) == {"erased": 2}
    after = await everything(site.database)
    assert not [row for rows in after.values() for row in rows for trace in TRACES if trace in row]
    chosen = {row.subscriber_id: row.sections for row in await site.deliveries() if row.id == delivery}
    assert chosen == {2: []}
    if backend is Backend.SQLITE:
        assert in_files(tmp_path) == [], "retention cuts the write-ahead log as well"


async def test_answers_of_the_api_are_kept_a_day(site: Site, keep: Keep) -> None:
    async with site.database.write() as session:
        await make_token(session, site.clock, name="t", scope=[Right.EVENTS_READ], ends_at=None)
        token = (await session.exec(select(ApiToken))).one()
        for key, hours in (("old", 25), ("new", 23)):
            session.add(
                OnceAnswered(
                    token_id=token.id or 0,
                    key=key,
                    fingerprint="",
                    status=201,
                    body="lin@readers.example",
                    at=site.clock.now - timedelta(hours=hours),
                )
            )
    assert await carried_out(keep()) == {"erased": 1}
    async with site.database.read() as session:
        assert (await session.exec(select(OnceAnswered.key))).all() == ["new"]


async def test_quotas_of_past_months(site: Site, jing: int, keep: Keep) -> None:
    """This month's and the last one's stay: a send of then may still be answered."""
    month = beijing(site.clock()).replace(day=1)
    last = month - DAY
    periods = [f"{month:%Y-%m}", f"{last:%Y-%m}", f"{last:%Y-%m}-07", f"{last.replace(day=1) - DAY:%Y-%m}"]
    periods.append(f"{periods[-1]}-28T10:05")
    async with site.database.write() as session:
        await session.execute(delete(WeChatQuota))
        session.add_all(WeChatQuota(name="mass:wx", holder=JING, period=one, used=1) for one in periods)
    assert (await keep().preview())["erased"] == 2
    assert (await keep().run())["erased"] == 2
    async with site.database.read() as session:
        assert sorted(await session.exec(select(WeChatQuota.period))) == sorted(periods[:3])
