"""Addresses that must not be written to: seen, added, lifted with a note."""

from aiohttp import web

from bdnews_dispatch.dispatch.words import reason_words, with_code
from bdnews_dispatch.errors import BdnewsError
from bdnews_dispatch.subscribers import suppressions as rooms
from bdnews_dispatch.subscribers.fields import read_address, read_openid
from bdnews_dispatch.subscribers.models import Channel
from bdnews_dispatch.web.console.desk import asked, back, field, note, page
from bdnews_dispatch.web.keys import CLOCK, DATABASE

_MOST = 200


async def index(request: web.Request) -> web.Response:
    """The newest, or those of an address."""
    return await _page(request)


async def change(request: web.Request) -> web.StreamResponse:
    """Suppress, or lift."""
    app, text, why = request.app, field(request, "target", 254), field(request, "note")
    lifting = field(request, "do") == "lift"
    try:
        channel, target = _read(text)
        if not why:
            raise BdnewsError("请写明为什么", hint="会与停发记录一起保留。")  # noqa: TRY301  # told on the same page
        async with app[DATABASE].write() as session:
            if lifting:
                await rooms.lift(session, app[CLOCK], channel, target, note=why)
            else:
                await rooms.suppress(
                    session, app[CLOCK], channel, target, reason="admin", source="admin", evidence=why
                )
            action = "suppression.lift" if lifting else "suppression.add"
            await note(request, session, action, f"channel:{channel.value}")
    except BdnewsError as error:
        return await _page(request, problem=error)
    raise back("/console/suppressions", "lifted" if lifting else "suppressed")


def _read(text: str) -> tuple[Channel, str]:
    if "@" in text:
        return Channel.EMAIL, read_address(text).key
    return Channel.WECHAT, read_openid(text)


async def _page(request: web.Request, *, problem: BdnewsError | None = None) -> web.Response:
    target, lifted = asked(request, "q", 254), "lifted" in request.query
    async with request.app[DATABASE].read() as session:
        found = await rooms.listing(
            session, target=target.casefold() if "@" in target else target, lifted=lifted, limit=_MOST
        )
    typed = (
        {"target": field(request, "target", 254), "note": field(request, "note")}
        if problem
        else {"target": target, "note": ""}
    )
    return page(
        request,
        "suppressions.html",
        status=422 if problem else 200,
        found=found,
        # `template:43004`: by which way of WeChat's, and what the platform said.
        reasons={
            one.reason: with_code(told, one.reason)
            for one in found
            if one.source in {"smtp", "wechat"} and (told := reason_words(one.reason.rpartition(":")[2]))
        },
        lifted=lifted,
        wanted=target,
        typed=typed,
        problem=problem,
    )
