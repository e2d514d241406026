"""Two thousand people who do not exist: names by lots, addresses at domains that lead nowhere (RFC 2606).

In: lots and the year. Out: readers with what they want and when they came; past.py lets them read, leave, bounce.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from bdnews_dispatch.subscribers.models import Cadence, ChannelChoice

#: At the beginning of the year, and coming during it.
BEFORE, DURING = 900, 1_100
_FAMILY = "林沈江顾陆何苏许程叶白唐秦魏方石"
_FAMILY_SPELT = (
    "lin", "shen", "jiang", "gu", "lu", "he", "su", "xu", "cheng", "ye", "bai", "tang", "qin", "wei", "fang", "shi",
)  # fmt: skip
_GIVEN = (
    "知远",
    "若舟",
    "晚晴",
    "明澈",
    "岸",
    "言",
    "川",
    "禾",
    "景行",
    "望舒",
    "清和",
    "怀瑾",
    "以宁",
    "书白",
    "星野",
    "向南",
)
#: Domain → how many of a hundred, how eager they are to read, how many of a thousand mails come back, what scans them.
DOMAINS: dict[str, tuple[int, float, float, str]] = {
    "mail.example": (34, 0.9, 6.0, ""),
    "post.example": (22, 0.8, 14.0, ""),
    "bureau.example": (14, 1.3, 3.0, "gateway"),
    "univ.example": (11, 1.1, 9.0, ""),
    "corp.example": (9, 1.0, 5.0, "gateway"),
    "institute.example": (5, 1.4, 3.0, ""),
    "example.com": (3, 0.7, 25.0, "proxy"),
    "example.org": (2, 0.6, 40.0, "proxy"),
}
_UNITS = ("数据局", "信息中心", "研究院", "大学", "企业", "媒体")
_REGIONS = ("云岭", "临江", "东屿", "北原", "青石", "南汀")
TAGS = ("专家", "媒体", "试点单位", "投稿人")
#: Weights of choosing each section, in the publication's order.
_LIKED = (0.62, 0.5, 0.44, 0.38, 0.27)


@dataclass(slots=True)
class Reader:
    """Somebody.

    Attributes:
        id: of the row.
        eager: how likely they are to open a mail, 0 to 1.
        origin: how they came: `form`, `import`, `admin`, `wechat`.
        changed: when they chose `before` away for `sections`; None: never.
        left, why: when they unsubscribed, and by which way.
        stopped, stopped_why: when their address was suppressed; it began a while before they are left out.
        soft: bounces in a row.
        opened: last, by themselves.
    """

    id: int
    name: str
    email: str | None
    openid: str | None
    domain: str
    channel: ChannelChoice
    cadence: Cadence
    whole: bool
    sections: tuple[str, ...]
    eager: float
    untracked: bool
    following: bool
    joined: datetime
    origin: str
    unit: str
    region: str
    tags: tuple[str, ...]
    paused_until: datetime | None = None
    before: tuple[str, ...] = ()
    changed: datetime | None = None
    left: datetime | None = None
    why: str = ""
    stopped: datetime | None = None
    stopped_why: str = ""
    soft: int = 0
    opened: datetime | None = None
    lists: tuple[str, ...] = field(default=())

    def reads(self, at: datetime) -> bool:
        """Whether they have an agreement then."""
        return self.joined < at and (self.left is None or self.left > at)

    def chosen(self, at: datetime) -> tuple[str, ...]:
        """Their sections then."""
        return self.before if self.changed is not None and at < self.changed else self.sections


def crowd(
    lots: Random, first_id: int, sections: tuple[str, ...], begin: datetime, now: datetime
) -> list[Reader]:
    """Everybody who ever came, in the order in which they did."""
    span = (now - begin).total_seconds()
    # More come in the second half of the year, and most of all on three days: a fair, a talk, a press notice.
    moments = [begin - timedelta(seconds=lots.uniform(0, 90_000)) for _ in range(BEFORE)]
    for place in range(DURING):
        share = (
            lots.choice((0.23, 0.55, 0.81)) + lots.uniform(0, 0.004)
            if place % 3 == 0
            else lots.random() ** 0.8
        )
        moments.append(begin + timedelta(seconds=share * (span - 200_000)))
    return [
        _reader(lots, first_id + place, sections, joined, now) for place, joined in enumerate(sorted(moments))
    ]


def _reader(lots: Random, id_: int, sections: tuple[str, ...], joined: datetime, now: datetime) -> Reader:
    family = lots.randrange(len(_FAMILY))
    domain = lots.choices(list(DOMAINS), [weight for weight, *_ in DOMAINS.values()])[0]
    channel = lots.choices(
        (ChannelChoice.EMAIL, ChannelChoice.EITHER, ChannelChoice.BOTH, ChannelChoice.WECHAT), (84, 7, 4, 5)
    )[0]
    liked = tuple(key for key, weight in zip(sections, _LIKED, strict=True) if lots.random() < weight)
    reader = Reader(
        id=id_,
        name=_FAMILY[family] + lots.choice(_GIVEN),
        email=None if channel is ChannelChoice.WECHAT else f"{_FAMILY_SPELT[family]}{id_}@{domain}",
        openid=None if channel is ChannelChoice.EMAIL else f"oDemo{id_:023d}",
        domain=domain,
        channel=channel,
        cadence=lots.choices(list(Cadence), (68, 16, 11, 5))[0],
        whole=lots.random() < 0.18,
        sections=liked or sections[:2],
        eager=min(0.97, lots.betavariate(1.5, 1.7) * DOMAINS[domain][1]),
        untracked=lots.random() < 0.05,
        following=lots.random() < 0.93,
        joined=joined,
        origin="wechat"
        if channel is ChannelChoice.WECHAT
        else lots.choices(("form", "import", "admin"), (6, 5, 1))[0],
        unit=lots.choice(_UNITS),
        region=lots.choice(_REGIONS),
        tags=tuple(tag for tag in TAGS if lots.random() < 0.05),
    )
    if not reader.whole and lots.random() < 0.08:
        reader.before = tuple(key for key in sections if key not in reader.sections)[:2] or sections[:1]
        reader.changed = joined + (now - joined) * lots.uniform(0.1, 0.9)
    if lots.random() < 0.012:
        reader.paused_until = now + timedelta(days=lots.randint(5, 40))
    return reader
