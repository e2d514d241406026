"""The page on which anybody may subscribe, also inside somebody else's page; and what it says after.

In: a form. Out: a request to subscribe, whose mail asks the address itself. The answer is the same for an address that
we know, one that has left, one that was asked too often, and for a robot that filled in the field nobody sees.
"""

import logging
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from multidict import MultiDictProxy

from bdnews_dispatch.errors import NotFoundError
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.official_account.follower_tables import ScenePurpose
from bdnews_dispatch.subscribers import lists
from bdnews_dispatch.subscribers.addresses import address_warnings
from bdnews_dispatch.subscribers.agreements import Agreement
from bdnews_dispatch.subscribers.consent import consent_text, keep_text
from bdnews_dispatch.subscribers.fields import (
    LONGEST_ADDRESS,
    LONGEST_NAME,
    Address,
    FieldError,
    read_address,
    read_name,
)
from bdnews_dispatch.subscribers.models import Cadence, ChannelChoice
from bdnews_dispatch.subscribers.requests import Origin, ask_to_subscribe
from bdnews_dispatch.web.clients import network_of
from bdnews_dispatch.web.forms import read_form
from bdnews_dispatch.web.keys import ACCOUNT, CLOCK, DATABASE, PAGES, PUBLICATIONS, WAKE
from bdnews_dispatch.web.language import language_of
from bdnews_dispatch.web.safety import CONTENT_SECURITY_POLICY
from bdnews_dispatch.web.scanning import page_of_scene

logger = logging.getLogger(__name__)

#: Hidden from people and from screen readers; robots fill in every field.
HONEYPOT = "website"


@dataclass(frozen=True, slots=True)
class Typed:
    """What the form holds, to be shown again where something is missing."""

    email: str = ""
    name: str = ""
    whole_issue: bool = False
    sections: tuple[str, ...] = ()
    cadence: str = "issue"
    lists: tuple[int, ...] = ()
    agreed: bool = False


async def show(request: web.Request) -> web.Response:
    """The form; or, behind a POST, that a mail is on its way."""
    if "sent" in request.query:
        return _page(request, _publication(request), "subscribed.html")
    return await _form(request, Typed(sections=_publication(request).section_keys))


async def take(request: web.Request) -> web.Response:
    """Ask the address; then the page that says so, by GET."""
    publication = _publication(request)
    form = await read_form(request)
    typed = _typed(form)
    if _by_wechat(request):
        return await _take_by_wechat(request, publication, typed)
    if form.get(HONEYPOT, ""):
        logger.info("subscribe.robot")
        raise _sent(request)
    app, language = request.app, language_of(request)
    try:
        address, name = _checked(typed)
        if meant := _meant(address, typed, form):
            return await _form(request, typed, meant=meant)
        async with app[DATABASE].write() as session:
            version = await keep_text(session, app[CLOCK], consent_text(publication, language), language)
            await ask_to_subscribe(
                session,
                app[CLOCK],
                publication,
                address=address,
                name=name,
                language=language,
                agreement=Agreement(
                    whole_issue=typed.whole_issue,
                    sections=typed.sections,
                    cadence=Cadence(typed.cadence),
                ),
                list_ids=typed.lists,
                origin=Origin(network=network_of(request), consent=version),
            )
    except FieldError as error:
        return await _form(request, typed, problem=error)
    app[WAKE]()
    raise _sent(request)


async def _take_by_wechat(request: web.Request, publication: Publication, typed: Typed) -> web.Response:
    """On to the code: who scans it subscribes, so that nobody is subscribed by somebody else."""
    app, language = request.app, language_of(request)
    wish = Agreement(
        whole_issue=typed.whole_issue,
        sections=typed.sections,
        channel=ChannelChoice.WECHAT,
        cadence=Cadence(typed.cadence),
    )
    try:
        _check_agreed(typed)
        wanted = wish.columns(publication)
    except FieldError as error:
        return await _form(request, typed, problem=error)
    async with app[DATABASE].write() as session:
        text = consent_text(publication, language, by_wechat=True)
        version = await keep_text(session, app[CLOCK], text, language)
    address = await page_of_scene(
        request,
        publication,
        ScenePurpose.SUBSCRIBE,
        wish={
            "whole_issue": wanted["whole_issue"],
            "sections": wanted["sections"],
            "cadence": wish.cadence.value,
            "language": language,
        },
        origin=Origin(network=network_of(request), consent=version),
    )
    raise web.HTTPSeeOther(address)


def _by_wechat(request: web.Request) -> bool:
    """Whether this is the form for WeChat. Inside somebody else's page there is none: its code is a page of its own."""
    return (
        request.query.get("way") == "wechat"
        and "embed" not in request.query
        and request.app[ACCOUNT] is not None
    )


async def _form(
    request: web.Request, typed: Typed, *, problem: FieldError | None = None, meant: str = ""
) -> web.Response:
    publication = _publication(request)
    async with request.app[DATABASE].read() as session:
        offered = await lists.public_lists(session)
    return _page(
        request,
        publication,
        "subscribe.html",
        status=422 if problem or meant else 200,
        typed=typed,
        problem=problem,
        meant=meant,
        lists=offered,
        cadences=[cadence.value for cadence in Cadence],
        consent=consent_text(publication, language_of(request), by_wechat=_by_wechat(request)),
        by_wechat=_by_wechat(request),
        other_way=_other_way(request),
        honeypot=HONEYPOT,
    )


def _page(
    request: web.Request, publication: Publication, template: str, *, status: int = 200, **data: Any
) -> web.Response:
    embedded = "embed" in request.query
    response = request.app[PAGES].response(
        request,
        template,
        status=status,
        publication=publication,
        embedded=embedded,
        again=_query(request),
        **data,
    )
    if embedded:  # shown inside anybody's page: it holds nothing of a reader, and only asks for a mail
        policy = CONTENT_SECURITY_POLICY.replace("frame-ancestors 'none'", "frame-ancestors *")
        response.headers["Content-Security-Policy"] = policy
    return response


def _sent(request: web.Request) -> web.HTTPSeeOther:
    kept = {name: request.query[name] for name in ("embed", "lang") if name in request.query}
    return web.HTTPSeeOther(request.rel_url.with_query({"sent": "1", **kept}))


def _query(request: web.Request) -> str:
    kept = {name: request.query[name] for name in ("embed", "lang", "way") if name in request.query}
    return str(request.rel_url.with_query(kept))


def _other_way(request: web.Request) -> str:
    """The form for the other channel; empty where there is none."""
    if request.app[ACCOUNT] is None or "embed" in request.query:
        return ""
    kept = {"lang": request.query["lang"]} if "lang" in request.query else {}
    return str(request.rel_url.with_query(kept if _by_wechat(request) else {"way": "wechat", **kept}))


def _publication(request: web.Request) -> Publication:
    publications = request.app[PUBLICATIONS]
    key = request.match_info["publication"]
    if key not in publications:
        raise NotFoundError("没有这份刊物")
    return publications[key]


def _checked(typed: Typed) -> tuple[Address, str]:
    """The address and the name. Raises: FieldError: something is missing, or can't be taken."""
    if not typed.email:
        raise FieldError("email", "email.missing", "请填写邮箱")
    address, name = read_address(typed.email), read_name(typed.name)
    _check_agreed(typed)
    return address, name


def _check_agreed(typed: Typed) -> None:
    """Raises: FieldError: the box is not ticked."""
    if not typed.agreed:
        raise FieldError("agree", "agree.missing", "请先阅读并勾选同意")


def _meant(address: Address, typed: Typed, form: MultiDictProxy[str]) -> str:
    """The address that they may have meant, unless they have said that it is as they wrote it."""
    if form.get("as_written") == typed.email:
        return ""
    return next((warning.suggestion for warning in address_warnings(address) if warning.suggestion), "")


def _email(form: MultiDictProxy[str]) -> str:
    """As it was written; or as suggested, where the button for that was pressed and the field is as it was then."""
    written = str(form.get("email", "")).strip()
    before, _, meant = str(form.get("meant", "")).partition(" ")
    return meant if meant and before == written else written


def _typed(form: MultiDictProxy[str]) -> Typed:
    cadence = str(form.get("cadence", ""))
    numbers = [text for text in form.getall("list", []) if text.isdecimal() and len(text) < 10]
    return Typed(
        email=_email(form)[: LONGEST_ADDRESS + 1],
        name=str(form.get("name", ""))[: LONGEST_NAME + 1],
        whole_issue="whole_issue" in form,
        sections=tuple(str(key)[:40] for key in form.getall("section", []))[:50],
        cadence=cadence if cadence in set(Cadence) else Cadence.ISSUE.value,
        lists=tuple(int(text) for text in numbers)[:50],
        agreed="agree" in form,
    )
