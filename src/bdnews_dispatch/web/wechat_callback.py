"""WeChat's callback: the echo that proves the address, and pushes, acknowledged at once.

In: the platform's GET and POST. Out: an event `wechat.pushed` for each push, once, and a short text as its answer.
What the push asks for is done by the event's handler (`tracking.pushes`), after the answer.
"""

import logging

from aiohttp import web

from bdnews_dispatch.channels.wechat.callback import CallbackError, open_push, text_reply, verify
from bdnews_dispatch.messaging.outbox import record
from bdnews_dispatch.tracking.pushes import PUSHED_EVENT
from bdnews_dispatch.web.keys import CLOCK, DATABASE, SETTINGS, WAKE
from bdnews_dispatch.web.wechat_answers import answer

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
        words = await answer(request, session, push)
    app[WAKE]()
    if not words:
        return web.Response(text=_RECEIVED)
    reply = text_reply(push, words, app[SETTINGS].wechat, now=app[CLOCK]())
    return web.Response(body=reply, content_type="application/xml", charset="utf-8")
