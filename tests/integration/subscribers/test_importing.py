"""Imports as spreadsheets make them: every row has an outcome, a bad one never stops the rest."""

import time
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook
from sqlmodel import col, select
from tests.making import DSJ, START, HandClock, Imported, import_csv

from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.errors import ImportFileError
from bdnews_dispatch.subscribers import agreements, exporting, people
from bdnews_dispatch.subscribers.agreements import Agreement, Proof
from bdnews_dispatch.subscribers.audience import Person, slice_of
from bdnews_dispatch.subscribers.exporting import Workbook, csv_line, export_rows
from bdnews_dispatch.subscribers.models import Cadence, ChannelChoice, Subscription
from bdnews_dispatch.subscribers.targeting import Target

HEADER = "email,name,openid,sections,channel,cadence\n"


async def run(
    database: Database, clock: HandClock, text: str | bytes, *, list_name: str | None = None
) -> Imported:
    data = text if isinstance(text, bytes) else text.encode()
    return await import_csv(database, clock, DSJ, data, list_name=list_name, origin_name="名单.csv")


async def everybody(database: Database, lists: tuple[str, ...] = ()) -> dict[str, Person]:
    async with database.read() as session:
        found = await slice_of(
            session,
            "dsj",
            after_id=0,
            limit=10_000,
            target=Target(lists=lists),
            now=START,
        )
    return {person.email or person.openid or "": person for person in found}


def codes(report: Imported) -> list[tuple[int, str]]:
    return report.codes


async def test_every_column_and_default(database: Database, clock: HandClock) -> None:
    report = await run(
        database,
        clock,
        HEADER
        + "a@x.example,甲,,policy|local,,\nb@x.example,乙,oReaderB,*,,weekly\n,丙,oReaderC,“”,,\n".replace(
            "“”", ""
        )
        + 'd@x.example,丁,,"国策要论、前沿观察",email,每月\n'
        'e@x.example,戊,,"产业镜像,企业动向",,\n',
    )
    assert (report.rows, report.added, report.refused, report.errors) == (5, 5, 0, [])
    found = await everybody(database)
    assert found["a@x.example"].sections == {"policy", "local"}
    assert found["a@x.example"].channel is ChannelChoice.EMAIL
    assert (found["b@x.example"].whole_issue, found["b@x.example"].channel) == (True, ChannelChoice.BOTH)
    assert found["oReaderC"].channel is ChannelChoice.WECHAT
    assert found["d@x.example"].sections == {"policy", "frontier"}
    assert found["d@x.example"].cadence is Cadence.MONTHLY
    assert found["e@x.example"].sections == {"industry", "company"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
async def test_files_as_spreadsheets_save_them(
    database: Database, clock: HandClock, encoding: str, delimiter: str, end: str
) -> None:
    lines = [["姓名", "邮箱", "栏目"], ["龙傲天", "a@x.example", "地方新政|企业动向"]]
    text = end.join(delimiter.join(cells) for cells in lines) + end
    report = await run(database, clock, text.encode(encoding))
    assert (report.added, report.errors) == (1, [])
    person = (await everybody(database))["a@x.example"]
    assert (person.name, person.sections) == ("龙傲天", frozenset({"local", "company"}))


async def test_bad_rows_are_named_as_excel_counts_and_stop_nobody(
    database: Database, clock: HandClock
) -> None:
    report = await run(
        database,
        clock,
        HEADER + "good1@x.example,,,policy,,\n"  # row 2
        "not an address,,,policy,,\n"  # 3
        "\n"  # 4: empty, passed over, counted by Excel
        "c@x.example,,,policy,carrier pigeon,hourly\n"  # 5: two problems
        'd@x.example,"line one\nline two",,policy,,\n'  # 6: one row on two lines
        "e@x.example,,,policy,local,,,\n"  # 7: a channel that is a section
        "f@x.example,,,policy,,,extra\n"  # 8
        ",nobody,,policy,,\n"  # 9
        "g@x.example,,,体育,,\n"  # 10
        "h@x.example,,,policy,wechat,\n"  # 11: no openid
        'i@x.example,"never closed,,policy,,\n'  # 12
        "good2@x.example,,,local,,\n",  # 13
    )
    assert codes(report) == [
        (3, "email.invalid"),
        (5, "channel.unknown"),
        (5, "cadence.unknown"),
        (7, "channel.unknown"),
        (8, "row.too_many_cells"),
        (9, "identity.missing"),
        (10, "sections.unknown"),
        (11, "channel.unreachable"),
        (12, "row.malformed"),
    ]
    assert (report.rows, report.added, report.refused) == (11, 3, 8)
    assert set(await everybody(database)) == {"good1@x.example", "d@x.example", "good2@x.example"}
    _, column, _, message = report.errors[6]
    assert column == "sections"
    assert "国策要论" in message


async def test_a_later_row_about_the_same_person_changes_the_earlier_one(
    database: Database, clock: HandClock
) -> None:
    report = await run(
        database, clock, HEADER + "a@x.example,,,policy,,\nA@X.example,,,local,,\nb@x.example,,,,,\n"
    )
    assert (report.added, report.changed, report.refused) == (2, 1, 0)
    assert (await everybody(database))["a@x.example"].sections == {"local"}


async def test_importing_again_changes_only_what_changed(database: Database, clock: HandClock) -> None:
    text = HEADER + "a@x.example,甲,,policy,,\nb@x.example,乙,,local,,\n"
    await run(database, clock, text)
    again = await run(database, clock, text)
    assert (again.added, again.changed, again.unchanged) == (0, 0, 2)
    changed = await run(database, clock, text.replace("local", "frontier"))
    assert (changed.changed, changed.unchanged) == (1, 1)
    async with database.read() as session:
        rows = (await session.exec(select(Subscription).order_by(col(Subscription.id)))).all()
    assert [(row.sections, row.ended_at is None) for row in rows] == [
        (["policy"], True),
        (["local"], False),
        (["frontier"], True),
    ]
    assert rows[-1].evidence == f"import {changed.id}, row 3"


async def test_a_file_without_a_column_leaves_it_as_it_is(database: Database, clock: HandClock) -> None:
    await run(database, clock, HEADER + "a@x.example,甲,,policy,,weekly\n")
    report = await run(database, clock, "email,name\na@x.example,甲改名\n")
    assert report.changed == 1
    person = (await everybody(database))["a@x.example"]
    assert (person.name, person.sections, person.cadence) == ("甲改名", frozenset({"policy"}), Cadence.WEEKLY)


async def test_who_has_left_stays_away(database: Database, clock: HandClock) -> None:
    text = HEADER + "a@x.example,甲,,policy,,\nb@x.example,,,policy,,\n"
    await run(database, clock, text)
    async with database.write() as session:
        person = await people.find_by_email(session, "a@x.example")
        assert person is not None
        assert person.id is not None
        await agreements.unsubscribe(session, clock, person.id, "dsj", reason="", origin="one_click")
    report = await run(database, clock, text, list_name="再来一次")
    assert (report.unchanged, report.refused, codes(report)) == (1, 1, [(2, "unsubscribed")])
    assert set(await everybody(database)) == {"b@x.example"}
    assert set(await everybody(database, ("再来一次",))) == {"b@x.example"}


async def test_a_readers_own_choice_is_not_overruled(database: Database, clock: HandClock) -> None:
    text = HEADER + "a@x.example,甲,,policy,,\n"
    await run(database, clock, text)
    async with database.write() as session:
        person = await people.find_by_email(session, "a@x.example")
        assert person is not None
        assert person.id is not None
        await agreements.agree(
            session,
            clock,
            person.id,
            DSJ,
            Agreement(whole_issue=False, sections=["frontier"], cadence=Cadence.WEEKLY),
            Proof("preferences", "link"),
        )
    report = await run(database, clock, text)
    assert (report.unchanged, report.notes) == (1, [(2, "own_choice")])
    assert (await everybody(database))["a@x.example"].sections == {"frontier"}


async def test_an_openid_and_an_address_of_two_people_are_not_mixed(
    database: Database, clock: HandClock
) -> None:
    await run(database, clock, HEADER + "a@x.example,,,,,\n,,oReader,,,\n")
    report = await run(database, clock, HEADER + "a@x.example,,oReader,,,\n")
    assert codes(report) == [(2, "identity.conflict")]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        "姓名,栏目\n甲,policy\n".encode(),
        b"email,email\na@x.example,b@x.example\n",
        b"PK\x03\x04 a workbook",
        bytes(range(256)) * 40,
    ],
)
async def test_what_is_no_table_is_refused_as_a_whole(
    database: Database, clock: HandClock, data: bytes
) -> None:
    with pytest.raises(ImportFileError) as error:
        await run(database, clock, data)
    assert error.value.message


async def test_an_export_can_be_imported_and_is_no_formula(database: Database, clock: HandClock) -> None:
    await run(
        database,
        clock,
        HEADER + 'a@x.example,"=HYPERLINK(""http://evil.example"")",oReaderA,policy|local,both,weekly\n'
        "b@x.example,＋full width,,*,email,issue\n"
        '"odd,one"@x.example,x,,*,email,issue\n'
        "c@x.example,@handle,,frontier,email,monthly\n",
    )
    text = "".join([csv_line(row) async for row in export_rows(database, DSJ)])
    cells = [cell for line in text.splitlines() for cell in line.replace('"', "").split(",")]
    assert not [cell for cell in cells if cell[:1] in set("=+-@\t\r＝＋－＠")]
    report = await run(database, clock, text)
    assert (report.unchanged, report.changed, report.added, report.errors) == (3, 0, 0, [])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    data=st.one_of(st.binary(max_size=400), st.text(max_size=300).map(lambda text: (HEADER + text).encode()))
)
async def test_whatever_the_bytes_every_row_has_an_outcome(
    database: Database, clock: HandClock, data: bytes
) -> None:
    try:
        report = await run(database, clock, data)
    except ImportFileError:
        return
    assert report.rows == report.added + report.changed + report.unchanged + report.refused


async def test_ten_thousand_rows_are_a_matter_of_seconds(database: Database, clock: HandClock) -> None:
    rows = "".join(f"reader{n}@x{n % 20}.example,读者{n},,policy|local,,\n" for n in range(10_000))
    began = time.perf_counter()
    report = await run(database, clock, HEADER + rows, list_name="全部")
    assert report.added == 10_000
    assert time.perf_counter() - began < 20  # 1.3 s on a 2-core machine; the rest is for busy ones
    assert len(await everybody(database, ("全部",))) == 10_000


async def test_a_workbook_can_be_imported_again_and_runs_nothing(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "a.xlsx"
    book = Workbook(file)
    book.add(["email", "name"])
    book.add(["lin@readers.example", '=HYPERLINK("http://evil.example")'])
    book.close()
    rows = CalamineWorkbook.from_path(file).get_sheet_by_index(0).to_python()
    assert rows == [["email", "name"], ["lin@readers.example", '=HYPERLINK("http://evil.example")']]
    assert b"<f>" not in zipfile.ZipFile(file).read("xl/worksheets/sheet1.xml")


async def test_a_sheet_that_is_full_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "MOST_ROWS", 2)
    book = Workbook(tmp_path / "a.xlsx")
    book.add(["a"])
    book.add(["b"])
    with pytest.raises(OverflowError):
        book.add(["c"])
    book.close()
