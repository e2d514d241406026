"""The signing key is rotated while a dispatch runs: the links of every mail, old and new, stay valid."""

import re
from pathlib import Path

import pytest
from tests.making import Station, open_station, part, read_mail, readers

from bdnews_dispatch.clock import system_clock
from bdnews_dispatch.db.engine import Backend
from bdnews_dispatch.links import Purpose
from bdnews_dispatch.sandbox import MailFault

OLD, NEW = (f"{name}:only-for-tests-and-long-enough-for-a-key-{name}" for name in ("2025a", "2026a"))
NUMBER = 60


def links(station: Station) -> list[tuple[Purpose, str]]:
    """Purpose and token of each signed link in each mail."""
    pattern = re.compile(
        rf"http://news\.example/([{''.join(Purpose)}])/(v1\.[a-z0-9.]+?)(?=\.gif|[^a-z0-9.])"
    )
    return [
        (Purpose(purpose), token)
        for mail in station.sandbox.mails()
        for purpose, token in pattern.findall(part(read_mail(mail), "html"))
    ]


@pytest.mark.fault(23)
async def test_all_links_of_both_halves_stay_valid(tmp_path: Path) -> None:
    async with open_station(tmp_path, security={"signing_keys": [OLD]}) as station:
        station.sandbox.faults.on_mail(MailFault("*", at="body", delay_seconds=0.05))
        await station.people(readers(NUMBER))
        dispatch = await station.start(await station.publish())
        async with station.worker():
            await station.sandbox.arrived(mails=NUMBER // 4)
    async with open_station(tmp_path, security={"signing_keys": [NEW, OLD]}) as station:
        before = len(station.received())
        assert before < NUMBER
        async with station.worker():
            await station.until(dispatch)
        found = links(station)
        signer = station.parts.links.signer
        for purpose, token in found:
            assert signer.read(purpose, token, system_clock())
        deliveries = {delivery.key for delivery in await station.deliveries(dispatch)}
        assert {signer.read(p, t, system_clock()) for p, t in found if p is Purpose.UNSUBSCRIBE} == deliveries
    signed_by = [token.split(".")[1] for purpose, token in found if purpose is Purpose.UNSUBSCRIBE]
    assert set(signed_by) == {"2025a", "2026a"}
    assert len(deliveries) == NUMBER


@pytest.mark.fault(23)
async def test_the_key_that_was_made_by_itself_counts_as_an_old_one(tmp_path: Path, backend: Backend) -> None:
    """Whoever writes a key into the settings for the first time rotates, too."""
    if backend is Backend.POSTGRESQL:
        pytest.skip("there is always a key in the settings")
    async with open_station(tmp_path) as station:
        await station.people(readers(2))
        dispatch = await station.start(await station.publish())
        async with station.worker():
            await station.until(dispatch)
    async with open_station(tmp_path, security={"signing_keys": [NEW]}) as station:
        signer = station.parts.links.signer
        assert signer.first.id == "2026a"
        assert all(signer.read(purpose, token, system_clock()) for purpose, token in links(station))
        assert links(station)
