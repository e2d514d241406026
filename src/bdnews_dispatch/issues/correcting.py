"""Correcting an issue by hand: an edit is kept with who and when, and the text that readers see is made anew.

In: an issue and what shall change. Out: rows of issue_edit, a revision with the edits, an event where readers see it.
Caller: the console. A correction never goes out by itself; a file that comes in later is a new text without them.
"""

from collections.abc import Sequence
from typing import Any

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.errors import BdnewsError, NotFoundError, Phrase, StateError
from bdnews_dispatch.issues.document import IssueDocument
from bdnews_dispatch.issues.editing import articles_of, edited, standing_of
from bdnews_dispatch.issues.intake import current_revision, fingerprint
from bdnews_dispatch.issues.models import EditKind, Issue, IssueEdit, IssueRevision
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.messaging.outbox import record

LONGEST_TITLE = 200
LONGEST_NOTE = 5_000
#: Far more than anybody makes by hand; each is read whenever the issue is looked at.
MOST_EDITS = 2_000


async def text_as_it_came(session: AsyncSession, issue: Issue) -> IssueRevision:
    """The revision that came in and that readers see, with edits or without."""
    revision = await current_revision(session, issue)
    if revision.base is None:
        return revision
    return await revision_of(session, issue, revision.base)


async def revision_of(session: AsyncSession, issue: Issue, number: int) -> IssueRevision:
    """One of its texts. Raises: NotFoundError: it has none of this number."""
    found = (
        await session.exec(
            select(IssueRevision).where(IssueRevision.issue_id == issue.id, IssueRevision.revision == number)
        )
    ).first()
    if found is None:
        raise NotFoundError(
            Phrase("总第%(total)s期没有第 %(number)s 版", total=issue.total_number, number=number)
        )
    return found


async def edits_of(session: AsyncSession, issue: Issue) -> Sequence[IssueEdit]:
    """All that were ever made, the first one first."""
    rows = await session.exec(
        select(IssueEdit).where(IssueEdit.issue_id == issue.id).order_by(col(IssueEdit.id))
    )
    return rows.all()


async def locked_issue(session: AsyncSession, issue_id: int) -> Issue:
    """The issue; who corrects it next waits until this is committed. Raises: NotFoundError: there is none."""
    issue = await session.get(Issue, issue_id, with_for_update=True)
    if issue is None:
        raise NotFoundError("没有这一期")
    return issue


async def correct(
    session: AsyncSession,
    clock: Clock,
    publication: Publication,
    issue: Issue,
    *,
    revision: int,
    kind: EditKind,
    place: int,
    value: Any,
    actor: str,
) -> IssueEdit:
    """Keep an edit, and give readers the text with it.

    Args:
        issue: from `locked_issue`.
        revision: the text that came in, as the editor had it before them.
        place: of the article in that text; 0 for a warning.
        value: as `IssueEdit` has it.

    Raises:
        StateError: another text has come in meanwhile.
        BdnewsError: the value is empty, too long, or names what is not there.
    """
    base = await text_as_it_came(session, issue)
    if base.revision != revision:
        raise StateError("这一期刚刚收到了新的文件，没有更改", hint="请看过新的内容再改。")
    document = IssueDocument.model_validate(base.document)
    _check(document, publication, kind, place, value)
    if kind is EditKind.OMITTED:
        _check_one_stays(document, holding(await edits_of(session, issue), revision), place)
    made = (await session.exec(select(func.count()).where(IssueEdit.issue_id == issue.id))).one()
    if made >= MOST_EDITS:
        raise BdnewsError(
            Phrase("一期最多更改 %(most)s 处", most=MOST_EDITS), hint="请在文件里改好，再放入一次。"
        )
    assert issue.id is not None  # noqa: S101  # read from the database
    edit = IssueEdit(
        issue_id=issue.id,
        revision=revision,
        kind=kind,
        place=place,
        value=value,
        actor=actor,
        at=clock(),
    )
    session.add(edit)
    await session.flush()
    await _renew(session, clock, publication, issue, base, document)
    return edit


async def undo(
    session: AsyncSession, clock: Clock, publication: Publication, issue: Issue, edit_id: int, *, actor: str
) -> IssueEdit:
    """Take one edit back; the others stay.

    Raises:
        NotFoundError: the issue has no such edit.
        StateError: it was taken back already, or belongs to an earlier text.
    """
    edit = await session.get(IssueEdit, edit_id)
    if edit is None or edit.issue_id != issue.id:
        raise NotFoundError("没有这处更改")
    base = await text_as_it_came(session, issue)
    if edit.undone_at is not None or edit.revision != base.revision:
        raise StateError("这处更改已经不在", hint="没有作任何改动。")
    edit.undone_by, edit.undone_at = actor, clock()
    session.add(edit)
    await session.flush()
    document = IssueDocument.model_validate(base.document)
    await _renew(session, clock, publication, issue, base, document)
    return edit


def holding(edits: Sequence[IssueEdit], revision: int) -> list[IssueEdit]:
    """Those that are made over this text and not undone."""
    return [edit for edit in edits if edit.revision == revision and edit.undone_at is None]


async def _renew(
    session: AsyncSession,
    clock: Clock,
    publication: Publication,
    issue: Issue,
    base: IssueRevision,
    document: IssueDocument,
) -> None:
    """A revision with what holds now, unless it says what readers see already."""
    edits = holding(await edits_of(session, issue), base.revision)
    document = edited(document, edits, publication)
    mark = fingerprint(document)
    if mark == (await current_revision(session, issue)).fingerprint:
        return
    newest = (
        await session.exec(select(func.max(IssueRevision.revision)).where(IssueRevision.issue_id == issue.id))
    ).one()
    issue.revision = (newest or 0) + 1
    session.add(issue)
    assert issue.id is not None  # noqa: S101  # read from the database
    session.add(
        IssueRevision(
            issue_id=issue.id,
            revision=issue.revision,
            fingerprint=mark,
            document=document.model_dump(mode="json"),
            source_name=base.source_name,
            base=base.revision,
            created_at=clock(),
        )
    )
    await session.flush()
    key = f"issue.corrected:{issue.id}:{issue.revision}"
    await record(session, clock, "issue.corrected", key, issue_id=issue.id, revision=issue.revision)


def _check_one_stays(document: IssueDocument, held: Sequence[IssueEdit], place: int) -> None:
    standing, _ = standing_of(document, held)
    if not any(one.place != place for one in standing):
        raise BdnewsError("至少要留一篇文章", hint="整期都不发，请撤回这一期，或不要发布。")


def _check(document: IssueDocument, publication: Publication, kind: EditKind, place: int, value: Any) -> None:
    if kind is EditKind.CHECKED:
        if (value["line"], value["code"]) not in {(one.line, one.code) for one in document.warnings}:
            raise NotFoundError("没有这条提示")
        return
    places = {one.place for one in articles_of(document)}
    if place not in places:
        raise NotFoundError("没有这篇文章")
    if kind is EditKind.PLACE:
        known = set(publication.section_keys) | {section.key for section in document.sections}
        if value["section"] not in known:
            raise NotFoundError("没有这个栏目")
        if value["before"] and (value["before"] not in places or value["before"] == place):
            raise NotFoundError("没有这个位置")
        return
    most = LONGEST_NOTE if kind is EditKind.NOTE else LONGEST_TITLE
    if kind is EditKind.TITLE and not value.strip():
        raise BdnewsError("题目不能是空的")
    if len(value) > most:
        raise BdnewsError(Phrase("最多 %(most)s 字", most=most))
