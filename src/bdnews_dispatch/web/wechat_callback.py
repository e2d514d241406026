"""WeChat's callback: the echo that proves the address, and pushes, acknowledged at once.

In: the platform's GET and POST. Out: an event `wechat.pushed` for each push, once, and a short text as its answer.
What the push asks for is done by the event's handler (`tracking.pushes`), after the answer.
"""

import logging

from aiohttp import web
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.channels.wechat.callback import CallbackError, open_push, text_reply, verify
from bdnews_dispatch.channels.wechat.push import Push, PushKind
from bdnews_dispatch.issues.models import Issue, IssueState
from bdnews_dispatch.messaging.outbox import record
from bdnews_dispatch.tracking.pushes import PUSHED_EVENT, Keyword, keyword_of
from bdnews_dispatch.web.keys import CLOCK, DATABASE, LINKS, PUBLICATIONS, SETTINGS, WAKE
from bdnews_dispatch.web.reader import newest_delivery_key

logger = logging.getLogger(__name__)

#: The platform takes this for "received, nothing to say".
_RECEIVED = "success"
_FORBIDDEN = {"signature", "timestamp", "not_encrypted", "decrypt", "aes_key"}
#: Of what a user wrote; a keyword is two characters.
_LONGEST_TEXT = 200


async def echo(request: web.Request) -> web.Response:
    """The platform asks whether this address is ours."""
    if not verify(request.app[SETTINGS].wechat, request.query):
        logger.warning("wechat.echo_refused")
        return web.Response(status=403)
    return web.Response(text=request.query.get("echostr", "")[:_LONGEST_TEXT])


async def take_push(request: web.Request) -> web.Response:
    """Keep the push as an event, answer."""
    app = request.app
    try:
        push = open_push(app[SETTINGS].wechat, request.query, await request.read(), app[CLOCK]())
    except CallbackError as error:
        logger.warning("wechat.push_refused", extra={"reason": error.reason})
        return web.Response(status=403 if error.reason in _FORBIDDEN else 400)
    async with app[DATABASE].write() as session:
        await record(
            session,
            app[CLOCK],
            PUSHED_EVENT,
            f"{PUSHED_EVENT}:{push.dedup_key}",
            kind=push.kind.value,
            openid=push.openid,
            text=push.text[:_LONGEST_TEXT],
            event_key=push.event_key[:_LONGEST_TEXT],
            scene=push.scene[:_LONGEST_TEXT],
            msg_id=push.msg_id,
            status=push.status,
            **({"counts": dict(push.counts)} if push.counts else {}),
            **({"consents": [list(told) for told in push.consents]} if push.consents else {}),
        )
        words = await _answer(request, session, push)
    app[WAKE]()
    if not words:
        return web.Response(text=_RECEIVED)
    reply = text_reply(push, words, app[SETTINGS].wechat, now=app[CLOCK]())
    return web.Response(body=reply, content_type="application/xml", charset="utf-8")


async def _answer(request: web.Request, session: AsyncSession, push: Push) -> str:
    name = request.app[PUBLICATIONS].named(None).name
    if push.kind is PushKind.SUBSCRIBE:
        return (
            f"您好，欢迎关注《{name}》。\n"
            "回复“订阅”，每期为您送达；回复“最新”，阅读最新一期；回复“帮助”，查看全部用法。"
        )
    if push.kind is not PushKind.TEXT:
        return ""
    match keyword_of(push.text):
        case Keyword.SUBSCRIBE:
            return f"已收到。今后每期《{name}》将在这里送达。回复“我的”可选择栏目，回复“退订”可随时停止。"
        case Keyword.UNSUBSCRIBE:
            return "已收到，微信推送将停止。如果您还订阅了邮件，邮件照常。想恢复时，回复“订阅”即可。"
        case Keyword.MINE:
            key = await newest_delivery_key(session, push.openid)
            if key is None:
                return "还没有给您寄过内容。回复“订阅”后，第一期送达时即可在这里选择栏目。"
            return f"您的订阅（栏目、频率、接收方式）：\n{request.app[LINKS].preferences(key)}"
        case Keyword.NEWEST:
            return await _newest(request, session)
        case Keyword.HELP:
            return (
                "订阅：每期在这里送达\n退订：停止微信推送\n我的：选择栏目与频率\n"
                "最新：阅读最新一期\n帮助：显示本说明"
            )
        case None:
            return "没有看懂这条消息。可回复：订阅、退订、我的、最新、帮助。"


async def _newest(request: web.Request, session: AsyncSession) -> str:
    publication = request.app[PUBLICATIONS].named(None)
    statement = (
        select(Issue)
        .where(Issue.publication == publication.key, Issue.state == IssueState.PUBLISHED)
        .order_by(col(Issue.total_number).desc())
        .limit(1)
    )
    issue = (await session.exec(statement)).first()
    if issue is None:
        return "还没有发布过内容。"
    address = request.app[LINKS].issue(publication.key, issue.total_number)
    return f"《{publication.name}》总第{issue.total_number}期：\n{address}"
