"""What mails and cards link to: the pixel, the counted links, the web copy of one reader's digest.

In: signed tokens. Out: a fixed picture, a redirect to a stored address, a page; hits. A click names a stored link,
never an address, so this can't be made to lead anywhere else.
"""

import base64
from urllib.parse import urlsplit

from aiohttp import web
from sqlmodel import col, select

from bdnews_dispatch.digests.digest import Digest, DigestIssue
from bdnews_dispatch.digests.markdown_body import body_html
from bdnews_dispatch.dispatch.contents import digest_of, load_contents
from bdnews_dispatch.dispatch.models import Delivery, Dispatch, DispatchLink
from bdnews_dispatch.errors import NotFoundError
from bdnews_dispatch.issues.models import Issue, IssueState
from bdnews_dispatch.links import Links
from bdnews_dispatch.tracking.models import HitKind
from bdnews_dispatch.web.faults import GoneError
from bdnews_dispatch.web.keys import DATABASE, DELIVERY_KEY, HITS, LINKS, PAGES, PUBLICATIONS
from bdnews_dispatch.web.language import language_of
from bdnews_dispatch.web.pages import PRIVATE
from bdnews_dispatch.web.reader import Reader, reader_of
from bdnews_dispatch.web.touches import touch_of
from bdnews_dispatch.web.wechat_page import policy_of, wechat_page

#: One transparent dot, 43 bytes.
GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
#: A dispatch has some hundred links.
_MOST_DIGITS = 6


async def pixel(request: web.Request) -> web.Response:
    """The same picture whatever the token says."""
    if key := request[DELIVERY_KEY]:
        await request.app[HITS].note(touch_of(request, key, HitKind.OPEN))
    return web.Response(body=GIF, content_type="image/gif", headers={"Cache-Control": "no-store, max-age=0"})


async def click(request: web.Request) -> web.Response:
    """To where the link leads. Raises: NotFoundError: there is no such link."""
    number = _number(request.match_info["number"])
    key = request[DELIVERY_KEY]
    statement = (
        select(DispatchLink.url)
        .join(Delivery, col(Delivery.dispatch_id) == col(DispatchLink.dispatch_id))
        .where(Delivery.key == key, DispatchLink.number == number)
    )
    async with request.app[DATABASE].read() as session:
        url = (await session.exec(statement)).first()
    if url is None or not _is_web(url):
        raise NotFoundError("没有这个链接")
    await request.app[HITS].note(touch_of(request, key, HitKind.CLICK, link=number))
    # The status and the header by hand: aiohttp's redirect would write the address anew.
    return web.Response(status=302, headers={"Location": url, "Cache-Control": PRIVATE})


async def web_copy(request: web.Request) -> web.Response:
    """The digest as this reader got it, as a page.

    Raises:
        GoneError: all that it held has been withdrawn.
    """
    links = request.app[LINKS]
    async with request.app[DATABASE].read() as session:
        reader = await reader_of(session, request.app[PUBLICATIONS], request[DELIVERY_KEY])
        delivery = reader.delivery
        dispatch = await session.get(Dispatch, delivery.dispatch_id) if delivery is not None else None
        if delivery is None or dispatch is None:
            raise NotFoundError("没有这次投递的记录")
        contents = await load_contents(session, dispatch, links)
        ids = [edition.issue_id for edition in contents.editions]
        shown = select(Issue.id).where(col(Issue.id).in_(ids), Issue.state == IssueState.PUBLISHED)
        published = set((await session.exec(shown)).all())
    if ids and not published:
        raise GoneError("本期已撤回")
    await request.app[HITS].note(touch_of(request, reader.key, HitKind.PAGE_VIEW))
    digest = digest_of(reader.publication, contents, delivery.sections, language_of(request))
    addresses = _addresses(reader, digest, links.click(reader.key))
    bulletin = digest.bulletin
    by_url = {link.url: addresses[link.number] for link in digest.links}
    wechat = await wechat_page(
        request, title=digest.subject, description=_in_short(digest), link=_public(digest, links)
    )
    response = request.app[PAGES].response(
        request,
        "digest.html",
        wechat=wechat,
        publication=reader.publication,
        digest=digest,
        issues=[issue for issue in digest.issues if _issue_id(digest, issue) in published],
        addresses=addresses,
        bulletin_html=body_html(bulletin.body, by_url) if bulletin else "",
        preferences=links.preferences(reader.key),
        unsubscribe=links.unsubscribe(reader.key),
    )
    if wechat is not None:
        response.headers["Content-Security-Policy"] = policy_of(wechat)
    return response


def _in_short(digest: Digest) -> str:
    """Under the title of a shared page."""
    if digest.bulletin is not None:
        return digest.bulletin.date
    return "、".join(entry.name for entry in digest.contents)


def _public(digest: Digest, links: Links) -> str:
    """What others open: the issue, or the publication's pages; never the reader's own link."""
    if digest.issues:
        return next(link.url for link in digest.links if link.number == digest.issues[0].link)
    return links.archive(digest.publication.key)


def _addresses(reader: Reader, digest: Digest, click_prefix: str) -> dict[int, str]:
    """Where each link leads: counted, unless the reader does not want to be."""
    if reader.person.no_tracking:
        return {link.number: link.url for link in digest.links}
    return {link.number: f"{click_prefix}/{link.number}" for link in digest.links}


def _issue_id(digest: Digest, issue: DigestIssue) -> int | None:
    return next((link.issue_id for link in digest.links if link.number == issue.link), None)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise NotFoundError("没有这个链接")
    return int(text)


def _is_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    unsafe = any(character in url for character in "\r\n\0")
    return parts.scheme in {"http", "https"} and bool(parts.netloc) and not unsafe
