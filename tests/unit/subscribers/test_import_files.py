"""Files as people's programs save them: encodings, delimiters, workbooks; and files that are meant to do harm."""

import datetime as dt
import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.making import DSJ

from bdnews_dispatch.errors import ImportFileError
from bdnews_dispatch.subscribers.imports.columns import check_mapping, guess_columns, map_columns
from bdnews_dispatch.subscribers.imports.files import RawRow, Sheet, is_workbook, read_csv
from bdnews_dispatch.subscribers.imports.packing import pack, unpack
from bdnews_dispatch.subscribers.imports.rows import RowReader
from bdnews_dispatch.subscribers.imports.sheets import read_workbook

MIB = 1024 * 1024


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "file"


def csv_of(file: Path, data: bytes) -> tuple[Sheet, list[RawRow]]:
    file.write_bytes(data)
    sheet = read_csv(file)
    return sheet, list(sheet.rows)


def workbook(file: Path, sheets: dict[str, list[list[Any]]], hidden: str = "") -> list[RawRow]:
    with xlsxwriter.Workbook(file) as book:
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        for name, rows in sheets.items():
            sheet = book.add_worksheet(name)
            if name == hidden:
                sheet.hide()
            for number, row in enumerate(rows):
                for place, value in enumerate(row):
                    if isinstance(value, dt.date):
                        sheet.write_datetime(number, place, value, day)
                    elif value is not None:
                        sheet.write(number, place, value)
    return list(read_workbook(file, 50 * MIB).rows)


LINES = "邮箱{0}姓名\r\na@x.example{0}龙傲天\r\nb@x.example{0}赵日天\r\n"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "，", "|"])
@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", b"\xef\xbb\xbf"),
        ("gb18030", b""),
        ("gb18030", "\ufeff".encode("gb18030")),
        ("utf-16", b""),
    ],
)
def test_whatever_the_program_that_saved_it(file: Path, encoding: str, mark: bytes, delimiter: str) -> None:
    sheet, rows = csv_of(file, mark + LINES.format(delimiter).encode(encoding))
    assert sheet.delimiter == delimiter
    assert [row.cells for row in rows] == [
        ["邮箱", "姓名"],
        ["a@x.example", "龙傲天"],
        ["b@x.example", "赵日天"],
    ]


def test_a_line_that_only_names_the_delimiter_is_no_row(file: Path) -> None:
    sheet, rows = csv_of(file, b"sep=;\nemail;name\na,b@x.example;x\n")
    assert sheet.delimiter == ";"
    assert [(row.number, row.cells) for row in rows] == [(1, ["email", "name"]), (2, ["a,b@x.example", "x"])]


def test_a_row_in_another_encoding_is_refused_alone(file: Path) -> None:
    lines = [f"r{n}@x.example,读者{n}".encode() for n in range(50)]
    lines[20] = "r20@x.example,读者".encode("gb18030")
    sheet, rows = csv_of(file, b"email,name\n" + b"\n".join(lines))
    assert sheet.encoding == "utf-8"
    assert [row.number for row in rows if row.code == "row.encoding"] == [22]
    assert rows[30].cells == ["r29@x.example", "读者29"]


@pytest.mark.parametrize("data", [bytes(range(256)) * 40, b"\x89PNG\r\n\x1a\n" + b"\xff\xfe\xfd\n" * 50])
def test_what_is_no_text_is_refused_as_a_whole(file: Path, data: bytes) -> None:
    with pytest.raises(ImportFileError):
        csv_of(file, data)


def test_a_quotation_mark_that_is_never_closed_spoils_its_own_row_only(file: Path) -> None:
    lines = ["email,name", 'a@x.cn,"open', *(f"b{n}@x.cn,n" for n in range(30))]
    _, rows = csv_of(file, "\n".join(lines).encode())
    assert [row.number for row in rows] == list(range(1, 33))
    assert [row.number for row in rows if row.code] == [2]


def test_two_marks_that_are_never_closed_take_nothing_between_them_along(file: Path) -> None:
    _, rows = csv_of(file, b'email,name\na@x.cn,"open\nb@x.cn,n\nc@x.cn,"open\nd@x.cn,n\n')
    assert [(row.number, row.code) for row in rows[1:]] == [
        (2, "row.malformed"),
        (3, ""),
        (4, "row.malformed"),
        (5, ""),
    ]


def test_a_line_without_an_end_is_one_bad_row(file: Path) -> None:
    _, rows = csv_of(file, b"email\na@x.example\n" + b"x" * (3 * MIB) + b"\nb@x.example\n")
    assert [(row.number, row.code) for row in rows] == [(1, ""), (2, ""), (3, "row.too_long"), (4, "")]
    assert len(rows[2].cells[0]) <= 2_000


@given(data=st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_reading_ends_whatever_the_bytes(file: Path, data: bytes) -> None:
    try:
        _, rows = csv_of(file, data)
    except ImportFileError:
        return
    assert [row.number for row in rows] == sorted({row.number for row in rows})
    assert unpack(pack(rows)) == rows


def test_a_workbook_as_people_fill_it(file: Path) -> None:
    rows = workbook(
        file,
        {
            "说明": [],
            "藏": [["email"], ["hidden@x.example"]],
            "名单": [
                ["2026 年订阅名单", None, None],
                [],
                ["邮箱", "姓名", "电话", "日期", "同意"],
                ["a@x.example", "甲", 13800001111, dt.date(2026, 11, 23), True],
                [None, None, None],
                [" b@x.example ", "'乙", 1.5, None, None],
                ["", "", ""],
            ],
            "另一张": [["x"]],
        },
        hidden="藏",
    )
    assert [(row.number, row.cells) for row in rows] == [
        (1, ["2026 年订阅名单"]),
        (3, ["邮箱", "姓名", "电话", "日期", "同意"]),
        (4, ["a@x.example", "甲", "13800001111", "2026-11-23", "TRUE"]),
        (6, ["b@x.example", "'乙", "1.5"]),
    ]
    sheet = read_workbook(file, 50 * MIB)
    assert (sheet.name, sheet.others) == ("名单", ("另一张",))
    columns = guess_columns(rows)
    assert (columns.header_row, columns.mapping) == (3, ("email", "name", "", "", ""))
    assert columns.unknown == ["电话", "日期", "同意"]


def test_a_workbook_that_unpacks_to_very_much_is_not_opened(file: Path) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * (60 * MIB))
    assert is_workbook(file)
    with pytest.raises(ImportFileError, match="过大"):
        read_workbook(file, 500 * MIB)  # by its ratio
    with pytest.raises(ImportFileError, match="过大"):
        read_workbook(file, MIB)


def test_what_an_archive_says_of_its_sizes_is_not_believed(file: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sheet.xml", b"0" * (60 * MIB))
    data = bytearray(buffer.getvalue())
    directory = data.index(b"PK\x01\x02")
    for place in (22, directory + 24):
        data[place : place + 4] = struct.pack("<I", 10)
    file.write_bytes(data)
    with zipfile.ZipFile(file) as archive:
        assert archive.infolist()[0].file_size == 10
    with pytest.raises(ImportFileError, match="过大"):
        read_workbook(file, 500 * MIB)


@pytest.mark.parametrize("data", [b"PK\x03\x04 no archive", b"PK\x03\x04" + bytes(range(256)) * 10])
def test_a_damaged_workbook_says_so(file: Path, data: bytes) -> None:
    file.write_bytes(data)
    with pytest.raises(ImportFileError, match="损坏"):
        read_workbook(file, MIB)


def test_an_old_or_locked_workbook_says_what_to_do(file: Path) -> None:
    file.write_bytes(b"\xd0\xcf\x11\xe0" + b"\0" * 100)
    with pytest.raises(ImportFileError) as error:
        is_workbook(file)
    assert "另存" in error.value.hint


@pytest.mark.parametrize(
    ("heading", "field"),
    [
        ("E-mail", "email"),
        ("Email Address", "email"),
        (" 电子邮件 ", "email"),
        ("邮箱地址*", "email"),
        ("Ｅｍａｉｌ", "email"),
        ("微信 OpenID", "openid"),
    ],
)
def test_headings_as_people_write_them(heading: str, field: str) -> None:
    assert guess_columns([RawRow(1, [heading, "attr:单位"])]).mapping == (field, "attr:单位")


def test_without_headings_the_columns_are_known_by_what_is_in_them() -> None:
    columns = guess_columns(
        [RawRow(1, ["甲", "a@x.example", "o" + "x" * 27]), RawRow(2, ["乙", "b@x.example"])]
    )
    assert (columns.header_row, columns.mapping) == (0, ("", "email", "openid"))
    by_hand = map_columns(columns, {"姓名": "#1", "openid": ""})
    assert by_hand.mapping == ("name", "email", "")
    check_mapping(by_hand)


def test_one_field_by_two_columns_is_asked_about() -> None:
    columns = guess_columns([RawRow(1, ["邮箱", "email"])])
    with pytest.raises(ImportFileError, match="不止一次"):
        check_mapping(columns)
    check_mapping(map_columns(columns, {"email": "#2"}))


def test_a_row_says_what_is_wrong_with_every_cell_and_is_warned_about() -> None:
    reader = RowReader(DSJ, ["email", "openid", "channel"])
    entry = reader.read(RawRow(7, ["info@qq.con", "no openid", "信鸽"]))
    assert [(one.row, one.column, one.code) for one in entry.problems] == [
        (7, "openid", "openid.invalid"),
        (7, "channel", "channel.unknown"),
    ]
    assert [one.code for one in entry.warnings] == ["email.typo", "email.role"]
    assert "info@qq.com" in entry.warnings[0].message
