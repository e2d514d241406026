"""What a WeChat user writes to the account."""

from bdnews_dispatch.tracking.pushes import Keyword, keyword_of


def test_keywords_stand_alone() -> None:
    assert keyword_of(" 退 订。") is Keyword.UNSUBSCRIBE
    assert keyword_of("“最新”") is Keyword.NEWEST
    assert keyword_of("我不想退订") is None
    assert keyword_of("") is None
