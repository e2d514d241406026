"""Limits by provider, from the file that ships and from wrong ones."""

from pathlib import Path

import pytest

from bdnews_dispatch.channels.email.limits import Limit, Limits
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


@pytest.mark.parametrize(
    ("domains", "name"),
    [
        (("qq.com", "foxmail.com", "vip.qq.com"), "tencent"),
        (("163.com", "126.com", "yeah.net", "vip.163.com", "188.com"), "netease"),
        (("sina.com", "sina.cn", "vip.sina.com"), "sina"),
        (("aliyun.com",), "aliyun"),
        (("gmail.com", "googlemail.com"), "google"),
        (("outlook.com", "hotmail.com", "live.com", "msn.com"), "microsoft"),
        (("yahoo.com",), "yahoo"),
    ],
)
def test_each_domain_has_its_providers_limit(domains: tuple[str, ...], name: str) -> None:
    assert {SHIPPED.of(domain).name for domain in domains} == {name}


def test_the_relay_and_others_have_no_limit() -> None:
    for limit in (SHIPPED.relay, SHIPPED.of("a.example")):
        assert (limit.messages_per_second, limit.connections, limit.messages_per_connection) == (0, 0, 0)


def test_others_share_figures_and_not_turns(tmp_path: Path) -> None:
    file = tmp_path / "providers.toml"
    file.write_text("[others]\nmessages_per_second = 2.5\nconnections = 3\n", encoding="utf-8")
    limits = Limits.load(file)
    assert limits.of("a.example") == Limit("a.example", 2.5, 3)
    assert limits.of("b.example") == Limit("b.example", 2.5, 3)


@pytest.mark.parametrize(
    "wrong", ['domains = ["x.cn"]\nmessages_per_minute = 3', 'domains = ["x.cn"]\nconnections = -1', ""]
)
def test_the_provider_of_a_wrong_limit_is_named(tmp_path: Path, wrong: str) -> None:
    file = tmp_path / "providers.toml"
    file.write_text(f'[[provider]]\nname = "who"\n{wrong}', encoding="utf-8")
    with pytest.raises(SettingsError, match=r"\bwho\b"):
        Limits.load(file)
