"""What a WeChat user writes to the account."""

from bdnews_dispatch.issues.publications import load_publications
from bdnews_dispatch.official_account.keywords import Keyword, keyword_of, section_of


def test_keywords_stand_alone() -> None:
    assert keyword_of(" 退 订。") is Keyword.UNSUBSCRIBE
    assert keyword_of("“最新”") is Keyword.NEWEST
    assert keyword_of("我不想退订") is None
    assert keyword_of("") is None


def test_sections_are_called_by_their_names() -> None:
    publication = load_publications().named("dsj")
    found = section_of("“产业镜像”。", publication)
    assert found is not None
    assert found.key == "industry"
    assert section_of("国策 要论", publication) == publication.section("policy")
    assert section_of("National policy", publication) == publication.section("policy")
    for text in ("", "。", "产业", "订阅", "产业镜像在哪里"):
        assert section_of(text, publication) is None, text
