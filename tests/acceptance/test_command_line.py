"""The command line: JSON where it is asked for, a sentence and an exit code where something is wrong."""

import json
from typing import TYPE_CHECKING

import pytest

from bdnews_dispatch.shipped import shipped

if TYPE_CHECKING:
    from tests.acceptance.conftest import Machine

SAMPLE = shipped("config") / "samples" / "dsj-sample.md"


def test_parse_prints_one_object_of_the_agreed_shape(machine: "Machine") -> None:
    parsed = machine.json("issues", "parse", str(SAMPLE))
    assert set(parsed) >= {
        "publication",
        "number",
        "total_number",
        "date",
        "title",
        "tagline",
        "masthead",
        "contact",
        "notice",
        "sections",
        "warnings",
    }
    assert [section["key"] for section in parsed["sections"]] == [
        "policy",
        "local",
        "industry",
        "frontier",
        "company",
    ]
    article = parsed["sections"][0]["articles"][0]
    assert set(article) >= {"title", "page", "editor_note", "source", "body", "line"}
    assert set(article["body"][0]) >= {"type", "level", "text"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("issues", "parse", "nowhere.md"), "nowhere.md"),
        (("issues", "publish", "404"), "404"),
        (("dispatch", "show", "404"), "404"),
        (("dispatch", "start", "--issue", "404"), "404"),
        (("subscribers", "import", "nowhere.csv", "--basis", "会场登记"), "nowhere.csv"),
        (("subscribers", "add", "--email", "not an address"), "邮箱"),
        (("bulletins", "send", "--title", "x", "--body", "nowhere.md"), "nowhere.md"),
        (("issues", "parse", str(SAMPLE), "--publication", "nope"), "nope"),
    ],
)
def test_what_is_wrong_is_said_in_words(machine: "Machine", arguments: tuple[str, ...], words: str) -> None:
    done = machine.run(*arguments, code=1)
    assert words in done.stderr
    assert done.stdout == ""


def test_an_empty_file_says_which_line_and_code(machine: "Machine") -> None:
    empty = machine.folder / "empty.md"
    empty.write_bytes(b"")
    assert "issue." in machine.run("issues", "parse", str(empty), code=1).stderr


def test_an_unknown_setting_stops_every_command(machine: "Machine") -> None:
    machine.environment["BDNEWS_EMAIL__HOTS"] = "x"
    for command in (("serve",), ("issues", "list"), ("worker",)):
        assert "BDNEWS_EMAIL__HOST" in machine.run(*command, code=1).stderr


def test_doctor_tells_what_to_do(machine: "Machine") -> None:
    findings = machine.json("doctor")
    assert {finding["state"] for finding in findings} <= {"ok", "warn"}
    machine.environment |= {
        "BDNEWS_DELIVERY__ALLOW": "everybody",
        "BDNEWS_EMAIL__PORT": "9",
        "BDNEWS_EMAIL__PASSWORD": "very-secret",
    }
    done = machine.run("doctor", "--json", code=1)
    findings = {finding["check"]: finding for finding in json.loads(done.stdout)}
    assert findings["邮件服务器"]["state"] == "fail"
    assert findings["邮件服务器"]["what_to_do"]
    assert "very-secret" not in done.stdout + done.stderr


def test_people_can_be_added_listed_and_exported(machine: "Machine") -> None:
    added = machine.json(
        "subscribers", "add", "--email", "a@readers.example", "--name", "甲", "--sections", "国策要论"
    )
    assert added["status"] == "added"
    again = machine.json("subscribers", "add", "--email", "A@Readers.example", "--sections", "policy")
    assert (again["id"], again["status"]) == (added["id"], "unchanged")
    (person,) = machine.json("subscribers", "list")
    assert person["sections"] == ["policy"]
    policy, local, *_ = machine.json("reports", "sections")
    assert [policy["section"], policy["rate"], len(policy["points"])] == ["policy", None, 12]
    assert (policy["points"][-1]["readers"], local["points"][-1]["readers"]) == (1, 0)
    table = machine.folder / "sections.csv"
    machine.run("reports", "sections", "--year", "2000", "--to", str(table))
    assert table.read_text("utf-8-sig").count("国策要论,2000-") == 12
    assert "栏目" in machine.run("reports", "sections", "--by", "issue").stdout
    exported = machine.folder / "out.csv"
    machine.run("subscribers", "export", "--output", str(exported))
    report = machine.json("subscribers", "import", str(exported), "--basis", "会场登记")
    assert (report["unchanged"], report["errors"]) == (1, [])


def test_a_taken_port_is_a_sentence(machine: "Machine") -> None:
    machine.start("web")
    assert str(machine.web_port) in machine.run("web", code=1).stderr


def test_the_demo_does_the_whole_job(machine: "Machine") -> None:
    told = json.loads(machine.run("demo", "--once").stdout)
    assert told["dispatch"]["state"] == "finished"
    assert len(told["mails"]) == 3
    assert len(told["cards"]) == 1
    assert told["came_back"]["answers"] == {"open": 200, "click": 302, "unsubscribe": 200}
    counts = told["came_back"]["counts"]
    assert (counts["opened"], counts["clicked"], counts["unsubscribed"]) == (1, 1, 1)


def test_dispatches_are_listed_for_people_and_for_programs(machine: "Machine") -> None:
    body = machine.folder / "body.md"
    body.write_text("内容。", encoding="utf-8")
    sent = machine.json(
        "bulletins", "send", "--title", "平台停机维护", "--body", str(body), "--at", "2099-01-02T09:00"
    )
    listed = machine.run("dispatch", "list").stdout
    assert "平台停机维护" in listed
    assert "待开始（scheduled）" in listed
    assert "2099-01-02 09:00" in listed, "as it was written: in the settings' zone"
    [row] = machine.json("dispatch", "list")
    assert (row["title"], row["state"], row["kind"]) == ("平台停机维护", "scheduled", "bulletin")
    assert row["due_at"] == "2099-01-02T01:00:00+00:00"
    shown = machine.run("dispatch", "show", str(sent["dispatch"])).stdout
    assert "平台停机维护" in shown
    assert "待开始（scheduled）" in shown
