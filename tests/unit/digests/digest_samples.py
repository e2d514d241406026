"""An issue written for these tests, and what goes around it in a mail."""

import datetime as dt

from bdnews_dispatch.digests.composition import IssueEdition, compose
from bdnews_dispatch.digests.digest import Digest
from bdnews_dispatch.digests.message import Headers, Slots
from bdnews_dispatch.issues.document import Article, Block, BlockType, IssueDocument, Section
from bdnews_dispatch.issues.publications import Publication, SectionInfo

PUBLICATION = Publication(
    key="water",
    name="水务动态",
    name_en="Water News",
    tagline="看得见的水与看不见的账",
    publisher="《水务动态》编辑部",
    sections=(
        SectionInfo(key="policy", name="政策", name_en="Policy"),
        SectionInfo(key="local", name="地方", name_en="Local"),
        SectionInfo(key="company", name="企业", name_en="Companies"),
    ),
)


def paragraph(text: str) -> Block:
    return Block(type=BlockType.PARAGRAPH, text=text, line=1)


def heading(text: str) -> Block:
    return Block(type=BlockType.HEADING, text=text, level=2, line=1)


def article(
    title: str, *body: Block | str, note: str = "", source: str = "", url: str = "", page: int | None = None
) -> Article:
    blocks = tuple(paragraph(block) if isinstance(block, str) else block for block in body)
    return Article(title=title, body=blocks, editor_note=note, source=source, url=url, page=page, line=1)


POLICY = Section(
    key="policy",
    name="政策",
    articles=(
        article(
            "节水条例修订公布",
            heading("要点"),
            "新条例共六章。阶梯水价写入正文。漏损率要在三年内降到一成以下。",
            note="条例修订历时两年，[全文](https://law.example.cn/water?a=1&b=2)与**解读**同日公布。",
            source="水利部",
            url="https://law.example.cn/source",
            page=1,
        ),
        article("河湖长制十年", "十年间，基层巡河从纸笔走到手机。", source="新水报", page=4),
    ),
)
LOCAL = Section(key="local", name="地方", articles=(article("东湖市智慧水厂投产", "水厂昨日投产。", page=7),))
COMPANY = Section(
    key="company", name="企业", articles=(article("清源公司发布水表", "水表每十五分钟上报一次。", page=9),)
)
EMPTY = Section(key="frontier", name="前沿", articles=())


def issue(
    *sections: Section,
    number: int | None = 3,
    total: int | None = 27,
    date: dt.date | None = dt.date(2022, 11, 11),
) -> IssueDocument:
    return IssueDocument(
        publication="water",
        number=number,
        total_number=total,
        date=date,
        title="水务动态",
        contact={"咨询电话": "0000-1234567", "邮 箱": "desk@water.example", "编辑地址": "东湖市堤角路1号"},
        notice="内部交流，请勿外传。",
        sections=sections,
    )


ISSUE = issue(POLICY, LOCAL, EMPTY, COMPANY)
EDITION = IssueEdition(issue_id=27, document=ISSUE, url="https://water.example/issues/27")


def article_url(edition: IssueEdition, place: int) -> str:
    return f"{edition.url}/{place}"


def digest_of(*keys: str, document: IssueDocument = ISSUE, language: str = "zh") -> Digest:
    edition = IssueEdition(issue_id=27, document=document, url="https://water.example/issues/27")
    return compose(PUBLICATION, [edition], frozenset(keys), article_url=article_url, language=language)


HEADERS = Headers(
    from_name="水务动态",
    from_address="digest@water.example",
    list_id="water.lists.water.example",
    list_name="水务动态",
    feedback_id="27:water:digest:wtr",
    date=dt.datetime(2022, 11, 11, 0, 30, tzinfo=dt.UTC),
    reply_to="desk@water.example",
    archived_at="https://water.example/issues/27",
)


def slots(name: str = "李四", address: str = "li.si@gov.example", pixel: str = "") -> Slots:
    token = "v1.a." + "Q" * 24 + "." + "w" * 43
    return Slots(
        recipient_name=name,
        recipient_address=address,
        message_id="d77.27@water.example",
        click_url=f"https://water.example/c/{token}",
        pixel_url=pixel,
        web_url=f"https://water.example/w/{token}",
        preferences_url=f"https://water.example/p/{token}?a=1&b=2",
        unsubscribe_url=f"https://water.example/u/{token}",
        one_click_url=f"https://water.example/one-click/{token}",
        unsubscribe_mailto="unsubscribe+d77@water.example",
        delivery_reference="d77",
    )
