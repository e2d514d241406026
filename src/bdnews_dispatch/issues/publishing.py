"""Publishing: review → published → withdrawn. Callers: intake, cli/, later the console."""

from collections.abc import Collection, Sequence

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.errors import NotFoundError, Phrase, StateError
from bdnews_dispatch.issues.models import Issue, IssueState
from bdnews_dispatch.messaging.outbox import record

TRANSITIONS: dict[IssueState, frozenset[IssueState]] = {
    IssueState.REVIEW: frozenset({IssueState.PUBLISHED}),
    IssueState.PUBLISHED: frozenset({IssueState.WITHDRAWN}),
    IssueState.WITHDRAWN: frozenset({IssueState.PUBLISHED}),
}


async def publish(session: AsyncSession, clock: Clock, issue: Issue) -> None:
    """Make the issue public. The event of its first publication starts its dispatch; a later one sends nothing again.

    Raises:
        StateError: it is published already.
    """
    _move(issue, IssueState.PUBLISHED)
    issue.published_at = issue.published_at or clock()
    session.add(issue)
    await session.flush()
    await record(session, clock, "issue.published", f"issue.published:{issue.id}", issue_id=issue.id)


async def withdraw(session: AsyncSession, clock: Clock, issue: Issue) -> None:
    """Take the issue back: its pages say so, a dispatch that has not ended is cancelled (pipeline.py).

    Raises:
        StateError: it is not published.
    """
    _move(issue, IssueState.WITHDRAWN)
    session.add(issue)
    key = f"issue.withdrawn:{issue.id}:{clock().isoformat()}"
    await record(session, clock, "issue.withdrawn", key, issue_id=issue.id)


def _move(issue: Issue, then: IssueState) -> None:
    if then not in TRANSITIONS[issue.state]:
        raise StateError(
            Phrase(
                "总第%(total)s期处于 %(state)s，不能变为 %(then)s",
                total=issue.total_number,
                state=issue.state,
                then=then,
            )
        )
    issue.state = then


async def find_issue(session: AsyncSession, publication: str, total_number: int) -> Issue:
    """Raises: NotFoundError: there is no such issue; the message lists the newest ones."""
    found = (
        await session.exec(
            select(Issue).where(Issue.publication == publication, Issue.total_number == total_number)
        )
    ).first()
    if found is None:
        newest = [str(issue.total_number) for issue in await list_issues(session, (publication,), limit=5)]
        hint = (
            Phrase("最近的总期号：%(numbers)s。", numbers=newest)
            if newest
            else Phrase("还没有任何一期：请把文件放进受监视的文件夹；命令行：bdnews issues ingest。")
        )
        raise NotFoundError(
            Phrase(
                "刊物 %(publication)s 没有总第%(total_number)s期",
                publication=publication,
                total_number=total_number,
            ),
            hint=hint,
        )
    return found


async def list_issues(
    session: AsyncSession, publications: Collection[str] = (), *, limit: int = 50
) -> Sequence[Issue]:
    """The newest issues first. Args: publications: of these alone; none: of all."""
    statement = select(Issue).order_by(col(Issue.total_number).desc(), col(Issue.id)).limit(limit)
    if publications:
        statement = statement.where(col(Issue.publication).in_(publications))
    return (await session.exec(statement)).all()
