"""What a reader sees when something went wrong: what happened, what was kept, what to do. Never a traceback.

In: exceptions of handlers. Out: pages. Called by app.py, as the outermost middleware but one.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from bdnews_dispatch.errors import BdnewsError, NotFoundError, TokenError
from bdnews_dispatch.subscribers.requests import TooManyError
from bdnews_dispatch.web.api.problems import PREFIX, problem_response
from bdnews_dispatch.web.console.guests import WHO
from bdnews_dispatch.web.keys import PAGES
from bdnews_dispatch.web.language import said_by
from bdnews_dispatch.web.reader import ErasedError

logger = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class GoneError(BdnewsError):
    """It was here and has been taken back."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The three sentences of an error page."""

    title: str
    kept: str
    hint: str


def N_(text: str) -> str:  # noqa: N802  # gettext's own name for "to be translated later"
    """Marks a text for translation."""
    return text


_FAULTS = {
    400: Fault(N_("没有看懂这个请求"), N_("没有更改任何内容。"), N_("请回到上一页，刷新后再试一次。")),
    403: Fault(
        N_("这个地址不对外开放"), N_("没有更改任何内容。"), N_("请检查地址，或从您收到的邮件里重新打开。")
    ),
    404: Fault(N_("没有找到这一页"), N_("没有更改任何内容。"), N_("请检查地址是否完整，或回到首页查找。")),
    405: Fault(N_("这个地址不能这样使用"), N_("没有更改任何内容。"), N_("请从页面上的按钮操作。")),
    410: Fault(
        N_("这一期已由编辑部撤回"),
        N_("您的订阅不受影响。"),
        N_("您可以阅读其他各期；更正后的内容会重新发布。"),
    ),
    413: Fault(N_("提交的内容过长"), N_("没有更改任何内容。"), N_("请缩短后再提交。")),
    429: Fault(
        N_("提交得太频繁了"),
        N_("没有更改任何内容。"),
        N_("请一小时后再试；着急的话，请直接联系编辑部。"),
    ),
    500: Fault(
        N_("服务出了问题，没有完成您的请求"),
        N_("您此前保存的设置都还在。"),
        N_("请过几分钟再试；如果仍不行，请直接回复您收到的邮件告诉我们。"),
    ),
}
#: Of the console, to who has signed in.
_ROLE = Fault(
    N_("您的角色不能看这一页，或做这件事"),
    N_("没有更改任何内容。"),
    N_("请管理员在“用户”里更改；刚才重新登录过的，请先刷新那一页，再试一次。"),
)
_ERASED = Fault(N_("您的数据已删除"), N_("没有留下任何可以更改的内容。"), N_("如果又想收到，请重新订阅。"))
_BAD_LINK = Fault(
    N_("这个链接打不开"),
    N_("没有更改任何内容。"),
    N_("链接可能不完整或已过期。请从最近一封邮件里重新打开；复制链接时请复制完整。"),
)


@web.middleware
async def show_faults(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error as a page; of the API's, as a problem."""
    if request.path.startswith(PREFIX):
        try:
            return await handler(request)
        except Exception as error:  # what it is decides the answer; it is logged there
            if isinstance(error, web.HTTPException) and error.status < 400:
                raise
            return problem_response(error, route=_route(request))
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        role = error.status == 403 and WHO in request
        return _page(request, error.status, _ROLE if role else _FAULTS.get(error.status, _FAULTS[400]))
    except TokenError:
        return _page(request, 404, _BAD_LINK)
    except GoneError:
        return _page(request, 410, _FAULTS[410])
    except ErasedError:
        return _page(request, 410, _ERASED)
    except TooManyError:
        return _page(request, 429, _FAULTS[429])
    except NotFoundError:
        return _page(request, 404, _FAULTS[404])
    except BdnewsError as error:
        logger.warning("web.refused", extra={"route": _route(request), "error": type(error).__name__})
        return _page(request, 400, Fault(error.message, N_("没有更改任何内容。"), error.hint))
    except Exception:
        logger.exception("web.failed", extra={"route": _route(request)})
        return _page(request, 500, _FAULTS[500])


def _page(request: web.Request, status: int, fault: Fault) -> web.StreamResponse:
    words = request.app[PAGES].words(request)
    return request.app[PAGES].response(
        request,
        "fault.html",
        status=status,
        title=said_by(words, fault.title),
        kept=words(fault.kept),
        hint=said_by(words, fault.hint),
        within=WHO in request,
    )


def _route(request: web.Request) -> str:
    """The route's pattern: addresses of requests hold tokens, which are not for logs."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else ""
