"""Two readers whose data meet: a copy shows each of them their own alone."""

import json

from sqlmodel import select
from tests.integration.privacy.searching import JING
from tests.integration.web.readers_site import Site

from bdnews_dispatch.letters.models import Letter, LetterKind
from bdnews_dispatch.privacy.copying import copy_of
from bdnews_dispatch.returns.models import ReturnedMail
from bdnews_dispatch.returns.reading import Kind
from bdnews_dispatch.subscribers import people
from bdnews_dispatch.subscribers.fields import read_address
from bdnews_dispatch.subscribers.requests import Origin, ask_to_change_address

LIN = "lin.zhiyuan@readers.example"
NETWORK = "198.51.100.0/24"


async def copied(site: Site, number: int) -> str:
    async with site.database.read() as session:
        return json.dumps(await copy_of(session, site.clock, number), ensure_ascii=False)


async def test_who_asks_for_somebody_elses_address_is_not_shown_to_them(site: Site, jing: int) -> None:
    """The other address of the request is the asker's own; who owns the wanted one learns of the letter alone."""
    async with site.database.write() as session:
        lin = await people.find_by_id(session, 1)
        assert await ask_to_change_address(
            session, site.clock, "dsj", lin, read_address(JING), origin=Origin(network=NETWORK)
        )
    await site.handle_events()
    async with site.database.read() as session:
        written = (await session.exec(select(Letter.kind, Letter.email))).all()
    assert (LetterKind.OLD_ADDRESS, LIN) in written
    jings, lins = await copied(site, jing), await copied(site, 1)
    assert LIN not in jings
    assert NETWORK not in jings
    assert [
        letter["email"] for letter in json.loads(jings)["letters"] if letter["kind"] == "new_address"
    ] == [JING]
    assert LIN in lins
    assert NETWORK in lins, "it is the asker's own"


async def test_what_came_back_of_a_letter_is_in_the_copy(site: Site, jing: int) -> None:
    """An erasure takes it, so a copy shows it."""
    async with site.database.write() as session:
        letter = (await session.exec(select(Letter).where(Letter.email == JING))).one()
        session.add(
            ReturnedMail(
                fingerprint="of a letter",
                way="smtp",
                kind=Kind.BOUNCE,
                letter_id=letter.id,
                status="5.1.1",
                text="no such mailbox",
                received_at=site.clock(),
            )
        )
    returned = json.loads(await copied(site, jing))["returned"]
    assert [row["text"] for row in returned] == ["何静 is away", "no such mailbox"]
    assert json.loads(await copied(site, 1))["returned"] == []
