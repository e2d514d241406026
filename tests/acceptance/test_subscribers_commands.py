"""The commands around people, as an admin types them: import, check, result, lists, segments, tags, records, export."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import xlsxwriter

if TYPE_CHECKING:
    from tests.acceptance.conftest import Machine

PEOPLE = (
    "编号,电子邮箱,姓名,栏目,工作单位\n"
    "1,li.si@gz.gov.cn,李四,国策要论,甲局\n"
    "2,zhang@qq.con,张三,,乙局\n"
    "3,bad,王五,,\n"
    "4,zhao@example.cn,＝1+1,体育,\n"
)


def test_from_a_file_to_a_segment(machine: "Machine", tmp_path: Path) -> None:
    file = tmp_path / "名单.csv"
    file.write_text(PEOPLE, encoding="gb18030")

    # Without a basis nothing begins; a check needs none and writes nothing.
    assert "依据" in machine.run("subscribers", "import", str(file), code=1).stderr
    checked = machine.json("subscribers", "import", str(file), "--check")
    assert (checked["state"], checked["added"], checked["refused"]) == ("checked", 2, 2)
    assert checked["unknown_columns"] == ["编号", "工作单位"]
    assert {kind["code"]: kind["rows"] for kind in checked["kinds"]} == {
        "email.invalid": 1,
        "email.typo": 1,
        "sections.unknown": 1,
    }
    assert "zhang@qq.com" in machine.run("subscribers", "import", str(file), "--check").stdout
    assert machine.json("subscribers", "list") == []
    assert machine.json("subscribers", "imports", "list") == []

    given = ["--basis", "2026 年会场登记", "--list", "会场", "--map", "attr:单位=工作单位"]
    result = tmp_path / "未导入.csv"
    report = machine.json("subscribers", "import", str(file), *given, "--result", str(result))
    assert (report["added"], report["refused"], report["unknown_columns"]) == (2, 2, ["编号"])
    assert [(one["row"], one["code"]) for one in report["errors"]] == [
        (4, "email.invalid"),
        (5, "sections.unknown"),
    ]
    text = result.read_text(encoding="utf-8-sig")
    assert "'＝1+1" in text
    result.write_text(
        text.replace("bad", "wang@example.cn").replace("体育", "地方新政"), encoding="utf-8-sig"
    )
    again = machine.json("subscribers", "import", str(result), *given)
    assert (again["added"], again["refused"]) == (2, 0)
    shown = machine.run("subscribers", "imports", "show", str(report["id"])).stdout
    assert "第 4 行 email" in shown
    assert "已完成" in machine.run("subscribers", "imports", "list").stdout
    assert "没有编号为 99" in machine.run("subscribers", "imports", "cancel", "99", code=1).stderr

    # Lists, tags and segments.
    assert machine.json("lists", "list")[0]["members"] == 4
    machine.run("lists", "create", "专家组", "--public", "--description", "每月一次")
    assert machine.json("lists", "add", "专家组", "LI.SI@gz.gov.cn", "2")["people"] == [1, 2]
    assert machine.json("lists", "remove", "专家组", "2")["removed"] == 1
    assert [one["email"] for one in machine.json("lists", "members", "专家组")] == ["li.si@gz.gov.cn"]
    assert machine.json("subscribers", "tag", "add", "专家", "1", "wang@example.cn")["added"] == 2
    assert machine.json("subscribers", "tag", "add", "专家", "1")["added"] == 0
    assert machine.json("subscribers", "tag", "remove", "专家", "wang@example.cn")["removed"] == 1
    saved = machine.json(
        "segments", "save", "贵州", "--tag", "专家", "--domain", "gov.cn", "--attribute", "单位=甲局"
    )
    assert (saved["people"], len(saved["rule"]["all"])) == (1, 3)
    assert machine.json("segments", "count", "--section", "国策要论")["people"] == 3
    rule = tmp_path / "rule.json"
    rule.write_text('{"none": [{"field": "domain", "any_of": ["gov.cn"]}]}', encoding="utf-8")
    assert machine.json("segments", "count", "--rule", str(rule))["people"] == 3
    assert "条件" in machine.run("segments", "count", code=1).stderr
    assert machine.json("segments", "show", "贵州")["people"] == 1
    machine.run("segments", "remove", "贵州")
    assert machine.json("segments", "list") == []

    # One person's records, with the words of the basis.
    history = machine.run("subscribers", "history", "li.si@gz.gov.cn").stdout
    assert "文字：2026 年会场登记" in history
    assert f"import {report['id']}, row 2" in history
    assert "单位=甲局" in history

    # What goes out comes back, whole.
    out = tmp_path / "全部.csv"
    machine.run("subscribers", "export", "--everything", "--list", "会场", "--output", str(out))
    lines = out.read_text(encoding="utf-8-sig").splitlines()
    assert lines[0] == "email,name,openid,sections,channel,cadence,language,tags,attr:单位"
    assert "zhao@example.cn,'＝1+1,,local,email,issue,zh,," in lines
    same = machine.json("subscribers", "import", str(out), "--basis", "2026 年会场登记")
    assert (same["unchanged"], same["refused"]) == (4, 0)


def test_one_person_by_hand(machine: "Machine") -> None:
    given = ("subscribers", "add", "--email", "a@example.cn")
    assert machine.json(*given, "--sections", "国策要论", "--cadence", "weekly")["status"] == "added"
    assert machine.json(*given, "--name", "甲")["status"] == "changed"
    [shown] = machine.json("subscribers", "list")
    assert (shown["sections"], shown["cadence"], shown["name"]) == (["policy"], "weekly", "甲")
    assert machine.json("subscribers", "unsubscribe", "A@example.cn", "--reason", "来电")["unsubscribed"]
    assert not machine.json("subscribers", "unsubscribe", "1")["unsubscribed"]
    assert "已退订" in machine.run(*given, code=1).stderr
    assert "结束：admin:来电" in machine.run("subscribers", "history", "1").stdout
    assert machine.json(*given, "--resubscribe", "--sections", "*")["status"] == "added"
    assert machine.json("subscribers", "list")[0]["sections"] == ["*"]


def test_a_workbook_in_the_background(machine: "Machine", tmp_path: Path) -> None:
    file = tmp_path / "名单.xlsx"
    with xlsxwriter.Workbook(file) as book:
        sheet = book.add_worksheet("名单")
        for number, row in enumerate([["邮箱", "姓名"], ["a@example.cn", "甲"], ["b@example.cn", "乙"]]):
            sheet.write_row(number, 0, row)
    begun = machine.json("subscribers", "import", str(file), "--basis", "登记", "--background")
    assert (begun["state"], begun["done"]) == ("running", 0)
    machine.start("worker")
    deadline = time.monotonic() + 60
    while machine.json("subscribers", "imports", "show", str(begun["id"]))["state"] != "finished":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert [one["name"] for one in machine.json("subscribers", "list")] == ["甲", "乙"]
