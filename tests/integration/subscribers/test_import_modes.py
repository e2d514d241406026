"""What a file may be for: new people, changes, a list as it is from now on, leaving, never being written to."""

import asyncio
import csv
import io
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select
from tests.making import DSJ, SIGNER, HandClock, import_csv
from tests.making import Imported as Report

from bdnews_dispatch.db.engine import Backend, Database
from bdnews_dispatch.errors import ImportFileError, StateError
from bdnews_dispatch.issues.publications import load_publications
from bdnews_dispatch.messaging.models import Event
from bdnews_dispatch.privacy.erasing import erase
from bdnews_dispatch.settings import ImportsSettings
from bdnews_dispatch.subscribers import agreements, lists, people
from bdnews_dispatch.subscribers.agreements import UNSUBSCRIBED_EVENT
from bdnews_dispatch.subscribers.imports.checking import check
from bdnews_dispatch.subscribers.imports.models import (
    ImportChunk,
    ImportMember,
    ImportMode,
    ImportRefused,
    ImportState,
)
from bdnews_dispatch.subscribers.imports.packing import unpack, unpack_refused
from bdnews_dispatch.subscribers.imports.receiving import CHUNK_ROWS, receive
from bdnews_dispatch.subscribers.imports.result import result_lines
from bdnews_dispatch.subscribers.imports.running import Importer
from bdnews_dispatch.subscribers.imports.starting import (
    Choices,
    begin,
    cancel,
    choose,
    discard,
    find_run,
    tidy,
    unfinished,
    waiting_runs,
)
from bdnews_dispatch.subscribers.models import (
    ConsentText,
    ListMembership,
    Subscriber,
    SubscriberAttribute,
    SubscriberTag,
    Subscription,
    Suppression,
)

LIMITS = ImportsSettings(max_bytes=10_000_000, max_rows=100_000, keep_days=30)


async def run(database: Database, clock: HandClock, text: str, **more: Any) -> Report:
    return await import_csv(database, clock, DSJ, text.encode(), **more)


async def members(database: Database, name: str) -> set[str]:
    async with database.read() as session:
        found = await lists.find_list(session, name)
        rows = await session.exec(
            select(Subscriber.email)
            .join(ListMembership, col(ListMembership.subscriber_id) == col(Subscriber.id))
            .where(ListMembership.list_id == found.id, col(ListMembership.left_at).is_(None))
        )
        return {email or "" for email in rows}


async def person(database: Database, email: str) -> Subscriber:
    async with database.read() as session:
        found = await people.find_by_email(session, email)
    assert found is not None
    return found


async def result_of(database: Database, run_id: int) -> list[list[str]]:
    text = "".join([line async for line in result_lines(database, run_id)])
    return list(csv.reader(io.StringIO(text)))


async def test_add_leaves_who_is_here_as_they_are(database: Database, clock: HandClock) -> None:
    await run(database, clock, "email,name,sections\na@x.example,甲,policy\n")
    report = await run(
        database,
        clock,
        "email,name,sections\nA@x.example,改名,local\nb@x.example,乙,local\n",
        mode=ImportMode.ADD,
        list_name="会议",
    )
    assert (report.added, report.unchanged, report.refused) == (1, 1, 0)
    assert (await person(database, "a@x.example")).name == "甲"
    assert await members(database, "会议") == {"a@x.example", "b@x.example"}
    async with database.read() as session:
        rows = (await session.exec(select(Subscription).order_by(col(Subscription.id)))).all()
    assert [(row.sections, row.ended_at) for row in rows] == [(["policy"], None), (["local"], None)]


async def test_a_replaced_list_holds_the_files_people_and_nobody_else(
    database: Database, clock: HandClock
) -> None:
    await run(database, clock, "email\na@x.example\nb@x.example\nc@x.example\n", list_name="部委")
    report = await run(
        database,
        clock,
        "email,cadence\nb@x.example,\nc@x.example,每小时\nd@x.example,\n",
        mode=ImportMode.REPLACE_LIST,
        list_name="部委",
    )
    # c is in the file, although the row is refused: they don't leave for a slip in another column.
    assert await members(database, "部委") == {"b@x.example", "c@x.example", "d@x.example"}
    async with database.read() as session:
        left = (
            await session.exec(select(ListMembership).where(col(ListMembership.left_at).is_not(None)))
        ).all()
        assert [(row.subscriber_id, row.leave_reason) for row in left] == [(1, f"import:{report.id}")]
        assert not (await session.exec(select(ImportMember))).all()
        # Leaving a list is no unsubscription.
        assert await agreements.current(session, 1, "dsj") is not None


async def test_a_file_of_rubbish_empties_no_list(database: Database, clock: HandClock) -> None:
    await run(database, clock, "email\na@x.example\n", list_name="部委")
    report = await run(database, clock, "email\nrubbish\n", mode=ImportMode.REPLACE_LIST, list_name="部委")
    assert await members(database, "部委") == {"a@x.example"}
    assert "保持原样" in report.note


async def test_who_left_a_list_themselves_is_not_put_back(database: Database, clock: HandClock) -> None:
    await run(database, clock, "email\na@x.example\nb@x.example\n", list_name="部委")
    async with database.write() as session:
        found = await lists.find_list(session, "部委")
        assert found.id is not None
        await lists.leave_list(session, clock, found.id, [1], reason="preferences")
        await lists.leave_list(session, clock, found.id, [2], reason="admin")
    report = await run(database, clock, "email\na@x.example\nb@x.example\n", list_name="部委")
    assert (report.refused, report.notes) == (0, [(2, "list.left")])
    assert await members(database, "部委") == {"b@x.example"}


async def test_unsubscribing_by_a_file_is_leaving_with_its_event(
    database: Database, clock: HandClock
) -> None:
    await run(database, clock, "email\na@x.example\nb@x.example\nc@x.example\n")
    report = await run(
        database,
        clock,
        "邮箱\nA@x.example\nb@x.example\nnobody@x.example\n",
        mode=ImportMode.UNSUBSCRIBE,
    )
    assert (report.changed, report.unchanged, report.notes) == (2, 1, [(4, "person.unknown")])
    async with database.read() as session:
        ended = (
            await session.exec(select(Subscription).where(col(Subscription.ended_at).is_not(None)))
        ).all()
        events = (await session.exec(select(Event).where(Event.name == UNSUBSCRIBED_EVENT))).all()
    assert {(row.subscriber_id, row.end_reason) for row in ended} == {
        (1, f"import:{report.id}"),
        (2, f"import:{report.id}"),
    }
    assert [event.payload["subscription_id"] for event in events] == [1, 2]
    again = await run(database, clock, "email\na@x.example\nb@x.example\nc@x.example\n")
    assert again.codes == [(2, "unsubscribed"), (3, "unsubscribed")]


async def test_who_is_suppressed_by_a_file_does_not_come_by_another(
    database: Database, clock: HandClock
) -> None:
    openid = "o" + "b" * 27
    report = await run(
        database, clock, f"email,openid\nA@x.example,\n,{openid}\na@x.example,\n", mode=ImportMode.SUPPRESS
    )
    assert (report.added, report.unchanged) == (2, 1)
    async with database.read() as session:
        rows = (await session.exec(select(Suppression).order_by(col(Suppression.id)))).all()
    assert [(row.channel, row.target, row.reason) for row in rows] == [
        ("email", "a@x.example", "import"),
        ("wechat", openid, "import"),
    ]
    again = await run(database, clock, f"email,openid\na@X.example,\nc@x.example,{openid}\nd@x.example,\n")
    assert (again.added, again.codes) == (1, [(2, "suppressed"), (3, "suppressed")])


async def test_who_had_everything_erased_is_kept_by_no_import(database: Database, clock: HandClock) -> None:
    text = "email,name,cadence\na@x.example,甲,\nb@x.example,乙,hourly\naa@x.example,丙,hourly\n"
    first = await run(database, clock, text)
    async with database.write() as session:
        await erase(session, clock, SIGNER, 1)
    again = await run(database, clock, text)
    assert again.codes[0] == (2, "erased")
    async with database.read() as session:
        kept = (await session.exec(select(ImportRefused).order_by(col(ImportRefused.run_id)))).all()
    assert [[row.cells for row in unpack_refused(one.data)] for one in kept] == [
        [["b@x.example", "乙", "hourly"], ["aa@x.example", "丙", "hourly"]],
        [[], ["b@x.example", "乙", "hourly"], ["aa@x.example", "丙", "hourly"]],
    ]
    assert first.refused == 2


async def test_erasing_takes_rows_out_of_files_that_wait_and_of_results(
    database: Database, clock: HandClock, tmp_path: Path
) -> None:
    await run(database, clock, "email\na@x.example\n")
    text = "email,name,cadence\nA@X.example,甲,hourly\naa@x.example,丙,hourly\n"
    await run(database, clock, text)
    run_id = await ready(database, clock, tmp_path, text)
    async with database.write() as session:
        await erase(session, clock, SIGNER, 1)
    async with database.read() as session:
        refused = (await session.exec(select(ImportRefused))).one()
        chunk = (await session.exec(select(ImportChunk).where(ImportChunk.run_id == run_id))).one()
    assert [row.cells for row in unpack_refused(refused.data)] == [[], ["aa@x.example", "丙", "hourly"]]
    assert [(row.number, row.cells, row.code) for row in unpack(chunk.data)] == [
        (2, [], "erased"),
        (3, ["aa@x.example", "丙", "hourly"], ""),
    ]


async def ready(database: Database, clock: HandClock, folder: Path, text: str, **choices: Any) -> int:
    file = folder / "people.csv"
    await asyncio.to_thread(file.write_text, text, encoding="utf-8")
    run_id = await receive(database, clock, LIMITS, DSJ, file, file_name="people.csv", origin="test")
    async with database.write() as session:
        await choose(session, run_id, Choices(**{"basis": "会场登记", **choices}))
    return run_id


async def finish(database: Database, clock: HandClock, run_id: int) -> None:
    importer = Importer(database, clock, load_publications(), SIGNER)
    while await importer.run_slice(run_id):
        pass


async def test_the_basis_is_asked_for_and_stands_in_every_agreement(
    database: Database, clock: HandClock, tmp_path: Path
) -> None:
    run_id = await ready(database, clock, tmp_path, "email\na@x.example\n", basis="")
    async with database.write() as session:
        with pytest.raises(ImportFileError, match="依据"):
            await begin(session, clock, run_id)
        await choose(session, run_id, Choices(basis="2026 年 11 月会场登记"))
        await begin(session, clock, run_id)
    await finish(database, clock, run_id)
    async with database.read() as session:
        agreed = (await session.exec(select(Subscription))).one()
        text = await session.get(ConsentText, agreed.consent)
    assert (agreed.origin, agreed.evidence) == ("import", f"import {run_id}, row 2")
    assert text is not None
    assert text.text == "2026 年 11 月会场登记"


async def test_a_check_tells_and_writes_nothing(database: Database, clock: HandClock, tmp_path: Path) -> None:
    await run(database, clock, "email\nold@x.example\n")
    text = "email,cadence\nold@x.example,weekly\nnew@qq.con,\nbad,\n"
    run_id = await ready(database, clock, tmp_path, text)
    counts = await check(database, clock, load_publications(), SIGNER, run_id)
    assert (counts.added, counts.changed, counts.refused) == (1, 1, 1)
    assert counts.kinds["email.invalid"]["first"][0][0] == 4
    assert "new@qq.com" in counts.kinds["email.typo"]["first"][0][1]
    async with database.read() as session:
        assert len((await session.exec(select(Subscriber))).all()) == 1
    async with database.write() as session:
        await discard(session, run_id)


async def test_a_run_is_begun_once_cancelled_and_found_again(
    database: Database, clock: HandClock, tmp_path: Path
) -> None:
    rows = "".join(f"r{n}@x.example\n" for n in range(CHUNK_ROWS * 2 + 10))
    run_id = await ready(database, clock, tmp_path, "email\n" + rows)
    async with database.write() as session:
        await begin(session, clock, run_id)
        with pytest.raises(StateError):
            await begin(session, clock, run_id)
        assert await waiting_runs(session, clock()) == [run_id]
    importer, other = (Importer(database, clock, load_publications(), SIGNER) for _ in range(2))
    await importer.run_slice(run_id)
    async with database.read() as session:
        assert await waiting_runs(session, clock()) == []  # somebody is at it
        clock.move(seconds=10)
        assert await waiting_runs(session, clock()) == [run_id]
    again = await ready(database, clock, tmp_path, "email\n" + rows)
    async with database.write() as session:
        found = await unfinished(session, await find_run(session, again))
        assert found is not None
        assert found.id == run_id
        await cancel(session, clock, again)
        with pytest.raises(StateError):
            await cancel(session, clock, again)
    # Two at it, each with what comes next in hand already: nothing counts twice.
    await asyncio.gather(*(one.run_slice(run_id) for one in (importer, other) * 3))
    await finish(database, clock, run_id)
    async with database.read() as session:
        done = await find_run(session, run_id)
        assert (done.state, done.done, done.added) == (ImportState.FINISHED, done.rows, done.rows)
        assert len((await session.exec(select(Subscriber.id))).all()) == done.rows
        assert not (await session.exec(select(ImportChunk))).all()


async def test_what_is_refused_can_be_corrected_and_imported_again(
    database: Database, clock: HandClock
) -> None:
    report = await run(
        database,
        clock,
        '姓名,邮箱,栏目\n甲,bad,policy\n乙,b@x.example,体育\n丙,c@x.example,\n"=丁",d@x,local\n戊,e@x.example,local,x\n',
    )
    assert (report.added, report.refused) == (1, 4)
    heading, *rows = await result_of(database, report.id)
    assert heading == ["姓名", "邮箱", "栏目", "行号", "原因", "代码"]
    assert [(row[0], row[3], row[5]) for row in rows] == [
        ("甲", "2", "email.invalid"),
        ("乙", "3", "sections.unknown"),
        ("'=丁", "5", "email.invalid"),
        ("戊", "6", "row.too_many_cells"),
    ]
    mended = [heading, *(row[:6] for row in rows)]
    mended[1][1], mended[2][2], mended[3][1] = "a@x.example", "地方新政", "d@x.example"
    text = io.StringIO()
    csv.writer(text).writerows(mended)
    again = await run(database, clock, text.getvalue())
    assert (again.added, again.refused, again.unknown_columns) == (4, 0, [])
    assert (await person(database, "d@x.example")).name == "=丁"


async def test_tags_attributes_and_language(database: Database, clock: HandClock) -> None:
    text = "邮箱,标签,attr:单位,工作地,语言\na@x.example,专家|贵州,甲局,贵阳,en\nb@x.example,,,,\n"
    report = await run(database, clock, text, columns={"attr:地区": "工作地"})
    assert (report.added, report.unknown_columns) == (2, [])
    again = await run(database, clock, text.replace("甲局", "乙局"), columns={"attr:地区": "工作地"})
    assert (again.changed, again.unchanged) == (1, 1)
    async with database.read() as session:
        tags = (await session.exec(select(SubscriberTag.tag).order_by(col(SubscriberTag.tag)))).all()
        attributes = (await session.exec(select(SubscriberAttribute.name, SubscriberAttribute.value))).all()
    assert set(tags) == {"专家", "贵州"}
    assert set(attributes) == {("单位", "乙局"), ("地区", "贵阳")}
    assert (await person(database, "a@x.example")).language == "en"


async def test_a_file_may_say_the_same_person_a_thousand_times(database: Database, clock: HandClock) -> None:
    rows = "".join(f"a@x.example,名{n}\n" for n in range(300))
    report = await run(database, clock, "email,name\n" + rows)
    assert (report.added, report.changed, report.done) == (1, 299, 300)
    assert (await person(database, "a@x.example")).name == "名299"


async def test_one_person_by_two_addresses_in_one_slice(database: Database, clock: HandClock) -> None:
    openid = "o" + "c" * 27
    await run(database, clock, f"email,openid,name\na@x.example,{openid},甲\n")
    report = await run(
        database,
        clock,
        f"email,openid,name\na@x.example,,甲一\n,{openid},甲二\nb@x.example,{openid},甲三\nb@x.example,,甲四\n",
    )
    assert (report.changed, report.refused) == (4, 0)
    now = await person(database, "b@x.example")
    assert (now.id, now.name, now.openid) == (1, "甲四", openid)


async def test_what_is_old_goes(database: Database, clock: HandClock, tmp_path: Path) -> None:
    report = await run(database, clock, "email\nbad\na@x.example\n")
    clock.move(days=29)
    await sweep(database, clock)
    assert len(await result_of(database, report.id)) == 2
    clock.move(days=2)
    await sweep(database, clock)
    assert len(await result_of(database, report.id)) == 1


async def sweep(database: Database, clock: HandClock) -> None:
    async with database.write() as session:
        await tidy(session, clock, 30)


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"mode": ImportMode.REPLACE_LIST}, "哪一个"),
        ({"list_name": "长" * 101}, "100"),
        ({"columns": {"name": "没有的列"}}, "没有的列"),
        ({"columns": {"没有的字段": "邮箱"}}, "没有的字段"),
        ({"columns": {"email": ""}}, "哪一列是邮箱"),
    ],
)
async def test_choices_that_can_not_be_taken(
    database: Database, clock: HandClock, tmp_path: Path, choices: dict[str, object], words: str
) -> None:
    with pytest.raises(ImportFileError, match=words):
        await ready(database, clock, tmp_path, "邮箱,姓名\na@x.example,甲\n", **choices)


async def test_a_row_that_the_database_does_not_take_is_refused_alone(
    database: Database, clock: HandClock
) -> None:
    """Whatever we think of a row: the run goes on around it, on either database, and its words are kept."""
    async with database.write() as session:
        connection = await session.connection()
        if database.backend is Backend.SQLITE:
            await connection.exec_driver_sql(
                "CREATE TRIGGER no BEFORE INSERT ON subscriber WHEN new.name = '拒' "
                "BEGIN SELECT RAISE(ABORT, 'no'); END"
            )
        else:
            await connection.exec_driver_sql("ALTER TABLE subscriber ADD CHECK (name <> '拒')")
    rows = "".join(f"r{n}@x.example,{'拒' if n in {3, 30} else '读者'}\n" for n in range(40))
    report = await run(database, clock, f"email,name\n{rows}")
    assert report.codes == [(5, "row.database"), (32, "row.database")]
    assert (report.added, report.refused) == (38, 2)
    assert [line[0] for line in await result_of(database, report.id)][1:] == ["r3@x.example", "r30@x.example"]


async def test_invisible_characters_stay_out_of_the_database(database: Database, clock: HandClock) -> None:
    """PostgreSQL keeps no U+0000; of what SQLite keeps, nobody could find it again."""
    text = "email,name,attr:单位\na@x.example,甲,一\0局\nb@x.example,乙,二局\n"
    report = await import_csv(database, clock, DSJ, text.encode("utf-16"))
    assert report.codes == [(2, "attribute.control")]
    assert report.added == 1


async def test_a_suppression_by_a_file_says_by_which_row(database: Database, clock: HandClock) -> None:
    report = await run(database, clock, "email\nA@x.example\n", mode=ImportMode.SUPPRESS)
    async with database.read() as session:
        [row] = (await session.exec(select(Suppression))).all()
    assert (row.target, row.reason, row.source) == ("a@x.example", "import", "import")
    assert row.evidence == f"import {report.id}, row 2"
