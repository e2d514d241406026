"""The whole flow on one page: what happens when something has happened.

    issue.published ──→ a dispatch of it is started ──→ dispatch.created ──→ the worker plans it, sends it
    issue.withdrawn ──→ its dispatches that have not ended are cancelled
    wechat.pushed ────→ followers, their window, their wishes
    webhook.disabled ─→ letters to the admins
    request.made ─────→ letters that ask whether it is meant; the letterbox sends them

A handler writes through the session it is given; its work and the row that says "done" commit together, so a handler
that dies half-way runs again and does no harm. Planning, sending and finishing are found by the reconciler from the
rows themselves, so events that only tell (dispatch.created, delivery.opened …) need no handler here.
"""

from collections.abc import Collection, Mapping, Sequence

from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.accounts.rights import Role
from bdnews_dispatch.accounts.users import users
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.dispatch.control import cancel
from bdnews_dispatch.dispatch.starting import dispatches_of, start_issue
from bdnews_dispatch.dispatch.states import DISPATCH_TRANSITIONS, DispatchState
from bdnews_dispatch.issues.models import Issue, IssueState
from bdnews_dispatch.issues.publications import Publications
from bdnews_dispatch.letters.writing import write_letters, write_notice
from bdnews_dispatch.messaging.models import Event
from bdnews_dispatch.messaging.outbox import Handler
from bdnews_dispatch.subscribers.requests import MADE_EVENT
from bdnews_dispatch.tracking.pushes import WeChatPushes


def handlers(
    clock: Clock, publications: Publications, base_url: str, long_term: Collection[str] = frozenset()
) -> Mapping[str, Sequence[Handler]]:
    """Event name → its handlers, in order. Args: base_url: of the pages. long_term: as `WeChatPushes`."""

    async def start_dispatch(session: AsyncSession, event: Event) -> None:
        issue = await session.get(Issue, event.payload["issue_id"])
        if issue is None or issue.state is not IssueState.PUBLISHED:
            return
        if not await dispatches_of(session, issue):  # an editor may have been quicker
            await start_issue(session, clock, issue)

    async def cancel_dispatches(session: AsyncSession, event: Event) -> None:
        issue = await session.get(Issue, event.payload["issue_id"])
        if issue is None or issue.state is not IssueState.WITHDRAWN:
            return
        for dispatch in await dispatches_of(session, issue):
            if dispatch.id is not None and DispatchState.CANCELLED in DISPATCH_TRANSITIONS[dispatch.state]:
                await cancel(session, clock, dispatch.id, note="本期已撤回")

    async def tell_admins(session: AsyncSession, event: Event) -> None:
        """A receiver of webhooks was switched off: its owner may not look here for weeks."""
        webhook_id, why = event.payload["webhook"], event.payload["why"]
        for user in await users(session):
            if user.role is Role.ADMIN and user.disabled_at is None:
                await write_notice(
                    session,
                    clock,
                    publication=publications.named(None).key,
                    email=user.email,
                    subject=f"推送地址 {webhook_id} 已停用",
                    paragraphs=(
                        f"停用的原因：{why}。其间发生的事都留着，没有丢失。",
                        "请与接收方查明原因；修好之后打开下面的页面，按“启用，并补送”。",
                    ),
                    button="打开这个推送地址",
                    url=f"{base_url}/console/webhooks/{webhook_id}",
                )

    async def write_request_letters(session: AsyncSession, event: Event) -> None:
        await write_letters(session, clock, event.payload["request_id"])

    return {
        MADE_EVENT: (write_request_letters,),
        "issue.published": (start_dispatch,),
        "issue.withdrawn": (cancel_dispatches,),
        "webhook.disabled": (tell_admins,),
        "wechat.pushed": (WeChatPushes(clock, publications, long_term).on_pushed,),
    }
