"""What waits for a person when the demo begins: an issue to review, bulletins, a file with errors, others that fail.

In: a session or the parts, moments, who does it. Out: rows, by the same functions that the console calls where these
record nothing that a handler would act upon; tries of programs that are not there are written as rows, with their next
one far off. Caller: filling.py.
"""

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.bulletins import drafting
from bdnews_dispatch.bulletins.drafting import Written
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.demo import texts
from bdnews_dispatch.demo.texts import Notice
from bdnews_dispatch.issues.correcting import correct
from bdnews_dispatch.issues.intake import take
from bdnews_dispatch.issues.models import EditKind, Issue
from bdnews_dispatch.issues.parsing import parse_detected
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.messaging.models import Event
from bdnews_dispatch.parts import Parts
from bdnews_dispatch.subscribers.imports.receiving import receive
from bdnews_dispatch.subscribers.imports.running import Importer
from bdnews_dispatch.subscribers.imports.starting import Choices, begin, choose
from bdnews_dispatch.watched_feeds.models import FeedEntry, WatchedFeed
from bdnews_dispatch.webhooks.models import Webhook, WebhookTry

_FILE = """\
邮箱,称呼,栏目,频率
lu.xingye@visitor.example,陆星野,国策要论|地方新政,每期
gu.yining@visitor.example,顾以宁,产业镜像,每周
tang.shubai@visitor.example,唐书白,前沿观察|企业动向,每期
wei.xiangnan#visitor.example,魏向南,国策要论,每期
fang.qinghe@visitor.example,方清和,没有这个栏目,每期
lu.xingye@visitor.example,陆星野,国策要论,每期
shi.huaijin@visitor.example,石怀瑾,地方新政,每天
,没有邮箱的人,国策要论,每期
cheng.jingxing@visitor.example,程景行,整期,每月
ye.wangshu@visitor,叶望舒,前沿观察,每期
"""
_NEXT_FILE = "邮箱,称呼\nbai.ruozhou@visitor.example,白若舟\nqin.zhiyuan@visitor.example,秦知远\n"


def at(moment: datetime) -> Clock:
    """A clock that stands at a moment: what is done by it was done then."""
    moment = moment.astimezone(UTC)  # as every clock here: the audit log's hashes hold it as it is written
    return lambda: moment


async def review(
    session: AsyncSession, parts: Parts, total: int, moment: datetime, lots: Random, editor: str
) -> Issue:
    """An issue that came in with things to look at; one of its sources has been put right already."""
    publication = parts.publications.named("dsj")
    day = moment.astimezone(parts.settings.service.timezone).date()
    source = texts.faulty_issue(total, day, lots).encode()
    document = parse_detected(source, parts.publications, publication.key, max_bytes=len(source)).document
    name = f"大数据发展动态-{total}.md"
    taken = await take(session, at(moment), document, source_name=name, source=source, publish_now=False)
    await correct(
        session,
        at(moment + timedelta(minutes=25)),
        publication,
        taken.issue,
        revision=1,
        kind=EditKind.SOURCE,
        place=2,
        value="云岭数据战略研究院（综合）",
        actor=editor,
    )
    return taken.issue


async def bulletins(
    session: AsyncSession, publication: str, now: datetime, editor: str, reviewer: str
) -> list[int]:
    """One that waits for a second person, one that was given back, one that is being written. Returns: their ids."""
    waiting = await drafting.begin(
        session, at(now - timedelta(hours=2)), publication, editor, _written(texts.URGENT)
    )
    returned = await drafting.begin(
        session, at(now - timedelta(days=2)), publication, editor, _written(texts.NOTICES[4])
    )
    draft = await drafting.begin(
        session, at(now - timedelta(days=1)), publication, editor, _written(texts.DRAFT)
    )
    assert waiting.id is not None  # noqa: S101  # flushed
    assert returned.id is not None  # noqa: S101  # flushed
    assert draft.id is not None  # noqa: S101  # flushed
    await drafting.ask(session, at(now - timedelta(minutes=50)), waiting.id)
    await drafting.ask(session, at(now - timedelta(days=2)), returned.id)
    words = "问卷的链接打不开，请核对后再送审。"
    await drafting.give_back(session, at(now - timedelta(days=1, hours=4)), returned.id, reviewer, words)
    return [waiting.id, returned.id, draft.id]


def _written(notice: Notice) -> Written:
    return Written(
        notice.title, notice.body, notice.urgent, ad=False, sections=notice.sections, whom={}, at=None
    )


async def imports(parts: Parts, now: datetime) -> list[int]:
    """A file some of whose rows were refused, and one that nobody has begun. Returns: their ids."""
    publication = parts.publications.named("dsj")
    done = await _brought(parts, publication, "会场登记-十一月.csv", _FILE, now - timedelta(hours=6))
    clock = at(now - timedelta(hours=6) + timedelta(minutes=3))
    async with parts.database.write() as session:
        await choose(
            session, done, Choices(list_name="会场登记", basis="十一月会场登记，同意接收本刊（演示）")
        )
        await begin(session, clock, done)
    importer = Importer(parts.database, clock, parts.publications, parts.links.signer)
    while await importer.run_slice(done):
        pass
    waits = await _brought(parts, publication, "试读名单.csv", _NEXT_FILE, now - timedelta(minutes=40))
    return [done, waits]


async def _brought(parts: Parts, publication: Publication, name: str, text: str, moment: datetime) -> int:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file.csv"
        file.write_text(text, encoding="utf-8")
        settings = parts.settings.imports
        return await receive(
            parts.database, at(moment), settings, publication, file, file_name=name, origin="console user:1"
        )


async def others(session: AsyncSession, publication: str, now: datetime, issues: list[Issue]) -> None:
    """Webhooks and watched feeds at addresses that do not exist; none of them is tried while a demo lasts."""
    events = [_event(name, key, payload, moment) for name, key, payload, moment in _told(issues, now)]
    session.add_all(events)
    await session.flush()
    failing = Webhook(
        url="https://hooks.intranet.example/bdnews",
        description="内网门户：期刊与发送的进展",
        names=["dispatch.*", "issue.published"],
        cursor=events[0].id or 0,
        failures=7,
        failing_since=now - timedelta(days=2, hours=5),
        next_at=now + timedelta(days=1),
        created_at=now - timedelta(days=120),
    )
    off = Webhook(
        url="https://crm.example/in/bulletin",
        description="客户系统",
        names=["subscriber.*"],
        failures=24,
        failing_since=now - timedelta(days=31),
        next_at=now + timedelta(days=30),
        disabled_at=now - timedelta(days=26),
        why="连续 5 天没有收下",
        created_at=now - timedelta(days=200),
    )
    dead = WatchedFeed(
        url="https://data.region.example/feed.xml",
        publication=publication,
        failures=5,
        problem="对方答复 503",
        read_at=now - timedelta(days=3),
        next_at=now + timedelta(days=1),
        created_at=now - timedelta(days=90),
    )
    well = WatchedFeed(
        url="https://journal.example/atom.xml",
        publication=publication,
        backlog=True,
        read_at=now - timedelta(minutes=12),
        next_at=now + timedelta(days=1),
        created_at=now - timedelta(days=300),
    )
    session.add_all([failing, off, dead, well])
    await session.flush()
    assert failing.id is not None  # noqa: S101  # flushed
    assert well.id is not None  # noqa: S101  # flushed
    waited = timedelta(0)
    for place in range(7):
        answered = place % 3 == 1
        session.add(
            WebhookTry(
                webhook_id=failing.id,
                event_id=events[1].id or 0,
                at=now - timedelta(days=2, hours=5) + waited,
                status=502 if answered else 0,
                error="" if answered else "连不上：找不到主机",
                seconds=0.4 if answered else 10.0,
            )
        )
        waited = waited * 2 + timedelta(minutes=20)
    for place, issue in enumerate(issues[-4:]):
        session.add(
            FeedEntry(
                feed_id=well.id,
                key=f"{place:064x}",
                mark=f"{place:064x}",
                title=f"{issue.title} 总第{issue.total_number}期",
                issue_id=issue.id,
                seen_at=issue.created_at,
            )
        )
    refused = "没有找到总期号，无法确定这是哪一期"
    session.add(
        FeedEntry(
            feed_id=well.id,
            key="f" * 64,
            mark="f" * 64,
            title="编辑部启事",
            problem=refused,
            seen_at=now - timedelta(days=4),
        )
    )
    await session.flush()


def _told(issues: list[Issue], now: datetime) -> list[tuple[str, str, dict[str, Any], datetime]]:
    """What has been told of the last weeks, as far as retention keeps it."""
    found: list[tuple[str, str, dict[str, Any], datetime]] = []
    for issue in issues:
        if issue.published_at is None or issue.published_at < now - timedelta(days=60):
            continue
        found.append(
            ("issue.published", f"issue.published:{issue.id}", {"issue_id": issue.id}, issue.published_at)
        )
    return found


def _event(name: str, key: str, payload: dict[str, Any], moment: datetime) -> Event:
    """One that every handler has dealt with."""
    return Event(name=name, key=key, payload=payload, created_at=moment, handled_at=moment)
