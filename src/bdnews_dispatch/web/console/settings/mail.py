"""The room of mail: the relay, who letters come from, what must stand in DNS, whom it may reach; tried from here."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web
from sqlmodel import col, select

from bdnews_dispatch.channels.email import EmailChannel, ReplyRules
from bdnews_dispatch.channels.email.connection import RelayError
from bdnews_dispatch.channels.email.limits import Limits
from bdnews_dispatch.dispatch.reach import Reach
from bdnews_dispatch.errors import BdnewsError
from bdnews_dispatch.letters.models import Letter, LetterKind
from bdnews_dispatch.letters.writing import write_notice
from bdnews_dispatch.settings import EmailSettings, Settings
from bdnews_dispatch.web.console.desk import back, field, note, page
from bdnews_dispatch.web.console.guests import WHO
from bdnews_dispatch.web.console.settings.records import records_of
from bdnews_dispatch.web.console.settings.trying import ANSWER_SECONDS, Outcome, Passed, attempt
from bdnews_dispatch.web.keys import CLOCK, DATABASE, LINKS, PUBLICATIONS, SETTINGS

ROOM = "/console/settings/mail"
#: Own letters that the page tells of.
_MOST = 3


async def show(request: web.Request) -> web.Response:
    """All of it."""
    return await _page(request)


async def test(request: web.Request) -> web.Response:
    """Connect, secure, sign in, as `bdnews doctor` does; no mail goes out."""
    app, which = request.app, field(request, "which")
    if which not in {"relay", "sandbox"}:
        raise web.HTTPBadRequest
    settings = app[SETTINGS]
    relay = settings.email if which == "relay" else _sandbox(settings)
    outcome = await _try(request, relay)
    async with app[DATABASE].write() as session:
        failed = [step.name for step in outcome.steps if step.state == "failed"]
        await note(request, session, "settings.test_mail", f"mail:{which}", {"failed": failed})
    return await _page(request, outcome=outcome, which=which)


async def letter(request: web.Request) -> web.StreamResponse:
    """One mail to the address of who asks, over the very channel that confirmations go by."""
    app = request.app
    async with app[DATABASE].write() as session:
        await write_notice(
            session,
            app[CLOCK],
            publication=app[PUBLICATIONS].named(None).key,
            email=request[WHO].email,
            subject="测试信",
            paragraphs=(
                "这封信由控制台的“设置 › 邮件”寄出，走的是确认信的那条路：同一台邮件服务器，同一个发件人，同样的签名。",
                "请看一看它在收件箱还是垃圾箱里；邮箱能显示原文的，看其中 SPF、DKIM、DMARC 三项是否都是 pass。",
            ),
            button="回到邮件设置",
            url=f"{app[LINKS].base_url}{ROOM}",
        )
        await note(request, session, "settings.test_letter", "mail:self")
    raise back(ROOM, "tested")


async def _page(
    request: web.Request, *, outcome: Outcome | None = None, which: str = "relay"
) -> web.Response:
    app = request.app
    settings = app[SETTINGS]
    problem, limits = None, None
    try:
        limits = await asyncio.to_thread(Limits.load, _providers(settings))
    except BdnewsError as error:
        problem = error
    reach = Reach.read(settings.delivery.allow)
    return page(
        request,
        "settings_mail.html",
        email=settings.email,
        settings=settings,
        sandbox=_sandbox(settings),
        records=await asyncio.to_thread(records_of, settings),
        reach=reach,
        own=request[WHO].email,
        own_is_real=reach.allows(request[WHO].email),
        letters=await _letters(request),
        limits=limits,
        problem=problem,
        outcome=outcome,
        which=which,
    )


async def _letters(request: web.Request) -> Sequence[Letter]:
    """The last ones to who looks."""
    statement = (
        select(Letter)
        .where(Letter.email == request[WHO].email, Letter.kind == LetterKind.NOTICE)
        .order_by(col(Letter.id).desc())
        .limit(_MOST)
    )
    async with request.app[DATABASE].read() as session:
        return (await session.exec(statement)).all()


async def _try(request: web.Request, relay: EmailSettings) -> Outcome:
    hasty = relay.model_copy(
        update={"connections": 1, "timeout_seconds": min(relay.timeout_seconds, ANSWER_SECONDS)}
    )

    async def work(passed: Passed) -> str:
        rules = await asyncio.to_thread(ReplyRules.load, _providers(request.app[SETTINGS]))
        async with EmailChannel(hasty, rules) as channel:
            return await channel.check(passed)

    return await attempt(request.app[CLOCK], _steps(relay), work, failing=_failing)


def _steps(relay: EmailSettings) -> list[str]:
    """In the order in which they are done."""
    secured = {"none": ["ehlo"], "tls": ["tls", "ehlo"], "starttls": ["ehlo", "tls"]}[relay.security]
    return ["connect", *secured, *(["sign_in"] if relay.username else []), "noop"]


def _failing(error: BdnewsError, left: Sequence[str]) -> str:
    """TLS from the first byte fails where the connection is made."""
    if isinstance(error, RelayError) and error.code.startswith("tls.") and "tls" in left:
        return "tls"
    return left[0]


def _sandbox(settings: Settings) -> EmailSettings:
    """The stand-in for the relay, in its place."""
    box = settings.sandbox
    changed = {"host": box.smtp_host, "port": box.smtp_port, "security": "none", "username": ""}
    return settings.email.model_copy(update=changed)


def _providers(settings: Settings) -> Path | None:
    return Path(settings.email.providers) if settings.email.providers else None
