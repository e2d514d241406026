"""Which column fills which field: guessed by headings in Chinese and English, or by what is in it; then set by hand.

In: the first rows of a sheet; a person's own mapping. Out: `Columns`. Callers: receiving, cli/, later the console. A
column that means nothing to us is told before the run, and is left out.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bdnews_dispatch.errors import ImportFileError, Phrase
from bdnews_dispatch.subscribers import fields
from bdnews_dispatch.subscribers.imports.files import EXAMPLE, RawRow

#: A field → headings that mean it, folded.
HEADINGS: Mapping[str, tuple[str, ...]] = {
    "email": (
        "email",
        "e-mail",
        "mail",
        "emailaddress",
        "e-mailaddress",
        "邮箱",
        "电子邮箱",
        "邮箱地址",
        "邮件地址",
        "电子邮件",
        "电子邮件地址",
        "电子邮箱地址",
        "邮件",
    ),
    "name": ("name", "fullname", "姓名", "名字", "称呼", "联系人"),
    "openid": ("openid", "微信openid", "wechatopenid", "微信"),
    "sections": ("sections", "section", "栏目", "订阅栏目", "所选栏目"),
    "channel": ("channel", "渠道", "接收渠道", "方式", "接收方式"),
    "cadence": ("cadence", "frequency", "频率", "接收频率", "订阅频率"),
    "language": ("language", "lang", "语言"),
    "tags": ("tags", "tag", "标签"),
}
FIELDS = tuple(HEADINGS)
#: What an export writes, in this order; the two others only where they are asked for.
PLAIN_FIELDS = ("email", "name", "openid", "sections", "channel", "cadence")
ATTRIBUTE = "attr:"
#: Of a result file: known, and left out when it comes back.
RESULT_HEADINGS = ("行号", "原因", "代码")
#: Titles and merged cells stand above the headings, seldom more than this.
ROWS_LOOKED_AT = 10
MOST_COLUMNS = 200
LONGEST_HEADING = 100
_BY_HEADING = {heading: field for field, headings in HEADINGS.items() for heading in headings}
_OPENID = re.compile(r"o[A-Za-z0-9_-]{27}")


@dataclass(frozen=True, slots=True)
class Columns:
    """What the columns are.

    Attributes:
        header_row: the number of the row with the headings; 0: there is none.
        headings: as they stand there; `#1`, `#2` … where there is none.
        mapping: for each column its field; "" is none.
    """

    header_row: int
    headings: tuple[str, ...]
    mapping: tuple[str, ...]

    @property
    def unknown(self) -> list[str]:
        """Headings that mean nothing to us."""
        return [
            heading
            for heading, field in zip(self.headings, self.mapping, strict=True)
            if not field and heading and heading not in RESULT_HEADINGS
        ]


def guess_columns(first: Sequence[RawRow]) -> Columns:
    """Look at the first rows.

    Raises:
        ImportFileError: there are no headings that we know, and no column of addresses.
    """
    readable = [row for row in first[:ROWS_LOOKED_AT] if not row.code]
    for row in readable:
        found = [_by_heading(cell) for cell in row.cells]
        if "email" in found or "openid" in found:
            return _checked(row.number, tuple(_heading(cell) for cell in row.cells), tuple(found))
    width = max((len(row.cells) for row in readable), default=0)
    for row in readable:
        found = [_by_content(cell) for cell in row.cells]
        if any(found):
            found += [""] * (width - len(found))
            return _checked(0, tuple(f"#{place}" for place in range(1, width + 1)), tuple(found))
    # Headings that only a mapping by hand can explain.
    if readable and (known := [row for row in readable if any(_by_heading(cell) for cell in row.cells)]):
        row = known[0]
    elif readable:
        row = readable[0]
    else:
        raise ImportFileError("文件里没有读得出来的行", hint=EXAMPLE)
    headings = tuple(_heading(cell) for cell in row.cells)
    return _checked(row.number, headings, tuple(_by_heading(cell) for cell in row.cells))


def map_columns(columns: Columns, by_hand: Mapping[str, str]) -> Columns:
    """Set columns by hand.

    Args:
        by_hand: field → heading, or `#3` for the third column; of `email`, `name` …, `attr:NAME`. An empty heading
        takes
            the field away.

    Raises:
        ImportFileError: there is no such field or heading; names those there are.
    """
    mapping = list(columns.mapping)
    for field, heading in by_hand.items():
        name = _field(field)
        mapping = ["" if mapped == name else mapped for mapped in mapping]
        if heading.strip():
            mapping[_place(columns.headings, heading)] = name
    return Columns(columns.header_row, columns.headings, tuple(mapping))


def check_mapping(columns: Columns) -> None:
    """Raises: ImportFileError: a field is filled twice, or nothing says who the people are."""
    named = [field for field in columns.mapping if field]
    for field in named:
        if named.count(field) > 1:
            twice = [f"#{place}" for place, mapped in enumerate(columns.mapping, 1) if mapped == field]
            raise ImportFileError(
                Phrase("标题行里 %(field)s 出现了不止一次（%(twice)s）", field=field, twice=twice),
                hint=Phrase("请只留一列，其余不导入；命令行：--map %(field)s=#列号。", field=field),
            )
    if "email" not in named and "openid" not in named:
        there = "、".join(heading for heading in columns.headings if heading)[:300]
        raise ImportFileError(
            "不知道哪一列是邮箱（email）或 openid",
            hint=Phrase(
                "现有的列：%(there)s。请指明哪一列是邮箱（命令行：--map email=列名）；%(example)s",
                there=there or Phrase("（无）"),
                example=EXAMPLE,
            ),
        )


def _checked(header_row: int, headings: tuple[str, ...], mapping: tuple[str, ...]) -> Columns:
    if len(headings) > MOST_COLUMNS:
        raise ImportFileError(
            Phrase("文件有 %(number)s 列，最多 %(most)s 列", number=len(headings), most=MOST_COLUMNS)
        )
    return Columns(header_row, headings, mapping)


def _field(text: str) -> str:
    field = text.strip()
    if field.casefold() in HEADINGS:
        return field.casefold()
    if (known := _BY_HEADING.get(_folded(field))) is not None:
        return known
    for mark in (ATTRIBUTE, "attr：", "属性:", "属性："):
        if field.startswith(mark):
            return ATTRIBUTE + _attribute(field.removeprefix(mark))
    raise ImportFileError(
        Phrase("没有名为“%(name)s”的字段", name=field[:40]),
        hint=Phrase("可用：%(fields)s，或 attr:属性名（如 attr:单位）。", fields=list(FIELDS)),
    )


def _attribute(text: str) -> str:
    name = " ".join(text.split())
    if not 0 < len(name) <= fields.LONGEST_TAG or not name.isprintable():
        raise ImportFileError(Phrase("属性的名称应为 1–%(most)s 个字", most=fields.LONGEST_TAG))
    return name


def _place(headings: Sequence[str], wanted: str) -> int:
    wanted = wanted.strip()
    if wanted in headings:
        return headings.index(wanted)
    folded = [_folded(heading) for heading in headings]
    if _folded(wanted) in folded:
        return folded.index(_folded(wanted))
    if (number := re.fullmatch(r"#(\d{1,3})", wanted)) and 0 < int(number[1]) <= len(headings):
        return int(number[1]) - 1
    there = "、".join(heading for heading in headings if heading)[:300]
    raise ImportFileError(
        Phrase("文件里没有名为“%(name)s”的列", name=wanted[:40]),
        hint=Phrase("现有：%(there)s；也可写列号，如 #3。", there=there),
    )


def _by_heading(cell: str) -> str:
    heading = cell.strip()
    for mark in (ATTRIBUTE, "attr：", "属性:", "属性："):
        if heading.startswith(mark) and heading.removeprefix(mark).strip():
            return ATTRIBUTE + _attribute(heading.removeprefix(mark))
    return _BY_HEADING.get(_folded(heading), "")


def _by_content(cell: str) -> str:
    try:
        fields.read_address(cell)
    except fields.FieldError:
        return "openid" if _OPENID.fullmatch(cell.strip()) else ""
    return "email"


def _heading(cell: str) -> str:
    return " ".join(cell.split())[:LONGEST_HEADING]


def _folded(heading: str) -> str:
    folded = "".join(unicodedata.normalize("NFKC", heading).casefold().split())
    return folded.strip("*:：").removesuffix("(必填)").removesuffix("(选填)")
