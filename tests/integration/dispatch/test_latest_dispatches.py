"""Of issues, the last dispatch that sent each: what the list of issues shows."""

from sqlalchemy import event
from tests.making import HandClock, document

from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.dispatch.control import cancel
from bdnews_dispatch.dispatch.models import Dispatch
from bdnews_dispatch.dispatch.starting import issue_dispatch, latest_dispatches
from bdnews_dispatch.issues.intake import take
from bdnews_dispatch.issues.models import Issue
from bdnews_dispatch.subscribers.targeting import EVERYBODY


async def published(database: Database, clock: HandClock, number: int) -> Issue:
    async with database.write() as session:
        taken = await take(
            session, clock, document(number), source_name=f"{number}.md", source=b"", publish_now=True
        )
    return taken.issue


async def test_the_last_one_of_each_that_is_asked_for(database: Database, clock: HandClock) -> None:
    issues = [await published(database, clock, number) for number in range(101, 105)]
    async with database.write() as session:
        for place, issue in enumerate(issues[:3]):
            for time in range(place + 1):
                cause = f"issue:{issue.id}" + (f"#{time + 1}" if time else "")
                session.add(issue_dispatch(clock, issue, EVERYBODY, cause=cause))
                await session.flush()
        await cancel(session, clock, 6)
    read: list[Dispatch] = []

    def seen(one: Dispatch, _context: object) -> None:
        read.append(one)

    event.listen(Dispatch, "load", seen)
    try:
        async with database.read() as session:
            found = await latest_dispatches(session, issues[1:])
            assert await latest_dispatches(session, []) == {}
    finally:
        event.remove(Dispatch, "load", seen)
    assert {id_: one.cause for id_, one in found.items()} == {
        issues[1].id: f"issue:{issues[1].id}#2",
        issues[2].id: f"issue:{issues[2].id}#3",
    }
    assert len(read) == 2, "no dispatch of the years before is read whole"
