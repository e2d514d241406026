"""Issues as JSON: what is printed can be handed in; what is wrong is said with its place, and nothing is taken."""

import json
from typing import Any

import jsonschema
import pytest
from tests.making import document

from bdnews_dispatch.errors import IssueError
from bdnews_dispatch.issues.document import IssueDocument
from bdnews_dispatch.issues.parsing import issue_schema, parse_detected
from bdnews_dispatch.issues.publications import load_publications

PUBLICATIONS = load_publications()
LEAST: dict[str, Any] = {
    "publication": "dsj",
    "total_number": 112,
    "title": "大数据发展动态",
    "sections": [
        {"key": "policy", "articles": [{"title": "题目", "body": [{"type": "paragraph", "text": "话"}]}]}
    ],
}


def read(raw: Any, key: str | None = None) -> IssueDocument:
    data = raw if isinstance(raw, bytes) else json.dumps(raw, ensure_ascii=False).encode()
    return parse_detected(data, PUBLICATIONS, key, max_bytes=100_000).document


def changed(*path: str | int, to: Any) -> dict[str, Any]:
    raw = json.loads(json.dumps(LEAST))
    inner = raw
    for part in path[:-1]:
        inner = inner[part]
    inner[path[-1]] = to
    return raw  # type: ignore[no-any-return]


@pytest.mark.parametrize("front", [b"", b"\xef\xbb\xbf", b" \r\n\t"])
def test_what_is_printed_can_be_handed_in(front: bytes) -> None:
    there = document()
    printed = there.model_dump_json(indent=2)
    assert read(front + printed.encode()) == there
    jsonschema.validate(json.loads(printed), issue_schema())
    jsonschema.validate(LEAST, issue_schema())


def test_the_least_is_filled_up() -> None:
    found = read(LEAST, "dsj")
    assert (found.sections[0].name, found.number, found.date) == ("国策要论", None, None)


def test_what_no_text_may_hold_is_taken_out() -> None:
    raw = changed("sections", 0, "articles", 0, "title", to=" 题\u0000\n目\u200b \ud800")
    data = json.dumps(raw).encode()  # as escapes
    assert read(data).sections[0].articles[0].title == "题 目 ?"


ARTICLE = ("sections", 0, "articles", 0)
WRONG: list[tuple[Any, str]] = [
    (b'{"publication": ', "第 1 行第 17 列"),
    (b'{"publication": "dsj",\n "title": }', "第 2 行"),
    (b'{"a":' * 20_000, "嵌套过深"),
    (b'{"total_number": ' + b"9" * 5_000 + b"}", "数字过长"),
    ({}, "publication："),
    (changed("publication", to="none"), "没有名为 none 的刊物"),
    (changed("total_number", to=0), "total_number：应为"),
    (changed("total_number", to="第一期"), "total_number："),
    (changed("sections", 0, "key", to="weather"), "sections[0].key：《大数据发展动态》没有 weather"),
    (changed("sections", to=[LEAST["sections"][0]] * 2), "sections[1].key：policy 出现了两次"),
    (changed(*ARTICLE, "title", to=" \n"), "sections[0].articles[0].title：不能为空"),
    (changed(*ARTICLE, "url", to="javascript:alert(1)"), "sections[0].articles[0].url"),
    (changed(*ARTICLE, "url", to="http://[::1"), "sections[0].articles[0].url"),
    (
        changed(*ARTICLE, "body", to=[{"type": "image", "text": "", "url": "file:///etc/passwd"}]),
        "body[0].url",
    ),
    (changed(*ARTICLE, "body", to=[{"type": "heading", "text": "x"}]), "body[0].level"),
    (changed("preface", to=[{"type": "image", "text": "", "link": "javascript:x"}]), "preface[0].link"),
    (changed(*ARTICLE, "body", to=[{"type": "script", "text": "x"}]), "sections[0].articles[0].body[0].type"),
    (changed(*ARTICLE, "more", to=1), "sections[0].articles[0].more"),
]


@pytest.mark.parametrize(("raw", "said"), WRONG, ids=[said for _, said in WRONG])
def test_what_is_wrong_is_said_with_its_place(raw: Any, said: str) -> None:
    with pytest.raises(IssueError) as caught:
        read(raw)
    assert caught.value.code == "issue.json"
    assert said in caught.value.message
    assert len(caught.value.message) < 1_000


def test_nothing_and_another_one() -> None:
    with pytest.raises(IssueError, match="没有任何文章"):
        read(changed("sections", to=[]))
    with pytest.raises(IssueError, match="交来时指定的是"):
        read(LEAST, "weekly")
