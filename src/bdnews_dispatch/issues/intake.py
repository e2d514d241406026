"""Intake: a parsed document becomes an issue, a correction of one, or nothing new.

In: `IssueDocument` and the bytes that it came from. Out: rows of issue and issue_revision, and events.
Callers: issues/folder.py, cli/, later the feeds and HTTP push: all of them the same way.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.errors import IssueError
from bdnews_dispatch.issues.document import IssueDocument
from bdnews_dispatch.issues.models import Issue, IssueRevision, IssueState
from bdnews_dispatch.issues.parsing.pictures import PreparedPicture
from bdnews_dispatch.issues.pictures import store
from bdnews_dispatch.issues.publishing import publish
from bdnews_dispatch.messaging.outbox import record


class Intake(StrEnum):
    """What an intake came to."""

    NEW = "new"
    SAME = "same"
    #: Kept and shown to readers of the web pages; it does not go out again by itself.
    CORRECTION = "correction"


@dataclass(frozen=True, slots=True)
class Taken:
    """The issue as it stands after the intake."""

    intake: Intake
    issue: Issue


def fingerprint(document: IssueDocument) -> str:
    """SHA-256 of what the document says; where in the file it said it (lines, warnings) does not count."""
    plain = document.model_dump_json(
        exclude={
            "warnings": True,
            "places": True,
            "preface": {"__all__": {"line"}},
            "sections": {"__all__": {"articles": {"__all__": {"line": True, "body": {"__all__": {"line"}}}}}},
        }
    )
    return hashlib.sha256(plain.encode()).hexdigest()


async def take(
    session: AsyncSession,
    clock: Clock,
    document: IssueDocument,
    *,
    source_name: str,
    source: bytes,
    publish_now: bool,
    pictures: Iterable[PreparedPicture] = (),
) -> Taken:
    """Store the document.

    Args:
        source_name: the file's name, for people.
        source: the bytes as they came; kept.
        publish_now: publish it, unless it is withdrawn; else a new issue waits for review.
        pictures: that came with it; the document names them.

    Raises:
        IssueError: the document has no number to know it by.
    """
    if document.total_number is None:
        raise IssueError(
            "没有找到总期号，无法确定这是哪一期",
            code="issue.number_missing",
            hint="请在刊头写明“第N期 总第N期”，再放入一次。",
        )
    await store(session, pictures, clock())
    mark = fingerprint(document)
    issue = (
        await session.exec(
            select(Issue).where(
                Issue.publication == document.publication, Issue.total_number == document.total_number
            )
        )
    ).first()
    if issue is None:
        issue = Issue(
            publication=document.publication,
            total_number=document.total_number,
            title=document.title,
            state=IssueState.REVIEW,
            created_at=clock(),
        )
        intake = Intake.NEW
    else:
        current = await current_revision(session, issue)
        known = {current.fingerprint, await _fingerprint_as_it_came(session, issue, current)}
        intake = Intake.SAME if mark in known else Intake.CORRECTION
        issue.revision += intake is Intake.CORRECTION
    if intake is not Intake.SAME:
        issue.number, issue.date, issue.title = document.number, document.date, document.title
        session.add(issue)
        await session.flush()
        assert issue.id is not None  # noqa: S101  # flushed
        session.add(
            IssueRevision(
                issue_id=issue.id,
                revision=issue.revision,
                fingerprint=mark,
                document=document.model_dump(mode="json"),
                source_name=source_name[:255],
                source=source,
                created_at=clock(),
            )
        )
        if intake is Intake.CORRECTION:
            key = f"issue.corrected:{issue.id}:{issue.revision}"
            await record(session, clock, "issue.corrected", key, issue_id=issue.id, revision=issue.revision)
    if publish_now and issue.state is IssueState.REVIEW:
        await publish(session, clock, issue)
    return Taken(intake, issue)


async def current_revision(session: AsyncSession, issue: Issue) -> IssueRevision:
    """The text that readers see."""
    return (
        await session.exec(
            select(IssueRevision).where(
                IssueRevision.issue_id == issue.id, IssueRevision.revision == issue.revision
            )
        )
    ).one()


async def _fingerprint_as_it_came(session: AsyncSession, issue: Issue, current: IssueRevision) -> str:
    """Of the text under the edits: the same file again takes no correction by hand back."""
    if current.base is None:
        return current.fingerprint
    return (
        await session.exec(
            select(IssueRevision.fingerprint).where(
                IssueRevision.issue_id == issue.id, IssueRevision.revision == current.base
            )
        )
    ).one()
