"""Charts are whole, quiet pictures: XML that runs nothing and asks nobody, the same bytes for the same rows."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from itertools import pairwise

import pytest

from bdnews_dispatch.web.charts import DARK, LIGHT, POLICY, SIZES, Chart, Look, Series, Size, Unit, draw
from bdnews_dispatch.web.pages import ASSETS

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = [
    "<script>alert(1)</script>\"'&",
    "]]></style><script>alert(1)</script>",
    "{{ 7*7 }} %(x)s {0} \\",
    "\x00\x07\x1b[31m\u202e\ufffe\ud800 控制",
    "javascript:alert(1)",
    "很长的题目" * 60,
    "",
]


def lines(*, name: str = "打开", label: str = "2026-11") -> Chart:
    return Chart(
        name,
        [*(f"2026-{month:02}" for month in range(1, 12)), label],
        [
            Series(name, [0.1, None, 0.2, 0.25, 0.2, 0.3, 0.31, 0.3, 0.28, 0.33, 0.3, 0.32]),
            Series("此前", [0.2] * 12, Look.USUAL),
        ],
        Unit.RATE,
    )


def bars(*, name: str = "新增") -> Chart:
    return Chart(
        name,
        ["2026-10", "2026-11"],
        [Series(name, [1200, 0]), Series("离开", [-300, 0], Look.SECOND)],
        Unit.PEOPLE,
        bars=True,
    )


def texts(drawn: bytes) -> list[str]:
    return [node.text or "" for node in ET.fromstring(drawn).iter(f"{SVG}text")]  # noqa: S314  # ours


@pytest.mark.parametrize("size", list(Size))
@pytest.mark.parametrize("chart", [lines(), bars(), *(lines(name=text, label=text) for text in HOSTILE)])
def test_it_runs_nothing_and_asks_nobody(chart: Chart, size: Size) -> None:
    drawn = draw(chart, size)
    root = ET.fromstring(drawn)  # noqa: S314  # ours
    kinds = {node.tag.removeprefix(SVG) for node in root.iter()}
    assert kinds <= {"svg", "title", "defs", "style", "g", "path", "circle", "rect", "text"}
    for node in root.iter():
        assert not {
            name for name in node.attrib if name.startswith("on") or "href" in name or name == "style"
        }
    style = next(root.iter(f"{SVG}style")).text or ""
    assert not re.search(r"url\(|@import|expression|https?:|//", style)
    assert b"http" not in drawn.replace(b'xmlns="http://www.w3.org/2000/svg"', b"")
    assert b"<!--" not in drawn
    assert b"<?xml-stylesheet" not in drawn
    assert (root.get("width"), root.get("height")) == tuple(str(one) for one in SIZES[size])


@pytest.mark.parametrize("chart", [lines(), bars()])
def test_the_same_rows_are_the_same_bytes(chart: Chart) -> None:
    assert draw(chart) == draw(chart)


def test_hostile_words_are_words() -> None:
    for text in HOSTILE[:3]:
        root = ET.fromstring(draw(lines(name=text)))  # noqa: S314  # ours
        assert next(root.iter(f"{SVG}title")).text == text
        assert len(list(root.iter(f"{SVG}style"))) == 1
    long = next(one for one in texts(draw(lines(name=HOSTILE[5]))) if one.startswith("很长"))
    assert len(long) < 12
    assert long.endswith("…")


def test_an_axis_has_round_numbers_and_says_what_they_are() -> None:
    assert [text for text in texts(draw(lines())) if text.endswith("%")] == [
        "0 %", "10 %", "20 %", "30 %", "40 %"
    ]  # fmt: skip
    assert [text for text in texts(draw(bars())) if re.fullmatch(r"[\d,]+", text)] == [
        "500", "0", "500", "1,000", "1,500"
    ]  # fmt: skip
    few = Chart("", ["1"], [Series("", [2])], Unit.PEOPLE)
    assert all(re.fullmatch(r"\d+|", text) for text in texts(draw(few))), "people are whole"


def test_charts_beside_each_other_reach_as_high() -> None:
    low = Chart("", ["a", "b"], [Series("", [0.01, 0.02])], Unit.RATE, highest=0.4)
    assert "40 %" in texts(draw(low))


def test_a_last_point_has_its_label_on_every_size() -> None:
    for size in Size:
        found = texts(draw(lines(), size))
        assert "2026-11" in found
        assert "打开" in found
        assert len([text for text in found if text.startswith("2026-")]) >= 3


def test_names_of_lines_that_end_together_stand_apart() -> None:
    chart = Chart("", ["a", "b"], [Series(name, [0.1, 0.1]) for name in ("甲", "乙", "丙")], Unit.RATE)
    root = ET.fromstring(draw(chart))  # noqa: S314  # ours
    names = next(node for node in root.iter(f"{SVG}g") if node.get("class") == "names")
    places = sorted(float(node.get("y", "0")) for node in names)
    assert all(after - before >= 14 for before, after in pairwise(places))


def test_a_line_that_ends_early_has_its_name_there() -> None:
    chart = Chart(
        "",
        [str(n) for n in range(72)],
        [Series("今", [0.1, 0.2, *[None] * 70]), Series("昔", [0.1] * 72)],
        Unit.RATE,
    )
    root = ET.fromstring(draw(chart))  # noqa: S314  # ours
    names = next(node for node in root.iter(f"{SVG}g") if node.get("class") == "names")
    x = {node.text: float(node.get("x", "0")) for node in names}
    assert x["今"] < x["昔"] / 4


@pytest.mark.parametrize("values", [[], [None, None], [0.0], [5.0]])
def test_there_may_be_little_to_draw(values: list[float | None]) -> None:
    chart = Chart("空", [str(n) for n in range(len(values))], [Series("甲", values)], Unit.PEOPLE)
    for size in Size:
        ET.fromstring(draw(chart, size))  # noqa: S314  # ours


def test_colours_are_those_of_the_pages() -> None:
    css = (ASSETS / "pages.css").read_text("utf-8")
    light, dark = css.split("@media (prefers-color-scheme: dark)", 1)
    for tokens, where in ((LIGHT, light), (DARK, dark)):
        for name, colour in tokens.items():
            found = re.search(rf"--{name}: (#\w+)", where)
            assert found is not None
            assert found[1] == colour, name


def test_its_own_answer_may_style_itself_and_nothing_else() -> None:
    assert POLICY.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in POLICY


def test_what_draws_is_loaded_where_something_is_drawn() -> None:
    """Every process imports the pages; the library takes a seventh of a second."""
    code = "import sys, bdnews_dispatch.web.routes; print([m for m in sys.modules if m.startswith('pygal')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_it_leaves_imports_as_they_were() -> None:
    draw(bars())
    assert all(hasattr(finder, "find_spec") for finder in sys.meta_path)


def test_dots_stand_where_the_axis_says() -> None:
    values = [0.1, 0.0, 0.2, None, 0.317]
    root = ET.fromstring(draw(Chart("", list("abcde"), [Series("甲", values)], Unit.RATE)))  # noqa: S314  # ours
    marks = {}
    for axis in root.iter(f"{SVG}g"):
        if (axis.get("class") or "").startswith("axis y"):
            for guide in axis:
                text, path = guide.find(f"{SVG}text"), guide.find(f"{SVG}path")
                if text is not None and path is not None:
                    marks[float((text.text or "").rstrip(" %")) / 100] = float(path.get("d", "").split()[1])
    top, bottom = max(marks), min(marks)
    seen = [
        bottom + (top - bottom) * (marks[bottom] - float(dot.get("cy", "0"))) / (marks[bottom] - marks[top])
        for dot in root.iter(f"{SVG}circle")
    ]
    assert seen == pytest.approx([0.1, 0.0, 0.2, 0.317], abs=1e-4)
