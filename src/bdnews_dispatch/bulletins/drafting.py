"""Bulletins as they are written: saved, asked for, given back, approved. The rule of the second person lives here.

In: what a user says, in the caller's transaction (`Database.write`). Out: rows of `BulletinDraft`. Callers:
web/console/, web/api/; dispatch/drafts.py sends what may be sent.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.bulletins.models import BulletinDraft, DraftState
from bdnews_dispatch.bulletins.writing import check_words
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.errors import BdnewsError, NotFoundError, StateError
from bdnews_dispatch.shipped import shipped

_MOST_WORDS = 300


@dataclass(frozen=True, slots=True)
class Written:
    """What a writer has filled in. For the fields see `BulletinDraft`."""

    title: str
    body: str
    urgent: bool
    ad: bool
    sections: Sequence[str]
    whom: Mapping[str, Sequence[str]]
    at: datetime | None


class SecondPersonError(StateError):
    """It takes another person than the one who asks."""


class ChangedSinceError(StateError):
    """Somebody has changed it since it was looked at."""


def told(written: Written | BulletinDraft) -> dict[str, Any]:
    """For the audit log: all but the text, of which it has the length."""
    return {
        "title": written.title,
        "characters": len(written.body),
        "urgent": written.urgent,
        "ad": written.ad,
        "sections": list(written.sections),
        "whom": {name: list(chosen) for name, chosen in written.whom.items()},
        "at": written.at.isoformat() if written.at else None,
        **({"version": written.version} if isinstance(written, BulletinDraft) else {}),
    }


def takes_two(
    *, urgent: bool, sections: Collection[str], lists: Collection[str], segments: Collection[str]
) -> bool:
    """Urgent, or to the whole list: neither sections, lists nor segments narrow it. Leaving some out does not."""
    return urgent or not (sections or lists or segments)


def needs_second(draft: BulletinDraft) -> bool:
    """Whether it `takes_two`."""
    return takes_two(
        urgent=draft.urgent,
        sections=draft.sections,
        lists=draft.whom.get("list", []),
        segments=draft.whom.get("segment", []),
    )


async def find(session: AsyncSession, draft_id: int) -> BulletinDraft:
    """Raises: NotFoundError: there is none."""
    found = await session.get(BulletinDraft, draft_id)
    if found is None:
        raise NotFoundError("没有这则快讯")
    return found


async def drafts(
    session: AsyncSession, limit: int, publications: Collection[str] = ()
) -> list[BulletinDraft]:
    """Those that wait first, then the ones changed last. Args: publications: of these alone; none: of all."""
    statement = (
        select(BulletinDraft)
        .where(BulletinDraft.state != DraftState.DISCARDED)
        .order_by(
            (col(BulletinDraft.state) == DraftState.WAITING).desc(),
            col(BulletinDraft.changed_at).desc(),
            col(BulletinDraft.id).desc(),
        )
        .limit(limit)
    )
    if publications:
        statement = statement.where(col(BulletinDraft.publication).in_(publications))
    return list(await session.exec(statement))


async def begin(
    session: AsyncSession, clock: Clock, publication: str, actor: str, written: Written
) -> BulletinDraft:
    """A new one. Raises: BdnewsError: its words are none that could be sent."""
    check_words(written.title, written.body)
    now = clock()
    draft = BulletinDraft(
        publication=publication, title="", body="", writers=[actor], created_at=now, changed_at=now
    )
    _fill(draft, written)
    session.add(draft)
    await session.flush()
    return draft


async def change(
    session: AsyncSession, clock: Clock, draft_id: int, actor: str, written: Written, *, version: int
) -> BulletinDraft:
    """Save over it; one that waits for a second person waits no more.

    Args:
        version: of what the writer saw.

    Raises:
        StateError: it was sent.
        ChangedSinceError: somebody has changed it meanwhile: nothing is saved.
        BdnewsError: its words are none that could be sent.
    """
    draft = await _open(session, draft_id, DraftState.DRAFT, DraftState.WAITING)
    if draft.version != version:
        raise ChangedSinceError(
            "有人在这期间改过这则快讯，您的更改没有保存", hint="您写的还在下面；请对照最新的内容再保存一次。"
        )
    check_words(written.title, written.body)
    _fill(draft, written)
    draft.state, draft.asked_at = DraftState.DRAFT, None
    draft.version, draft.changed_at = draft.version + 1, clock()
    if actor not in draft.writers:
        draft.writers = [*draft.writers, actor]
    session.add(draft)
    return draft


async def ask(session: AsyncSession, clock: Clock, draft_id: int) -> BulletinDraft:
    """Put it before a second person. Raises: StateError: it is no draft."""
    draft = await _open(session, draft_id, DraftState.DRAFT)
    draft.state, draft.asked_at, draft.words = DraftState.WAITING, clock(), ""
    draft.decided_by, draft.decided_at = "", None
    session.add(draft)
    return draft


async def approve(
    session: AsyncSession, clock: Clock, draft_id: int, actor: str, *, version: int
) -> BulletinDraft:
    """The second person's yes, to what they saw; it is sent by the same transaction.

    Raises:
        StateError: it does not wait.
        ChangedSinceError: it has been changed since.
        SecondPersonError: this person has written of it.
    """
    draft = await _open(session, draft_id, DraftState.WAITING)
    check_seen(draft, version)
    if actor in draft.writers:
        raise SecondPersonError("写过这则快讯的人不能批准它", hint="请另一位有批准权限的人来看。")
    draft.decided_by, draft.decided_at = actor, clock()
    session.add(draft)
    return draft


def check_seen(draft: BulletinDraft, version: int) -> None:
    """Raises: ChangedSinceError: somebody has changed it since it was looked at."""
    if draft.version != version:
        raise ChangedSinceError("这则快讯在您查看之后改过", hint="请再看一遍，再决定。")


async def give_back(
    session: AsyncSession, clock: Clock, draft_id: int, actor: str, words: str
) -> BulletinDraft:
    """The second person's no. Raises: StateError: it does not wait. BdnewsError: it does not say why."""
    if not words.strip():
        raise BdnewsError("请写明要改什么", hint="写的人会看到这句话。")
    draft = await _open(session, draft_id, DraftState.WAITING)
    draft.state, draft.asked_at, draft.words = DraftState.DRAFT, None, words[:_MOST_WORDS]
    draft.decided_by, draft.decided_at = actor, clock()
    session.add(draft)
    return draft


async def discard(session: AsyncSession, clock: Clock, draft_id: int) -> BulletinDraft:
    """It is no longer listed; kept for the audit log. Raises: StateError: it was sent."""
    draft = await _open(session, draft_id, DraftState.DRAFT, DraftState.WAITING)
    draft.state, draft.changed_at = DraftState.DISCARDED, clock()
    session.add(draft)
    return draft


def check_sending(draft: BulletinDraft) -> None:
    """Whether it is approved, or in no need of it.

    Raises:
        StateError: it was sent, or thrown away.
        SecondPersonError: a second person has not approved it.
    """
    _check_state(draft, DraftState.DRAFT, DraftState.WAITING)
    approved = bool(draft.decided_by) and draft.decided_by not in draft.writers
    if not approved if draft.state is DraftState.WAITING else needs_second(draft):
        raise SecondPersonError("这则快讯要由另一个人批准后才能发出", hint="请先送审。")


def templates() -> dict[str, tuple[str, str]]:
    """Name → title, body: what bulletins are often about (config/bulletins/*.md)."""
    found = {}
    for file in sorted((Path(shipped("config")) / "bulletins").glob("*.md")):
        head, _, body = file.read_text(encoding="utf-8").partition("\n")
        found[file.stem] = (head.removeprefix("# ").strip(), body.strip())
    return found


def _fill(draft: BulletinDraft, written: Written) -> None:
    draft.title, draft.body = " ".join(written.title.split()), written.body
    draft.urgent, draft.ad, draft.at = written.urgent, written.ad, written.at
    draft.sections = sorted(written.sections)
    draft.whom = {name: sorted(chosen) for name, chosen in written.whom.items()}


async def _open(session: AsyncSession, draft_id: int, *states: DraftState) -> BulletinDraft:
    draft = await find(session, draft_id)
    _check_state(draft, *states)
    return draft


def _check_state(draft: BulletinDraft, *states: DraftState) -> None:
    if draft.state not in states:
        raise StateError("这则快讯的状态已经变了", hint="请看它现在的样子。")
