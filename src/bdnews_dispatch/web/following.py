"""A WeChat follower's own page: choose sections without having got anything yet. Who reads already is led on.

In: the link in a message to the follower, or WeChat's sign-in (inside_wechat.py). Out: a page; an agreement. The link
names the follower by a random key, never by the openid.
"""

from datetime import timedelta

from aiohttp import web

from bdnews_dispatch.errors import NotFoundError
from bdnews_dispatch.subscribers import agreements, followers, people
from bdnews_dispatch.subscribers.agreements import Agreement, Proof
from bdnews_dispatch.subscribers.consent import consent_text, keep_text
from bdnews_dispatch.subscribers.fields import FieldError
from bdnews_dispatch.subscribers.models import Cadence, ChannelChoice
from bdnews_dispatch.web.clients import network_of
from bdnews_dispatch.web.forms import read_form
from bdnews_dispatch.web.keys import CLOCK, DATABASE, DELIVERY_KEY, LINKS, PAGES, PUBLICATIONS
from bdnews_dispatch.web.language import language_of, suffix_of

#: Of links in a chat, which others may see; 我的 gives another one.
LINK_LASTS = timedelta(days=7)
_ORIGIN = "wechat"


async def show(request: web.Request) -> web.Response:
    """The form; or on to the preferences, for who has chosen before."""
    app = request.app
    publication = app[PUBLICATIONS].named(None)
    async with app[DATABASE].read() as session:
        follower = await followers.find_by_key(session, request[DELIVERY_KEY])
        if follower is None:
            raise NotFoundError("没有这位关注者的记录")
        person = await people.find_by_openid(session, follower.openid)
        known = (
            person is not None
            and person.id is not None
            and (
                await agreements.current(session, person.id, publication.key) is not None
                or await agreements.last_ended(session, person.id, publication.key) is not None
            )
        )
    if known:
        raise web.HTTPSeeOther(_preferences(request) + suffix_of(request))
    return _page(request, sections=publication.section_keys)


async def choose(request: web.Request) -> web.Response:
    """Subscribe by WeChat; then the preferences, by GET."""
    app, form, language = request.app, await read_form(request), language_of(request)
    publication = app[PUBLICATIONS].named(None)
    cadence = str(form.get("cadence", ""))
    agreement = Agreement(
        whole_issue="whole_issue" in form,
        sections=tuple(str(key)[:40] for key in form.getall("section", []))[:50],
        channel=ChannelChoice.WECHAT,
        cadence=Cadence(cadence) if cadence in set(Cadence) else Cadence.ISSUE,
    )
    problem = "" if "agree" in form else "agree.missing"
    try:
        agreement.columns(publication)
    except FieldError as error:
        problem = error.code
    if problem:
        return _page(request, sections=agreement.sections, form=agreement, problem=problem, status=422)
    async with app[DATABASE].write() as session:
        follower = await followers.find_by_key(session, request[DELIVERY_KEY])
        if follower is None:
            raise NotFoundError("没有这位关注者的记录")
        person = await people.find_by_openid(session, follower.openid)
        # Pressed twice, or in two windows: who reads already changes nothing here.
        if (
            person is None
            or person.id is None
            or await agreements.current(session, person.id, publication.key) is None
        ):
            text = consent_text(publication, language, by_wechat=True)
            proof = Proof(
                _ORIGIN,
                "page",
                network_of(request),
                await keep_text(session, app[CLOCK], text, language),
            )
            added = await people.add(
                session,
                app[CLOCK],
                publication,
                email=None,
                name="",
                openid=follower.openid,
                agreement=agreement,
                proof=proof,
            )
            made = await people.find_by_id(session, added.subscriber_id)
            made.language = language
            session.add(made)
    page = _preferences(request).removeprefix(app[LINKS].base_url)
    lang = {"lang": "en"} if suffix_of(request) else {}
    raise web.HTTPSeeOther(request.rel_url.with_path(page).with_query({"chosen": "1", **lang}))


def _preferences(request: web.Request) -> str:
    """Ends as well: what stood in a chat must not become a link for ever."""
    app = request.app
    return app[LINKS].preferences(request[DELIVERY_KEY], ends=app[CLOCK]() + LINK_LASTS)


def _page(
    request: web.Request,
    *,
    sections: tuple[str, ...] | object,
    form: Agreement | None = None,
    problem: str = "",
    status: int = 200,
) -> web.Response:
    publication = request.app[PUBLICATIONS].named(None)
    return request.app[PAGES].response(
        request,
        "following.html",
        status=status,
        publication=publication,
        sections=sections,
        whole_issue=form is not None and form.whole_issue,
        chosen_cadence=(form.cadence if form else Cadence.ISSUE).value,
        cadences=[cadence.value for cadence in Cadence],
        consent=consent_text(publication, language_of(request), by_wechat=True),
        problem=problem,
    )
