"""What a digest holds, and that its links keep their numbers."""

import datetime as dt
from itertools import combinations

import pytest
from tests.unit.digests.digest_samples import (
    COMPANY,
    EDITION,
    ISSUE,
    LOCAL,
    POLICY,
    PUBLICATION,
    article,
    article_url,
    digest_of,
    issue,
)

from bdnews_dispatch.digests.card import card_for
from bdnews_dispatch.digests.composition import IssueEdition, all_links, compose, compose_bulletin
from bdnews_dispatch.digests.digest import Digest
from bdnews_dispatch.issues.document import Section

KEYS = ("policy", "local", "company")


def bulletin(
    title: str = "水价听证会改期", body: str = "改到二十日。", *, urgent: bool = False, ad: bool = False
) -> Digest:
    published = dt.datetime(2022, 11, 10, 17, 0, tzinfo=dt.UTC)
    return compose_bulletin(
        PUBLICATION, title=title, body_markdown=body, urgent=urgent, ad=ad, published=published
    )


def test_only_the_chosen_sections_in_the_order_of_the_contents() -> None:
    digest = digest_of("company", "policy")
    assert [section.key for section in digest.issues[0].sections] == ["policy", "company"]
    assert [(entry.name, entry.count) for entry in digest.contents] == [("政策", 2), ("企业", 1)]
    assert [(a.place, a.title) for section in digest.issues[0].sections for a in section.articles] == [
        (1, "节水条例修订公布"),
        (2, "河湖长制十年"),
        (4, "清源公司发布水表"),
    ]


def test_a_link_has_the_same_number_in_every_variant() -> None:
    whole = {link.number: link for link in all_links(PUBLICATION, [EDITION], article_url)}
    assert sorted(whole) == list(range(1, len(whole) + 1))
    for size in (1, 2, 3):
        for keys in combinations(KEYS, size):
            for link in digest_of(*keys).links:
                assert whole[link.number] == link
    assert set(whole.values()) == set(digest_of(*KEYS).links)


def test_links_say_what_they_lead_to() -> None:
    links = {(link.kind, link.place, link.section): link.url for link in digest_of("policy").links}
    assert links == {
        ("issue", None, None): "https://water.example/issues/27",
        ("article", 1, "policy"): "https://water.example/issues/27/1",
        ("source", 1, "policy"): "https://law.example.cn/source",
        ("body", 1, "policy"): "https://law.example.cn/water?a=1&b=2",
        ("article", 2, "policy"): "https://water.example/issues/27/2",
    }


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "data:text/html,x", "//x.example", "ftp://x.example/", "https://x.example/\n"],
)
def test_an_address_that_is_not_http_becomes_no_link(url: str) -> None:
    hostile = article("题", "句。", note=f"看[这里]({url})。", url=url)
    digest = digest_of("policy", document=issue(Section(key="policy", name="政策", articles=(hostile,))))
    assert {link.kind for link in digest.links} == {"issue", "article"}


def test_the_subject_names_the_issue_and_the_readers_first_title() -> None:
    assert digest_of(*KEYS).subject == "《水务动态》第3期（总第27期）：节水条例修订公布等4篇"
    assert digest_of("local").subject == "《水务动态》第3期（总第27期）：东湖市智慧水厂投产"


def test_the_preheader_says_what_the_subject_has_no_room_for() -> None:
    assert (
        digest_of("policy", "local").preheader == "政策、地方，共3篇，另有：河湖长制十年；东湖市智慧水厂投产"
    )


@pytest.mark.parametrize(
    ("number", "total", "date", "heading"),
    [
        (3, 27, dt.date(2022, 11, 11), "第3期 · 总第27期 · 2022年11月11日"),
        (None, 27, dt.date(2022, 11, 11), "总第27期 · 2022年11月11日"),
        (3, None, None, "第3期"),
        (27, 27, None, "第27期"),
        (None, None, None, "水务动态"),
    ],
)
def test_the_heading_leaves_out_what_is_not_known(
    number: int | None, total: int | None, date: dt.date | None, heading: str
) -> None:
    assert digest_of("local", document=issue(LOCAL, number=number, total=total, date=date)).heading == heading


def test_what_the_publication_does_not_say_comes_from_the_issue() -> None:
    facts = digest_of("local").publication
    assert facts.publisher == "《水务动态》编辑部"
    assert (facts.telephone, facts.email, facts.address) == (
        "0000-1234567",
        "desk@water.example",
        "东湖市堤角路1号",
    )
    assert facts.notice == "内部交流，请勿外传。"


def test_several_issues_get_a_heading_each_and_numbers_run_on() -> None:
    second = IssueEdition(
        28, issue(LOCAL, number=4, total=28, date=dt.date(2022, 11, 18)), "https://water.example/issues/28"
    )
    digest = compose(PUBLICATION, [EDITION, second], frozenset({"local", "company"}), article_url=article_url)
    assert [part.heading for part in digest.issues] == [
        "第3期 · 总第27期 · 2022年11月11日",
        "第4期 · 总第28期 · 2022年11月18日",
    ]
    assert digest.subject == "《水务动态》总第27—28期：东湖市智慧水厂投产等3篇"
    assert [(entry.key, entry.count) for entry in digest.contents] == [("local", 2), ("company", 1)]
    numbers = [link.number for link in digest.links]
    assert len(set(numbers)) == len(numbers)
    assert {link.number: link for link in all_links(PUBLICATION, [EDITION, second], article_url)}.items() >= {
        link.number: link for link in digest.links
    }.items()


def test_an_issue_without_the_chosen_sections_is_left_out() -> None:
    second = IssueEdition(28, issue(COMPANY, total=28), "https://water.example/issues/28")
    digest = compose(PUBLICATION, [EDITION, second], frozenset({"policy"}), article_url=article_url)
    assert len(digest.issues) == 1
    assert digest.subject.startswith("《水务动态》第3期（总第27期）：")


def test_a_long_editors_note_ends_at_a_sentence_with_dots() -> None:
    noted = article("题", "正文。", note="编者按里的一句话，说明为什么值得一读。\n" * 40)
    digest = digest_of("policy", document=issue(Section(key="policy", name="政策", articles=(noted,))))
    note = digest.issues[0].sections[0].articles[0].editor_note
    words = "".join(run.text for paragraph in note for run in paragraph)
    assert len(words) <= 310
    assert words.endswith("一读。……")


def test_a_note_keeps_its_bold_and_its_links() -> None:
    note = digest_of("policy").issues[0].sections[0].articles[0].editor_note
    assert [(run.text, run.strong, run.link) for run in note[0]] == [
        ("条例修订历时两年，", False, None),
        ("全文", False, 4),
        ("与", False, None),
        ("解读", True, None),
        ("同日公布。", False, None),
    ]


def test_in_english_the_labels_are_english_and_the_articles_stay() -> None:
    digest = digest_of("policy", language="en")
    assert digest.heading == "No. 3 · issue 27 overall · 11 November 2022"
    assert digest.contents[0].name == "Policy"
    assert digest.issues[0].sections[0].articles[0].title == "节水条例修订公布"


def test_an_advertisement_says_so_first() -> None:
    digest = compose(PUBLICATION, [EDITION], frozenset(KEYS), article_url=article_url, ad=True)
    assert digest.subject.startswith("广告：《水务动态》")
    assert bulletin(urgent=True, ad=True).subject == "广告：【紧急】水价听证会改期"


def test_a_bulletin_is_dated_as_a_reader_in_china_sees_it() -> None:
    digest = bulletin()
    assert digest.bulletin is not None
    assert digest.heading == "2022年11月11日"
    assert digest.subject == "水价听证会改期（《水务动态》快讯）"
    assert bulletin(urgent=True).subject == "【紧急】水价听证会改期"


def test_a_bulletins_links_are_numbered_in_the_order_of_the_text() -> None:
    digest = bulletin(
        body="看[甲](https://a.example/)、[乙](https://b.example/)、[甲](https://a.example/)、[信](mailto:x@y.example)。"
    )
    assert [(link.number, link.url, link.kind) for link in digest.links] == [
        (1, "https://a.example/", "body"),
        (2, "https://b.example/", "body"),
    ]
    assert digest.preheader == "看甲、乙、甲、信。"


def test_the_card_says_the_same_in_plain_words() -> None:
    card = card_for(digest_of("policy", "company"))
    assert card.fields == {
        "title": "水务动态",
        "number": "第3期（总第27期）",
        "date": "2022年11月11日",
        "sections": "政策、企业",
        "summary": "节水条例修订公布；河湖长制十年；清源公司发布水表",
    }
    assert card_for(bulletin(urgent=True)).fields["summary"] == "改到二十日。"


def test_the_samples_hold_what_the_tests_say() -> None:
    assert [section.key for section in ISSUE.sections if section.articles] == list(KEYS)
    assert POLICY.articles[0].page == 1
