"""Random issues in the layout of 大数据发展动态: a model, and the messy text that recognition makes of it.

In: hypothesis. Out: `IssueModel`, and `render` with a `Style`. Callers: the property tests beside this file.
The words are drawn from a few characters that no label, number or opening of a list is made of.
"""

from dataclasses import dataclass, field

from hypothesis import strategies as st

CHARACTERS = "数据要素流通治理平台建设应用创新发展产业融合城市服务能力提升标准体系安全协同"
SECTIONS = ("国策要论", "地方新政", "产业镜像", "前沿观察", "企业动向", "读者来信")
ROLES = ("主编", "联合主编", "编委会", "总编辑", "责任编辑")


@dataclass(frozen=True)
class BlockModel:
    """One of paragraph, heading, list, image. `halves`: a page's end cuts the paragraph behind the first half."""

    type: str
    text: str = ""
    halves: tuple[str, str] | None = None
    items: tuple[str, ...] = ()


@dataclass(frozen=True)
class ArticleModel:
    title: str
    page: int
    note: tuple[str, ...]
    source: str
    source_form: int
    qr: bool
    body: tuple[BlockModel, ...]
    #: Text behind the QR code that belongs to the article.
    stranded: str
    level: int
    split: bool
    spaced: bool


@dataclass(frozen=True)
class IssueModel:
    number: int
    total_number: int
    date: tuple[int, int, int]
    masthead: dict[str, tuple[str, ...]]
    notice: str
    sections: tuple[tuple[str, tuple[ArticleModel, ...]], ...] = field(default=())

    def articles(self) -> list[ArticleModel]:
        return [article for _, articles in self.sections for article in articles]


@dataclass(frozen=True)
class Style:
    """How the text is written down; the model doesn't change with it."""

    end: str = "\n"
    encoding: str = "utf-8"
    full_width: bool = False
    contents_with_marks: bool = True
    page_last: bool = False
    note_inline: bool = False


def words(smallest: int, largest: int) -> st.SearchStrategy[str]:
    return st.text(CHARACTERS, min_size=smallest, max_size=largest)


@st.composite
def sentences(draw: st.DrawFn) -> str:
    return f"{draw(words(8, 30))}，{draw(words(4, 30))}。"


@st.composite
def blocks(draw: st.DrawFn) -> BlockModel:
    kind = draw(st.sampled_from(["paragraph", "paragraph", "cut", "heading", "list"]))
    if kind == "paragraph":
        return BlockModel("paragraph", draw(sentences()) + draw(sentences()))
    if kind == "cut":
        # A cut sentence goes on behind its first line; its end repeats nothing of the article.
        first = f"{draw(words(20, 30))}，{draw(words(10, 30))}"
        second = f"{draw(words(6, 30))}，{draw(words(4, 20))}。"
        return BlockModel("paragraph", first + second, halves=(first, second))
    if kind == "heading":
        return BlockModel("heading", draw(words(4, 12)))
    return BlockModel("list", items=tuple(draw(st.lists(words(4, 12), min_size=1, max_size=3))))


@st.composite
def bodies(draw: st.DrawFn) -> tuple[BlockModel, ...]:
    found = draw(st.lists(blocks(), max_size=4))
    body = [
        block
        for at, block in enumerate(found)
        if at == 0 or block.type != "list" or found[at - 1].type != "list"
    ]
    pictured = draw(st.booleans())
    if body and pictured:
        body.insert(draw(st.integers(1, len(body))), BlockModel("image"))
    # The source stands at the end of a paragraph.
    return (*body, BlockModel("paragraph", draw(sentences())))


@st.composite
def articles(draw: st.DrawFn, title: str) -> ArticleModel:
    source = draw(st.one_of(st.just(""), words(3, 10)))
    return ArticleModel(
        title=title,
        page=draw(st.integers(1, 99)),
        note=tuple(draw(st.lists(sentences(), max_size=2))),
        source=source,
        source_form=draw(st.integers(0, 5)),
        qr=draw(st.booleans()),
        body=draw(bodies()),
        stranded=draw(st.one_of(st.just(""), sentences())),
        level=draw(st.integers(1, 4)),
        split=draw(st.booleans()),
        spaced=draw(st.booleans()),
    )


@st.composite
def issues(draw: st.DrawFn) -> IssueModel:
    names = draw(st.lists(st.sampled_from(SECTIONS), min_size=1, max_size=4, unique=True))
    titles = draw(st.lists(words(6, 24), min_size=len(names), max_size=7, unique=True))
    marks = draw(st.sampled_from([("", ""), ("《", "》"), ("“", "”"), ("", "（2026年）"), ("", "——展望")]))
    shares: list[list[str]] = [[] for _ in names]
    for at, title in enumerate(titles):
        shares[min(at, len(names) - 1)].append(marks[0] + title + marks[1])
    people = st.lists(words(2, 3), min_size=1, max_size=6, unique=True).map(tuple)
    return IssueModel(
        number=draw(st.integers(1, 60)),
        total_number=draw(st.integers(1, 9999)),
        date=(draw(st.integers(2000, 2099)), draw(st.integers(1, 12)), draw(st.integers(1, 28))),
        masthead={role: draw(people) for role in draw(st.lists(st.sampled_from(ROLES), unique=True))},
        notice=draw(st.one_of(st.just(""), sentences())),
        sections=tuple(
            (name, tuple(draw(articles(title)) for title in share))
            for name, share in zip(names, shares, strict=True)
        ),
    )


STYLES = st.builds(
    Style,
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "gb18030", "utf-16"]),
    full_width=st.booleans(),
    contents_with_marks=st.booleans(),
    page_last=st.booleans(),
    note_inline=st.booleans(),
)


def render(issue: IssueModel, style: Style) -> bytes:
    return style.end.join(_lines(issue, style)).encode(style.encoding)


def _lines(issue: IssueModel, style: Style) -> list[str]:
    year, month, day = issue.date
    lines = ["", "# 大数据发展动态", "", "以战略的视角解读数字中国", ""]
    stated = f"{year}年{month}月{day}日 第{issue.number}期 总第{issue.total_number}期"
    lines += [stated.translate(_FULL_WIDTH) if style.full_width else stated, ""]
    for role, names in issue.masthead.items():
        printed = [" ".join(name) if len(name) == 2 else name for name in names]
        spaced = " ".join(role) if len(role) == 2 else role
        lines += [f"**{spaced}** {' '.join(printed[:3])}", ""]
        if printed[3:]:
            lines += [" ".join(printed[3:]), ""]
    if issue.notice:
        lines += [f"**声明:** {issue.notice}", ""]
    lines += ["## 本 期 要 目", ""]
    for name, share in issue.sections:
        lines += [f"### {name}", ""]
        lines += [_entry(article, style) for article in share] + [""]
    for article in issue.articles():
        lines += _article(article, style)
    return lines


_FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
_HALF_WIDTH = str.maketrans("（）：，", "():,")


def _entry(article: ArticleModel, style: Style) -> str:
    title = article.title.translate(_HALF_WIDTH)
    page = f"{article.page:02d}"
    if style.full_width:
        page = page.translate(_FULL_WIDTH)
    mark = "- " if style.contents_with_marks else ""
    return f"{mark}{title} …… {page}" if style.page_last else f"{mark}{page} {title}"


def _article(article: ArticleModel, style: Style) -> list[str]:
    lines: list[str] = []
    if article.note and style.note_inline:
        lines += [f"**编者按：**{article.note[0]}", ""]
        lines += [line for text in article.note[1:] for line in (text, "")]
    elif article.note:
        lines += ["## 编者按", ""] + [line for text in article.note for line in (text, "")]
    lines += _title(article)
    for block in article.body[:-1]:
        lines += _block(block)
    last = article.body[-1].text
    ends_late = bool(article.qr and article.stranded)
    lines += [last, ""] if ends_late else _with_source(last, article)
    if article.qr:
        lines += ["", "", "扫描二维码阅读全文", ""]
        if article.stranded:
            lines += _with_source(article.stranded, article)
    return lines


def _title(article: ArticleModel) -> list[str]:
    half = len(article.title) // 2
    mark = "#" * article.level
    if article.split:
        return [f"{mark} {article.title[:half]}", "", article.title[half:], ""]
    blank = " " if article.spaced else ""
    return [f"{mark} {article.title[:half]}{blank}{article.title[half:]}", ""]


def _block(block: BlockModel) -> list[str]:
    if block.type == "heading":
        return [f"### {block.text}", ""]
    if block.type == "list":
        return [*(f"- {item}" for item in block.items), ""]
    if block.type == "image":
        return ["", "", ""]
    if block.halves:
        return [block.halves[0], "", block.halves[1], ""]
    return [block.text, ""]


def _with_source(text: str, article: ArticleModel) -> list[str]:
    if not article.source:
        return [text, ""]
    forms = (
        [f"{text}（来源：{article.source}）", ""],
        [f"{text}(来源:{article.source})", ""],
        [f"{text}（来源：{article.source}", ""],
        [f"{text}来源：{article.source}）", ""],
        [text, "", f"（来源：{article.source}）", ""],
        [text, "", f"来源：{article.source}", ""],
    )
    return forms[article.source_form]
