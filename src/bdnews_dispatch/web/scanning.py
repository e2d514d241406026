"""QR codes to the Official Account: asked for on the subscribe and preference pages, shown on a page of their own.

In: what a form held. Out: a one-time scene, its page, its picture (made here, never fetched by the reader from the
platform). What a scan does is in official_account/binding.py.
"""

import logging
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from bdnews_dispatch.channels.wechat.client import PlatformError, UnreachableError
from bdnews_dispatch.digests.qr import qr_png
from bdnews_dispatch.errors import NotFoundError, StateError
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.official_account import binding, scenes
from bdnews_dispatch.official_account.follower_tables import ScenePurpose, WeChatScene
from bdnews_dispatch.subscribers.models import Subscriber
from bdnews_dispatch.subscribers.requests import Origin
from bdnews_dispatch.web.clients import network_of
from bdnews_dispatch.web.faults import N_
from bdnews_dispatch.web.forms import read_form
from bdnews_dispatch.web.keys import ACCOUNT, CLOCK, DATABASE, DELIVERY_KEY, LINKS, PAGES, PUBLICATIONS
from bdnews_dispatch.web.language import suffix_of
from bdnews_dispatch.web.pages import PRIVATE
from bdnews_dispatch.web.reader import reader_of

logger = logging.getLogger(__name__)

#: On a screen of double density 240 points wide.
_SCALE = 8
_AWAY = N_("暂时拿不到微信二维码")
_AWAY_HINT = N_("请过几分钟再试；也可以先用邮箱订阅。")


async def page_of_scene(
    request: web.Request,
    publication: Publication,
    purpose: ScenePurpose,
    *,
    subscriber_id: int | None = None,
    wish: Mapping[str, Any] | None = None,
    origin: Origin,
) -> str:
    """Make a scene and ask the platform for its code.

    Returns:
        The address of the page that shows it, by a signed link that ends with the code.

    Raises:
        NotFoundError: there is no account.
        StateError: the platform gave no code. Nothing follows from what was asked.
        TooManyError: this network has asked for too many.
    """
    app, account = request.app, request.app[ACCOUNT]
    if account is None:
        raise NotFoundError("没有设置公众号")
    async with app[DATABASE].write() as session:
        row = await scenes.make_scene(
            session,
            app[CLOCK],
            publication,
            purpose,
            subscriber_id=subscriber_id,
            wish=wish,
            origin=origin,
        )
        scene, ends_at = row.scene, row.ends_at
    try:
        code_url = await account.qr_code(scene, scenes.LASTS)
    except (PlatformError, UnreachableError) as error:
        logger.warning("wechat.no_code", extra={"code": str(error.code), "rid": getattr(error, "rid", "")})
        raise StateError(_AWAY, hint=_AWAY_HINT) from error
    async with app[DATABASE].write() as session:
        await scenes.keep_code(session, scene, code_url)
    return app[LINKS].scan(scene, ends=ends_at) + suffix_of(request)


async def show(request: web.Request) -> web.Response:
    """The code, what a scan will do, and, after it, what it has done."""
    app = request.app
    scene = await _scene(request)
    person = None
    if scene.subscriber_id is not None:
        async with app[DATABASE].read() as session:
            person = await session.get(Subscriber, scene.subscriber_id)
    return app[PAGES].response(
        request,
        "scan.html",
        publication=app[PUBLICATIONS].named(scene.publication),
        scene=scene,
        binds=scene.purpose is ScenePurpose.BIND,
        whole_issue=bool(scene.wish.get("whole_issue")),
        sections=scene.wish.get("sections", []),
        gone=person is not None and person.erased_at is not None,
        done=scene.used_at is not None,
        ended=scene.ends_at <= app[CLOCK](),
        here=request.rel_url.path,
    )


async def picture(request: web.Request) -> web.Response:
    """The code as a picture: inside WeChat it is pressed long, which only works on pictures."""
    scene = await _scene(request)
    if not scene.code_url:
        raise NotFoundError("没有这个二维码")
    png = qr_png(scene.code_url, scale=_SCALE)
    return web.Response(body=png, content_type="image/png", headers={"Cache-Control": PRIVATE})


async def bind(request: web.Request) -> web.Response:
    """From the preference page: also by WeChat, or no longer."""
    app, form = request.app, await read_form(request)
    if "unbind" in form:
        async with app[DATABASE].write() as session:
            reader = await reader_of(session, app[PUBLICATIONS], request[DELIVERY_KEY])
            done = await binding.unbind(session, app[CLOCK], app[PUBLICATIONS], reader.person)
        if not done:
            raise StateError(
                N_("没有可以代替微信的邮箱"), hint=N_("请先添加邮箱，再解除微信；不想再收到，请退订。")
            )
        # Not back to the preferences: a follower's own link leads to nobody now.
        return app[PAGES].response(
            request, "unbound.html", publication=reader.publication, address=reader.shown_address
        )
    async with app[DATABASE].read() as session:
        reader = await reader_of(session, app[PUBLICATIONS], request[DELIVERY_KEY])
    origin = Origin(network=network_of(request))
    raise web.HTTPSeeOther(
        await page_of_scene(
            request,
            reader.publication,
            ScenePurpose.BIND,
            subscriber_id=reader.subscriber_id,
            origin=origin,
        )
    )


async def _scene(request: web.Request) -> WeChatScene:
    async with request.app[DATABASE].read() as session:
        scene = await scenes.find_scene(session, request[DELIVERY_KEY])
    if scene is None:
        raise NotFoundError("没有这个二维码")
    return scene
