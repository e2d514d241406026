"""Which hits are no person's: mail scanners, proxies that fetch pictures ahead, programs.

In: what a request says of itself, and how long after the send it came. Out: the name of the rule that it met, or "".
Caller: recording. What is hostile claims to be a browser, so this errs towards people; machines' hits are kept and
shown apart, and never trigger anything.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

#: Nobody reads a mail sooner after the relay has taken it; scanners follow every link at once.
SOONEST_PERSON_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Rule:
    """`name` is kept with the hit; `agent` is looked for in the User-Agent."""

    name: str
    agent: re.Pattern[str]


def _rule(name: str, *words: str) -> Rule:
    return Rule(name, re.compile("|".join(words), re.IGNORECASE))


RULES = (
    # Fetch the pictures of every mail when it arrives, whether or not somebody reads it.
    _rule("proxy.gmail", "GoogleImageProxy", r"ggpht\.com"),
    _rule("proxy.yahoo", "YahooMailProxy"),
    # Apple's Mail Privacy Protection says "Mozilla/5.0" and nothing else.
    _rule("proxy.apple", r"^Mozilla/5\.0$"),
    # Follow every link of a mail to look for harm.
    _rule(
        "scanner",
        "BarracudaCentral",
        "Mimecast",
        "ProofPoint",
        "Symantec",
        "FireEye",
        "TrendMicro",
        "SafeLinks",
        "MSOffice.*Preview",
        "Sophos",
        "CheckPoint",
        "Coremail.*scan",
        "urlscan",
    ),
    # Make a preview of a link that somebody pasted.
    _rule(
        "preview",
        "Slackbot",
        "TelegramBot",
        "WhatsApp",
        "facebookexternalhit",
        "Twitterbot",
        "DingTalkBot",
        "Lark.*URL",
        "Feishu.*Preview",
    ),
    _rule("crawler", r"bot\b", "spider", "crawler", "Bytespider", "slurp"),
    _rule(
        "program",
        r"\bcurl/",
        r"\bWget/",
        "python-requests",
        "python-urllib",
        "Python/",
        "aiohttp",
        "httpx",
        "Go-http-client",
        "Java/",
        "okhttp",
        "libwww",
        "HeadlessChrome",
        "PhantomJS",
    ),
)


def machine_of_request(method: str, headers: Mapping[str, str]) -> str:
    """What the request itself gives away.

    Args:
        method: `HEAD` asks what is there and shows nobody anything.
        headers: of the request.
    """
    if method == "HEAD":
        return "head"
    purposes = " ".join(headers.get(name, "") for name in ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"))
    if "prefetch" in purposes or "preview" in purposes or "prerender" in purposes:
        return "prefetch"
    return ""


def machine_of(user_agent: str, *, seconds_after_send: float | None) -> str:
    """The first rule that the hit meets, or "".

    Args:
        user_agent: as the request has it; none at all is no browser.
        seconds_after_send: None where it is not known when the message went out.
    """
    if not user_agent.strip():
        return "no_agent"
    for rule in RULES:
        if rule.agent.search(user_agent):
            return rule.name
    if seconds_after_send is not None and seconds_after_send < SOONEST_PERSON_SECONDS:
        return "too_soon"
    return ""
