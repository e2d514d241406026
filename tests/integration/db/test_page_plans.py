"""The statements behind the console's pages, as both databases would run them: by an index and no further than what is
shown, never through everybody.

PostgreSQL plans by its statistics, of twenty thousand people; SQLite has none in a service, and plans by its rules.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import event
from sqlmodel.ext.asyncio.session import AsyncSession
from tests import postgres
from tests.benchmarks.crowd import fill
from tests.making import SIGNER, START

from bdnews_dispatch.accounts import audit
from bdnews_dispatch.db.engine import Backend, Database
from bdnews_dispatch.db.migrate import upgrade
from bdnews_dispatch.db.statements import fetch_by
from bdnews_dispatch.dispatch.mass.ledger import is_ready, openids_of
from bdnews_dispatch.dispatch.mass.models import MassSend
from bdnews_dispatch.dispatch.settling import look_at_one_state
from bdnews_dispatch.dispatch.standing import in_doubt, large_ones
from bdnews_dispatch.dispatch.states import DeliveryState
from bdnews_dispatch.issues.publications import Publications
from bdnews_dispatch.reports.counting import count_dispatch
from bdnews_dispatch.reports.growth import count_day
from bdnews_dispatch.subscribers import people, profiles, suppressions
from bdnews_dispatch.subscribers.erasures import erased_among
from bdnews_dispatch.subscribers.imports import known
from bdnews_dispatch.subscribers.imports.starting import waiting_runs
from bdnews_dispatch.subscribers.profiles import Wanted, find_people, profiles_of
from bdnews_dispatch.subscribers.tags import all_tags
from bdnews_dispatch.tracking import judging
from bdnews_dispatch.tracking.pushes import WeChatPushes

PEOPLE, DELIVERIES = 20_000, 100_000
NEWEST, DEEP = 52, 15_000
Look = Callable[[AsyncSession], Awaitable[object]]


def found(after: int = 0, **wanted: str) -> Look:
    return lambda session: find_people(session, Wanted(**wanted), after=after, limit=51)


def in_state(state: DeliveryState, dispatch: int = NEWEST) -> Look:
    return lambda session: look_at_one_state(
        session, mail_domain="x", dispatch_id=dispatch, state=state, limit=50
    )


async def _profiles(session: AsyncSession) -> None:
    await profiles_of(session, await find_people(session, Wanted(), limit=50))


LOOKS: dict[str, Look] = {
    "the front of an address": found(words="r00123"),
    "a whole address": found(words="r000123@qq.com"),
    "the front of a name": found(words="读者123"),
    "nobody": found(words="zzz"),
    "a tag": found(tag="回访"),
    "a tag, deep": found(DEEP, tag="回访"),
    "a list": found(list_name="名单 7"),
    "a list, deep": found(DEEP, list_name="名单 7"),
    "everybody, deep": found(DEEP),
    "what is known of fifty": _profiles,
    "all tags": all_tags,
    "few or many people": people.are_few,
    "few or many deliveries": lambda session: large_ones(session, [NEWEST, NEWEST - 1]),
    "in doubt": lambda session: in_doubt(session, [NEWEST, NEWEST - 1]),
    **{
        f"{state} of a dispatch": in_state(state)
        for state in DeliveryState
        if state
        in {
            DeliveryState.UNCERTAIN,
            DeliveryState.FAILED,
            DeliveryState.DEFERRED,
            DeliveryState.DELIVERED,
        }
    },
    "sent of a dispatch": in_state(DeliveryState.SENT),
    "sent of an older dispatch": in_state(DeliveryState.SENT, NEWEST - 2),
    "suppressions": lambda session: suppressions.listing(session, limit=200),
    "suppressions of an address": lambda session: suppressions.listing(session, target="r000017@qq.com"),
    "lifted": lambda session: suppressions.listing(session, lifted=True, limit=200),
    "what one of them did": lambda session: audit.entries(session, limit=51, actors=["user:1"]),
    "what one of them did, deep": lambda session: audit.entries(
        session, after=DEEP, limit=51, actors=["user:1"]
    ),
    "one kind of action": lambda session: audit.entries(session, limit=51, actions=["subscriber.tag"]),
    "who came and left today": lambda session: count_day(
        session, "dsj", date(2026, 11, 23), ZoneInfo("Asia/Shanghai")
    ),
}
#: Rows that are many; the others are some dozen.
LARGE = (
    "subscriber|subscription|delivery|attempt|list_membership|subscriber_tag|subscriber_attribute|suppression"
    "|audit_entry"
)
#: Sorted behind their index: none, a handful, or as many as joined on a day.
SORTED = {
    "in doubt",
    "nobody",
    "suppressions of an address",
    "uncertain of a dispatch",
    "what is known of fifty",
    "who came and left today",
}
#: By SQLite's own numbers of rows, up to its limit.
BY_NUMBER = {"few or many people"}
#: Of so few rows here that PostgreSQL reads them all, and is right.
TINY = {"lifted", "suppressions of an address"}


@pytest.fixture(scope="module", params=list(Backend))
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page_plans")
    url = f"sqlite:///{folder}/crowd.db"
    if request.param is Backend.POSTGRESQL:
        url = postgres.database_url(str(folder))

    async def make() -> None:
        database = Database(url)
        await upgrade(database)
        await fill(database, START, PEOPLE, DELIVERIES)
        await database.close()

    asyncio.run(make())
    return url


@pytest.fixture
async def crowd(filled: str) -> AsyncIterator[Database]:
    database = Database(filled)
    yield database
    await database.close()


async def plans(database: Database, look: Look) -> list[tuple[str, str]]:
    """Every statement that it runs, with its plan."""
    ran: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        ran.append((statement, parameters))

    engine = database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        async with database.read() as session:
            await look(session)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    told = []
    explain = "EXPLAIN QUERY PLAN" if database.backend is Backend.SQLITE else "EXPLAIN"
    async with database.engine.connect() as connection:
        for statement, parameters in ran:
            if statement.lstrip().startswith(("SELECT", "WITH")):
                rows = await connection.exec_driver_sql(f"{explain} {statement}", parameters)
                told.append((statement, "\n".join(str(row[-1]) for row in rows)))
    assert told
    return told


@pytest.mark.parametrize("name", LOOKS)
async def test_by_an_index_and_no_further(crowd: Database, name: str) -> None:
    if name in TINY and crowd.backend is Backend.POSTGRESQL:
        pytest.skip("too few rows")
    for statement, plan in await plans(crowd, LOOKS[name]):
        if crowd.backend is Backend.SQLITE:
            through = re.findall(rf"SCAN (?:{LARGE})\b(?! USING)", plan)
            sorts = "USE TEMP B-TREE FOR" in plan
        else:
            through = re.findall(rf"Seq Scan on (?:{LARGE})\b", plan)
            sorts = "Sort" in plan and "Incremental Sort" not in plan
        assert name in BY_NUMBER or not through, f"{statement}\n{plan}"
        assert name in SORTED or not sorts, f"{statement}\n{plan}"


async def test_so_many_begin_alike_that_they_come_on_the_way(crowd: Database) -> None:
    """All of them: the index would give twenty thousand to be sorted, for fifty."""
    assert profiles.FEW < PEOPLE
    last_statement, plan = (await plans(crowd, found(words="r")))[-1]
    assert "ORDER BY subscriber.id" in last_statement
    assert "TEMP B-TREE" not in plan
    assert "Sort" not in plan


def _clicked(session: AsyncSession) -> Awaitable[object]:
    return judging._links(session, {1, 2})


def _of_a_set(session: AsyncSession) -> Awaitable[object]:
    send = MassSend(
        id=1,
        dispatch_id=NEWEST,
        appid="wx",
        sections="policy",
        media_id="m",
        client_msg_id="c",
        members=2,
        due_at=START,
        lease_until=START,
        created_at=START,
    )
    return openids_of(session, send)


def _told(session: AsyncSession) -> Awaitable[object]:
    pushes = WeChatPushes(lambda: START, Publications({}, ""))
    return pushes._finish(session, f"oCrowd{10:022}", "1", "success")


#: What a worker, a tick or a push asks again and again, and the index that leads it to the few rows that it means.
AGAIN_AND_AGAIN: dict[str, tuple[Look, str]] = {
    "whether a mass message is ready": (
        lambda session: is_ready(session, NEWEST, START),
        "ix_delivery_(due|apart)",
    ),
    "members of a mass message": (_of_a_set, "ix_delivery_held"),
    # PostgreSQL has several good ways; or these are tables of some dozen rows here, which it reads whole.
    "which delivery a push tells of": (_told, "ix_delivery_subscriber_id"),
    "imports that go on": (lambda session: waiting_runs(session, START), "ix_import_run_open"),
    "links of what was clicked": (_clicked, "SEARCH dispatch_link"),
    "whether anybody had everything erased": (
        lambda session: erased_among(session, SIGNER, ["r1@readers.example"]),
        r"suppression USING COVERING INDEX \S+ \(channel=\? AND target>\? AND target<\?\)",
    ),
    "who of a slice is suppressed": (
        lambda session: fetch_by(session, known._SUPPRESSED, ["r1@readers.example"]),
        r"suppression USING COVERING INDEX \S+ \(channel=\? AND target=\?\)",
    ),
    "who left by a mail": (
        lambda session: count_dispatch(session, 1),
        r"returned_mail USING INDEX ix_returned_mail_delivery_id \(delivery_id=\?\)",
    ),
}
ON_SQLITE = {
    "which delivery a push tells of",
    "imports that go on",
    "links of what was clicked",
    "whether anybody had everything erased",
    "who of a slice is suppressed",
    "who left by a mail",
}


@pytest.mark.parametrize("name", AGAIN_AND_AGAIN)
async def test_what_is_asked_again_and_again_goes_by_its_own_index(crowd: Database, name: str) -> None:
    look, index = AGAIN_AND_AGAIN[name]
    if name in ON_SQLITE and crowd.backend is Backend.POSTGRESQL:
        pytest.skip("not to be told from its plan")
    found = "\n".join(plan for _, plan in await plans(crowd, look))
    assert re.search(index, found), found
    if name == "which delivery a push tells of":
        assert "TEMP B-TREE" not in found, "the newest comes first, and is enough"
