"""A database as large as years of work make it, filled by SQL in minutes: for measuring pages (pages.py).

In: an empty database, how many subscribers and deliveries. Out: rows as the service would have left them: a year of
weekly dispatches with their roll-ups, the latest one half sent, one paused; lists, tags, segments, letters, mails that
came back, an audit log. Whatever a page counts or sorts is there; texts are short.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Self

import asyncpg
from sqlmodel import SQLModel
from tests.making import SECTIONS, document

from bdnews_dispatch.bulletins.models import BulletinDraft, DraftState
from bdnews_dispatch.db.engine import Backend, Database
from bdnews_dispatch.db.statements import insert_many
from bdnews_dispatch.dispatch.models import Dispatch, DispatchKind, DispatchLink
from bdnews_dispatch.dispatch.states import DispatchState
from bdnews_dispatch.issues.intake import take
from bdnews_dispatch.reports.models import CountedDispatch, Dimension, Growth, Rollup
from bdnews_dispatch.subscribers.imports.models import ImportMode, ImportRun, ImportState
from bdnews_dispatch.subscribers.models import Cadence, MailingList, Segment
from bdnews_dispatch.watched_feeds.models import FeedEntry, WatchedFeed
from bdnews_dispatch.webhooks.models import Webhook, WebhookTry

DISPATCHES = 52
#: Of the early ones, of which little is asked.
FEW = 100
LISTS = 20
SEGMENTS = {
    "政策读者": {"field": "sections", "any_of": ["policy"]},
    "机关": {"field": "domain", "any_of": ["gov.cn"]},
    "专家": {"field": "tag", "any_of": ["专家"]},
    "名单三": {"field": "list", "any_of": ["名单 3", "名单 4"]},
    "久未打开": {
        "all": [{"field": "last_opened", "not_within_days": 90}, {"field": "channel", "any_of": ["email"]}]
    },
}
#: Other texts of the same, when a page is tried out.
_AGENT = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0"
_ARTICLES = 2


@dataclass(frozen=True, slots=True)
class Crowd:
    """What is there: how many subscribers, and ids by what they are of."""

    subscribers: int
    newest: int = DISPATCHES
    paused: int = DISPATCHES - 1
    finished: int = DISPATCHES - 2
    issue: int = DISPATCHES
    draft: int = 1
    import_run: int = 1
    feed: int = 1
    webhook: int = 1


class _Filler:
    """A connection of the driver's own, for statements that take minutes; what the databases spell differently."""

    def __init__(self, database: Database, now: datetime) -> None:
        self._database = database
        self._postgresql = database.backend is Backend.POSTGRESQL
        self._now = now
        self._asyncpg: Any = None
        self._sqlite: sqlite3.Connection | None = None

    async def __aenter__(self) -> Self:
        if self._postgresql:
            url = self._database.url.set(drivername="postgresql")
            self._asyncpg = await asyncpg.connect(url.render_as_string(hide_password=False))
            await self.run("SET session_replication_role = replica")  # foreign keys are right as they are
        else:
            assert self._database.file is not None
            self._sqlite = sqlite3.connect(self._database.file, isolation_level=None)
            await self.run("PRAGMA synchronous = OFF")
            await self.run("PRAGMA cache_size = -1500000")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._asyncpg is not None:
            await self._asyncpg.close()
        if self._sqlite is not None:
            await self.run("PRAGMA wal_checkpoint(TRUNCATE)")
            self._sqlite.close()

    async def run(self, statement: str) -> None:
        if self._sqlite is not None:
            self._sqlite.execute(statement).fetchall()
        else:
            await self._asyncpg.execute(statement)

    def moment(self, seconds: str) -> str:
        """Now less so many seconds. Args: seconds: an expression."""
        at = self._now.strftime("%Y-%m-%d %H:%M:%S")
        if self._postgresql:
            return f"(timestamptz '{at}+00' - ({seconds}) * interval '1 second')"
        return f"(strftime('%Y-%m-%d %H:%M:%S', '{at}', (0 - ({seconds})) || ' seconds') || '.000000')"

    def padded(self, number: str, width: int) -> str:
        if self._postgresql:
            return f"lpad(({number})::text, {width}, '0')"
        return f"printf('%0{width}d', {number})"

    def true(self, condition: str) -> str:
        return f"({condition})" if self._postgresql else f"(CASE WHEN {condition} THEN 1 ELSE 0 END)"

    def json(self, expression: str) -> str:
        return f"CAST({expression} AS json)" if self._postgresql else expression

    def bytes(self, size: int) -> str:
        return f"convert_to(repeat('x', {size}), 'UTF8')" if self._postgresql else f"zeroblob({size})"

    async def numbers(self, most: int) -> None:
        """A table `numbers` of n from 1, for this session."""
        series = (
            f"SELECT generate_series(1, {most}) AS n"
            if self._postgresql
            else f"WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {most}) SELECT n FROM s"
        )
        await self.run(
            f"CREATE TEMPORARY TABLE numbers (n {'BIGINT' if self._postgresql else 'INTEGER'} PRIMARY KEY)"
        )
        await self.run(f"INSERT INTO numbers {series}")
        if self._postgresql:
            await self.run("ANALYZE numbers")

    async def look_over(self) -> None:
        """What autovacuum would have done by now, and where the ids go on; SQLite has no statistics in a service."""
        if self._postgresql:
            for table in ("subscriber", "dispatch", "mailing_list"):
                last = f"(SELECT max(id) FROM {table})"
                await self.run(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {last})")
            await self.run("VACUUM ANALYZE")


async def fill(database: Database, now: datetime, subscribers: int, deliveries: int) -> int:
    """Fill a migrated, empty database. Returns: how many deliveries there are."""
    large = max(2, min(DISPATCHES - 2, round(deliveries / subscribers)))
    each = deliveries // large
    issues = await _issues(database, now)
    async with _Filler(database, now) as filler:
        await filler.numbers(max(subscribers, each, 60_000))
        await _people(filler, database, now, subscribers)
        await _dispatches(database, now, issues, subscribers, large)
        await _ledger(filler, large, each)
        await _reports(database, now, each)
        await _others(filler, database, now, subscribers)
        await filler.look_over()
    return each * large + FEW * (DISPATCHES - large)


async def _issues(database: Database, now: datetime) -> list[int]:
    """A year of them, each read as it would come."""
    found = []
    for number in range(1, DISPATCHES + 1):
        async with database.write() as session:
            taken = await take(
                session,
                lambda: now,
                document(number, articles=_ARTICLES * 3),
                source_name=f"{number}.md",
                source=b"# \n" * 300,
                publish_now=True,
            )
            assert taken.issue.id is not None
            found.append(taken.issue.id)
    return found


async def _people(filler: _Filler, database: Database, now: datetime, people: int) -> None:
    domain = (
        "CASE WHEN n % 100 < 45 THEN 'qq.com' WHEN n % 100 < 75 THEN '163.com' WHEN n % 100 < 78 THEN 'gmail.com' "
        "WHEN n % 100 < 82 THEN 'bureau.gov.cn' ELSE 'unit' || (n % 700) || '.example.cn' END"
    )
    address = f"'r' || {filler.padded('n', 6)} || '@' || {domain}"
    opened = f"CASE WHEN n % 3 > 0 THEN {filler.moment('n % 9000000')} END"
    await filler.run(
        f"""INSERT INTO subscriber
        (id, email, email_key, openid, name, language, no_tracking, created_at, last_opened_at)
        SELECT n, {address}, {address}, CASE WHEN n % 10 = 0 THEN 'oCrowd' || {filler.padded("n", 22)} END,
        '读者' || n, CASE WHEN n % 50 = 0 THEN 'en' ELSE 'zh' END, {filler.true("n % 50 = 1")},
        {filler.moment("60000 + (n * 7919) % 60000000")}, {opened} FROM numbers WHERE n <= {people}"""
    )
    sections = "CASE n % 7 " + " ".join(
        f"""WHEN {place} THEN '["{'", "'.join(sorted({SECTIONS[place % 5], SECTIONS[(place + 2) % 5]}))}"]'"""
        for place in range(6)
    )
    channel = "CASE n % 40 WHEN 0 THEN 'both' WHEN 10 THEN 'wechat' WHEN 20 THEN 'either' ELSE 'email' END"
    cadence = "CASE WHEN n % 12 = 7 THEN 'weekly' WHEN n % 30 = 11 THEN 'monthly' ELSE 'issue' END"
    for which, ended in ((f"n <= {people}", "NULL"), (f"n <= {people} AND n % 20 = 3", "x")):
        began = filler.moment("(n * 7919) % 60000000 + " + ("0" if ended == "NULL" else "61000000"))
        end = "NULL" if ended == "NULL" else filler.moment("(n * 7919) % 60000000 + 60500000")
        await filler.run(
            f"""INSERT INTO subscription (subscriber_id, publication, whole_issue, sections, channel, cadence, origin,
            evidence, network, consent, began_at, ended_at, end_reason, paused_until)
            SELECT n, 'dsj', {filler.true("n % 7 = 6")}, {filler.json(f"{sections} ELSE '[]' END")}, {channel},
            {cadence}, CASE n % 3 WHEN 0 THEN 'form' ELSE 'import' END, 'row ' || n, '', '', {began}, {end}, '',
            CASE WHEN n % 500 = 9 THEN {filler.moment("-900000")} END
            FROM numbers WHERE {which}"""
        )
    await _insert(
        database,
        MailingList,
        [
            {"id": n, "name": f"名单 {n}", "description": "一组人", "public": n < 4, "created_at": now}
            for n in range(1, LISTS + 1)
        ],
    )
    for place, which in (("n % 20 + 1", "true"), ("(n + 7) % 20 + 1", "n % 3 = 0")):
        await filler.run(
            f"""INSERT INTO list_membership
            (list_id, subscriber_id, origin, evidence, network, consent, joined_at, leave_reason)
            SELECT {place}, n, 'import', '', '', '', {filler.moment("n")}, '' FROM numbers
            WHERE n <= {people} AND {which} ORDER BY 1, 2"""
        )
    for tag, every in (("专家", 20), ("内部", 50), ("会场", 5), ("高校", 11), ("媒体", 97), ("回访", 3)):
        await filler.run(
            f"""INSERT INTO subscriber_tag (subscriber_id, tag)
            SELECT n, '{tag}' FROM numbers WHERE n <= {people} AND n % {every} = 0"""
        )
    await filler.run(
        f"""INSERT INTO subscriber_attribute (subscriber_id, name, value)
        SELECT n, '单位', '单位' || (n % 3000) FROM numbers WHERE n <= {people} AND n % 2 = 0"""
    )
    rows = [
        {"name": name, "rule": rule, "created_at": now, "updated_at": now} for name, rule in SEGMENTS.items()
    ]
    await _insert(database, Segment, rows)
    await filler.run(
        f"""INSERT INTO suppression (channel, target, reason, source, evidence, created_at)
        SELECT 'email', email_key, 'bounce', 'returns', '', {filler.moment("id")} FROM subscriber WHERE id % 50 = 17"""
    )
    await filler.run(
        f"""INSERT INTO lifted_suppression
        (channel, target, reason, source, evidence, created_at, lifted_at, note)
        SELECT 'email', email_key, 'bounce', 'returns', '', {filler.moment("id")}, {filler.moment("0")}, '又通了'
        FROM subscriber WHERE id % 1000 = 18"""
    )
    await filler.run(
        f"""INSERT INTO follower (openid, following, window_left, updated_at)
        SELECT openid, {filler.true("id % 30 > 0")}, 0, {filler.moment("0")} FROM subscriber
        WHERE openid IS NOT NULL"""
    )


async def _dispatches(database: Database, now: datetime, issues: list[int], people: int, large: int) -> None:
    links, rows = [], []
    for n in range(1, DISPATCHES + 1):
        at = now - timedelta(days=7 * (DISPATCHES - n), hours=3)
        state = DispatchState.FINISHED
        if n == DISPATCHES:
            state = DispatchState.SENDING
        elif n == DISPATCHES - 1:
            state = DispatchState.PAUSED
        rows.append(
            Dispatch(
                id=n,
                cause=f"issue:{issues[n - 1]}",
                kind=DispatchKind.ISSUE,
                publication="dsj",
                issues=[{"id": issues[n - 1], "revision": 1}],
                cadence=Cadence.ISSUE,
                state=state,
                due_at=at,
                created_at=at,
                planned_at=at + timedelta(minutes=2),
                planned_through=people if n > DISPATCHES - large else FEW,
                note="由值班员暂停" if state is DispatchState.PAUSED else "",
                finished_at=at + timedelta(hours=2) if state is DispatchState.FINISHED else None,
            )
        )
        links += [
            {
                "dispatch_id": n,
                "number": number,
                "url": f"https://news.example/issues/dsj/{n}/{number}",
                "kind": "article",
                "section": SECTIONS[number % 5],
                "place": number,
            }
            for number in range(1, 31)
        ]
    await _add(database, *rows)
    await _insert(database, DispatchLink, links)


async def _ledger(filler: _Filler, large: int, each: int) -> None:
    finished = (
        "CASE WHEN n % 33 = 5 THEN 'skipped' WHEN n % 64 = 7 THEN 'bounced' WHEN n % 70 = 8 THEN 'failed' "
        "WHEN n % 9001 = 4 THEN 'complained' WHEN n % 20 = 0 THEN 'delivered' ELSE 'sent' END"
    )
    # Half way: the first half as if it were over, some in doubt, some to be tried again, the rest waiting.
    running = (
        f"CASE WHEN n % 33 = 5 THEN 'skipped' WHEN n > {each} * 11 / 20 THEN 'planned' WHEN n % 90 = 1 THEN 'deferred' "
        f"WHEN n % 20011 = 3 THEN 'uncertain' WHEN n > {each} * 11 / 20 - 40 THEN 'in_flight' "
        f"WHEN n > {each} * 11 / 20 - 240 THEN 'claimed' ELSE {finished} END"
    )
    for dispatch in range(1, DISPATCHES + 1):
        is_large = dispatch > DISPATCHES - large
        state = running if dispatch >= DISPATCHES - 1 else finished
        age = f"{7 * 86400 * (DISPATCHES - dispatch)} + 10000 - n / {max(1, each // 8000)}"
        sections = filler.json("""'["industry", "policy"]'""")
        await filler.run(
            f"""INSERT INTO delivery (dispatch_id, subscriber_id, channel, key, sections, state, reason, worker, epoch,
            lease_until, due_at, attempts, mode, untracked, first_tried_at, sent_at, updated_at)
            SELECT {dispatch}, n, channel, {filler.padded(f"{dispatch} * 10000000 + n", 24)}, {sections}, state,
            CASE state WHEN 'skipped' THEN 'no_matching_section' WHEN 'failed' THEN 'refused' WHEN 'deferred' THEN
            'too_many' ELSE '' END,
            CASE WHEN state IN ('claimed', 'in_flight') THEN 'w' END, 1,
            CASE WHEN state IN ('claimed', 'in_flight') THEN {filler.moment("-3600000")} END,
            {filler.moment(age)}, 1, CASE channel WHEN 'email' THEN 'smtp' ELSE 'template' END,
            {filler.true("n % 50 = 1")}, {filler.moment(age)}, {filler.moment(age)}, {filler.moment(age)}
            FROM (SELECT n, CASE WHEN n % 20 = 0 THEN 'wechat' ELSE 'email' END AS channel, {state} AS state
                FROM numbers WHERE n <= {each if is_large else FEW}) AS wanted ORDER BY n"""
        )
    tried = "state NOT IN ('planned', 'claimed', 'skipped')"
    await filler.run(
        f"""INSERT INTO attempt (delivery_id, at, outcome, code, text, mode, reference)
        SELECT id, updated_at, CASE WHEN state IN ('failed', 'deferred', 'uncertain') THEN state ELSE 'sent' END,
        '250', '2.0.0 Ok: queued', mode, '' FROM delivery WHERE {tried} ORDER BY id"""
    )
    await filler.run(
        f"""INSERT INTO hit
        (delivery_id, kind, link, machine, user_agent, family, method, announced, network, seconds, at)
        SELECT id, CASE WHEN id % 15 = 0 THEN 'click' ELSE 'open' END, CASE WHEN id % 15 = 0 THEN id % 30 + 1 END,
        CASE WHEN id % 9 = 0 THEN 'scanner.named' ELSE '' END, '{_AGENT}', 'Chrome', 'GET', {filler.true("1 = 2")},
        '10.0.0.0/24', id % 90000, updated_at FROM delivery
        WHERE state IN ('sent', 'delivered') AND id % 3 = 0 ORDER BY id"""
    )


async def _reports(database: Database, now: datetime, each: int) -> None:
    values: dict[Dimension, list[str]] = {
        Dimension.ALL: [""],
        Dimension.CHANNEL: ["email", "wechat"],
        Dimension.DOMAIN: [*(f"unit{n}.example.cn" for n in range(100)), "*"],
        Dimension.LIST: [f"名单 {n}" for n in range(1, LISTS + 1)],
        Dimension.SECTION: list(SECTIONS),
        Dimension.ARTICLE: [str(n) for n in range(1, 31)],
        Dimension.REASON: ["no_matching_section", "refused", "suppressed"],
        Dimension.HOUR: [f"{n:03}" for n in range(168)],
    }
    for dispatch in range(1, DISPATCHES + 1):
        rows = []
        for dimension, names in values.items():
            share = each // len(names)
            rows += [
                {
                    "dispatch_id": dispatch,
                    "dimension": dimension,
                    "value": name,
                    "planned": share,
                    "skipped": share * 3 // 100,
                    "failed": share // 70,
                    "cancelled": 0,
                    "uncertain": 0,
                    "sent": share * 95 // 100,
                    "delivered": share * 93 // 100,
                    "bounced": share * 2 // 100,
                    "complained": share // 9000,
                    "people": share * 95 // 100,
                    "untracked": share // 50,
                    "opened": share // 3,
                    "clicked": share // 15,
                    "unsubscribed": share // 900,
                    "machine_opened": share // 20,
                    "machine_clicked": share // 40,
                }
                for name in names
            ]
        await _insert(database, Rollup, rows)
    counted = [{"dispatch_id": n, "counted_at": now, "counting": False} for n in range(1, DISPATCHES + 1)]
    await _insert(database, CountedDispatch, counted)
    days = [
        {
            "day": date.fromordinal(now.date().toordinal() - days),
            "publication": "dsj",
            "section": section,
            "joined": 700,
            "gone": 20,
        }
        for days in range(1, 700)
        for section in ("", "*", *SECTIONS)
    ]
    await _insert(database, Growth, days)


async def _others(filler: _Filler, database: Database, now: datetime, people: int) -> None:
    asked = filler.moment("(CAST(id AS BIGINT) * 7919) % 60000000")
    await filler.run(
        f"""INSERT INTO request (key, kind, publication, subscriber_id, email, email_key, language, wish, network,
        consent, requested_at, expires_at, answered_at, done_at)
        SELECT 'q' || {filler.padded("id", 22)}, 'subscribe', 'dsj', id, email, email_key, 'zh', {filler.json("'{}'")},
        '', '', {asked}, {asked}, {asked}, {asked} FROM subscriber WHERE id % 3 = 0 ORDER BY id"""
    )
    await filler.run(
        f"""INSERT INTO letter (key, kind, publication, email, language, data, request_id, state, reason, attempts,
        due_at, created_at, sent_at)
        SELECT 'l' || {filler.padded("id", 22)}, 'subscribe', 'dsj', email, 'zh', {filler.json("'{}'")}, id, 'sent', '',
        1, requested_at, requested_at, requested_at FROM request ORDER BY id"""
    )
    await filler.run(
        f"""INSERT INTO returned_mail (fingerprint, way, kind, delivery_id, status, code, verdict, rule, text, raw,
        received_at)
        SELECT 'm' || id, 'smtp', 'bounce', id, '5.1.1', 550, 'hard', 'unknown_user', 'no such user',
        {filler.bytes(800)}, updated_at FROM delivery WHERE state = 'bounced' AND id % 3 = 0 ORDER BY id"""
    )
    # What was handled; of what came from WeChat, the chats.
    payload = (
        """'{"kind": "text", "text": "历史", "openid": "oCrowd' || """
        + filler.padded("10 * n", 22)
        + """ || '"}'"""
    )
    await filler.run(
        f"""INSERT INTO event (name, key, payload, created_at, handled_at)
        SELECT CASE WHEN n % 2 = 0 THEN 'wechat.pushed' ELSE 'subscriber.changed' END, 'event:' || n,
        {filler.json(payload)}, {filler.moment("n * 100")}, {filler.moment("n * 100")}
        FROM numbers WHERE n <= 60000 ORDER BY n"""
    )
    await filler.run(
        f"""INSERT INTO audit_entry (at, actor, action, subject, change, network, hash)
        SELECT {filler.moment("(60000 - n) * 300")}, 'user:1', 'subscriber.tag', 'subscriber:' || n,
        {filler.json(chr(39) + '{"tag": "专家"}' + chr(39))}, '', {filler.padded("n", 64)}
        FROM numbers WHERE n <= 50000 ORDER BY n"""
    )
    runs = [
        ImportRun(
            publication="dsj",
            state=ImportState.FINISHED if n > 1 else ImportState.READY,
            file_name=f"会场 {n}.csv",
            sha256="0" * 64,
            size=10_000,
            kind="csv",
            headings=["邮箱", "姓名"],
            mapping=["email", "name"],
            mode=ImportMode.UPDATE,
            basis="会场登记",
            origin="console user:1",
            rows=people // 40,
            created_at=now - timedelta(days=n),
        )
        for n in range(1, 41)
    ]
    await _add(
        database,
        *runs,
        WatchedFeed(
            url="https://feed.example/a.xml", publication="dsj", next_at=now, created_at=now, read_at=now
        ),
        Webhook(url="https://hook.example/a", next_at=now, created_at=now),
        BulletinDraft(
            publication="dsj",
            title="一则快讯",
            body="今天的快讯，一句话。",
            state=DraftState.DRAFT,
            writers=["user:1"],
            created_at=now,
            changed_at=now,
        ),
    )
    entries = [
        {"feed_id": 1, "key": f"{n:064}", "mark": "0" * 64, "title": f"条目 {n}", "seen_at": now}
        for n in range(2_000)
    ]
    await _insert(database, FeedEntry, entries)
    tries = [
        {"webhook_id": 1, "event_id": n, "at": now, "status": 200, "error": "", "seconds": 0.1}
        for n in range(5_000)
    ]
    await _insert(database, WebhookTry, tries)


async def _insert(database: Database, table: type[SQLModel], rows: Sequence[Mapping[str, Any]]) -> None:
    async with database.write_beside() as session:
        await insert_many(session, table, rows)


async def _add(database: Database, *rows: SQLModel) -> None:
    async with database.write_beside() as session:
        session.add_all(rows)
