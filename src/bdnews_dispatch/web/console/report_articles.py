"""What readers clicked on, in words: the titles behind the addresses of a report.

In: lines of a report. Out: titles by address. Caller: reports. A link is kept by its address alone, since what stands
behind it may be corrected later; an editor knows the title, not the address.
"""

from collections.abc import Sequence

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.digests.inline import plain
from bdnews_dispatch.issues.document import IssueDocument
from bdnews_dispatch.issues.models import Issue, IssueRevision
from bdnews_dispatch.links import Links
from bdnews_dispatch.reports.reading import Line

_LONGEST_NUMBER = 9


async def titles_of(
    session: AsyncSession, links: Links, publication: str, lines: Sequence[Line]
) -> dict[str, str]:
    """Of those that lead to an issue of ours, or to an article in it; others have none."""
    shelf = links.issue(publication, 0).removesuffix("0")
    behind = [line.label.removeprefix(shelf).split("/")[0] for line in lines if line.label.startswith(shelf)]
    totals = {
        int(word) for word in behind if word.isascii() and word.isdigit() and len(word) <= _LONGEST_NUMBER
    }
    if not totals:
        return {}
    found = await session.exec(
        select(Issue.total_number, IssueRevision.document)
        .join(IssueRevision, col(IssueRevision.issue_id) == col(Issue.id))
        .where(Issue.publication == publication, col(Issue.total_number).in_(totals))
        .where(col(IssueRevision.revision) == col(Issue.revision))
    )
    titles: dict[str, str] = {}
    for total, document in found.all():
        titles[links.issue(publication, total)] = f"总第{total}期"
        for place, _, article in IssueDocument.model_validate(document).articles():
            titles[links.article(publication, total, place)] = plain(article.title)
    return titles
