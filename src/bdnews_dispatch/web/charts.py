"""Charts: plain rows → SVG. In: labels and lines of numbers. Out: bytes. Callers: the console's reports.

pygal scales and draws; what it brings along for its own script goes (the script, tooltips, comments with today's date),
and the stylesheet is ours, so that the same rows are the same bytes. A chart stands in an `<img>`: it runs nothing,
fetches nothing, and follows the page from light to dark. Lines carry their names at their ends; the numbers are in a
table beside.
"""

import base64
import hashlib
import math
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import pairwise
from typing import Any


class Look(StrEnum):
    """How a line looks; its name in the stylesheet."""

    MAIN = "main"
    #: Beside it.
    SECOND = "second"
    #: What is usual, for comparison: dashed.
    USUAL = "usual"
    SECOND_USUAL = "second-usual"


class Unit(StrEnum):
    """What the axis counts."""

    #: Values between 0 and 1.
    RATE = "rate"
    PEOPLE = "people"


class Size(StrEnum):
    """For which place on a page it is drawn."""

    WIDE = "wide"
    HALF = "half"
    NARROW = "narrow"


#: In pixels: a chart is drawn in the size that it is shown in, so that its text stays as large as the page's.
SIZES = {Size.WIDE: (760, 300), Size.HALF: (500, 240), Size.NARROW: (343, 230)}


@dataclass(frozen=True, slots=True)
class Series:
    """A line, or the bars of one colour. Attributes: values: as many as the chart has labels; None: not known."""

    name: str
    values: Sequence[float | None]
    look: Look = Look.MAIN


@dataclass(frozen=True, slots=True)
class Chart:
    """What is drawn.

    Attributes:
        title: read by who opens the picture by itself.
        labels: under the axis, one for each place; as many are shown as fit.
        bars: stacked from zero, upwards and downwards, instead of lines.
        highest: that the axis reaches at least, so that charts beside each other compare.
    """

    title: str
    labels: Sequence[str]
    series: Sequence[Series]
    unit: Unit
    bars: bool = False
    highest: float = 0.0


@dataclass(slots=True)
class _End:
    """Where a line ends: its number, and its place in the picture."""

    number: int
    y: float
    x: float = 0.0


_FONTS = (
    '"PingFang SC","HarmonyOS Sans SC","Microsoft YaHei","Noto Sans CJK SC","Source Han Sans SC",system-ui,'
    "sans-serif"
)
#: The tokens of pages.css (a test compares them).
LIGHT = {"ink": "#1b2430", "secondary": "#566273", "rule": "#dfe3e9", "brand": "#12427a", "paper": "#ffffff"}
DARK = {"ink": "#e8ebf0", "secondary": "#a7b0bd", "rule": "#2c323c", "brand": "#7fb0ee", "paper": "#14171c"}


def _tokens(colours: dict[str, str]) -> str:
    return "svg{" + ";".join(f"--{name}:{colour}" for name, colour in colours.items()) + "}"


STYLE = (
    f"{_tokens(LIGHT)}@media screen and (prefers-color-scheme:dark){{{_tokens(DARK)}}}"
    f"text{{font:12px {_FONTS};fill:var(--secondary);font-variant-numeric:tabular-nums}}"
    ".axis.x text{text-anchor:middle}.axis.y text{text-anchor:end}"
    ".axis path{fill:none;stroke:var(--rule)}.axis.x .guide,.axis.x .line{stroke:none}"
    ".line{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}"
    ".main .line{stroke:var(--brand)}.main .dot,.main rect{fill:var(--brand)}"
    ".second .line{stroke:var(--secondary)}.second .dot,.second rect{fill:var(--secondary)}"
    ".usual .line{stroke:var(--brand);stroke-width:1.5;stroke-dasharray:4 4}"
    ".second-usual .line{stroke:var(--secondary);stroke-width:1.5;stroke-dasharray:4 4}"
    ".usual .dot,.second-usual .dot{display:none}"
    ".names text{paint-order:stroke;stroke:var(--paper);stroke-width:3px;stroke-linejoin:round}"
    ".names .main{fill:var(--brand);font-weight:600}.names .usual{fill:var(--brand)}.names .second{font-weight:600}"
)
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
#: Of the picture's own answer: it may style itself, and nothing else.
POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_TEXT = 12
_LINE = 15
#: Between a line's end and its name.
_GAP = 8
#: A name at a line's end is no longer than this, in pixels.
_LONGEST_NAME = 120
#: Dots show single values; with more of them they are a smear.
_MOST_DOTS = 26
_TICKS = 4
#: Of months and of hours, every so many have a label.
_STEPS = (1, 2, 3, 4, 6, 12, 24, 48, 96)
_LEFT_OUT = {"script", "desc", "title"}


def draw(chart: Chart, size: Size = Size.WIDE) -> bytes:
    """The picture. It takes some 10 ms, and 150 ms the first time: not on the loop."""
    pygal = _library()
    width, height = SIZES[size]
    names = [_cut(_words(series.name), _LONGEST_NAME) for series in chart.series]
    values = [value for series in chart.series for value in series.values]
    low, high, ticks = _scale([*values, chart.highest], chart.unit)
    kind = pygal.StackedBar if chart.bars else pygal.Line
    graph = kind(
        width=width,
        height=height,
        js=[],
        css=[],
        no_prefix=True,
        disable_xml_declaration=False,
        show_legend=False,
        show_dots=len(chart.labels) <= _MOST_DOTS,
        dots_size=2.5,
        allow_interruptions=True,
        spacing=6,
        margin_top=12,
        margin_bottom=6,
        margin_left=4,
        margin_right=12 + math.ceil(max((_width(name) for name in names), default=0)),
        truncate_label=-1,
        range=(low, high),
        y_labels=ticks,
        value_formatter=lambda value: _number(value, chart.unit),
        style=pygal.style.Style(label_font_size=_TEXT, major_label_font_size=_TEXT, value_font_size=_TEXT),
        no_data_text="",
    )
    room = width - 60 - max((_width(name) for name in names), default=0)
    graph.x_labels = _shown([_words(label) for label in chart.labels], room)
    for series, name in zip(chart.series, names, strict=True):
        graph.add(name, list(series.values))
    graph.add_xml_filter(lambda root: _finish(root, graph, chart, names))
    drawn: bytes = graph.render()
    return drawn


@cache
def _library() -> Any:
    """pygal, without the finder of map plugins that it hangs into Python's imports.

    It is of an old kind, and Python warns of it at every module that is nowhere.
    """
    import pygal  # noqa: PLC0415  # 0.14 s that no other command and no other page pays

    sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != pygal.__name__]
    return pygal


def _finish(root: Any, graph: Any, chart: Chart, names: Sequence[str]) -> Any:
    """What pygal has drawn, with our style, a title and names, and without what only its script needs."""
    for parent in list(root.iter()):
        for child in list(parent):
            cls = child.get("class", "") if isinstance(child.tag, str) else ""
            gone = (
                not isinstance(child.tag, str)
                or child.tag in _LEFT_OUT
                or "tooltip" in cls.split()
                or "tooltip-overlay" in cls
                or cls in {"background", "titles"}
                or (child.tag == "text" and not (child.text or "").strip())
            )
            if gone:
                parent.remove(child)
        parent.attrib.pop("style", None)
        if parent.tag in {"path", "circle", "rect"}:
            parent.attrib.pop("rx", None)
            parent.attrib.pop("ry", None)
        found = parent.get("class", "")
        for number, series in enumerate(chart.series):
            if f"serie-{number}" in found.split():
                parent.set("class", series.look.value)
    for style in root.iter("style"):
        style.text = STYLE
    root.attrib.pop("id", None)
    root.attrib.pop("class", None)
    root.set("width", str(graph.width))
    root.set("height", str(graph.height))
    root.set("role", "img")
    title = graph.svg.node(root, "title")
    title.text = _words(chart.title)
    root.remove(title)
    root.insert(0, title)
    _add_names(root, graph, chart, names)
    return root


def _add_names(root: Any, graph: Any, chart: Chart, names: Sequence[str]) -> None:
    """Each name at the end of its line; of those at the right edge that end close together, one below the other."""
    top, left, view = graph.margin_box.top, graph.margin_box.left, graph.view
    at_edge: list[_End] = []
    within: list[_End] = []
    for number, series in enumerate(chart.series):
        known = [(place, value) for place, value in enumerate(series.values) if value is not None]
        if not known:
            continue
        last, value = known[-1]
        if chart.bars:
            # Beside the longest one, half-way up: the last may be nothing.
            longest = max((value for _, value in known), key=abs)
            at_edge.append(_End(number, top + view.y(longest / 2)))
            continue
        end = _End(number, top + view.y(value), view.x(graph._x_pos[last]))  # noqa: SLF001  # told nowhere else
        room = view.width - end.x - _GAP
        (within if _width(names[number]) < room else at_edge).append(end)
    at_edge.sort(key=lambda end: (end.y, end.number))
    for before, after in pairwise(at_edge):
        after.y = max(after.y, before.y + _LINE)
    lowest = top + view.height
    for end in reversed(at_edge):
        end.x, end.y = view.width, min(end.y, lowest)
        lowest = end.y - _LINE
    group = graph.svg.node(root, "g", class_="names")
    for end in [*within, *at_edge]:
        look = chart.series[end.number].look.value
        place = {"x": f"{left + end.x + _GAP:.1f}", "y": f"{end.y + 4:.1f}"}
        graph.svg.node(group, "text", class_=look, **place).text = names[end.number]


def _scale(values: Sequence[float | None], unit: Unit) -> tuple[float, float, list[float]]:
    """Lowest and highest of the axis, and its marks: round numbers from zero."""
    known = [value for value in values if value is not None]
    lowest, highest = min([0.0, *known]), max([0.0, *known])
    least = 0.01 if unit is Unit.RATE else 1.0
    step = _round_step(max(highest - lowest, least * _TICKS) / _TICKS, least)
    first, last = math.floor(lowest / step), max(math.ceil(highest / step), 1)
    # A number of steps times the step: 0.30000000000000004 would be another mark than 0.3.
    ticks = [round(number * step, 6) for number in range(first, last + 1)]
    return ticks[0], ticks[-1], ticks


def _round_step(least: float, smallest: float) -> float:
    """The smallest of 1, 2, 5, 10 … that is no smaller."""
    power = 10.0 ** math.floor(math.log10(least))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * 0.999)
    return max(step, smallest)


def _number(value: float, unit: Unit) -> str:
    """Of the axis. Who left stands below zero as a number of people: the direction says it."""
    return f"{value * 100:g} %" if unit is Unit.RATE else f"{abs(value):,.0f}"


def _shown(labels: Sequence[str], room: float) -> list[str]:
    """As many as fit, at equal distances, the last one among them; "" for the others."""
    widest = max(40, *(_width(label) + 14 for label in labels)) if labels else 40
    needed = len(labels) * widest / room
    every = next((step for step in _STEPS if step >= needed), len(labels))
    last = len(labels) - 1
    return [label if (last - place) % every == 0 else "" for place, label in enumerate(labels)]


def _words(text: str) -> str:
    """What may stand in XML and on one line."""
    return "".join(character for character in " ".join(text.split()) if character.isprintable())


def _width(text: str) -> float:
    """In pixels, about: a Chinese character is as wide as it is high."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return wide * _TEXT + (len(text) - wide) * _TEXT * 0.6


def _cut(text: str, most: float) -> str:
    """Cut it to a width."""
    if _width(text) <= most:
        return text
    while text and _width(text) > most - _TEXT:
        text = text[:-1]
    return f"{text}…"
