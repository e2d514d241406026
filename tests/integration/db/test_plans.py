"""PostgreSQL's plans for the hot queries at a million rows (BDNEWS_TEST_FULL; else a fifth): by index, never through a
whole table, whether the server's statistics are of now or of before the import.
"""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import make_url
from sqlmodel import col
from tests import postgres
from tests.making import FULL

from bdnews_dispatch.clock import system_clock
from bdnews_dispatch.db.postgres import BY_KEYS, connect
from bdnews_dispatch.dispatch import ledger_postgres as ledger
from bdnews_dispatch.operations.backlog import due_now
from bdnews_dispatch.subscribers import audience
from bdnews_dispatch.subscribers.models import Subscriber, Subscription

ROWS = 1_000_000 if FULL else 200_000
NOW = system_clock()
#: Nine tenths are over, a tenth is due, some are held, few are in doubt: a large dispatch near its end, after others.
FILL = f"""
ALTER TABLE delivery DROP CONSTRAINT fk_delivery_dispatch_id_dispatch,
    DROP CONSTRAINT fk_delivery_subscriber_id_subscriber;
ALTER TABLE subscription DROP CONSTRAINT fk_subscription_subscriber_id_subscriber;
INSERT INTO dispatch (cause, kind, publication, issues, lists, sections, urgent, state, due_at, planned_through, note,
    created_at)
SELECT 'c' || n, 'issue', 'dsj', '[]', '[]', '[]', false, CASE n WHEN 1 THEN 'sending' ELSE 'finished' END, now(), 0,
    '', now() FROM generate_series(1, 20) AS n;
INSERT INTO subscriber (email, email_key, name, language, no_tracking, created_at)
SELECT 'r' || n || '@readers.example', 'r' || n || '@readers.example', 'r', 'zh', false, now()
FROM generate_series(1, {ROWS}) AS n;
INSERT INTO subscription (subscriber_id, publication, whole_issue, sections, channel, cadence, origin, evidence,
    began_at, end_reason)
SELECT n, 'dsj', false, '["policy"]', 'email', 'issue', 'import', '', now(), '' FROM generate_series(1, {ROWS}) AS n;
INSERT INTO delivery (dispatch_id, subscriber_id, channel, key, sections, state, reason, worker, epoch, lease_until,
    due_at, attempts, mode, updated_at)
SELECT 1 + n % 20, n, 'email', lpad(n::text, 24, '0'), '["policy"]',
    CASE WHEN n % 20 = 0 AND n % 40 = 0 THEN 'planned' WHEN n % 2000 = 1 THEN 'in_flight'
        WHEN n % 2000 = 2 THEN 'claimed' WHEN n % 20000 = 3 THEN 'uncertain' ELSE 'sent' END,
    '', 'w', 1, now() - interval '1 minute', now() - n * interval '1 second', 0, '', now()
FROM generate_series(1, {ROWS}) AS n;
"""
#: Autovacuum would look again in the middle of a test.
STILL = "".join(
    f"ALTER TABLE {table} SET (autovacuum_enabled = off);"
    for table in ("delivery", "dispatch", "subscriber", "subscription")
)
NOBODY_HOLDS = FILL.replace("n % 2000 = 1 THEN", "false THEN").replace("n % 2000 = 2 THEN", "false THEN")
HOLD = "UPDATE delivery SET state = 'claimed' WHERE id % 2000 = 2;"
STATISTICS = {
    "of now": FILL + "ANALYZE;",
    "of before the import": STILL + "ANALYZE;" + FILL,
    "of between two dispatches": STILL + NOBODY_HOLDS + "ANALYZE;" + HOLD,
}


@pytest.fixture(scope="module", params=STATISTICS)
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    url = postgres.database_url(str(tmp_path_factory.mktemp("plans")))
    postgres.execute(url, STATISTICS[request.param])
    return url


@pytest.fixture
async def connection(filled: str) -> AsyncIterator[Any]:
    """As the ledger has one."""
    connection = await connect(make_url(filled), BY_KEYS)
    yield connection
    await connection.close()


@pytest.fixture
async def session(filled: str) -> AsyncIterator[Any]:
    """As everybody else has one."""
    connection = await connect(make_url(filled))
    yield connection
    await connection.close()


async def plan(connection: Any, statement: str, *values: object) -> str:
    return "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {statement}", *values))


HELD: list[Any] = [[1, 2, 3], [1, 1, 1]]
WORDS: list[Any] = [["smtp"] * 3, ["250"] * 3, ["ok"] * 3, [""] * 3]
STATEMENTS: dict[str, tuple[str, list[Any], set[str]]] = {
    "claim": (
        ledger.CLAIM,
        [1, "email", NOW, 200, "w", NOW + timedelta(minutes=1)],
        {"ix_delivery_due", "pk_delivery"},
    ),
    "gates and acceptances": (ledger.COMMON, [NOW, "w", *HELD, *HELD, *WORDS], {"pk_delivery"}),
    "gates": (ledger.GATES, [NOW, "w", *HELD], {"pk_delivery"}),
    "settled": (
        ledger.SETTLED,
        [
            NOW,
            "w",
            *HELD,
            ["failed"] * 3,
            ["550"] * 3,
            [NOW] * 3,
            ["smtp"] * 3,
            ["refused"] * 3,
            *WORDS[1:],
            [""] * 3,
        ],
        {"pk_delivery"},
    ),
    "given back": (ledger.GIVE_BACK, [NOW, "w", *HELD, ["x"] * 3, [NOW] * 3, [""] * 3], {"pk_delivery"}),
    "a card's gate": (ledger.CARD_GATE, [NOW, "w", 1, 1, "template", NOW], {"pk_delivery"}),
    "a mail instead": (ledger.MAIL_INSTEAD, [NOW, "w", *HELD, ["a", "b", "c"]], {"pk_delivery"}),
    "passed on": (ledger.PASS_ON, [NOW, "w", *HELD, ["wechat.no_mode"] * 3, ["x"] * 3], {"pk_delivery"}),
    "renew": (ledger.RENEW, [NOW, "w", *HELD], {"pk_delivery"}),
    "recover claimed": (ledger.RECOVER_CLAIMED, [NOW, "v", [1, 2]], {"ix_delivery_held"}),
    "recover in flight": (
        ledger.RECOVER_IN_FLIGHT,
        [NOW, "v", [1, 2], "uncertain", NOW],
        {"ix_delivery_held"},
    ),
    "who reads": (audience._PEOPLE_POSTGRES, [list(range(1, 201)), "dsj"], {"pk_subscriber"}),
    "by its key": ("SELECT id FROM delivery WHERE key = $1", ["x"], {"uq_delivery_key"}),
    "in doubt": (
        "SELECT id FROM delivery WHERE state = 'uncertain' LIMIT 100000",
        [],
        {"ix_delivery_in_doubt"},
    ),
}


#: These name their rows by id.
BY_ID = {
    "gates and acceptances",
    "gates",
    "settled",
    "given back",
    "a card's gate",
    "passed on",
    "renew",
}


@pytest.mark.parametrize("name", STATEMENTS)
async def test_by_its_index_and_no_whole_table(connection: Any, name: str) -> None:
    statement, values, indexes = STATEMENTS[name]
    found = await plan(connection, statement, *values)
    assert all(index in found for index in indexes), found
    for table in ("delivery", "subscriber", "subscription"):
        assert f"Seq Scan on {table}" not in found, found
    if name in BY_ID:
        assert "ix_delivery_held" not in found, "it holds what all have, and what they had"
        assert "Hash" not in found
        assert "Materialize" not in found


async def test_readers_are_found_one_by_one(connection: Any) -> None:
    statement, values, _ = STATEMENTS["who reads"]
    found = await plan(connection, statement, *values)
    assert "Index Cond: ((subscriber_id = subscriber.id) AND ((publication)::text" in found, found


async def test_what_is_due_is_counted_by_its_index(session: Any) -> None:
    which = due_now([1], NOW).limit(1)
    statement = which.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})  # type: ignore[no-untyped-call]
    found = await plan(session, str(statement))
    assert "ix_delivery_due" in found
    assert "Seq Scan" not in found


async def test_the_next_slice_of_the_audience_is_one_step_into_the_key(session: Any) -> None:
    statement = (
        audience._persons()
        .join(Subscription, audience._is_current())
        .where(col(Subscription.publication) == "dsj", col(Subscriber.id) > ROWS // 2)
        .order_by(col(Subscriber.id))
        .limit(500)
    )
    text = statement.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})  # type: ignore[no-untyped-call]
    found = await plan(session, str(text))
    assert "pk_subscriber" in found
    assert "Seq Scan on subscri" not in found
    assert "Sort" not in found
