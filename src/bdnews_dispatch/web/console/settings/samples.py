"""What ships to look at things with: the sample issue, the bulletins' templates, letters to nobody.

In: a publication. Out: documents, contents, letters that are in no database. Callers: publications.py, templates.py.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from bdnews_dispatch.bulletins.models import Bulletin
from bdnews_dispatch.clock import Clock
from bdnews_dispatch.digests.composition import IssueEdition
from bdnews_dispatch.digests.qr import qr_png
from bdnews_dispatch.dispatch.contents import Contents
from bdnews_dispatch.dispatch.models import Dispatch, DispatchKind
from bdnews_dispatch.dispatch.starting import bulletin_dispatch
from bdnews_dispatch.errors import BdnewsError
from bdnews_dispatch.issues.document import IssueDocument
from bdnews_dispatch.issues.parsing import parse_issue
from bdnews_dispatch.issues.publications import Publication, Publications, load_publications
from bdnews_dispatch.letters.composing import ComposedLetter, compose_letter
from bdnews_dispatch.letters.models import Letter, LetterKind
from bdnews_dispatch.links import Links
from bdnews_dispatch.shipped import shipped
from bdnews_dispatch.subscribers.models import Cadence, Request, RequestKind
from bdnews_dispatch.subscribers.targeting import EVERYBODY

#: Which request a letter is about.
LETTERS: Mapping[LetterKind, RequestKind | None] = {
    LetterKind.SUBSCRIBE: RequestKind.SUBSCRIBE,
    LetterKind.SUBSCRIBE_AGAIN: RequestKind.SUBSCRIBE,
    LetterKind.NEW_ADDRESS: RequestKind.CHANGE_ADDRESS,
    LetterKind.OLD_ADDRESS: RequestKind.CHANGE_ADDRESS,
    LetterKind.EXPORT: RequestKind.EXPORT,
    LetterKind.ERASE: RequestKind.ERASE,
    LetterKind.NOTICE: None,
}
_NOBODY, _NOBODY_ELSE = "sample0sample0sample0aaaa", "sample0sample0sample0bbbb"
_ADDRESS = "reader@example.com"


@dataclass(frozen=True, slots=True)
class Sample:
    """The sample of a publication, as it was read. `problem`: it was not. Neither: there is none."""

    file: str = ""
    document: IssueDocument | None = None
    problem: BdnewsError | None = None


def sample_of(publication: Publication) -> Sample:
    """Takes some 20 ms: call it in a thread."""
    file = _sample_file(publication)
    if not file.is_file():
        return Sample()
    try:
        return Sample(file.name, parse_issue(file.read_bytes(), publication))
    except BdnewsError as error:
        return Sample(file.name, problem=error)


def a_sample(publications: Publications) -> tuple[Publication, IssueDocument]:
    """The first that can be read, the default publication's before all; else the one that ships. For a thread."""
    for publication in (publications.named(None), *publications.values()):
        if document := sample_of(publication).document:
            return publication, document
    own = load_publications().named(None)
    return own, parse_issue(_sample_file(own).read_bytes(), own)


def sample_issue(clock: Clock, document: IssueDocument, links: Links) -> tuple[Dispatch, Contents]:
    """As if it were to be sent."""
    edition = IssueEdition(0, document, links.issue(document.publication, document.total_number or 0))
    dispatch = Dispatch(
        cause="",
        kind=DispatchKind.ISSUE,
        publication=document.publication,
        issues=[{"id": 0, "revision": 1}],
        cadence=Cadence.ISSUE,
        due_at=clock(),
        created_at=clock(),
    )
    return dispatch, Contents(document.publication, (edition,), None)


def with_codes(html: str, links: Links) -> str:
    """The mail with its QR codes inside: the pages that would draw them are there for published issues alone."""

    def inside(found: re.Match[str]) -> str:
        return f'src="data:image/png;base64,{base64.b64encode(qr_png(found[1])).decode()}"'

    return re.sub(rf'src="({re.escape(links.base_url)}/issues/[^"]+)/qr\.png"', inside, html)


def sample_bulletin(
    clock: Clock, publication: Publication, title: str, body: str
) -> tuple[Dispatch, Contents]:
    """As if it were to be sent. Args: title, body: of one of the templates."""
    bulletin = Bulletin(
        publication=publication.key, fingerprint="", title=title, body=body, created_at=clock()
    )
    return bulletin_dispatch(clock, bulletin, EVERYBODY), Contents(publication.key, (), bulletin)


def sample_letter(
    clock: Clock, publication: Publication, links: Links, kind: LetterKind, language: str
) -> ComposedLetter:
    """To nobody: its links lead to a page that knows of no such request."""
    of = LETTERS[kind]
    request = None
    if of is not None:
        request = Request(
            key=_NOBODY,
            other_key=_NOBODY_ELSE if of is RequestKind.CHANGE_ADDRESS else None,
            kind=of,
            publication=publication.key,
            email=_ADDRESS,
            email_key=_ADDRESS,
            language=language,
            wish={"sections": list(publication.section_keys[:2]), "cadence": "weekly"},
            requested_at=clock(),
            expires_at=clock() + timedelta(days=7),
        )
    letter = Letter(
        key=_NOBODY,
        kind=kind,
        publication=publication.key,
        email=_ADDRESS,
        language=language,
        data={
            "subject": "推送地址 7 已停用",
            "paragraphs": ["连续五天没有送达。"],
            "button": "查看",
            "url": f"{links.base_url}/console/webhooks",
        },
        due_at=clock(),
        created_at=clock(),
    )
    return compose_letter(letter, request, publication, links)


def _sample_file(publication: Publication) -> Path:
    return shipped("config") / "samples" / f"{publication.key}-sample.md"
