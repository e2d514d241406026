"""Which hits are no person's: a table of User-Agents, what only several hits show, and 100,000 hits of known truth."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bdnews_dispatch.errors import SettingsError
from bdnews_dispatch.tracking.machines import (
    Machines,
    Together,
    Trace,
    announced,
    bursts,
    family_of,
    tries_every_link,
)
from bdnews_dispatch.tracking.models import HitKind

_WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
_ANDROID = (
    "Mozilla/5.0 (Linux; Android 14; 23127PN0CC Build/UKQ1.230804; wv) AppleWebKit/537.36 (KHTML, like Gecko)"
)
_IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
_MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"

PEOPLE = [
    f"{_WINDOWS} Chrome/140.0.0.0 Safari/537.36",
    f"{_WINDOWS} Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
    f"{_WINDOWS} Chrome/109.0.5414.120 Safari/537.36",
    f"{_WINDOWS} Chrome/122.0.6261.95 Safari/537.36 QQBrowser/19.2.6473.400",
    f"{_WINDOWS} Chrome/86.0.4240.198 Safari/537.36 QIHU 360SE",
    f"{_WINDOWS} Chrome/108.0.5359.125 Safari/537.36 SE 2.X MetaSr 1.0",
    f"{_WINDOWS} Chrome/116.0.0.0 Safari/537.36 MicroMessenger/7.0.20.1781(0x6700143B) NetType/WIFI WindowsWechat",
    f"{_WINDOWS} Chrome/120.0.0.0 Safari/537.36 wxwork/4.1.30 MicroMessenger/7.0.1",
    f"{_WINDOWS} Chrome/120.0.0.0 Safari/537.36 Foxmail/7.2.25",
    f"{_ANDROID} Version/4.0 Chrome/116.0.0.0 XWEB/1160 MMWEBSDK/20240301 MMWEBID/1 MicroMessenger/8.0.48 NetType/5G",
    f"{_ANDROID} Version/4.0 Chrome/121.0 Mobile Safari/537.36 HuaweiBrowser/14.0.5",
    f"{_ANDROID} Version/4.0 Chrome/100.0 Mobile Safari/537.36 MiuiBrowser/18.1",
    f"{_ANDROID} Version/4.0 Chrome/112.0 Mobile Safari/537.36 UCBrowser/16.3.0",
    f"{_ANDROID} Version/4.0 Chrome/112.0 Mobile Safari/537.36 DingTalk/7.5.0",
    f"{_ANDROID} Version/4.0 Chrome/112.0 Mobile Safari/537.36 Feishu/7.1.0",
    f"{_IPHONE} Version/18.1 Mobile/15E148 Safari/604.1",
    f"{_IPHONE} Mobile/15E148 MicroMessenger/8.0.50(0x1800323d) NetType/WIFI Language/zh_CN",
    f"{_IPHONE} Mobile/15E148",
    f"{_IPHONE} CriOS/140.0 Mobile/15E148 Safari/604.1",
    f"{_MAC} Version/18.1 Safari/605.1.15",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:128.0) Gecko/20100101 Thunderbird/128.0",
    "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/7.0; Microsoft Outlook 16.0.5215)",
    "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17928; Pro)",
    "Outlook-iOS/2.0",
    "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (X11; Linux aarch64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36 UOS",
    "Mozilla/5.0 (iPad; CPU OS 17_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Safari/604.1",
    "Foxmail/7.2 (Windows)",
    "QQMail/6.5 CFNetwork/1490 Darwin/23.2.0",
]
MACHINES = {
    "": "program.no_agent",
    "   ": "program.no_agent",
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)": "proxy.gmail",
    f"{_WINDOWS} Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0": "prefetch.gmail",
    "YahooMailProxy; https://help.yahoo.com/": "proxy.yahoo",
    "Mozilla/5.0": "proxy.apple",
    "QQMail-ImageProxy/1.0": "prefetch.qq",
    "NetEase-MailCache/2.1 (image)": "prefetch.163",
    f"{_ANDROID} MicroMessenger/8.0 WeChat-Prefetch/1.0": "prefetch.wechat",
    "Mimecast URL Protect": "scanner.named",
    "Mozilla/5.0 (compatible; Proofpoint URL Defense)": "scanner.named",
    "BarracudaCentral/1.0": "scanner.named",
    "TrendMicro WRS": "scanner.named",
    "Sophos Email Gateway": "scanner.named",
    "Coremail-Link-Check/1.0": "scanner.named",
    "Tencent UrlSafe/2.0": "scanner.named",
    "FortiMail/7.4": "scanner.named",
    "360WebScan/1.0": "scanner.named",
    "Microsoft Office Existence Discovery": "scanner.outlook",
    "Mozilla/5.0 (Windows NT 10.0; Win64) SkypeUriPreview Preview/0.5": "scanner.outlook",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)": "preview.named",
    "facebookexternalhit/1.1": "preview.named",
    "WhatsApp/2.23 A": "preview.named",
    "DingTalkBot-LinkService/1.0": "preview.named",
    "Lark-URL-Preview/1.0": "preview.named",
    f"{_WINDOWS} HeadlessChrome/140.0 Safari/537.36": "program.headless",
    "curl/8.5.0": "program.library",
    "Wget/1.21": "program.library",
    "python-requests/2.32": "program.library",
    "Python/3.11 aiohttp/3.14.5": "program.library",
    "Go-http-client/2.0": "program.library",
    "Java/17.0.2": "program.library",
    "okhttp/4.12.0": "program.library",
    "axios/1.7": "program.library",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)": "crawler.generic",
    "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)": "crawler.generic",
    "Mozilla/5.0 (Linux; Android 5.0) AppleWebKit/537.36 (compatible; Bytespider; spider-feedback)": "crawler.generic",
    "Sogou web spider/4.0": "crawler.generic",
    "Mozilla/5.0 (compatible; YisouSpider)": "crawler.generic",
    "Mozilla/5.0 (compatible; archive.org_bot)": "crawler.generic",
    "ia_archiver": "crawler.listed",
    "Mediapartners-Google": "crawler.listed",
    "Feedly/1.0 (+http://www.feedly.com/fetcher.html; like FeedFetcher-Google)": "crawler.generic",
}
_START = datetime(2022, 11, 11, 1, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def machines() -> Machines:
    return Machines.load()


def of(agent: str, *, seconds: float | None = 60.0, kind: HitKind = HitKind.OPEN) -> Trace:
    return Trace(kind, agent, seconds=seconds)


@pytest.mark.parametrize("agent", PEOPLE)
def test_people_are_people(machines: Machines, agent: str) -> None:
    assert machines.reason(of(agent)) == ""
    assert machines.reason(of(agent, seconds=None)) == ""


@pytest.mark.parametrize(("agent", "reason"), MACHINES.items())
def test_machines_are_named(machines: Machines, agent: str, reason: str) -> None:
    assert machines.reason(of(agent)) == reason
    assert machines.reason(of(agent)) == reason, "remembered"


def test_the_table_is_long_enough() -> None:
    assert len(PEOPLE) + len(MACHINES) >= 60


def test_nobody_reads_within_two_seconds(machines: Machines) -> None:
    assert machines.reason(of(PEOPLE[0], seconds=1.9)) == "timing.too_soon"
    assert machines.reason(of(PEOPLE[0], seconds=2.0)) == ""
    assert machines.reason(of("curl/8.5.0", seconds=0.1)) == "program.library", "the file's order decides"


def test_requests_that_give_themselves_away(machines: Machines) -> None:
    head = Trace(HitKind.CLICK, PEOPLE[0], method="HEAD")
    assert machines.reason(head) == "prefetch.head"
    assert machines.reason(Trace(HitKind.OPEN, PEOPLE[0], announced=True)) == "prefetch.announced"
    assert machines.reason(Trace(HitKind.OPEN, PEOPLE[0], network="17.58.1.0/24")) == "proxy.apple"
    assert machines.reason(Trace(HitKind.CLICK, PEOPLE[0], network="17.58.1.0/24")) == "", (
        "Apple's people click"
    )
    assert machines.reason(Trace(HitKind.OPEN, PEOPLE[0], network="2001:db8::/48")) == ""
    assert machines.reason(Trace(HitKind.OPEN, PEOPLE[0], network="nonsense")) == ""
    assert announced({"Sec-Purpose": "prefetch;anonymous-client-ip"})
    assert announced({"X-Purpose": "preview"})
    assert not announced({"Purpose": ""})


def test_families_are_known_and_short() -> None:
    assert family_of(PEOPLE[0]) == "Chrome"
    assert family_of("") == ""
    assert len(family_of("Mozilla/5.0 " + "x" * 5_000)) <= 40


def clicks(*pairs: tuple[float, int]) -> list[tuple[datetime, int]]:
    return [(_START + timedelta(seconds=at), link) for at, link in pairs]


def test_a_scanner_tries_every_link() -> None:
    limit = Together(5, 10)
    quick = clicks((0, 1), (1, 2), (2, 3), (3, 4), (9, 5), (300, 2))
    assert tries_every_link(quick, 20, limit) == (quick[0][0], quick[4][0]), (
        "the reader's own click is left alone"
    )
    slow = clicks((0, 1), (8, 2), (16, 3), (24, 4), (32, 5))
    assert tries_every_link(slow, 20, limit) is None
    again = clicks((0, 1), (1, 1), (2, 1), (3, 1), (4, 1))
    assert tries_every_link(again, 20, limit) is None, "one link five times is an impatient reader"
    few = clicks((0, 1), (1, 2), (2, 3))
    assert tries_every_link(few, 3, limit) == (few[0][0], few[2][0])
    assert tries_every_link(few[:2], 2, limit) is None, "two links prove nothing"


def test_a_gateway_comes_in_step() -> None:
    limit = Together(15, 10)
    step = [(_START + timedelta(seconds=n / 2), n, n) for n in range(20)]
    assert bursts(step, limit) == set(range(20))
    office = [(_START + timedelta(seconds=n * 2), n, n) for n in range(20)]
    assert bursts(office, limit) == set()
    one_reader = [(_START + timedelta(seconds=n / 10), n, 7) for n in range(100)]
    assert bursts(one_reader, limit) == set()


def hits_of_known_truth(number: int) -> Iterator[tuple[Trace, bool]]:
    """Hits as a dispatch sees them. Yields: the hit, and whether a person made it."""
    chance = random.Random(104)
    for _ in range(number):
        kind = HitKind.CLICK if chance.random() < 0.2 else HitKind.OPEN
        network = f"{chance.randrange(30, 220)}.{chance.randrange(256)}.{chance.randrange(256)}.0/24"
        if chance.random() < 0.55:
            # A reader: any time, but hardly within seconds; some read as the mail comes in.
            seconds = chance.lognormvariate(8.5, 2.2)
            yield Trace(kind, chance.choice(PEOPLE), network=network, seconds=seconds), True
            continue
        way = chance.random()
        if way < 0.75:
            agent = chance.choice([agent for agent in MACHINES if agent.strip()])
            seconds = chance.expovariate(1 / 40)
            open_or_click = HitKind.OPEN if agent.endswith("12.246 Mozilla/5.0") else kind
            yield Trace(open_or_click, agent, network=network, seconds=seconds), False
        elif way < 0.9:
            yield Trace(kind, chance.choice(PEOPLE), method="HEAD", network=network, seconds=30), False
        else:
            yield Trace(kind, chance.choice(PEOPLE), network=network, seconds=chance.uniform(0, 1.9)), False


def test_a_hundred_thousand_hits_of_known_truth(machines: Machines) -> None:
    right = {True: 0, False: 0}
    total = {True: 0, False: 0}
    for trace, person in hits_of_known_truth(100_000):
        total[person] += 1
        right[person] += (machines.reason(trace) == "") is person
    assert right[False] >= 0.99 * total[False]
    assert right[True] >= 0.995 * total[True]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nonsense", "machines.toml"),
        ('[[rule]]\nname = "odd"\nsource = "x"\nagents = ["a"]', "odd"),
        ('[[rule]]\nname = "proxy.x"\nagents = ["a"]', "proxy.x"),
        ('[[rule]]\nname = "proxy.x"\nsource = "x"\nagents = ["("]', "proxy.x"),
        ('[[rule]]\nname = "proxy.x"\nsource = "x"\nagent = ["a"]', "agent"),
        ('[[rule]]\nname = "proxy.x"\nsource = "x"\nnetworks = ["1.2.3"]', "proxy.x"),
        ('[[rule]]\nname = "proxy.x"\nsource = "x"', "proxy.x"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "machines.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=told):
        Machines.load(file)
