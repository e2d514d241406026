"""Which hits are no person's."""

import pytest

from bdnews_dispatch.tracking.machines import machine_of, machine_of_request
from bdnews_dispatch.tracking.pushes import Keyword, keyword_of

PEOPLE = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 MicroMessenger/8.0.50",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; Microsoft Outlook 16.0)",
    "Foxmail/7.2 (Windows)",
    "QQMail/6.5 CFNetwork/1490 Darwin/23.2.0",
]
MACHINES = {
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)": "proxy.gmail",
    "YahooMailProxy; https://help.yahoo.com/": "proxy.yahoo",
    "Mozilla/5.0": "proxy.apple",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)": "crawler",
    "Mimecast URL Protect": "scanner",
    "Slackbot-LinkExpanding 1.0": "preview",
    "curl/8.5.0": "program",
    "Python/3.11 aiohttp/3.14.5": "program",
    "": "no_agent",
    "   ": "no_agent",
}


@pytest.mark.parametrize("agent", PEOPLE)
def test_people_are_people(agent: str) -> None:
    assert machine_of(agent, seconds_after_send=60) == ""
    assert machine_of(agent, seconds_after_send=None) == ""


@pytest.mark.parametrize(("agent", "reason"), MACHINES.items())
def test_machines_are_named(agent: str, reason: str) -> None:
    assert machine_of(agent, seconds_after_send=60) == reason


def test_nobody_reads_within_two_seconds() -> None:
    assert machine_of(PEOPLE[0], seconds_after_send=1.9) == "too_soon"
    assert machine_of(PEOPLE[0], seconds_after_send=2.0) == ""


def test_requests_that_give_themselves_away() -> None:
    assert machine_of_request("HEAD", {}) == "head"
    assert machine_of_request("GET", {"Sec-Purpose": "prefetch;anonymous-client-ip"}) == "prefetch"
    assert machine_of_request("GET", {"X-Purpose": "preview"}) == "prefetch"
    assert machine_of_request("GET", {}) == ""


def test_keywords_stand_alone() -> None:
    assert keyword_of(" 退 订。") is Keyword.UNSUBSCRIBE
    assert keyword_of("“最新”") is Keyword.NEWEST
    assert keyword_of("我不想退订") is None
    assert keyword_of("") is None
