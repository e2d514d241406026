"""What a WeChat user reads at once, as the answer to what they did: to a word, a tap in the menu, a scan, following.

In: a push, inside the callback's transaction. Out: a text; empty: none is due. What they asked for is done afterwards,
by the event's handler (tracking.pushes). Asked again about the same push, it says the same.
"""

from aiohttp import web
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bdnews_dispatch.channels.wechat.push import Push, PushKind
from bdnews_dispatch.issues.document import IssueDocument
from bdnews_dispatch.issues.intake import current_revision
from bdnews_dispatch.issues.models import Issue, IssueState
from bdnews_dispatch.issues.publications import Publication, SectionInfo
from bdnews_dispatch.official_account.binding import Meaning, Scan, understand
from bdnews_dispatch.official_account.keywords import Keyword, keyword_of, section_of
from bdnews_dispatch.subscribers import agreements, followers, people
from bdnews_dispatch.subscribers.fields import masked
from bdnews_dispatch.subscribers.models import Subscription
from bdnews_dispatch.web.following import LINK_LASTS
from bdnews_dispatch.web.keys import CLOCK, LINKS, PUBLICATIONS

#: Of a section: as many as fit into 2,048 octets with their addresses.
_ARTICLES = 3
#: Issues that are looked through for them.
_ISSUES_BACK = 8
_TITLE = 40


async def answer(request: web.Request, session: AsyncSession, push: Push) -> str:
    """The answer's text."""
    publication = request.app[PUBLICATIONS].named(None)
    match push.kind:
        case PushKind.SUBSCRIBE if push.scene:
            return await _scanned(request, session, push, publication, new=True)
        case PushKind.SUBSCRIBE:
            return await _welcome(request, session, push.openid, publication)
        case PushKind.SCAN:
            return await _scanned(request, session, push, publication, new=False)
        case PushKind.TEXT:
            return await _word(request, session, push.openid, push.text, publication)
        case PushKind.CLICK:
            return await _word(request, session, push.openid, push.event_key, publication)
        case _:
            return ""


async def own_link(request: web.Request, session: AsyncSession, openid: str) -> str:
    """The follower's own page: choose sections, or change what was chosen."""
    key = await followers.key_of(session, request.app[CLOCK], openid)
    return request.app[LINKS].follower(key, ends=request.app[CLOCK]() + LINK_LASTS)


async def _welcome(request: web.Request, session: AsyncSession, openid: str, publication: Publication) -> str:
    link = await own_link(request, session, openid)
    hello = f"您好，欢迎关注《{publication.name}》。\n"
    if await _reading(session, openid, publication) is not None:
        return f"{hello}您的订阅还在，照常为您送达。要查看或更改：\n{link}"
    return (
        f"{hello}关注还不是订阅。请选择您要读的栏目，以后只把这些送给您：\n{link}\n"
        "也可以回复“订阅”收整期，回复“最新”先读一期，回复“帮助”查看全部用法。"
    )


async def _scanned(
    request: web.Request, session: AsyncSession, push: Push, publication: Publication, *, new: bool
) -> str:
    scan = await understand(session, request.app[CLOCK], push.openid, push.scene)
    hello = f"您好，欢迎关注《{publication.name}》。\n" if new else ""
    link = await own_link(request, session, push.openid)
    return f"{hello}{_meaning(scan, publication)}\n查看或更改您的订阅：\n{link}"


def _meaning(scan: Scan, publication: Publication) -> str:
    match scan.meaning:
        case Meaning.SUBSCRIBES:
            assert scan.scene is not None  # noqa: S101  # the meaning has one
            names = _named(publication, scan.scene.wish)
            return f"订阅已生效：{names}。以后在这里送达；回复“退订”可随时停止。"
        case Meaning.BINDS:
            mail = masked(scan.person.email) if scan.person is not None and scan.person.email else ""
            return (
                f"已绑定{f' {mail} 的' if mail else ''}订阅，以后也会在这里送达。不是您本人？请回复“退订”。"
            )
        case Meaning.READS:
            return "这个微信已有订阅，所选的栏目没有更改，照常在这里送达。要改选栏目，请打开下面的链接。"
        case Meaning.BOUND:
            return "这个微信早已绑定您的订阅，以后照常在这里送达。"
        case Meaning.OTHER_WECHAT:
            return (
                "没有绑定：这份订阅已经绑定了另一个微信。"
                "请先在邮件末尾的“更改”里解除原来的微信，再取一个新的二维码。"
            )
        case Meaning.OTHER_READER:
            return (
                "没有绑定：这个微信已有自己的订阅，两份订阅不会自动合并。"
                "要改用那一份，请先在这里回复“退订”，再取一个新的二维码扫一次。"
            )
        case Meaning.USED:
            return "这个二维码已经用过，没有再做更改。"
        case Meaning.EXPIRED:
            return "这个二维码已过期，没有更改任何内容。请回到网页重新取一个。"
        case Meaning.UNKNOWN | Meaning.NOBODY:
            return "这个二维码不再有效，没有更改任何内容。"


async def _word(
    request: web.Request, session: AsyncSession, openid: str, text: str, publication: Publication
) -> str:
    match keyword_of(text):
        case Keyword.SUBSCRIBE:
            return (
                f"已收到。今后每期《{publication.name}》将在这里送达。"
                f"回复“退订”可随时停止。只要部分栏目，请在这里选择：\n{await own_link(request, session, openid)}"
            )
        case Keyword.UNSUBSCRIBE:
            return (
                "已收到，微信推送将停止。如果您还订阅了邮件，邮件照常，这个微信与它的绑定也已解除。"
                "想恢复时，回复“订阅”，或扫描邮件里的二维码。"
            )
        case Keyword.MINE:
            return await _mine(request, session, openid, publication)
        case Keyword.NEWEST:
            return await _newest(request, session, publication)
        case Keyword.HELP:
            return _help(publication)
        case None:
            section = section_of(text, publication)
            if section is not None:
                return await _section(request, session, openid, publication, section)
            return "没有看懂这条消息。可回复：订阅、退订、我的、最新、帮助，或栏目名。"


def _help(publication: Publication) -> str:
    names = "、".join(section.name for section in publication.sections)
    return (
        "订阅：每期在这里送达\n退订：停止微信推送\n我的：选择栏目与频率\n"
        f"最新：阅读最新一期\n栏目名（{names}）：这个栏目最近的文章\n帮助：显示本说明"
    )


async def _mine(request: web.Request, session: AsyncSession, openid: str, publication: Publication) -> str:
    link = await own_link(request, session, openid)
    reading = await _reading(session, openid, publication)
    if reading is None:
        return f"您还没有在微信里订阅《{publication.name}》。请选择栏目：\n{link}"
    wish = {"whole_issue": reading.whole_issue, "sections": reading.sections}
    return f"您订阅了{_named(publication, wish)}。更改栏目、频率、接收方式：\n{link}"


async def _newest(request: web.Request, session: AsyncSession, publication: Publication) -> str:
    found = await _issues(session, publication, 1)
    if not found:
        return "还没有发布过内容。"
    address = request.app[LINKS].issue(publication.key, found[0].total_number)
    return f"《{publication.name}》总第{found[0].total_number}期：\n{address}"


async def _section(
    request: web.Request,
    session: AsyncSession,
    openid: str,
    publication: Publication,
    section: SectionInfo,
) -> str:
    """Its newest articles, and how to take it."""
    lines: list[str] = []
    for issue in await _issues(session, publication, _ISSUES_BACK):
        document = IssueDocument.model_validate((await current_revision(session, issue)).document)
        for place, holder, article in document.articles():
            if holder.key == section.key and len(lines) < _ARTICLES:
                title = article.title if len(article.title) <= _TITLE else f"{article.title[: _TITLE - 1]}…"
                address = request.app[LINKS].article(publication.key, issue.total_number, place)
                lines.append(f"{title}\n{address}")
        if len(lines) == _ARTICLES:
            break
    link = await own_link(request, session, openid)
    reading = await _reading(session, openid, publication)
    takes = reading is not None and (reading.whole_issue or section.key in reading.sections)
    found = "\n\n".join(lines) if lines else "最近几期没有这个栏目的文章。"
    how = f"您已订阅“{section.name}”。更改：" if takes else f"想每期收到“{section.name}”？在这里选上它："
    return f"【{section.name}】\n{found}\n\n{how}\n{link}"


async def _issues(session: AsyncSession, publication: Publication, number: int) -> list[Issue]:
    statement = (
        select(Issue)
        .where(Issue.publication == publication.key, Issue.state == IssueState.PUBLISHED)
        .order_by(col(Issue.total_number).desc())
        .limit(number)
    )
    return list((await session.exec(statement)).all())


async def _reading(session: AsyncSession, openid: str, publication: Publication) -> Subscription | None:
    person = await people.find_by_openid(session, openid)
    if person is None or person.id is None:
        return None
    return await agreements.current(session, person.id, publication.key)


def _named(publication: Publication, wish: dict[str, object]) -> str:
    sections = wish.get("sections")
    if wish.get("whole_issue") or not isinstance(sections, list) or not sections:
        return "整期"
    return "、".join(s.name for s in publication.sections if s.key in sections)
