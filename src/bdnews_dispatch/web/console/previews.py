"""Looking at a mail before it goes: as HTML in a frame, as text, as a WeChat card; wide and narrow, light and dark.

In: a dispatch that is not in the database, its contents, what the address asks for. Out: the page around, and the mail
alone for the frame. Callers: the rooms of issues and of bulletins. The frame's answer runs nothing and loads nothing:
what stands in a mail may come from anywhere.
"""

import re
from base64 import b64encode
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from multidict import MultiMapping

from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.digests.link_check import wrong_with
from bdnews_dispatch.digests.matching import Interest, Skip, match
from bdnews_dispatch.digests.qr import qr_png
from bdnews_dispatch.dispatch.contents import Contents
from bdnews_dispatch.dispatch.models import Dispatch
from bdnews_dispatch.dispatch.previewing import CLIPPED_AT, Preview, preview
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.letters.writing import write_test
from bdnews_dispatch.subscribers.audience import Person, people
from bdnews_dispatch.web.console.desk import back, note, page
from bdnews_dispatch.web.console.guests import WHO
from bdnews_dispatch.web.keys import CLOCK, DATABASE, LINKS, PUBLICATIONS, SETTINGS

#: The mail's own styles stand in its elements; it has no script, and sends no form. It gets the pictures of issues, and
#: never the pixel that counts an opening.
_FRAME_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data: {base}/pictures/ {base}/issues/; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'; sandbox allow-popups"
)
FORMS, WIDTHS, SCHEMES = ("html", "text", "card"), ("600", "375"), ("light", "dark")
_DARK = "prefers-color-scheme:dark"
_LONGEST_NUMBER = 9
_CODE = re.compile(r'src="(https?://[^"]{1,600}/issues/[^"]{1,80})/qr\.png"')


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the address asks for.

    Attributes:
        sections: keys; all of the publication's where none is named.
        subscriber: a number; 0: nobody in particular.
    """

    sections: tuple[str, ...]
    subscriber: int
    language: str
    form: str
    width: str
    scheme: str

    @classmethod
    def read(cls, source: MultiMapping[str], known: Collection[str]) -> "Wanted":
        """Whatever it does not know is the first of what there is."""
        chosen = tuple(key for key in known if key in set(source.getall("section", [])))
        person = source.get("subscriber", "")
        number = (
            int(person) if person.isascii() and person.isdigit() and len(person) <= _LONGEST_NUMBER else 0
        )

        def one_of(name: str, values: tuple[str, ...]) -> str:
            value = source.get(name, "")
            return value if value in values else values[0]

        return cls(
            chosen or tuple(known),
            number,
            one_of("language", ("zh", "en")),
            one_of("form", FORMS),
            one_of("width", WIDTHS),
            one_of("scheme", SCHEMES),
        )

    def query(self, **changes: str) -> str:
        """For an address: the same, with changes."""
        fields = {
            "subscriber": str(self.subscriber or ""),
            "language": self.language,
            "form": self.form,
            "width": self.width,
            "scheme": self.scheme,
            **changes,
        }
        named = [(name, value) for name, value in fields.items() if value]
        return urlencode([*(("section", key) for key in self.sections), *named])


@dataclass(frozen=True, slots=True)
class Shown:
    """A preview and for whom. `none`: why this reader gets nothing."""

    publication: Publication
    wanted: Wanted
    person: Person | None
    none: str
    preview: Preview | None


async def look(
    request: web.Request, dispatch: Dispatch, contents: Contents, source: MultiMapping[str]
) -> Shown:
    """Compose it. Args: source: the query, or the form of a test send."""
    app = request.app
    publication = app[PUBLICATIONS].named(dispatch.publication)
    wanted = Wanted.read(source, publication.section_keys)
    person = None
    if wanted.subscriber and request[WHO].may(Right.SUBSCRIBERS_READ):
        async with app[DATABASE].read() as session:
            found = await people(session, [wanted.subscriber], publication=publication.key)
        person = found.get(wanted.subscriber)
    if wanted.subscriber and person is None:
        return Shown(publication, wanted, None, "unknown", None)
    sections: Collection[str] = wanted.sections
    if contents.bulletin is None:
        interest = Interest(whole=False, sections=frozenset(wanted.sections))
        if person is not None:
            interest = Interest(whole=person.whole_issue, sections=person.sections)
        matched = match(interest, [edition.document for edition in contents.editions])
        if isinstance(matched, Skip):
            return Shown(publication, wanted, person, matched.reason, None)
        sections = matched
    made = preview(
        app[SETTINGS],
        app[LINKS],
        publication,
        dispatch,
        contents,
        sections=sections,
        language=person.language if person else wanted.language,
        name=person.name if person else "",
        address=(person.email if person else None) or "reader@example.com",
    )
    return Shown(publication, wanted, person, "", made)


def whole_page(request: web.Request, shown: Shown, *, room: str, title: str, bulletin: bool) -> web.Response:
    """The page around. Args: room: where `/frame` and `/test` are."""
    made = shown.preview
    links = [(url, wrong_with(url)) for url in made.urls] if made else []
    data: dict[str, Any] = {
        "shown": shown,
        "made": made,
        "room": room,
        "title": title,
        "bulletin": bulletin,
        "links": links,
        "wrong": sum(1 for _, wrong in links if wrong),
        "clipped_at": CLIPPED_AT,
        "forms": FORMS,
        "widths": WIDTHS,
        "schemes": SCHEMES,
        "publication": shown.publication,
        "sees_people": request[WHO].may(Right.SUBSCRIBERS_READ),
    }
    return page(request, "preview.html", **data)


def frame(request: web.Request, shown: Shown) -> web.Response:
    """The mail alone."""
    html = shown.preview.html if shown.preview else ""
    return framed(request, _CODE.sub(_drawn, html), shown.wanted.scheme)


def _drawn(code: re.Match[str]) -> str:
    """The code itself: its address answers only once the issue is published, and a preview comes before."""
    return f'src="data:image/png;base64,{b64encode(qr_png(code[1])).decode()}"'


def framed(request: web.Request, html: str, scheme: str) -> web.Response:
    """Any mail alone. Whichever scheme the reader's own machine has, the one that was asked for is shown."""
    html = html.replace(f"@media ({_DARK})", "@media all" if scheme == "dark" else "@media not all")
    return web.Response(
        text=html,
        content_type="text/html",
        charset="utf-8",
        headers={
            "Content-Security-Policy": _FRAME_POLICY.format(base=request.app[LINKS].base_url),
            "Cache-Control": "no-store",
        },
    )


async def send_test(
    request: web.Request, shown: Shown, publication: str, *, room: str, subject: str
) -> web.HTTPSeeOther:
    """To the address of who asks, and to nobody else. Args: subject: of the line in the audit log."""
    if shown.preview is None:
        return back(f"{room}/preview?{shown.wanted.query()}")
    app, made = request.app, shown.preview
    async with app[DATABASE].write() as session:
        await write_test(
            session,
            app[CLOCK],
            publication=publication,
            email=request[WHO].email,
            subject=made.subject,
            html=made.html,
            text=made.text,
        )
        await note(request, session, "preview.test", subject, {"sections": list(shown.wanted.sections)})
    return web.HTTPSeeOther(f"{room}/preview?{shown.wanted.query(done='tested')}")
