"""The mail as its reader sees it: what it says, what it does not load, what hostile text can't do."""

import datetime as dt
import re

import pytest
from tests.unit.digests.digest_samples import (
    HEADERS,
    LOCAL,
    PUBLICATION,
    article,
    article_url,
    digest_of,
    issue,
    paragraph,
    slots,
)

from bdnews_dispatch.digests.composition import IssueEdition, compose, compose_bulletin
from bdnews_dispatch.digests.rendering import render_digest
from bdnews_dispatch.issues.document import IssueDocument, Section

KEYS = ("policy", "local", "company")


def seen(*keys: str, track: bool = True, language: str = "zh", pixel: str = "") -> tuple[str, str, str]:
    digest = digest_of(*(keys or KEYS), language=language)
    return render_digest(digest, HEADERS, track=track).preview(slots(pixel=pixel))


def bulletin(body: str, *, urgent: bool = False, track: bool = True) -> tuple[str, str, str]:
    digest = compose_bulletin(
        PUBLICATION,
        title="听证会改期",
        body_markdown=body,
        urgent=urgent,
        ad=False,
        published=dt.datetime(2022, 11, 11, tzinfo=dt.UTC),
    )
    return render_digest(digest, HEADERS, track=track).preview(slots())


def long_issue(count: int) -> IssueDocument:
    sentence = "这一句有二十六个字那么长，用来量一量整封邮件会不会被截断。"
    return issue(
        Section(
            key="policy",
            name="政策",
            articles=tuple(
                article(
                    f"第{number}篇：关于进一步加强城市供水管网漏损控制工作的若干意见（试行）",
                    paragraph(
                        "这里是正文的句子，与编者按没有一个词是相同的，字数约莫四十，读来平平淡淡罢了。" * 6
                    ),
                    note=sentence * 15,
                    source="城市供水管理办公室",
                    url=f"https://gov.example/{'x' * 60}/{number}",
                    page=number,
                )
                for number in range(count)
            ),
        )
    )


def test_everything_that_a_reader_needs_is_there_in_order() -> None:
    _, html, text = seen()
    for whole in (html, text):
        words = [
            "水务动态",
            "看得见的水与看不见的账",
            "第3期 · 总第27期 · 2022年11月11日",
            "本期要目",
            "节水条例修订公布",
            "编者按",
            "条例修订历时两年",
            "新条例共六章",
            "阅读全文",
            "东湖市智慧水厂投产",
            "清源公司发布水表",
            "您订阅了《水务动态》，因此收到这封邮件。",
            "li.si@gov.example",
            "政策、地方、企业",
            "退订",
            "东湖市堤角路1号",
            "0000-1234567",
            "内部交流，请勿外传。",
        ]
        at = whole.find("<h1")
        for word in words:
            at = whole.find(word, at + 1)
            assert at != -1, f"{word} is missing or out of place"


def test_clicks_go_through_numbers_and_the_pixel_is_there_once() -> None:
    _, html, text = seen(pixel="https://water.example/o/1.gif")
    click = slots().click_url
    assert f'href="{click}/2"' in html
    assert f"{click}/2\n" in text
    assert html.count("https://water.example/o/1.gif") == 1
    assert "https://law.example.cn" not in html + text


def test_without_tracking_links_are_themselves_and_no_pixel_is_loaded() -> None:
    _, html, text = seen(track=False, pixel="https://water.example/o/1.gif")
    assert "/o/1.gif" not in html
    assert slots().click_url not in html + text
    assert 'href="https://law.example.cn/water?a=1&amp;b=2"' in html
    assert "https://law.example.cn/water?a=1&b=2\n" in text
    assert 'href="https://water.example/issues/27/1"' in html


def test_each_article_has_its_code_with_words_in_its_place() -> None:
    _, html, _ = seen("policy")
    images = re.findall(r"<img [^>]*>", html)
    assert len(images) == 2
    assert all('alt="扫码阅读"' in image and 'width="68"' in image for image in images)
    assert "https://water.example/issues/27/1/qr.png" in images[0]


def test_phones_and_the_dark_keep_their_rules() -> None:
    _, html, _ = seen()
    assert "@media (max-width:480px)" in html
    assert "@media (prefers-color-scheme:dark)" in html
    assert '<meta name="color-scheme" content="light dark">' in html
    assert "[data-ogsc]" in html
    assert "data-css-inline" not in html
    assert not re.search(r"display:\s*(flex|grid)", html)


def test_a_mail_client_without_style_blocks_still_sees_the_look() -> None:
    _, html, _ = seen()
    bare = re.sub(r"<style.*?</style>", "", html, flags=re.DOTALL)
    title = re.search(r'<h3[^>]*style="([^"]*)"', re.sub(r"\s+", " ", bare))
    assert title is not None
    assert "font-size:20px" in title[1].replace(" ", "")


HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>{{ 7*7 }}{% raw %}\u202e\x00"


def test_hostile_text_stays_text() -> None:
    bad = article(HOSTILE, f"{HOSTILE}。", note=f"{HOSTILE}[点](javascript:alert(1))", source=HOSTILE)
    document = issue(Section(key="policy", name=HOSTILE, articles=(bad,)))
    digest = digest_of("policy", document=document)
    subject, html, text = render_digest(digest, HEADERS, track=True).preview(slots())
    assert "<script" not in html
    assert not re.search(r"<img(?![^>]*qr\.png)", html)
    assert 'href="javascript' not in html.lower()
    assert "{{ 7*7 }}" in text
    assert "49" not in subject
    assert "\u202e" not in html + text
    assert "\x00" not in html + text


def test_slot_characters_in_an_article_are_taken_out() -> None:
    planted = "\U0010f703\U0010f740\U0010f700"
    document = issue(
        Section(key="policy", name="政策", articles=(article(f"题{planted}目", f"句{planted}子。"),))
    )
    _, html, text = render_digest(digest_of("policy", document=document), HEADERS, track=True).preview(
        slots()
    )
    assert "题目" in html
    assert "句子。" in text


@pytest.mark.parametrize("count", [1, 13, 20, 30, 48, 90])
def test_a_mail_stays_under_what_gmail_clips(count: int) -> None:
    digest = digest_of("policy", document=long_issue(count))
    raw = render_digest(digest, HEADERS, track=True).assemble(slots(), eight_bit=True)
    assert len(raw) < 100_000
    assert all(f"第{number}篇".encode() in raw for number in range(count))


def test_thirteen_articles_with_long_notes_keep_them() -> None:
    articles = digest_of("policy", document=long_issue(13)).issues[0].sections[0].articles
    assert all(sum(len(run.text) for run in a.editor_note[0]) > 200 and a.excerpt for a in articles)


def test_several_issues_have_a_heading_each() -> None:
    editions = [
        IssueEdition(
            number, issue(LOCAL, number=number, total=number + 24), f"https://water.example/issues/{number}"
        )
        for number in (3, 4)
    ]
    digest = compose(PUBLICATION, editions, frozenset({"local"}), article_url=article_url)
    _, html, text = render_digest(digest, HEADERS, track=True).preview(slots())
    for whole in (html, text):
        assert "共2期" in whole
        assert whole.index("第3期 · 总第27期") < whole.index("第4期 · 总第28期")


def test_english_labels() -> None:
    _, html, _ = seen("policy", language="en")
    assert "Unsubscribe" in html
    assert "退订" not in html
    assert 'lang="en"' in html


def test_the_reason_can_be_said_more_exactly() -> None:
    reason = "管理员于2022年10月8日为您订阅。"
    variant = render_digest(digest_of("local"), HEADERS, track=True, reason=reason)
    assert reason in variant.preview(slots())[1]


def test_a_bulletin_is_one_message_with_its_headline_first() -> None:
    _, html, text = bulletin("改到**二十日**，[公告](https://gov.example/n?a=1&b=2)。\n\n- 带证件\n- 提前到")
    shown = html[html.index("<h1") :]
    assert shown.index("听证会改期") < shown.index("二十日")
    assert f'href="{slots().click_url}/1"' in html
    assert "https://gov.example" not in html
    assert "· 带证件" in text
    assert f"{slots().click_url}/1\n" in text
    assert "本期要目" not in html


def test_only_an_urgent_bulletin_is_red() -> None:
    assert "紧急快讯" in bulletin("改期。", urgent=True)[1]
    assert "#b3261e" in bulletin("改期。", urgent=True)[1].split("<body")[1]
    assert "#b3261e" not in bulletin("改期。")[1].split("<body")[1]


def test_a_bulletins_markdown_brings_no_html() -> None:
    _, html, text = bulletin(
        "<script>alert(1)</script>\n\n<b onclick=x>粗</b> ![图](https://x.example/a.png) [点](javascript:alert(1)) "
        "[信](mailto:desk@water.example)\n\n```\n<i>代码</i>\n```\n",
        track=False,
    )
    body = html.split("<body")[1]
    assert "<script" not in body
    assert "<b onclick" not in body
    assert "<img" not in body
    assert "javascript:alert" not in re.sub(r">[^<]*<", "><", body)
    assert 'href="mailto:desk@water.example"' in body
    assert "<i>代码</i>" in text


def test_a_long_paragraph_without_a_space_stays_whole() -> None:
    words = "水" * 3000
    _, html, text = bulletin(words)
    assert "".join(re.sub(r"<wbr\s*>", "", html).split()).count(words) == 1
    assert text.replace("\n", "").count(words) == 1
    assert max(len(line.encode()) for line in (html + text).split("\n")) <= 998


@pytest.mark.parametrize(
    "text", ["(" + "水" * 50_000, "[" * 50_000, "“水。" * 15_000, "<" * 50_000, "**水" * 15_000]
)
def test_a_file_gone_wrong_does_not_become_a_mail_of_megabytes(text: str) -> None:
    wrong = article(text, text, note=text, source=text, url=text)
    document = issue(Section(key="policy", name=text, articles=(wrong,)))
    raw = render_digest(digest_of("policy", document=document), HEADERS, track=True).assemble(
        slots(), eight_bit=True
    )
    assert len(raw) < 40_000
    assert max(map(len, raw.split(b"\r\n"))) <= 998
