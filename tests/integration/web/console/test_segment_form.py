"""A segment is written in rows: added, taken away, in groups, counted, saved, changed again; an error names its row."""

import json
from typing import Any

import pytest
from sqlmodel import select
from tests.integration.web.console.conftest import Desk
from tests.integration.web.readers_site import words
from tests.making import DSJ, import_csv

from bdnews_dispatch.subscribers.models import Segment
from bdnews_dispatch.subscribers.segments import read_rule
from bdnews_dispatch.web.console.conditions import KINDS, Row, Written, rule_of, written_of

ROOM = "/console/segments"
PEOPLE = (
    "email,name,sections,tags,channel,attr:单位\n"
    "a@gz.gov.cn,甲,policy,专家,email,甲局\nb@readers.example,乙,policy,,email,\nc@gov.cn,丙,local,内部,email,乙局\n"
)
#: A value that each kind of row takes.
VALUES = {
    "list:any_of": "名单、另一个",
    "tag:any_of": "专家",
    "sections:any_of": "国策要论、地方新政",
    "channel:any_of": "邮件、微信优先",
    "cadence:any_of": "每期、只收快讯",
    "language:any_of": "中文、英文",
    "domain:any_of": "gov.cn",
    "attribute:any_of": "单位=甲局、乙局",
    "attribute:has": "单位",
    "joined:within_days": "90",
    "joined:after": "2026-11-20",
    "joined:before": "2026-11-21",
    "last_opened:within_days": "90",
    "last_opened:not_within_days": "90",
    "last_opened:after": "2026-11-20",
    "last_opened:before": "2026-11-20",
    "last_opened:never": "",
}


def form_of(hows: str, *rows: tuple[int, str, str], **more: str) -> dict[str, str]:
    """As the page posts it."""
    form = {f"g{number}": how for number, how in enumerate(hows.split())}
    for number, (group, kind, value) in enumerate(rows):
        form |= {f"r{number}.group": str(group), f"r{number}.kind": kind, f"r{number}.value": value}
    return {**form, **more}


@pytest.fixture
async def people(desk: Desk) -> None:
    await import_csv(
        desk.site.database, desk.site.clock, DSJ, PEOPLE.encode(), list_name="名单", origin_name="t.csv"
    )


async def saved(desk: Desk) -> list[dict[str, Any]]:
    async with desk.site.database.read() as session:
        return [one.rule for one in (await session.exec(select(Segment))).all()]


async def test_rows_are_counted_saved_shown_again_and_changed(desk: Desk, people: None) -> None:
    page = await desk.page(ROOM)
    assert page.count('name="r0.kind"') == 1
    rows = [(0, "sections:any_of", "国策要论"), (1, "domain:any_of", "gov.cn"), (1, "tag:any_of", "专家")]
    counted = words(await (await desk.post(ROOM, form_of("all any", *rows, name="政务", do="count"))).text())
    assert "现在有 1 人符合。还没有保存" in counted
    assert await saved(desk) == []
    await desk.done(ROOM, form_of("all any", *rows, name="政务", do="save"))
    assert await saved(desk) == [
        {
            "all": [
                {"field": "sections", "any_of": ["policy"]},
                {"any": [{"field": "domain", "any_of": ["gov.cn"]}, {"field": "tag", "any_of": ["专家"]}]},
            ]
        }
    ]
    again = await desk.page(f"{ROOM}?name=政务")
    assert 'value="国策要论"' in again
    assert '<option value="domain:any_of" selected>' in again
    assert '<option value="any" selected>' in again
    without = [(0, "sections:any_of", "国策要论"), (1, "tag:any_of", "内部")]
    await desk.done(ROOM, form_of("all none", *without, name="政务", do="save"))
    assert (await saved(desk))[0]["all"][1] == {"none": [{"field": "tag", "any_of": ["内部"]}]}
    part = await desk.post(f"{ROOM}/count", form_of("all none", *without))
    assert "现在有 2 人符合" in await part.text()
    assert "<html" not in await part.text()


async def test_rows_and_groups_come_and_go_by_buttons_and_keep_what_was_typed(desk: Desk) -> None:
    rows = [(0, "tag:any_of", "甲"), (0, "", "")]
    form = {"name": "名"}
    more = await (await desk.post(ROOM, form_of("any", *rows, **form, do="add:0"))).text()
    assert all(text in more for text in ('name="r2.kind"', 'value="甲"', 'value="名"'))
    grouped = await (await desk.post(ROOM, form_of("any", *rows, **form, do="group"))).text()
    assert all(text in grouped for text in ('name="g1"', 'name="r2.group" value="1"', "第 1 组"))
    three = [*rows, (1, "tag:any_of", "乙")]
    added = await (await desk.post(ROOM, form_of("any all", *three, **form, do="add:1"))).text()
    assert 'name="r3.group" value="1"' in added
    fewer = await (await desk.post(ROOM, form_of("any all", *three, **form, do="remove:0"))).text()
    assert 'value="甲"' not in fewer
    assert 'name="r1.group" value="1"' in fewer
    single = await (await desk.post(ROOM, form_of("any all", *three, **form, do="ungroup:1"))).text()
    assert 'value="乙"' not in single
    assert 'name="g1"' not in single
    assert await saved(desk) == []


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ((0, "sections:any_of", "没有的"), "没有名为“没有的”的栏目"),
        ((0, "joined:within_days", "很久"), "“很久”不是天数"),
        ((0, "joined:within_days", "0"), "细分规则的"),
        ((0, "joined:after", "昨天"), "细分规则的"),
        ((0, "tag:any_of", ""), "没有写取值"),
        ((0, "", "专家"), "没有选是什么"),
        ((0, "attribute:any_of", "甲局"), "没有写是哪一项"),
        ((0, "channel:any_of", "鸽子"), "渠道“鸽子”不认识"),
    ],
)
async def test_an_error_names_its_row_and_nothing_is_lost(
    desk: Desk, row: tuple[int, str, str], said: str
) -> None:
    answer = await desk.post(ROOM, form_of("all", (0, "tag:any_of", "好"), row, name="名", do="save"))
    text = await answer.text()
    assert answer.status == 422
    assert f"第 2 行：{said}" in text
    assert 'value="好"' in text
    assert f'value="{row[2]}"' in text
    assert (
        f"第 2 行：{said}"
        in await (await desk.post(f"{ROOM}/count", form_of("all", (0, "tag:any_of", "好"), row))).text()
    )
    assert await saved(desk) == []


async def test_nothing_at_all_is_no_rule(desk: Desk) -> None:
    answer = await desk.post(ROOM, form_of("all", (0, "", ""), name="空", do="save"))
    assert "还没有条件" in await answer.text()


async def test_the_expert_writes_json_and_what_goes_deeper_stays_json(desk: Desk) -> None:
    flat = {"field": "tag", "any_of": ["专家"]}
    deep = {"any": [{"all": [{"none": [flat]}, flat]}]}
    for name, rule in (("浅", flat), ("深", deep)):
        await desk.done(ROOM, {"name": name, "rule": json.dumps(rule), "do": "save"})
    page = await desk.page(f"{ROOM}?name=浅")
    assert 'name="r0.kind"' in page
    assert "有标签：其中之一 专家" in page, "what a form can hold is told in its words"
    assert "any_of" not in page.partition("</table>")[0].partition("深")[0]
    page = await desk.page(f"{ROOM}?name=深")
    assert "只能以 JSON 更改" in page
    assert 'name="r0.kind"' not in page


def test_every_kind_of_row_becomes_a_rule_and_a_row_again() -> None:
    assert set(VALUES) == {kind.key for kind in KINDS}
    for how in ("all", "any", "none"):
        rows = tuple(Row(group, key, value) for group in (0, 1) for key, value in VALUES.items())
        written = Written((how, "any"), rows)
        rule = rule_of(written, DSJ)
        kept = read_rule(rule, DSJ).model_dump(mode="json", exclude_none=True)
        assert written_of(kept, DSJ) == written


def test_two_bounds_in_one_condition_are_rows_only_where_all_must_hold() -> None:
    both = {"field": "joined", "after": "2026-01-01", "before": "2026-02-01"}
    shown = written_of({"all": [both]}, DSJ)
    assert shown is not None
    assert [row.value for row in shown.rows] == ["2026-01-01", "2026-02-01"]
    assert written_of({"any": [both]}, DSJ) is None
    assert written_of({"all": [{"field": "tag", "any_of": ["a、b"]}]}, DSJ) is None, (
        "a word with a mark in it"
    )
