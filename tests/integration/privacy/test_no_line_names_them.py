"""Logs at their most talkative, fields and all, before any mask; and whatever files there are."""

import logging
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlmodel import select
from tests.integration.privacy.searching import JING, TRACES
from tests.integration.web.readers_site import BROWSER, PEOPLE, Site
from tests.making import test_settings

from bdnews_dispatch.db.engine import Backend
from bdnews_dispatch.dispatch.models import Delivery
from bdnews_dispatch.privacy.retention import Retention
from bdnews_dispatch.subscribers.models import RequestKind
from bdnews_dispatch.web.subscribing import HONEYPOT

OWN = "bdnews_dispatch"


def named(records: list[logging.LogRecord]) -> list[tuple[str, str]]:
    """Lines that name the person: message, fields and traceback."""
    plain = logging.Formatter()
    said = [(record, f"{plain.format(record)} {vars(record)}") for record in records]
    return [(record.name, trace) for record, line in said for trace in TRACES if trace in line]


def holding(folder: Path) -> list[str]:
    """Files below the folder that name the person."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return [file.name for file in files for trace in TRACES if trace.encode() in file.read_bytes()]


def test_the_search_finds_a_field_that_names_them(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, OWN)
    logging.getLogger(OWN).debug("letter.sent", extra={"to": JING})
    assert named(caplog.records) == [(OWN, "he.jing")]


async def test_from_the_first_mail_to_the_erasure_no_line_and_no_file_names_them(
    site: Site, backend: Backend, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, OWN)
    await site.send(await site.publish(), PEOPLE)
    async with site.database.read() as session:
        own = (await session.exec(select(Delivery.key).where(Delivery.subscriber_id == 2))).first()
    assert own is not None
    await site.get(site.links.pixel(own), headers={"User-Agent": f"{BROWSER} Trace/1.0"})
    await site.asks(JING)
    for data in ("export", "erase"):
        await site.post(f"{site.links.preferences(own)}/data", data={"data": data})
        await site.handle_events()
        request = (await site.requests())[-1]
        assert request.kind is RequestKind(data)
        answer = await site.post(site.links.confirm(request.key), data={"sure": "1"})
        assert answer.status == 200
        assert (JING in await answer.text()) is (data == "export")
    await site.handle_events()
    # Two that do speak: a robot in the reader's name, and the day's retention.
    robot = await site.post("/subscribe/dsj", data={"email": JING, "name": "何静", HONEYPOT: "x"})
    assert robot.status == 303
    await Retention(site.database, site.clock, test_settings(tmp_path)).run()
    own_lines = [record for record in caplog.records if record.name.startswith(OWN)]
    assert {"subscribe.robot", "retention.done"} <= {record.getMessage() for record in own_lines}
    assert named(own_lines) == []
    if backend is Backend.SQLITE:
        async with site.database.engine.connect() as connection:
            await connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    assert holding(tmp_path) == []
