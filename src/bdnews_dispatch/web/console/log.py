"""The audit log as a page: who did what to what, in words, the newest first; all of it, or what one of them did, or one
kind of action.

In: entries, and what their codes name now. Out: a page; what a code names is linked where it still has a page of its
own. The log keeps codes, the words are log_words.py's.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote

from aiohttp import web
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.accounts import audit
from bdnews_dispatch.accounts.models import ApiToken, AuditEntry, User
from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.bulletins.models import Bulletin, BulletinDraft
from bdnews_dispatch.dispatch.titles import titles
from bdnews_dispatch.issues.models import Issue
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.subscribers.imports.models import ImportRun
from bdnews_dispatch.subscribers.models import MailingList, Segment, Subscriber
from bdnews_dispatch.watched_feeds.models import WatchedFeed
from bdnews_dispatch.web.console import conditions
from bdnews_dispatch.web.console.desk import ROWS, asked, number, page
from bdnews_dispatch.web.console.guests import WHO
from bdnews_dispatch.web.console.log_words import ACTIONS, FIELDS, WORDS, Field, choices, same
from bdnews_dispatch.web.faults import N_
from bdnews_dispatch.web.keys import DATABASE, PAGES, PUBLICATIONS
from bdnews_dispatch.webhooks.models import Webhook

Say = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Kind:
    """What a subject may be. Attributes: words: where it has no name of its own. path: of its page."""

    words: str
    path: str
    right: Right


_KINDS: Mapping[str, Kind] = {
    "user": Kind(N_("用户 %(name)s"), "/console/users/{}", Right.USERS_WRITE),
    "token": Kind(N_("令牌 %(name)s"), "/console/tokens", Right.SETTINGS_READ),
    "subscriber": Kind(N_("订阅者 %(name)s"), "/console/subscribers/{}", Right.SUBSCRIBERS_READ),
    "list": Kind(N_("名单“%(name)s”"), "/console/subscribers?list={}", Right.SUBSCRIBERS_READ),
    "segment": Kind(N_("细分“%(name)s”"), "/console/segments?name={}", Right.SUBSCRIBERS_READ),
    "import": Kind(N_("导入 %(name)s"), "/console/imports/{}", Right.SUBSCRIBERS_READ),
    "issue": Kind(N_("期 %(name)s"), "/console/issues/{}", Right.ISSUES_READ),
    "edition": Kind(N_("期 %(name)s"), "", Right.ISSUES_READ),
    "bulletin": Kind(N_("快讯 %(name)s"), "", Right.BULLETINS_READ),
    "draft": Kind(N_("快讯 %(name)s"), "/console/bulletins/{}", Right.BULLETINS_READ),
    "dispatch": Kind(N_("发送 %(name)s"), "/console/dispatches/{}", Right.DISPATCHES_READ),
    "delivery": Kind(N_("投递 %(name)s"), "", Right.DISPATCHES_READ),
    "feed": Kind(N_("来源 %(name)s"), "/console/sources/{}", Right.SETTINGS_READ),
    "webhook": Kind(N_("推送 %(name)s"), "/console/webhooks/{}", Right.SETTINGS_READ),
}
#: Subjects that are no rows.
_THINGS: Mapping[str, tuple[str, str]] = {
    "channel:email": (N_("一个邮箱"), "/console/suppressions"),
    "channel:wechat": (N_("一个微信号"), "/console/suppressions"),
    "mail:relay": (N_("邮件服务器"), "/console/settings/mail"),
    "mail:sandbox": (N_("沙箱"), "/console/settings/mail"),
    "mail:self": (N_("自己的邮箱"), "/console/settings/mail"),
    "wechat:account": (N_("公众号"), "/console/settings/wechat"),
    "wechat:sandbox": (N_("沙箱"), "/console/settings/wechat"),
    "provider": (N_("登录服务"), ""),
    "code": (N_("验证码"), ""),
}
#: Who is no user and no token.
_OTHERS: Mapping[str, str] = {"cli": N_("命令行"), "start": N_("系统"), "nobody": N_("没有登录的人")}
#: What the JSON API's addresses begin with → the kind.
_OF_API = {
    "subscribers": "subscriber",
    "lists": "list",
    "segments": "segment",
    "imports": "import",
    "issues": "edition",
    "bulletins": "bulletin",
    "drafts": "draft",
    "dispatches": "dispatch",
    "deliveries": "delivery",
    "feeds": "feed",
    "webhooks": "webhook",
}


@dataclass(frozen=True, slots=True)
class Named:
    """Somebody or something. Attributes: path: of its page; "": none. more: what else its code holds."""

    words: str
    path: str = ""
    more: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One line of what an entry tells. Attributes: before: shown where `was`."""

    field: Field
    after: Any
    before: Any = None
    was: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """An entry as it is read."""

    at: datetime
    actor: Named
    action: str
    subject: Named
    changes: Sequence[Change]
    network: str


@dataclass(frozen=True, slots=True)
class Subject:
    """A code that is taken apart. Attributes: kind: "": it is none of `_KINDS`. more: what stands behind the key."""

    kind: str
    key: str
    more: str = ""


async def show(request: web.Request) -> web.Response:
    """Who did what, the newest first."""
    after = number(request.query["after"]) if request.query.get("after") else 0
    actor, wanted = asked(request, "actor", 40), asked(request, "action", 60)
    say, who = request.app[PAGES].words(request), request[WHO]
    publication = request.app[PUBLICATIONS].named(None)
    async with request.app[DATABASE].read() as session:
        people = {f"user:{row.id}": row.name or row.email for row in await session.exec(select(User))}
        tokens = {row.id: row for row in await session.exec(select(ApiToken).order_by(col(ApiToken.id)))}
        rows = await audit.entries(
            session,
            after=after,
            limit=ROWS + 1,
            actors=_codes(actor, tokens) if actor else (),
            actions=same(wanted) if wanted else (),
        )
        shown = rows[:ROWS]
        subjects = await _of_issues(session, [subject_of(row.action, row.subject) for row in shown])
        names = await _names(session, subjects)
    names |= {("user", key.removeprefix("user:")): name for key, name in people.items()}
    named = {f"token:{key}": say(N_("令牌“%(name)s”")) % {"name": row.name} for key, row in tokens.items()}
    paths = {kind: one.path for kind, one in _KINDS.items() if who.may(one.right)}
    found = [
        Row(
            row.at,
            _actor(row.actor, people, paths, say),
            say(ACTIONS[row.action]) if row.action in ACTIONS else row.action,
            _subject(row, subject, names, paths, say),
            [_said(change, say, publication) for change in changes_of(row)],
            row.network,
        )
        for row, subject in zip(shown, subjects, strict=True)
    ]
    offered = {
        N_("用户"): people,
        N_("令牌"): named,
        N_("其他"): {code: say(words) for code, words in _OTHERS.items()},
    }
    return page(
        request,
        "audit.html",
        rows=found,
        actor=actor,
        action=same(wanted)[0] if wanted else "",
        actors=offered,
        actions=choices(),
        publications=request.app[PUBLICATIONS],
        publication=publication,
        latest=str(request.rel_url.without_query_params("after")) if after else "",
        following=str(request.rel_url.update_query(after=str(rows[ROWS - 1].id))) if len(rows) > ROWS else "",
    )


def subject_of(action: str, code: str) -> Subject:
    """Out of an entry: `subscriber:7`; of the API's, `subscribers/7`, or the words of its address, as `7 专家`.

    An issue of the API's is an `edition`: it goes by its publication and its number, as `dsj 112`.
    """
    if not action.startswith("api."):
        kind, mark, key = code.partition(":")
        return Subject(kind, key) if mark and kind in _KINDS else Subject("", code)
    resource, _, done = action.removeprefix("api.").partition("_")
    kind = "dispatch" if action == "api.deliveries_decide_all" else _OF_API.get(resource, "")
    if not kind:
        return Subject("", code)
    if kind == "edition":
        return Subject(kind, unquote(code).removeprefix("issues/").replace("/", " "))
    place = unquote(code.rpartition("/")[2]) if "/" in code else code
    if kind == "list":
        name, _, member = place.rpartition(" ") if done in {"join", "leave"} else (place, "", "")
        return Subject(kind, name, member)
    if kind == "segment":
        return Subject(kind, place)
    key, _, more = place.partition(" ")
    return Subject(kind, key, more)


def changes_of(entry: AuditEntry) -> Sequence[Change]:
    """What an entry tells of its change: of before and after what differs, else all that is not empty."""
    told = entry.change
    if set(told) == {"before", "after"}:
        before, after = told["before"], told["after"]
        if isinstance(before, dict) and isinstance(after, dict):
            return [
                Change(_field(name), after.get(name), before.get(name), was=True)
                for name in {**before, **after}
                if before.get(name) != after.get(name)
            ]
        return [Change(_field("role" if entry.action == "user.role" else ""), after, before, was=True)]
    return [
        Change(_field(name), value)
        for name, value in told.items()
        if value is not None and value not in ("", [], {})
    ]


def _field(name: str) -> Field:
    return FIELDS.get(name) or Field(name)


def _said(change: Change, say: Say, publication: Publication) -> Change:
    """With its words, rules and moments, as the page's language has them."""
    name = next((key for key, one in FIELDS.items() if one is change.field), "")
    kind = change.field.kind

    def one(value: Any) -> Any:
        if kind == "word" and isinstance(value, str):
            return say(WORDS[name][value]) if value in WORDS[name] else value
        if kind == "moment" and isinstance(value, str):
            try:
                return datetime.fromisoformat(value)
            except ValueError:
                return value
        if kind == "rule":
            return conditions.in_words(value, say, publication) or value
        return value

    field = Field(say(change.field.name) if change.field.name else "", kind)
    return Change(field, one(change.after), one(change.before), change.was)


def _codes(actor: str, tokens: Mapping[int | None, ApiToken]) -> Collection[str]:
    """As the log may call them: a token by its number, and by its number and its name."""
    key = actor.removeprefix("token:")
    token = tokens.get(int(key)) if key.isascii() and key.isdigit() and key != actor else None
    return [actor, f"{actor} {token.name}"[: audit.LONGEST_ACTOR]] if token is not None else [actor]


def _actor(code: str, people: Mapping[str, str], paths: Mapping[str, str], say: Say) -> Named:
    if code in _OTHERS:
        return Named(say(_OTHERS[code]))
    kind, _, key = code.partition(":")
    if kind == "token":
        key, _, name = key.partition(" ")
        words = (
            say(N_("令牌“%(name)s”")) % {"name": name} if name else say(_KINDS[kind].words) % {"name": key}
        )
        return Named(words, paths.get(kind, ""))
    if kind == "user" and code in people:
        return Named(people[code], paths.get(kind, "").format(quote(key)))
    return Named(say(_KINDS[kind].words) % {"name": key} if kind in _KINDS else code)


def _subject(
    row: AuditEntry,
    one: Subject,
    names: Mapping[tuple[str, str], str],
    paths: Mapping[str, str],
    say: Say,
) -> Named:
    if row.subject in _THINGS:
        words, path = _THINGS[row.subject]
        return Named(say(words), path)
    if not one.kind:
        return Named(one.key)
    name = names.get((one.kind, one.key))
    words = name or say(_KINDS[one.kind].words) % {"name": one.key}
    path = paths.get(one.kind, "").format(quote(one.key, safe="")) if name is not None else ""
    more = "" if one.more in {str(value) for value in row.change.values()} else one.more  # told as a change
    return Named(words, path, more)


async def _of_issues(session: AsyncSession, subjects: Sequence[Subject]) -> Sequence[Subject]:
    """Editions as the issues that they are, where those are still there."""
    totals = {one.key.rpartition(" ")[2] for one in subjects if one.kind == "edition"}
    wanted = [int(total) for total in totals if total.isascii() and total.isdigit() and len(total) < 10]
    if not wanted:
        return subjects
    columns = col(Issue.id), col(Issue.publication), col(Issue.total_number)
    rows = await session.exec(select(*columns).where(col(Issue.total_number).in_(wanted)))
    known = {f"{publication} {total}": str(id_) for id_, publication, total in rows}
    return [
        Subject("issue", known[one.key]) if one.kind == "edition" and one.key in known else one
        for one in subjects
    ]


async def _names(session: AsyncSession, subjects: Collection[Subject]) -> dict[tuple[str, str], str]:
    """What is still there of them, and its name; "": it goes by its kind and its key. Users are known already."""

    def numbers(kind: str) -> list[int]:
        keys = {one.key for one in subjects if one.kind == kind}
        return [int(key) for key in keys if key.isascii() and key.isdigit() and len(key) < 10]

    named: dict[tuple[str, str], str] = {}
    if wanted := numbers("dispatch"):
        named |= {("dispatch", str(key)): title for key, title in (await titles(session, wanted)).items()}
    if wanted := numbers("issue"):
        for issue in await session.exec(select(Issue).where(col(Issue.id).in_(wanted))):
            named["issue", str(issue.id)] = f"总第{issue.total_number}期"
    for kind, table, name in (
        ("token", ApiToken, "name"),
        ("draft", BulletinDraft, "title"),
        ("bulletin", Bulletin, "title"),
        ("import", ImportRun, "file_name"),
        ("subscriber", Subscriber, ""),
        ("feed", WatchedFeed, ""),
        ("webhook", Webhook, ""),
    ):
        if wanted := numbers(kind):
            columns = col(table.id), col(getattr(table, name or "id"))
            for key, value in await session.exec(select(*columns).where(col(table.id).in_(wanted))):
                named[kind, str(key)] = value if name else ""
    for kind, names in (("list", MailingList), ("segment", Segment)):
        if keys := {one.key for one in subjects if one.kind == kind}:
            for value in await session.exec(select(names.name).where(col(names.name).in_(keys))):
                named[kind, value] = ""
    return named
