"""What a dispatch sends, in a few words: 总第112期, 周报：总第112期, or a bulletin's title. Callers: whoever lists
dispatches.
"""

from collections.abc import Collection, Mapping

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.bulletins.models import Bulletin
from bdnews_dispatch.dispatch.models import Dispatch
from bdnews_dispatch.issues.models import Issue
from bdnews_dispatch.subscribers.models import Cadence

#: Of a week with one issue in it: beside the issue's own dispatch, two would have one name.
_PERIODS: Mapping[Cadence | None, str] = {Cadence.WEEKLY: "周报：", Cadence.MONTHLY: "月报："}


async def titles(session: AsyncSession, dispatch_ids: Collection[int]) -> dict[int, str]:
    """By dispatch: the title of its issue with its number, of several issues their numbers, or of its bulletin."""
    found = (await session.exec(select(Dispatch).where(col(Dispatch.id).in_(dispatch_ids)))).all()
    wanted = {entry["id"] for dispatch in found for entry in dispatch.issues}
    issues = {row.id: row for row in await session.exec(select(Issue).where(col(Issue.id).in_(wanted)))}
    noted = {dispatch.bulletin_id for dispatch in found if dispatch.bulletin_id is not None}
    bulletins = {
        row.id: row for row in await session.exec(select(Bulletin).where(col(Bulletin.id).in_(noted)))
    }
    named = {}
    for dispatch in found:
        assert dispatch.id is not None  # noqa: S101  # read from the database
        theirs = [issues[entry["id"]] for entry in dispatch.issues if entry["id"] in issues]
        period = _PERIODS.get(dispatch.cadence, "")
        if (bulletin := bulletins.get(dispatch.bulletin_id)) is not None:
            named[dispatch.id] = bulletin.title
        elif len(theirs) == 1:
            named[dispatch.id] = f"{period}总第{theirs[0].total_number}期《{theirs[0].title}》"
        else:
            numbers = "、".join(str(issue.total_number) for issue in theirs)
            named[dispatch.id] = f"{period}总第{numbers}期" if numbers else ""
    return named
