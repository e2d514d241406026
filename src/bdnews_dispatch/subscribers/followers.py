"""What the platform tells of WeChat users: who follows, and how long and how often 客服 messages may go to them.

In: pushes (through `WeChatPushes`), inside the caller's transaction. Out: rows of `Follower`. Callers: WeChat pushes,
dispatch sending. The windows are the platform's: a message opens 48 h for 5 sends; a menu click, a follow or a scan
opens 1 minute for 3. Following is not consent: leaving stops WeChat, and email goes on.
"""

from collections.abc import Collection
from datetime import timedelta

from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.clock import Clock
from bdnews_dispatch.links import random_key
from bdnews_dispatch.subscribers.models import Follower

TEXT_WINDOW = timedelta(hours=48)
TEXT_SENDS = 5
TOUCH_WINDOW = timedelta(minutes=1)
TOUCH_SENDS = 3


async def follow(session: AsyncSession, clock: Clock, openid: str) -> None:
    """They follow (again): a short window opens."""
    follower = await _follower(session, clock, openid)
    follower.following = True
    _open(follower, clock, TOUCH_WINDOW, TOUCH_SENDS)


async def unfollow(session: AsyncSession, clock: Clock, openid: str) -> None:
    """They left: no window, nothing by WeChat."""
    follower = await _follower(session, clock, openid)
    follower.following = False
    follower.window_until = None
    follower.window_left = 0


async def touched(session: AsyncSession, clock: Clock, openid: str, *, text: bool) -> None:
    """They wrote (`text`), or clicked a menu or scanned a code: they follow, and a window opens."""
    follower = await _follower(session, clock, openid)
    follower.following = True
    if text:
        _open(follower, clock, TEXT_WINDOW, TEXT_SENDS)
    else:
        _open(follower, clock, TOUCH_WINDOW, TOUCH_SENDS)


async def open_windows(session: AsyncSession, clock: Clock, openids: Collection[str]) -> frozenset[str]:
    """Those to whom a 客服 message may go now."""
    if not openids:
        return frozenset()
    statement = select(Follower.openid).where(
        col(Follower.openid).in_(openids),
        col(Follower.following),
        col(Follower.window_left) > 0,
        col(Follower.window_until) > clock(),
    )
    return frozenset((await session.exec(statement)).all())


async def take_from_window(session: AsyncSession, clock: Clock, openid: str) -> bool:
    """One send is used. Returns: False: no window was open, or it was used up."""
    statement = (
        update(Follower)
        .where(col(Follower.openid) == openid, col(Follower.window_left) > 0)
        .where(col(Follower.window_until) > clock())
        .values(window_left=col(Follower.window_left) - 1, updated_at=clock())
        .returning(col(Follower.openid))
    )
    return (await session.execute(statement)).first() is not None


async def key_of(session: AsyncSession, clock: Clock, openid: str) -> str:
    """The key of their own links; made the first time."""
    follower = await session.get(Follower, openid)
    if follower is None:
        follower = Follower(openid=openid, updated_at=clock())
    if follower.key is None:
        follower.key = random_key(clock())
        session.add(follower)
        await session.flush()
    return follower.key


async def find_by_key(session: AsyncSession, key: str) -> Follower | None:
    """Whose links have this key."""
    return (await session.exec(select(Follower).where(Follower.key == key))).first()


async def _follower(session: AsyncSession, clock: Clock, openid: str) -> Follower:
    follower = await session.get(Follower, openid)
    if follower is None:
        follower = Follower(openid=openid, updated_at=clock())
    follower.updated_at = clock()
    session.add(follower)
    return follower


def _open(follower: Follower, clock: Clock, length: timedelta, sends: int) -> None:
    """A window that is longer or has more left is never made smaller by a lesser one."""
    now = clock()
    still_open = follower.window_until is not None and follower.window_until > now
    until = now + length
    if still_open and follower.window_until is not None and follower.window_until > until:
        follower.window_left = max(follower.window_left, sends)
        return
    follower.window_until = until
    follower.window_left = max(follower.window_left, sends) if still_open else sends
