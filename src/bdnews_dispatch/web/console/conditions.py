"""A segment's rule as rows of a form: what, and the words for it; rows in groups one level deep, no JSON, no script.

In: a form's fields, or a rule. Out: `Written`, or a rule for segments.py; an error names its row. Callers: groups, log.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bdnews_dispatch.errors import BdnewsError, Phrase
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.subscribers.fields import SectionNames, read_cadence, read_channel, read_language
from bdnews_dispatch.subscribers.segments import MOST_CONDITIONS, SegmentError, read_rule
from bdnews_dispatch.web.faults import N_

#: How the rows of a group come together, as segments.py has it.
HOWS = ("all", "any", "none")
MOST_GROUPS = 8
LONGEST_VALUE = 1_000
#: Between the words of a value.
_BETWEEN = "、，,；;|"


@dataclass(frozen=True, slots=True)
class Kind:
    """One thing that a row may ask. Attributes: key: `field:comparison`. hint: what its value looks like; "": none."""

    key: str
    label: str
    hint: str

    @property
    def parts(self) -> tuple[str, str]:
        """The rule's field, and how it is compared."""
        field, _, comparison = self.key.partition(":")
        return field, comparison


_DAYS, _DAY, _SEVERAL = N_("天数，如 90"), N_("日期，如 2026-11-20"), N_("几个以顿号分开")
KINDS = (
    Kind("list:any_of", N_("在名单上：其中之一"), _SEVERAL),
    Kind("tag:any_of", N_("有标签：其中之一"), _SEVERAL),
    Kind("sections:any_of", N_("读栏目：其中之一"), N_("栏目名，几个以顿号分开")),
    Kind("channel:any_of", N_("渠道是：其中之一"), N_("邮件、微信、两者、微信优先")),
    Kind("cadence:any_of", N_("频率是：其中之一"), N_("每期、每周、每月、只收快讯")),
    Kind("language:any_of", N_("语言是：其中之一"), N_("中文、英文")),
    Kind("domain:any_of", N_("邮箱域名是：其中之一"), N_("如 gov.cn，含其下的")),
    Kind("attribute:any_of", N_("其他信息是：其中之一"), N_("如 单位=甲局、乙局")),
    Kind("attribute:has", N_("有这项其他信息"), N_("如 单位")),
    Kind("joined:within_days", N_("加入：这么多天之内"), _DAYS),
    Kind("joined:after", N_("加入：这天或以后"), _DAY),
    Kind("joined:before", N_("加入：这天以前"), _DAY),
    Kind("last_opened:within_days", N_("打开过：这么多天之内"), _DAYS),
    Kind("last_opened:not_within_days", N_("没有打开过：这么多天之内"), _DAYS),
    Kind("last_opened:after", N_("最近打开：这天或以后"), _DAY),
    Kind("last_opened:before", N_("最近打开：这天以前"), _DAY),
    Kind("last_opened:never", N_("从未打开"), ""),
)
#: As fields.py reads them back.
_WORDS = {
    "channel": {"email": "邮件", "wechat": "微信", "both": "两者", "either": "微信优先"},
    "cadence": {"issue": "每期", "weekly": "每周", "monthly": "每月", "bulletins": "只收快讯"},
    "language": {"zh": "中文", "en": "英文"},
}
_BY_KEY = {kind.key: kind for kind in KINDS}


@dataclass(frozen=True, slots=True)
class Row:
    """A condition as it was typed. Attributes: group: 0 is the outer one. kind: a key; "": not chosen yet."""

    group: int
    kind: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class Written:
    """A form. Attributes: hows: of each group, the outer one first."""

    hows: tuple[str, ...]
    rows: tuple[Row, ...]

    def of(self, group: int) -> list[tuple[int, Row]]:
        """A group's rows, with their numbers."""
        return [(number, row) for number, row in enumerate(self.rows) if row.group == group]


BLANK = Written(("all",), (Row(0),))


def read(field: Callable[[str, int], str]) -> Written:
    """Args: field: a field of the form by its name, so long at most."""
    hows: list[str] = []
    while len(hows) <= MOST_GROUPS and (how := field(f"g{len(hows)}", 8)):
        hows.append(how if how in HOWS else "all")
    rows: list[Row] = []
    while len(rows) < MOST_CONDITIONS and (group := field(f"r{len(rows)}.group", 2)):
        number = int(group) if group.isdecimal() else 0
        kind, value = field(f"r{len(rows)}.kind", 40), field(f"r{len(rows)}.value", LONGEST_VALUE)
        rows.append(Row(number if number < len(hows) else 0, kind if kind in _BY_KEY else "", value))
    # As they stand on the page: group by group.
    return Written(tuple(hows) or ("all",), tuple(sorted(rows, key=lambda row: row.group)))


def changed(written: Written, do: str) -> Written | None:
    """A row or a group more or less, by the button's word. Returns: None: it is none of these buttons."""
    act, _, text = do.partition(":")
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 4 else 0
    rows = list(written.rows)
    if act == "add" and number < len(written.hows):
        rows = sorted([*rows, Row(number)], key=lambda row: row.group)[:MOST_CONDITIONS]
        return replace(written, rows=tuple(rows))
    if act == "remove":
        kept = tuple(row for place, row in enumerate(rows) if place != number)
        return replace(written, rows=kept or (Row(0),))
    if act == "group" and len(written.hows) <= MOST_GROUPS:
        return Written((*written.hows, "any"), (*rows, Row(len(written.hows))))
    if act == "ungroup" and 0 < number < len(written.hows):
        hows = tuple(how for place, how in enumerate(written.hows) if place != number)
        kept = tuple(
            replace(row, group=row.group - (row.group > number)) for row in rows if row.group != number
        )
        return Written(hows, kept or (Row(0),))
    return None


def rule_of(written: Written, publication: Publication) -> dict[str, Any]:
    """The rule.

    Raises:
        SegmentError: a row can't be taken, and which; or there is none.
    """
    outer: list[Any] = []
    for group, how in enumerate(written.hows):
        conditions = [
            _condition(number, row, publication) for number, row in written.of(group) if row.kind or row.value
        ]
        if group == 0:
            outer = conditions
        elif conditions:
            outer.append({how: conditions})
    if not outer:
        raise SegmentError("还没有条件", hint="至少写一行：选是什么，再写取值。")
    rule = {written.hows[0]: outer}
    read_rule(rule, publication)
    return rule


def written_of(rule: dict[str, Any], publication: Publication) -> Written | None:
    """The form of a rule. Returns: None: it goes deeper than the form does."""
    words = {**_WORDS, "sections": {section.key: section.name for section in publication.sections}}
    how = next((one for one in HOWS if one in rule), "")
    if not how:
        how, rule = "all", {"all": [rule]}
    hows, rows = [how], _rows(rule[how], 0, how, words)
    for part in rule[how]:
        inner = next((one for one in HOWS if one in part), "")
        if inner:
            hows.append(inner)
            rows += _rows(part[inner], len(hows) - 1, inner, words)
            if any(one in each for each in part[inner] for one in HOWS):
                return None
    if None in rows or len(hows) > MOST_GROUPS + 1:
        return None
    return Written(tuple(hows), tuple(row for row in rows if row is not None))


_HOWS = {"all": N_("下面每一条都符合"), "any": N_("下面至少一条符合"), "none": N_("下面没有一条符合")}


def in_words(rule: Any, say: Callable[[str], str], publication: Publication) -> list[str]:
    """A rule as people read it, a line for each group. Returns: nothing where it goes deeper, or is none any more."""
    try:
        read_rule(rule, publication)
        written = written_of(rule, publication)
    except BdnewsError:
        return []
    if written is None:
        return []
    labels = {kind.key: say(kind.label) for kind in KINDS}
    groups = [
        (say(_HOWS[how]), [f"{labels[row.kind]} {row.value}".strip() for _, row in written.of(group)])
        for group, how in enumerate(written.hows)
    ]
    return [f"{how}{say(N_('：'))}{'；'.join(rows)}" for how, rows in groups if rows]


def _rows(
    parts: Sequence[dict[str, Any]], group: int, how: str, words: Mapping[str, Mapping[str, str]]
) -> list[Row | None]:
    """None among them: a condition that is no single row here."""
    rows: list[Row | None] = []
    for part in parts:
        if "field" not in part:
            continue
        field = part["field"]
        compared = {name: value for name, value in part.items() if name not in {"field", "name"}}
        if field == "attribute" and not compared:
            rows.append(Row(group, "attribute:has", part["name"]))
        elif len(compared) > 1 and how != "all":
            rows.append(None)  # both of two bounds; rows of their own would be either
        else:
            rows += [_row(group, part, words, name, value) for name, value in compared.items()]
    return rows


def _row(
    group: int, part: dict[str, Any], words: Mapping[str, Mapping[str, str]], name: str, value: Any
) -> Row | None:
    field, text = part["field"], "" if value is True else str(value)
    if isinstance(value, list | tuple):
        shown = [words.get(field, {}).get(word, word) for word in value]
        if any(mark in word for word in shown for mark in _BETWEEN):
            return None
        text = "、".join(shown)
    if field == "attribute":
        text = f"{part['name']}={text}"
    return Row(group, f"{field}:{name}", text)


def _condition(number: int, row: Row, publication: Publication) -> dict[str, Any]:
    try:
        if not row.kind:
            raise SegmentError("没有选是什么")  # told with its row's number
        condition = _read(_BY_KEY[row.kind], row.value.strip(), publication)
        read_rule(condition, publication)
    except BdnewsError as error:
        raise SegmentError(
            Phrase("第 %(row)s 行：%(problem)s", row=number + 1, problem=Phrase(error.message)),
            hint=error.hint,
        ) from error
    return condition


def _read(kind: Kind, value: str, publication: Publication) -> dict[str, Any]:
    field, comparison = kind.parts
    if comparison == "never":
        return {"field": field, "never": True}
    if not value:
        raise SegmentError("没有写取值", hint=Phrase("写法：%(hint)s。", hint=Phrase(kind.hint)))
    if comparison == "has":
        return {"field": field, "name": value}
    if comparison in {"within_days", "not_within_days"}:
        if not (value.isascii() and value.isdecimal() and len(value) < 5):
            raise SegmentError(Phrase("“%(value)s”不是天数", value=value[:20]), hint="写 1–3660 的一个数。")
        return {"field": field, comparison: int(value)}
    if comparison in {"after", "before"}:
        return {"field": field, comparison: value}
    more: dict[str, Any] = {}
    if field == "attribute":
        name, mark, value = value.partition("=")
        if not (name.strip() and mark):
            raise SegmentError("没有写是哪一项", hint="写成 名称=取值，如 单位=甲局。")
        more = {"name": name.strip()}
    words = [word for part in _split(value) if (word := part.strip())]
    match field:
        case "sections":
            found = [SectionNames(publication).read(word) for word in words]
            if any(one.whole for one in found):
                raise SegmentError("请写栏目的名称", hint="读整期的人总是算作读每个栏目。")
            words = [key for one in found for key in one.sections]
        case "channel":
            words = [read_channel(word).value for word in words]
        case "cadence":
            words = [read_cadence(word).value for word in words]
        case "language":
            words = [read_language(word) for word in words]
    return {"field": field, **more, "any_of": words}


def _split(text: str) -> list[str]:
    for mark in _BETWEEN:
        text = text.replace(mark, "、")
    return text.split("、")
