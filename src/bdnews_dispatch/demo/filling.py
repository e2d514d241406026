"""Fills a demo's database with a year that never was.

In: the parts of a demo that has done its main job. Out: rows; how many, and who may sign in. Caller: cli/demo.py.
The rows are as the service leaves them when it has done its work: nothing is due, no event waits for a handler, no run
of the timetable is missing. So the worker, catch-up and retention have nothing to do about them; the scheduler judges
the hits and counts the dispatches, as it does with all others.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from random import Random
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.accounts import audit
from bdnews_dispatch.accounts.rights import Role
from bdnews_dispatch.accounts.users import add_user
from bdnews_dispatch.bulletins.models import Bulletin
from bdnews_dispatch.bulletins.writing import write_bulletin
from bdnews_dispatch.db.statements import insert_many, insert_new, new_ids
from bdnews_dispatch.demo import texts, waiting
from bdnews_dispatch.demo.crowd import BEFORE, DURING, Reader, crowd
from bdnews_dispatch.demo.past import Played, Sent, Year
from bdnews_dispatch.demo.texts import Notice
from bdnews_dispatch.dispatch.contents import links_of, load_contents
from bdnews_dispatch.dispatch.models import Attempt, Delivery, Dispatch, DispatchKind, DispatchLink
from bdnews_dispatch.dispatch.starting import start_bulletin
from bdnews_dispatch.dispatch.states import DeliveryState, DispatchState
from bdnews_dispatch.issues.intake import fingerprint
from bdnews_dispatch.issues.models import Issue, IssueRevision, IssueState
from bdnews_dispatch.issues.parsing import parse_detected
from bdnews_dispatch.official_account.models import WeChatQuota
from bdnews_dispatch.official_account.takings import TEMPLATE_QUOTA, day_of, quota_name
from bdnews_dispatch.parts import Parts
from bdnews_dispatch.returns.models import ReturnedMail
from bdnews_dispatch.sandbox import SANDBOX_APPID
from bdnews_dispatch.scheduling.models import ScheduledRun
from bdnews_dispatch.scheduling.timetable import read_timetable
from bdnews_dispatch.subscribers.agreements import CHANGED
from bdnews_dispatch.subscribers.consent import consent_text, keep_text
from bdnews_dispatch.subscribers.models import (
    Cadence,
    Channel,
    Follower,
    LiftedSuppression,
    ListMembership,
    MailingList,
    Subscriber,
    SubscriberAttribute,
    SubscriberTag,
    Subscription,
    Suppression,
)
from bdnews_dispatch.subscribers.segments import save_segment
from bdnews_dispatch.tracking.models import Hit

#: The day on which the sample was first put together; any number would do.
SEED = 20221111
PUBLICATION = "dsj"
#: Two a month, as the sample's numbers say.
_ISSUES, _APART = 24, timedelta(days=15)
#: The demo's own.
_SAMPLE = 112
_LISTS: Mapping[str, tuple[str, bool]] = {
    "会场登记": ("在会场登记、同意接收的人", False),
    "机关读者": ("各级机关的读者", False),
    "高校与研究机构": ("寄给高校与研究机构的读者，另附文献目录", True),
    "企业数据官": ("面向企业数据负责人的通知", True),
}
_OF_DOMAIN = {
    "bureau.example": "机关读者",
    "univ.example": "高校与研究机构",
    "institute.example": "高校与研究机构",
    "corp.example": "企业数据官",
}
_SEGMENTS: Mapping[str, dict[str, Any]] = {
    "读国策要论的专家": {
        "all": [{"field": "tag", "any_of": ["专家"]}, {"field": "sections", "any_of": ["policy"]}]
    },
    "机关与研究机构": {"all": [{"field": "domain", "any_of": ["bureau.example", "institute.example"]}]},
    "三个月没有打开过": {"none": [{"field": "last_opened", "within_days": 90}]},
}
ADMIN, REVIEWER = "admin@demo.example", "reviewer@demo.example"
#: Who runs the demo's publication: name, address, role.
USERS = (
    ("林知远", ADMIN, Role.ADMIN),
    ("沈若舟", REVIEWER, Role.REVIEWER),
    ("顾言", "editor@demo.example", Role.EDITOR),
)


@dataclass(slots=True)
class _Planned:
    """A dispatch of the past, before it is played."""

    at: datetime
    dispatch: Dispatch
    until: int | None = None


async def fill(parts: Parts) -> dict[str, int]:
    """Fill it. Returns: how many rows of what."""
    now = parts.clock()
    lots = Random(SEED)  # noqa: S311  # nothing here is a secret
    async with parts.database.write() as session:
        users = [await _user(session, now, *one) for one in USERS]
        issues = await _issues(session, parts, now, lots)
        planned = await _planned(session, parts, now, issues)
        ids = await new_ids(session, Subscriber, BEFORE + DURING)
        sections = parts.publications.named(PUBLICATION).section_keys
        readers = crowd(lots, ids[0], tuple(sections), now - timedelta(days=366), now)
        sent, links = await _sent(session, parts, planned)
        (first,) = await new_ids(session, Delivery, 1)
        year = Year(lots, readers, first, now)
        ends = await asyncio.to_thread(lambda: [year.play(one) for one in sent])
        for one, end in zip(planned, ends, strict=True):
            _end(one, end)
        await _people(session, parts, readers, now)
        await insert_many(session, Dispatch, [one.dispatch.model_dump() for one in planned])
        await insert_many(session, DispatchLink, links)
        await _ledger(session, year.rows)
        await _stops(session, readers, now)
        await _rest(session, parts, now, lots, issues, users)
    imports = await waiting.imports(parts, now)
    async with parts.database.write() as session:
        await _audit(session, planned, users, imports, now)
    return {
        "issues": len(issues),
        "subscribers": len(readers),
        "dispatches": len(planned),
        "deliveries": len(year.rows.deliveries),
        "hits": len(year.rows.hits),
    }


async def followers_of(parts: Parts) -> Sequence[str]:
    """Who follows the account in the year that was made up: the sandbox's platform must know them too, or the first
    dispatch from the console fails for each of them, and suppresses them.
    """
    async with parts.database.read() as session:
        rows = await session.exec(select(Follower.openid).where(col(Follower.following)))
        return rows.all()


async def _user(session: AsyncSession, now: datetime, name: str, email: str, role: Role) -> int:
    user = await add_user(session, waiting.at(now - timedelta(days=380)), email=email, name=name, role=role)
    assert user.id is not None  # noqa: S101  # flushed
    return user.id


async def _issues(session: AsyncSession, parts: Parts, now: datetime, lots: Random) -> list[Issue]:
    """Published ones, each with its file."""
    zone = parts.settings.service.timezone
    today = now.astimezone(zone).date()
    found = []
    for place in range(_ISSUES):
        total = _SAMPLE - _ISSUES + place
        day = _workday(today - _APART * (_ISSUES - place))
        moment = datetime.combine(day, time(9, 30), tzinfo=zone)
        source = texts.issue(total, day, lots).encode()
        document = parse_detected(source, parts.publications, PUBLICATION, max_bytes=len(source)).document
        issue = Issue(
            publication=PUBLICATION,
            total_number=total,
            number=document.number,
            date=day,
            title=document.title,
            state=IssueState.PUBLISHED,
            created_at=moment - timedelta(hours=15),
            published_at=moment,
        )
        session.add(issue)
        await session.flush()
        assert issue.id is not None  # noqa: S101  # flushed
        session.add(
            IssueRevision(
                issue_id=issue.id,
                revision=1,
                fingerprint=fingerprint(document),
                document=document.model_dump(mode="json"),
                source_name=f"大数据发展动态-{total}.md",
                source=source,
                created_at=issue.created_at,
            )
        )
        found.append(issue)
    await session.flush()
    return found


async def _planned(
    session: AsyncSession, parts: Parts, now: datetime, issues: Sequence[Issue]
) -> list[_Planned]:
    """Every dispatch of the year in its order: each issue, what the timetable made of them, bulletins."""
    zone = parts.settings.service.timezone
    found = [_issue_dispatch(issue) for issue in issues]
    found += await _periods(session, parts, now, issues)
    for place, notice in enumerate(texts.NOTICES):
        day = now.astimezone(zone).date() - timedelta(days=340 - 43 * place)
        moment = datetime.combine(_workday(day), time(14, 5 * place), tzinfo=zone)
        cancelled = place == 6
        found.append(await _bulletin(session, notice, moment, until=260 if cancelled else None))
    stopped = await _bulletin(session, texts.STOPPED, now - timedelta(hours=3), until=330)
    stopped.dispatch.state = DispatchState.PAUSED
    stopped.dispatch.note = "email：535 5.7.8 Authentication credentials invalid"
    found.append(stopped)
    found.sort(key=lambda one: one.at)
    ids = await new_ids(session, Dispatch, len(found))
    for id_, one in zip(ids, found, strict=True):
        one.dispatch.id = id_
    return found


def _issue_dispatch(issue: Issue) -> _Planned:
    assert issue.published_at is not None  # noqa: S101  # all of them are
    assert issue.id is not None  # noqa: S101  # flushed
    at = issue.published_at + timedelta(seconds=20)
    return _Planned(
        at,
        Dispatch(
            cause=f"issue:{issue.id}",
            kind=DispatchKind.ISSUE,
            publication=PUBLICATION,
            issues=[{"id": issue.id, "revision": 1}],
            cadence=Cadence.ISSUE,
            state=DispatchState.FINISHED,
            due_at=at,
            created_at=at,
        ),
    )


async def _periods(
    session: AsyncSession, parts: Parts, now: datetime, issues: Sequence[Issue]
) -> list[_Planned]:
    """As the timetable would have made them, with its rows."""
    first = issues[0].published_at
    assert first is not None  # noqa: S101  # as above
    found = []
    for entry in read_timetable(parts.settings.schedule, parts.settings.service.timezone):
        for due, since in entry.due_between(first, now):
            run = {"timetable": f"{entry.cadence}:{PUBLICATION}", "due_at": due, "ran_at": due}
            await session.execute(insert_new(session, ScheduledRun).values(run))
            held = [one for one in issues if one.published_at is not None and since <= one.published_at < due]
            if not held:
                continue
            found.append(
                _Planned(
                    due,
                    Dispatch(
                        cause=f"{entry.cadence}:{PUBLICATION}:{due.isoformat()}",
                        kind=DispatchKind.PERIOD,
                        publication=PUBLICATION,
                        issues=[{"id": one.id, "revision": 1} for one in held if one.id is not None],
                        cadence=entry.cadence,
                        state=DispatchState.FINISHED,
                        due_at=due,
                        created_at=due,
                    ),
                )
            )
    return found


async def _bulletin(session: AsyncSession, notice: Notice, at: datetime, *, until: int | None) -> _Planned:
    row = await _written(session, notice, at)
    state = DispatchState.FINISHED if until is None else DispatchState.CANCELLED
    return _Planned(
        at,
        Dispatch(
            cause=f"bulletin:{row.id}",
            kind=DispatchKind.BULLETIN,
            publication=PUBLICATION,
            bulletin_id=row.id,
            sections=sorted(notice.sections),
            urgent=notice.urgent,
            state=state,
            due_at=at,
            created_at=at,
        ),
        until,
    )


async def _written(session: AsyncSession, notice: Notice, at: datetime) -> Bulletin:
    return await write_bulletin(
        session,
        waiting.at(at),
        publication=PUBLICATION,
        title=notice.title,
        body=notice.body,
        urgent=notice.urgent,
    )


async def _sent(
    session: AsyncSession, parts: Parts, planned: Sequence[_Planned]
) -> tuple[list[Sent], list[dict[str, Any]]]:
    """What each of them holds, and the rows of its links."""
    sent, rows = [], []
    publication = parts.publications.named(PUBLICATION)
    for one in planned:
        dispatch = one.dispatch
        contents = await load_contents(session, dispatch, parts.links)
        links = links_of(publication, contents)
        editions = [edition.document for edition in contents.editions]
        holds = frozenset(section.key for document in editions for section in document.sections)
        assert dispatch.id is not None  # noqa: S101  # given above
        stopped = DeliveryState.PLANNED if dispatch.state is DispatchState.PAUSED else DeliveryState.CANCELLED
        sent.append(
            Sent(
                dispatch.id,
                dispatch.kind,
                dispatch.cadence,
                one.at,
                holds or frozenset(dispatch.sections),
                links,
                one.until,
                stopped,
            )
        )
        rows += [
            {
                "dispatch_id": dispatch.id,
                "number": link.number,
                "url": link.url,
                "kind": link.kind,
                "section": link.section,
                "place": link.place,
            }
            for link in links
        ]
    return sent, rows


def _end(one: _Planned, end: datetime) -> None:
    dispatch = one.dispatch
    dispatch.planned_at = one.at + timedelta(seconds=2)
    if dispatch.state is not DispatchState.PAUSED:
        dispatch.finished_at = end + timedelta(seconds=3)


async def _people(session: AsyncSession, parts: Parts, readers: Sequence[Reader], now: datetime) -> None:
    publication = parts.publications.named(PUBLICATION)
    consent = await keep_text(session, waiting.at(readers[0].joined), consent_text(publication, "zh"), "zh")
    await insert_many(
        session,
        Subscriber,
        [
            {
                "id": one.id,
                "email": one.email,
                "email_key": one.email,
                "openid": one.openid,
                "name": one.name,
                "no_tracking": one.untracked,
                "created_at": one.joined,
                "last_opened_at": one.opened,
            }
            for one in readers
        ],
    )
    await insert_many(session, Subscription, [row for one in readers for row in _agreements(one, consent)])
    followers = [
        {"openid": one.openid, "following": one.following, "updated_at": one.joined}
        for one in readers
        if one.openid
    ]
    await insert_many(session, Follower, followers)
    tags = [{"subscriber_id": one.id, "tag": tag} for one in readers for tag in one.tags]
    await insert_many(session, SubscriberTag, tags)
    facts = [
        {"subscriber_id": one.id, "name": name, "value": value}
        for one in readers
        for name, value in (("单位", one.unit), ("地区", one.region))
    ]
    await insert_many(session, SubscriberAttribute, facts)
    await _lists(session, readers, now)
    for name, rule in _SEGMENTS.items():
        await save_segment(session, waiting.at(now - timedelta(days=200)), publication, name, rule)


def _agreements(one: Reader, consent: str) -> Iterable[dict[str, Any]]:
    """One, or two where they have changed their mind."""
    changed = one.changed if one.left is None or (one.changed and one.changed < one.left) else None
    base = {
        "subscriber_id": one.id,
        "publication": PUBLICATION,
        "whole_issue": one.whole,
        "channel": one.channel,
        "cadence": one.cadence,
        "paused_until": None if changed else one.paused_until,
        "origin": one.origin,
        "evidence": "演示数据",
        "network": "10.0.0.0/24" if one.origin == "form" else "",
        "consent": consent if one.origin == "form" else "",
    }
    first = [] if one.whole else list(one.before or one.sections)
    yield {
        **base,
        "sections": first,
        "began_at": one.joined,
        "ended_at": changed or one.left,
        "end_reason": CHANGED if changed else one.why,
    }
    if changed is not None:
        yield {
            **base,
            "sections": list(one.sections),
            "paused_until": one.paused_until,
            "origin": "preferences",
            "began_at": changed,
            "ended_at": one.left,
            "end_reason": one.why,
        }


async def _lists(session: AsyncSession, readers: Sequence[Reader], now: datetime) -> None:
    made = now - timedelta(days=370)
    rows = []
    for name, (description, public) in _LISTS.items():
        found = MailingList(name=name, description=description, public=public, created_at=made)
        session.add(found)
        await session.flush()
        rows += [
            {
                "list_id": found.id,
                "subscriber_id": one.id,
                "origin": one.origin,
                "evidence": "演示数据",
                "joined_at": one.joined,
                "left_at": one.left,
                "leave_reason": "page_all" if one.left else "",
            }
            for one in readers
            if _OF_DOMAIN.get(one.domain) == name or (name == "会场登记" and one.origin == "import")
        ]
    await insert_many(session, ListMembership, rows)


async def _ledger(session: AsyncSession, rows: Played) -> None:
    await insert_many(session, Delivery, rows.deliveries)
    await insert_many(session, Attempt, sorted(rows.attempts, key=lambda row: row["at"]))
    await insert_many(session, Hit, sorted(rows.hits, key=lambda row: row["at"]))
    await insert_many(session, ReturnedMail, sorted(rows.returned, key=lambda row: row["received_at"]))
    await insert_many(session, Suppression, rows.suppressions)


async def _stops(session: AsyncSession, readers: Sequence[Reader], now: datetime) -> None:
    """What others than returned mail have said, and what was lifted."""
    free = [one for one in readers if one.email and one.stopped is None and one.left is None]
    followers = [one for one in readers if one.openid and one.left is None]
    reasons = (
        ("admin", "admin", "读者来电要求不再寄送"),
        ("admin", "admin", "所在单位要求停发"),
        ("5.1.1", "smtp", ""),
        ("5.1.10", "smtp", ""),
        ("import", "import", "停发名单-六月.csv 第 4 行"),
    )
    rows = [
        {
            "channel": Channel.EMAIL,
            "target": one.email,
            "reason": reason,
            "source": source,
            "evidence": evidence,
            "created_at": now - timedelta(days=11 * place + 2),
        }
        for place, (one, (reason, source, evidence)) in enumerate(zip(free[40::50], reasons, strict=False))
    ]
    rows.append(
        {
            "channel": Channel.WECHAT,
            "target": followers[3].openid,
            "reason": "43019",
            "source": "wechat",
            "evidence": "",
            "created_at": now - timedelta(days=33),
        }
    )
    await insert_many(session, Suppression, rows)
    lifted = free[7]
    session.add(
        LiftedSuppression(
            channel=Channel.EMAIL,
            target=lifted.email or "",
            reason="soft_bounces",
            source="returns",
            created_at=now - timedelta(days=150),
            lifted_at=now - timedelta(days=140),
            note="读者已清理邮箱，来信要求恢复",
        )
    )
    await session.flush()


async def _rest(
    session: AsyncSession,
    parts: Parts,
    now: datetime,
    lots: Random,
    issues: list[Issue],
    users: Sequence[int],
) -> None:
    _, reviewer, editor = (f"user:{id_}" for id_ in users)
    await waiting.review(session, parts, _SAMPLE + 1, now - timedelta(hours=4), lots, editor)
    await waiting.bulletins(session, PUBLICATION, now, editor, reviewer)
    await waiting.others(session, PUBLICATION, now, issues)
    zone = parts.settings.service.timezone
    tomorrow = datetime.combine(now.astimezone(zone).date() + timedelta(days=1), time(10), tzinfo=zone)
    row = await _written(session, texts.TOMORROW, now - timedelta(hours=1))
    await start_bulletin(session, waiting.at(now - timedelta(hours=1)), row, at=tomorrow)
    quota = {
        "name": quota_name(TEMPLATE_QUOTA, SANDBOX_APPID),
        "holder": "",
        "period": day_of(now),
        "used": 46,
    }
    await session.execute(insert_new(session, WeChatQuota).values(quota))


async def _audit(
    session: AsyncSession,
    planned: Sequence[_Planned],
    users: Sequence[int],
    imports: Sequence[int],
    now: datetime,
) -> None:
    """Who did what, in the order of time: the chain of hashes is made by the same function as ever."""
    admin, reviewer, editor = (f"user:{id_}" for id_ in users)
    told: list[tuple[datetime, str, str, str, dict[str, Any]]] = [
        (now - timedelta(days=380), "cli", "user.invite", f"user:{id_}", {"role": role.value})
        for id_, (_, _, role) in zip(users, USERS, strict=True)
    ]
    made = now - timedelta(days=370)
    told += [
        (made, admin, "list.save", f"list:{name}", {"public": public}) for name, (_, public) in _LISTS.items()
    ]
    told += [
        (now - timedelta(days=200), admin, "segment.save", f"segment:{name}", {"rule": rule})
        for name, rule in _SEGMENTS.items()
    ]
    for one in planned:
        dispatch, before = one.dispatch, one.at - timedelta(minutes=4)
        subject = f"dispatch:{dispatch.id}"
        if dispatch.kind is DispatchKind.ISSUE:
            told.append((before, editor, "sign_in", "", {}))
            told.append((before, editor, "issue.publish", f"issue:{dispatch.issues[0]['id']}", {}))
            told.append((one.at, editor, "dispatch.start", subject, {}))
        elif dispatch.kind is DispatchKind.BULLETIN:
            told.append((before, editor, "sign_in", "", {}))
            told.append((one.at, reviewer if dispatch.urgent else editor, "dispatch.start", subject, {}))
        if dispatch.state is DispatchState.CANCELLED:
            told.append((one.at + timedelta(minutes=2), admin, "dispatch.cancel", subject, {}))
    told.append((now - timedelta(hours=6), admin, "import.start", f"import:{imports[0]}", {"rows": 10}))
    told.append((now - timedelta(days=9), "nobody", "sign_in.failed", "", {}))
    told.append((now - timedelta(days=9), "nobody", "sign_in.failed", "", {}))
    for moment, actor, action, subject, change in sorted(told, key=lambda entry: entry[0]):
        await audit.record(
            session,
            waiting.at(moment),
            actor=actor,
            action=action,
            subject=subject,
            change=change,
            network="" if actor == "cli" else "10.1.4.0/24",
        )


def _workday(day: date) -> date:
    """The Monday behind a weekend."""
    return day + timedelta(days=7 - day.weekday()) if day.weekday() > 4 else day
