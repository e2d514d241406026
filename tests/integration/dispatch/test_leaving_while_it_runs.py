"""Readers who unsubscribe by their link while their dispatch runs: behind the answer nothing begins any more."""

from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from sqlmodel import select
from tests.making import open_station, readers

from bdnews_dispatch.dispatch.models import Delivery
from bdnews_dispatch.sandbox import MailFault
from bdnews_dispatch.subscribers.models import Subscriber
from bdnews_dispatch.web.app import make_web_app

NUMBER = 40


@pytest.mark.fault(20)
async def test_nothing_is_sent_behind_the_answer_but_what_was_in_flight(tmp_path: Path) -> None:
    async with open_station(tmp_path, email={"connections": 2}) as station:
        parts = station.parts
        station.sandbox.faults.on_mail(MailFault("*", at="body", delay_seconds=0.1))
        await station.people(readers(NUMBER))
        dispatch = await station.start(await station.publish())
        async with station.worker() as worker:
            app = make_web_app(
                settings=parts.settings,
                database=parts.database,
                clock=parts.clock,
                publications=parts.publications,
                links=parts.links,
                wake=worker.wake,
                sandbox=None,
            )
            client: TestClient[Any, Any]
            async with TestServer(app) as server, TestClient(server) as client:
                await station.sandbox.arrived(mails=4)
                too_late: set[int] = set()
                gone: set[int] = set()
                # From the last one towards those whose turn it is.
                for delivery in reversed(await station.deliveries(dispatch)):
                    path = parts.links.unsubscribe(delivery.key).removeprefix(parts.links.base_url)
                    answer = await client.post(path, data={"List-Unsubscribe": "One-Click"})
                    assert answer.status == 200
                    async with parts.database.read() as session:
                        state = (
                            await session.exec(select(Delivery.state).where(Delivery.id == delivery.id))
                        ).one()
                    (too_late if state in {"in_flight", "sent"} else gone).add(delivery.subscriber_id)
            shown = await station.until(dispatch)
        assert len(gone) + len(too_late) == NUMBER
        assert gone
        assert too_late, "some had theirs, or it was under way"
        assert shown["counts"] == {**shown["counts"], "cancelled": len(gone), "sent": len(too_late)}
        async with parts.database.read() as session:
            people = {str(p.email): p.id for p in (await session.exec(select(Subscriber))).all()}
        assert {people[address] for address in station.received()} == too_late
