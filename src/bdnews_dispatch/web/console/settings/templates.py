"""The room of the mails' templates: each one filled with what ships as a sample, as readers would see it.

In: which template, form, width, scheme, language. Out: the page around, and the mail alone for its frame. What is in
templates/email/ is part of the program: nothing of it is changed here.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from urllib.parse import urlencode

from aiohttp import web
from multidict import MultiMapping

from bdnews_dispatch.bulletins.drafting import templates as bulletin_templates
from bdnews_dispatch.dispatch.previewing import preview
from bdnews_dispatch.letters.models import LetterKind
from bdnews_dispatch.shipped import shipped
from bdnews_dispatch.web.console.desk import page
from bdnews_dispatch.web.console.previews import framed
from bdnews_dispatch.web.console.settings.samples import (
    LETTERS,
    a_sample,
    sample_bulletin,
    sample_issue,
    sample_letter,
    with_codes,
)
from bdnews_dispatch.web.faults import N_
from bdnews_dispatch.web.keys import CLOCK, LINKS, PUBLICATIONS, SETTINGS

TEMPLATES = {"digest": N_("摘要"), "bulletin": N_("快讯"), "letter": N_("确认信等")}
#: The samples of each, by name.
LETTER_WORDS = {
    LetterKind.SUBSCRIBE: N_("确认订阅"),
    LetterKind.SUBSCRIBE_AGAIN: N_("已在订阅"),
    LetterKind.NEW_ADDRESS: N_("确认新邮箱"),
    LetterKind.OLD_ADDRESS: N_("旧邮箱同意"),
    LetterKind.EXPORT: N_("取得数据"),
    LetterKind.ERASE: N_("删除数据"),
    LetterKind.NOTICE: N_("写给管理员"),
}
FORMS, WIDTHS, SCHEMES, LANGUAGES = ("html", "text"), ("600", "375"), ("light", "dark"), ("zh", "en")


@dataclass(frozen=True, slots=True)
class View:
    """What the address asks for. `sample`: of the template's."""

    template: str
    sample: str
    language: str
    form: str
    width: str
    scheme: str

    @classmethod
    def read(cls, query: MultiMapping[str]) -> "View":
        """Whatever it does not know is the first of what there is."""

        def one_of(name: str, values: Sequence[str]) -> str:
            value = query.get(name, "")
            return value if value in values else values[0]

        template = one_of("template", list(TEMPLATES))
        return cls(
            template,
            one_of("sample", samples_of(template)),
            one_of("language", LANGUAGES),
            one_of("form", FORMS),
            one_of("width", WIDTHS),
            one_of("scheme", SCHEMES),
        )

    def query(self, **changes: str) -> str:
        """For an address: the same, with changes."""
        return urlencode({**asdict(self), **changes})


@dataclass(frozen=True, slots=True)
class Made:
    """A mail as its reader sees it."""

    subject: str
    html: str
    text: str


def samples_of(template: str) -> list[str]:
    """By name."""
    match template:
        case "bulletin":
            return list(bulletin_templates())
        case "letter":
            return [kind.value for kind in LETTERS]
        case _:
            return ["issue"]


async def show(request: web.Request) -> web.Response:
    """The page around."""
    view = View.read(request.query)
    made = await asyncio.to_thread(_made, request.app, view)
    folder = shipped("templates") / "email"
    return page(
        request,
        "settings_templates.html",
        view=view,
        made=made,
        kilobytes=len(made.html.encode()) / 1024,
        templates=TEMPLATES,
        samples=[(name, _words(view.template, name)) for name in samples_of(view.template)],
        files=[
            f"templates/email/{each}/{file.name}"
            for each in (view.template, "layout")
            for file in sorted((folder / each).iterdir())
        ],
        forms=FORMS,
        widths=WIDTHS,
        schemes=SCHEMES,
        languages=LANGUAGES,
    )


async def frame(request: web.Request) -> web.Response:
    """The mail alone."""
    view = View.read(request.query)
    made = await asyncio.to_thread(_made, request.app, view)
    return framed(request, with_codes(made.html, request.app[LINKS]), view.scheme)


def _words(template: str, sample: str) -> str:
    match template:
        case "letter":
            return LETTER_WORDS[LetterKind(sample)]
        case "bulletin":
            return bulletin_templates()[sample][0]
        case _:
            return N_("样刊")


def _made(app: web.Application, view: View) -> Made:
    """As the composer makes it."""
    clock, links = app[CLOCK], app[LINKS]
    publication, document = a_sample(app[PUBLICATIONS])
    if view.template == "letter":
        letter = sample_letter(clock, publication, links, LetterKind(view.sample), view.language)
        return Made(letter.subject, letter.html, letter.text)
    if view.template == "bulletin":
        title, body = bulletin_templates()[view.sample]
        dispatch, contents = sample_bulletin(clock, publication, title, body)
    else:
        dispatch, contents = sample_issue(clock, document, links)
    mail = preview(
        app[SETTINGS],
        links,
        publication,
        dispatch,
        contents,
        sections=publication.section_keys,
        language=view.language,
    )
    return Made(mail.subject, mail.html, mail.text)
