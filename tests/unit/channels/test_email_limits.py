"""Limits by provider, from the file that ships and from wrong ones."""

from pathlib import Path

import pytest

from bdnews_dispatch.channels.email.limits import Limits
from bdnews_dispatch.errors import SettingsError

SHIPPED = Limits.load()


@pytest.mark.parametrize(
    "domain",
    [
        "qq.com",
        "foxmail.com",
        "163.com",
        "126.com",
        "yeah.net",
        "sina.com",
        "aliyun.com",
        "gmail.com",
        "outlook.com",
        "yahoo.com",
    ],
)
def test_the_large_providers_have_limits(domain: str) -> None:
    limit = SHIPPED.of(domain)
    assert limit.name != domain
    assert 0 < limit.messages_per_second <= 100
    assert 0 < limit.connections <= 20
    assert 0 < limit.messages_per_connection <= 1000


def test_domains_of_one_provider_share_its_limit() -> None:
    assert SHIPPED.of("qq.com") is SHIPPED.of("foxmail.com")
    assert SHIPPED.of("163.com") is SHIPPED.of("yeah.net")


def test_any_other_domain_stands_for_itself() -> None:
    assert SHIPPED.of("a.example").name == "a.example"
    assert SHIPPED.of("a.example").messages_per_second == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('[[provider]]\nname = "x"\ndomains = ["x.cn"]\nmessages_per_minute = 3', "messages_per_minute"),
        ('[[provider]]\nname = "x"\ndomains = ["x.cn"]\nconnections = -1', "x 的 connections"),
        ('[[provider]]\nname = "x"\ndomains = ["x.cn"]\nconnections = "3"', "x 的 connections"),
        ('[[provider]]\nname = "x"\nconnections = 3', "x 没有 domains"),
        ("[relay]\nconnections = true", "relay"),
        ("[relay", "读不到"),
    ],
)
def test_a_wrong_limit_is_named(tmp_path: Path, content: str, words: str) -> None:
    file = tmp_path / "providers.toml"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError, match=words):
        Limits.load(file)
