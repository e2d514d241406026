"""Bytes become lines, or are refused with the line where they went wrong."""

import time

import pytest

from bdnews_dispatch.errors import IssueError
from bdnews_dispatch.issues.parsing import parse_issue
from bdnews_dispatch.issues.parsing.decoding import MAX_LINES
from bdnews_dispatch.issues.publications import load_publications

DSJ = load_publications()["dsj"]
TEXT = "# 大数据发展动态\n\n第6期 总第104期\n\n# 数据要素流通\n\n正文一段。（来源：编辑部）\n"


def _error(data: bytes, *, max_bytes: int = 8 * 1024 * 1024) -> IssueError:
    with pytest.raises(IssueError) as caught:
        parse_issue(data, DSJ, max_bytes=max_bytes)
    return caught.value


@pytest.mark.parametrize(
    "data", [b"", b"\n\n  \r\n", b"\x00\x00", b"\xef\xbb\xbf", "\ufeff \u3000\n".encode()]
)
def test_an_empty_file_is_refused(data: bytes) -> None:
    assert _error(data).code == "issue.empty"


@pytest.mark.parametrize(
    "data",
    [
        b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
        b"PK\x03\x04" + bytes(200),
        b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20,
        bytes(range(256)) * 50,
        b"\x7fELF" + bytes(100) + b"\x01\x02" * 400,
    ],
)
def test_a_binary_file_is_refused(data: bytes) -> None:
    error = _error(data)
    assert error.code in {"issue.binary", "issue.encoding"}
    assert error.line
    assert error.hint


def test_a_large_file_is_refused_with_limit_and_line() -> None:
    line = "数据要素流通。\n".encode()
    error = _error(line * (20 * 1024 * 1024 // len(line)))
    assert error.code == "issue.too_large"
    assert error.line == 8 * 1024 * 1024 // len(line) + 1
    assert "8 MB" in error.message
    assert str(error.line) in error.message


def test_too_many_lines_are_refused_with_the_line() -> None:
    error = _error(b"a\n" * (MAX_LINES + 5))
    assert (error.code, error.line) == ("issue.too_many_lines", MAX_LINES + 1)


def test_a_file_without_articles_is_refused() -> None:
    error = _error("只有一句话。".encode())
    assert (error.code, error.line) == ("issue.no_articles", 1)


def test_control_characters_go_with_a_warning() -> None:
    document = parse_issue(TEXT.replace("正文", "正\x00\x07文").encode(), DSJ)
    (warning,) = [w for w in document.warnings if w.code == "text.control_characters"]
    assert warning.line == 7
    assert document.sections[0].articles[0].body[0].text == "正文一段。"


def test_a_damaged_character_is_replaced_with_a_warning() -> None:
    data = TEXT.encode()
    at = data.index("一段".encode())
    document = parse_issue(data[:at] + data[at + 1 :], DSJ)
    assert [(w.line, w.code) for w in document.warnings if w.code == "encoding.damaged"] == [
        (7, "encoding.damaged")
    ]


@pytest.mark.parametrize("text", ["业" * 30, "联通", "数据"])
def test_short_gb18030_texts_are_read(text: str) -> None:
    document = parse_issue(f"# 题目\n\n{text}产业融合。".encode("gb18030"), DSJ)
    assert document.sections[0].articles[0].body[0].text == f"{text}产业融合。"


@pytest.mark.fault(18)
def test_one_line_of_ten_megabytes() -> None:
    data = "# 题目\n\n".encode() + "数据，要素".encode() * 700_000
    assert _error(data).code == "issue.too_large"
    document = parse_issue(data, DSJ, max_bytes=16 * 1024 * 1024)
    assert len(document.sections[0].articles[0].body[0].text) == 3_500_000


_SHAPES = {
    "cut lines": "数据要素流通治理平台建设应用创新发展，产业融合城市服务能力提升标准\n\n",
    "labels": "编者按\n\n数\n\n# 题\n\n",
    "sources": "数。（来源：某\n\n# 题\n\n",
    "headings": "# 题\n",
    "contents": "- 01 题\n",
    "opened": "（来源：",
    "links": "[](",
    "pictures": "![\n",
    "emphasis": "*_",
    "quotes": "> > ",
    "pipes": "|-",
    "blanks": " \t",
    "names": "主编 张 三\n",
}


@pytest.mark.parametrize("shape", _SHAPES)
def test_time_grows_with_the_size_alone(shape: str) -> None:
    """Twice the file takes about twice the time: no hostile shape is quadratic."""

    def seconds(size: int) -> float:
        hostile = _SHAPES[shape] * (size // len(_SHAPES[shape]))
        data = f"# 大数据发展动态\n\n## 目录\n\n{hostile}\n\n# 题\n\n数。".encode()
        began = time.process_time()
        parse_issue(data, DSJ)
        return time.process_time() - began

    seconds(1000)
    small = min(seconds(20_000) for _ in range(2))
    assert seconds(160_000) < 8 * 4 * max(small, 0.01)
