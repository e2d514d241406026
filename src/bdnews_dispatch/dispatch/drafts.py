"""A bulletin that was written becomes one that is sent, with its dispatch, in one transaction. Callers: web/console/,
web/api/.
"""

from collections.abc import Mapping
from datetime import UTC, datetime

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.bulletins.drafting import Written, check_sending, takes_two
from bdnews_dispatch.bulletins.models import Bulletin, BulletinDraft, DraftState
from bdnews_dispatch.bulletins.writing import write_bulletin
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.dispatch.models import Dispatch
from bdnews_dispatch.dispatch.starting import Started, dispatches_of_bulletin, start_bulletin
from bdnews_dispatch.dispatch.states import DispatchState
from bdnews_dispatch.errors import StateError
from bdnews_dispatch.subscribers.targeting import Target, read_target

#: The fields of `BulletinDraft.whom`, and the words of `read_target` for them.
FIELDS: Mapping[str, str] = {
    "list": "lists",
    "segment": "segments",
    "except_list": "excluded_lists",
    "except_segment": "excluded_segments",
}


async def target_of_draft(session: AsyncSession, draft: BulletinDraft | Written) -> Target:
    """Whom it is for. Raises: NotFoundError: a list or a segment is there no more, or never was."""
    return await read_target(session, **{FIELDS[name]: chosen for name, chosen in draft.whom.items()})


def as_bulletin(clock: Clock, draft: BulletinDraft) -> Bulletin:
    """As it would be sent; not in the database."""
    return Bulletin(
        publication=draft.publication,
        fingerprint="",
        title=draft.title,
        body=draft.body,
        urgent=draft.urgent,
        ad=draft.ad,
        created_at=clock(),
    )


async def was_called_back(session: AsyncSession, dispatch: Dispatch) -> bool:
    """Whether it sends a bulletin that takes two, one of whose dispatches somebody has cancelled.

    What failed, one person may send once more: two have agreed to it. What was called back is no longer agreed to.
    """
    segments = [segment["name"] for segment in dispatch.segments]
    if dispatch.bulletin_id is None or not takes_two(
        urgent=dispatch.urgent, sections=dispatch.sections, lists=dispatch.lists, segments=segments
    ):
        return False
    of_it = await dispatches_of_bulletin(session, dispatch.bulletin_id)
    return any(one.state is DispatchState.CANCELLED for one in of_it)


async def approved_by(session: AsyncSession, dispatch: Dispatch, actor: str) -> int:
    """The draft that it sends, where this is who approved it; 0: they did not."""
    if dispatch.bulletin_id is None:
        return 0
    draft = (
        await session.exec(
            select(BulletinDraft).where(
                BulletinDraft.bulletin_id == dispatch.bulletin_id, BulletinDraft.decided_by == actor
            )
        )
    ).first()
    return draft.id or 0 if draft is not None else 0


async def check_again(session: AsyncSession, dispatch: Dispatch) -> None:
    """Raises: StateError: it was called back."""
    if await was_called_back(session, dispatch):
        raise StateError(
            "这则快讯须由两个人决定，又已被取消，不能由一个人再发",
            hint="请在“快讯”里以它为底稿写新的，再送审。已收到的人会再收到一次。",
        )


async def send_draft(
    session: AsyncSession, clock: Clock, draft: BulletinDraft, *, soonest: datetime
) -> Started:
    """Send it.

    Args:
        soonest: not before: until then it can be taken back.

    Raises:
        StateError: it was sent or thrown away, or a second person has not approved it.
        NotFoundError: a list or a segment is there no more.
    """
    check_sending(draft)
    target = await target_of_draft(session, draft)
    at = max(draft.at, soonest) if draft.at else soonest
    bulletin = await write_bulletin(
        session,
        clock,
        publication=draft.publication,
        title=draft.title,
        body=draft.body,
        urgent=draft.urgent,
        ad=draft.ad,
        audience=f"draft:{draft.id}:{at.astimezone(UTC).isoformat()}",
    )
    started = await start_bulletin(session, clock, bulletin, sections=draft.sections, target=target, at=at)
    draft.state, draft.bulletin_id, draft.changed_at = DraftState.SENT, bulletin.id, clock()
    session.add(draft)
    return started
