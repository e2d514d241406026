"""The parts of an issue: cover, contents, titles, sources, bodies, items; each as a person would print them."""

import pytest

from bdnews_dispatch.errors import SettingsError
from bdnews_dispatch.issues.document import Article, BlockType, IssueDocument
from bdnews_dispatch.issues.parsing import parse_issue
from bdnews_dispatch.issues.parsing.folding import fold, read_number
from bdnews_dispatch.issues.parsing.layout import read_layout
from bdnews_dispatch.issues.parsing.masthead import split_names
from bdnews_dispatch.issues.parsing.sources import source_at_end
from bdnews_dispatch.issues.parsing.titles import best_printed, first_words
from bdnews_dispatch.issues.publications import load_publications
from bdnews_dispatch.shipped import shipped

PUBLICATIONS = load_publications()
DSJ = PUBLICATIONS["dsj"]
COVER = "# 大数据发展动态\n\n以战略的视角解读数字中国\n\n2026年11月20日 第8期 总第112期\n\n"
CONTENTS = "## 本 期 要 目\n\n### 国策要论\n\n- 01 数据要素流通规划\n- 05 算力网建设方案(2026年)\n\n"
FIRST = "## 编者按\n\n编者的一段话。\n\n# 数据要素流通规划\n\n正文第一段。（来源：甲局）\n\n"
SECOND = "# 算力网建设方案（2026年）\n\n正文第二段。（来源：乙局）\n"


def _dsj(text: str) -> IssueDocument:
    return parse_issue(text.encode(), DSJ)


def _weekly(text: str) -> IssueDocument:
    return parse_issue(text.encode(), PUBLICATIONS["weekly"])


def _articles(document: IssueDocument) -> list[Article]:
    return [article for _, _, article in document.articles()]


def _codes(document: IssueDocument) -> set[str]:
    return {warning.code for warning in document.warnings}


def test_every_shipped_publication_has_a_readable_layout() -> None:
    assert {key: read_layout(PUBLICATIONS[key]).structure for key in PUBLICATIONS} == {
        "dsj": "contents",
        "weekly": "items",
    }
    with pytest.raises(SettingsError, match="contens"):
        read_layout(DSJ.model_copy(update={"layout": {"contens": {}}}))


def test_the_shipped_sample_parses_without_a_doubt() -> None:
    document = parse_issue((shipped("config") / "samples" / "dsj-sample.md").read_bytes(), DSJ)
    assert (document.number, document.total_number, str(document.date)) == (8, 112, "2026-11-20")
    assert [(s.key, len(s.articles)) for s in document.sections] == [
        ("policy", 3),
        ("local", 3),
        ("industry", 2),
        ("frontier", 1),
        ("company", 1),
    ]
    assert [a.page for a in _articles(document)] == [1, 4, 7, 10, 13, 16, 19, 22, 25, 28]
    assert [bool(a.editor_note) for a in _articles(document)] == [True] * 7 + [False] * 3
    assert all(a.source for a in _articles(document))
    assert all(sum(len(b.text) for b in a.body) >= 150 for a in _articles(document))
    assert document.notice
    assert document.masthead["编委会"] == (
        "林知远",
        "沈若舟",
        "江禾",
        "顾言",
        "陆川",
        "苏晚晴",
        "何岸",
        "许明澈",
    )
    kinds = {block.type for a in _articles(document) for block in a.body}
    assert {BlockType.LIST, BlockType.TABLE, BlockType.IMAGE, BlockType.QR_CODE} <= kinds
    assert _codes(document) == {"text.unplaced"}


@pytest.mark.parametrize(
    ("line", "number", "total"),
    [
        ("2026年11月20日 第８期 总第１１２期", 8, 112),
        ("2026-11-20（第 8 期·总第 112 期）", 8, 112),
        ("二〇二六年十一月二十日 第八期（总第一百一十二期）", 8, 112),
        ("2026.11.20 第8期（总112期）", 8, 112),
    ],
)
def test_numbers_and_dates_as_people_print_them(line: str, number: int, total: int) -> None:
    document = _dsj(f"# 大数据发展动态\n\n{line}\n\n{CONTENTS}{FIRST}{SECOND}")
    assert (document.number, document.total_number, str(document.date)) == (number, total, "2026-11-20")
    assert not document.preface


def test_what_contradicts_itself_or_is_missing_is_told() -> None:
    document = _dsj(f"{COVER}第9期\n\n2026年2月30日\n\n{CONTENTS}{FIRST}{SECOND}")
    assert document.number == 8
    assert [block.text for block in document.preface] == ["第9期", "2026年2月30日"]
    assert {"number.conflict", "date.invalid", "text.unplaced"} <= _codes(document)
    assert {"number.missing", "total_number.missing", "date.missing", "title.missing"} <= _codes(
        _dsj(CONTENTS + FIRST + SECOND)
    )


@pytest.mark.parametrize(
    ("printed", "names"),
    [
        ("林知远 程 茹 杨 婷", ["林知远", "程茹", "杨婷"]),
        ("程　茹　杨　婷", ["程茹", "杨婷"]),
        ("林知远  程 茹  杨 婷", ["林知远", "程茹", "杨婷"]),
        ("林知远、程 茹，杨婷", ["林知远", "程茹", "杨婷"]),
        ("李 小 明", ["李小明"]),
        ("Ann Lee、林知远", ["Ann Lee", "林知远"]),
        ("某研究院", ["某研究院"]),
    ],
)
def test_names(printed: str, names: list[str]) -> None:
    assert split_names(printed) == names


def test_masthead_in_other_prints() -> None:
    cover = (
        "主　编：林知远　　责任编辑：程 茹 杨 婷\n\n- 总编辑：沈若舟\n\n**特约审读** 江 禾\n\n"
        "联系电话：0000-1 邮箱：a@example.cn\n\n编辑地址\n\n某路一号\n\n声 明\n\n第一段。\n\n第二段。\n\n"
    )
    document = _dsj(COVER + cover + CONTENTS + FIRST + SECOND)
    assert document.masthead == {
        "主编": ("林知远",),
        "责任编辑": ("程茹", "杨婷"),
        "总编辑": ("沈若舟",),
        "特约审读": ("江禾",),
    }
    assert document.contact == {"联系电话": "0000-1", "邮箱": "a@example.cn", "编辑地址": "某路一号"}
    assert document.notice == "第一段。\n第二段。"


@pytest.mark.parametrize(
    "contents",
    [
        "# 目录\n\n国策要论\n\n01 数据要素流通规划\n\n05 算力网建设方案(2026年)\n\n",
        "目　录\n\n【国策要论】\n数据要素流通规划……1\n算力网建设方案(2026年)……5\n\n",
        "## 本期要目\n\n**国策要论**\n\n１ 数据要素流通规划\n\n５ 算力网建设\n方案(2026年)\n\n",
        (
            "## 要目\n\n| 页 | 题 |\n| --- | --- |\n| | 国策要论 |\n"
            "| 1 | 数据要素流通规划 |\n| 5 | 算力网建设方案(2026年) |\n\n"
        ),
        "### 国策要论\n\n- 01 数据要素流通规划\n- 05 算力网建设方案(2026年)\n\n",
        "## 本期要目\n\n### 国策要论\n\n- **01** 数据要素流通规划\n- **05** 算力网建设方案(2026年)\n\n",
    ],
)
def test_contents_pages_in_other_prints(contents: str) -> None:
    document = _dsj(COVER + contents + FIRST + SECOND)
    assert [(a.title, a.page, a.source) for a in _articles(document)] == [
        ("数据要素流通规划", 1, "甲局"),
        ("算力网建设方案（2026年）", 5, "乙局"),
    ]
    assert {section.key for section in document.sections if section.articles} == {"policy"}
    assert not document.warnings or "页" in contents


@pytest.mark.parametrize(
    "title",
    [
        "# 算力网 建设方案(２０２６年)",
        "算力网建设方案 （2026 年）",
        "**算力网建设方案（2026年）**",
        "#### 算力网\n\n建设方案\n\n（2026年）",
        "### 算力网建设方案\n(2026年)",
        "#算力网——建设方案（2026年）",
    ],
)
def test_titles_in_other_prints(title: str) -> None:
    document = _dsj(f"{COVER}{CONTENTS}{FIRST}扫描二维码阅读全文\n\n{title}\n\n正文第二段。（来源：乙局）")
    second = _articles(document)[1]
    assert (fold(second.title), second.page) == ("算力网建设方案2026年", 5)
    assert [block.text for block in second.body] == ["正文第二段。"]


def test_a_repeated_title_does_not_begin_an_article_again() -> None:
    repeated = "正文。\n\n# 算力网建设方案\n\n(2026年)\n\n研究院\n\n正文第三段。（来源：乙局）"
    document = _dsj(
        COVER + CONTENTS + FIRST + "## 编者按\n\n按语。\n\n" + SECOND.partition("\n")[0] + "\n\n" + repeated
    )
    assert [a.editor_note for a in _articles(document)] == ["编者的一段话。", "按语。"]
    assert [a.source for a in _articles(document)] == ["甲局", "乙局"]


def test_sections_and_titles_that_nobody_announced() -> None:
    document = _dsj(
        f"{COVER}{CONTENTS}### 读者来信\n\n- 09 来信一封\n\n{FIRST}{SECOND}\n# 加页\n\n加页正文。（来源：丙局）\n\n"
        "# 企业动向\n\n# 又一篇\n\n又一篇正文。（来源：丁局）"
    )
    letters, company = document.sections[1], document.sections[2]
    assert [a.title for a in document.sections[0].articles] == [
        "数据要素流通规划",
        "算力网建设方案（2026年）",
        "加页",
    ]
    assert letters.key.startswith("s_")
    assert (letters.name, letters.articles[0].line, letters.articles[0].page) == ("读者来信", 0, 9)
    assert (company.key, company.articles[0].title) == ("company", "又一篇")
    assert {"section.unknown", "article.not_in_body", "article.not_in_contents"} <= _codes(document)


def test_a_misprinted_title_is_recognised_and_told() -> None:
    document = _dsj(COVER + CONTENTS + FIRST + SECOND.replace("算力网建设方案", "算力网的建设方案"))
    assert [a.page for a in _articles(document)] == [1, 5]
    assert "title.differs" in _codes(document)


def test_a_note_under_its_title_and_notes_without_a_title() -> None:
    under = _dsj(f"{COVER}{CONTENTS}{SECOND.replace('正文', '编者按：先说一句。{0}{0}正文'.format(chr(10)))}")
    assert next(a.editor_note for a in _articles(under) if a.page == 5) == "先说一句。"
    lost = _dsj(COVER + CONTENTS + FIRST + SECOND + "\n## 编者按\n\n没有题目的按语。\n")
    assert _articles(lost)[1].body[-1].text == "没有题目的按语。"
    assert "note.without_title" in _codes(lost)


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("正文。（来源：新华社）", "新华社"),
        ("正文。(来源:新华社)", "新华社"),
        ("正文。（来源：新华社", "新华社"),
        ("正文。来源：新华社）", "新华社"),
        ("正文。【来源：新华社】", "新华社"),
        ("正文。（来 源： 新华社）。", "新华社"),
        ("正文。（来源新华社）", "新华社"),
        ("正文。（来源：某研究院（总院））", "某研究院（总院）"),
        ("正文。（来源：某研究院（总院）", "某研究院（总院）"),
        ("正文。（文章来源：新华社 记者 张三）", "新华社 记者 张三"),
        ("来源：新华社", "新华社"),
        ("正文。（来源：新华社）（责任编辑：某某）", "新华社"),
        ("正文。(来源:新华社）■", "新华社"),
        ("他说，数据的来源：一是采集，二是交换。", None),
        ("本文讨论数据来源", None),
        ("（责任单位：市统计局）", None),
        ("（来源：甲局）此后还有一句正文。", None),
    ],
)
def test_sources(text: str, source: str | None) -> None:
    found = source_at_end(text)
    assert (found.words if found else None) == source


def test_a_charts_source_is_not_the_articles() -> None:
    chart = "正文。\n\n词频统计\n\n\n\n来源：某院统计\n\n后文。（来源：乙局）"
    document = _dsj(f"{COVER}{CONTENTS}{FIRST}# 算力网建设方案（2026年）\n\n{chart}")
    second = _articles(document)[1]
    assert second.source == "乙局"
    assert [(b.type.value, b.text) for b in second.body] == [
        ("paragraph", "正文。"),
        ("image", "词频统计\n来源：某院统计"),
        ("paragraph", "后文。"),
    ]


def _body(text: str) -> list[tuple[str, str]]:
    document = _dsj(f"{COVER}{CONTENTS}{FIRST}# 算力网建设方案（2026年）\n\n{text}")
    return [(block.type.value, block.text) for block in _articles(document)[1].body]


def test_cut_paragraphs_are_joined_and_others_are_not() -> None:
    first = "各地区各部门要把平台建设摆在更加突出的位置，统筹考虑算力布局与能源供给，加快形成一体化调度能"
    assert _body(f"{first}\n\n力，并向社会公开。") == [("paragraph", f"{first}力，并向社会公开。")]
    assert _body(f"{first}\n\n\n\n算力分布图\n\n力，并向社会公开。\n\n后文。") == [
        ("paragraph", f"{first}力，并向社会公开。"),
        ("image", "算力分布图"),
        ("paragraph", "后文。"),
    ]
    assert _body(f"{first}\n\n此外，还有一段。")[0] == ("paragraph", first)
    assert _body("某研究院 特约撰稿\n\n正文一段，说明情况。")[0] == ("paragraph", "某研究院 特约撰稿")
    glued = "平台已经建成。推进算力统一调度"
    assert _body(f"{glued}\n\n下一段说，推进算力统一调度，降低使用门槛。") == [
        ("paragraph", "平台已经建成。"),
        ("heading", "推进算力统一调度"),
        ("paragraph", "下一段说，推进算力统一调度，降低使用门槛。"),
    ]


def test_text_behind_the_qr_code_belongs_to_the_article_before() -> None:
    body = _body("正文一段。\n\n\n\n请扫描二维码，阅读全文\n\n后面还有一段。（来源：乙局）")
    assert body == [("paragraph", "正文一段。"), ("qr_code", ""), ("paragraph", "后面还有一段。")]


def test_lists_tables_code_and_pictures() -> None:
    body = _body(
        "- 一\n- 二\n  续\n\n| 甲 | 乙 |\n| --- | --- |\n| 1 | 2 |\n\n> 引文\n\n```\n# 不是标题\n```\n\n"
        "[![图](https://example.com/a.png)](https://example.com/)\n\n```\n没有关上"
    )
    assert body == [
        ("list", "一\n二\n续"),
        ("table", "甲 | 乙\n1 | 2"),
        ("quote", "引文"),
        ("code", "# 不是标题"),
        ("image", "图"),
        ("paragraph", "```"),
        ("paragraph", "没有关上"),
    ]


def test_titles_from_two_prints_and_from_first_words() -> None:
    assert best_printed("腾飞: 数字化(2026年)", "腾飞：数字化 （2026 年）") == "腾飞：数字化（2026年）"
    assert best_printed("Big Data 报告", "BigData报告") == "Big Data报告"
    assert first_words("除非你做点什么，否则不会改变。后文。") == "除非你做点什么，否则不会改变"
    assert first_words("字" * 50) == "字" * 30 + "…"
    assert [read_number(text) for text in ("１０４", "一〇四", "一百零四", "十二", "二十", "x")] == [
        104,
        104,
        104,
        12,
        20,
        None,
    ]


def test_items_of_the_weekly() -> None:
    document = _weekly(
        "# 科技爱好者周刊（第 12 期）：少即是多\n\n卷首的话。\n\n## 本周话题：慢慢来\n\n话题正文。\n\n## 资讯\n\n"
        "1、[甲](https://example.com/a)（英文）\n\n甲的介绍。\n\n1、列表里的一。\n\n2、[乙](https://example.com/b) 和 "
        "[丙](https://example.com/c)\n\n**3、丁**\n\n## 言论\n\n1、\n\n先想，再做。后做。\n\n"
        "-- [某人](https://example.com/d)\n\n"
        "## 从没见过的栏目\n\n1、[戊](https://example.com/e)\n\n2、[己](https://example.com/f)\n\n"
        "## 随便谈谈\n\n谈。\n\n（完）\n"
    )
    assert (document.number, document.total_number, document.tagline) == (12, 12, "少即是多")
    assert [block.text for block in document.preface] == ["卷首的话。"]
    topic, tech, quotes, unknown = document.sections
    assert [(a.title, a.body[0].text) for a in topic.articles] == [
        ("慢慢来", "话题正文。"),
        ("随便谈谈", "谈。"),
    ]
    assert [(a.title, a.url) for a in tech.articles] == [
        ("甲（英文）", "https://example.com/a"),
        ("乙 和 丙", "https://example.com/b"),
        ("丁", ""),
    ]
    assert [block.text for block in tech.articles[0].body] == ["甲的介绍。", "1、列表里的一。"]
    assert "https://example.com/c" in tech.articles[1].body[0].text
    (quote,) = quotes.articles
    assert (quote.title, quote.source, quote.url) == ("先想，再做", "某人", "https://example.com/d")
    assert (unknown.name, [a.title for a in unknown.articles]) == ("从没见过的栏目", ["戊", "己"])
    assert _codes(document) == {"section.unknown"}


def test_text_behind_the_end_mark_is_kept() -> None:
    document = _weekly("# 科技爱好者周刊：第 12 期\n\n## 工具\n\n1、甲\n\n（完）\n\n附记。\n")
    assert document.sections[0].articles[0].body[0].text == "附记。"
    assert "text.after_end" in _codes(document)
