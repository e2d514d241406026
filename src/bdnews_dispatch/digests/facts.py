"""What the foot and the headings of a digest say of its publication and issues.

In: a publication and its issues. Out: plain text. Caller: composition.
"""

from collections.abc import Mapping, Sequence

from bdnews_dispatch.digests.digest import PublicationFacts
from bdnews_dispatch.digests.labels import date_text, labels_for
from bdnews_dispatch.digests.typography import cut, cut_inside, typeset
from bdnews_dispatch.issues.document import IssueDocument
from bdnews_dispatch.issues.publications import Publication

#: Words in a contact line's name that say what it holds, in the order of trust.
_CONTACT_NAMES = {
    "address": ("地址", "address"),
    "telephone": ("咨询电话", "电话", "telephone", "phone"),
    "email": ("邮箱", "邮件", "email", "e-mail"),
}
#: Characters; the page of the issue has the whole.
_LONGEST_NOTICE, _LONGEST_CONTACT = 600, 120
_PUBLISHER_ROLES = ("编辑部", "主办", "主编", "编辑")


def facts_of(publication: Publication, documents: Sequence[IssueDocument], language: str) -> PublicationFacts:
    """The publication's own words; where it has none, the newest issue's masthead, contact lines and 声明."""
    newest_first = tuple(reversed(documents))
    contacts = [document.contact for document in newest_first]
    name = publication.name_en if language.startswith("en") and publication.name_en else publication.name
    return PublicationFacts(
        key=publication.key,
        name=name,
        tagline=publication.tagline or (documents[0].tagline if len(documents) == 1 else ""),
        publisher=publication.publisher or _publisher(newest_first),
        address=publication.address or _contact(contacts, "address"),
        telephone=publication.telephone or _contact(contacts, "telephone"),
        email=publication.email or _contact(contacts, "email"),
        notice=cut(typeset(publication.notice or _notice(newest_first)), _LONGEST_NOTICE),
    )


def _notice(documents: Sequence[IssueDocument]) -> str:
    return next((document.notice for document in documents if document.notice), "")


def number_text(document: IssueDocument, language: str) -> str:
    """第6期（总第104期）; the date where no number is printed, the title where there is no date either."""
    labels = labels_for(language)
    number = labels["number"].format(number=document.number) if document.number is not None else ""
    total = labels["total"].format(number=document.total_number) if document.total_number is not None else ""
    if number and total and document.number != document.total_number:
        return labels["number_and_total"].format(number=number, total=total)
    return (
        number
        or total
        or (
            date_text(document.date, language)
            if document.date
            else cut_inside(document.title, _LONGEST_CONTACT)
        )
    )


def numbers_text(documents: Sequence[IssueDocument], language: str) -> str:
    """One issue's number, or 总第103—104期 for several in a row, or 共3期."""
    labels = labels_for(language)
    if len(documents) == 1:
        return number_text(documents[0], language)
    totals = [document.total_number for document in documents if document.total_number is not None]
    if len(totals) == len(documents) and totals == list(range(totals[0], totals[0] + len(totals))):
        return labels["totals"].format(first=totals[0], last=totals[-1])
    return labels["issue_count"].format(count=len(documents))


def heading_text(document: IssueDocument, language: str) -> str:
    """第6期 · 总第104期 · 2022年11月11日; what is not known is left out."""
    labels = labels_for(language)
    parts = [
        labels["number"].format(number=document.number) if document.number is not None else "",
        labels["total"].format(number=document.total_number)
        if document.total_number not in {None, document.number}
        else "",
        date_text(document.date, language) if document.date else "",
    ]
    return labels["dot"].join(part for part in parts if part) or cut_inside(document.title, _LONGEST_CONTACT)


def _publisher(documents: Sequence[IssueDocument]) -> str:
    for document in documents:
        for wanted in _PUBLISHER_ROLES:
            for role, names in document.masthead.items():
                if "".join(role.split()) == wanted and names:
                    return cut_inside("、".join(names), _LONGEST_CONTACT)
    return ""


def _contact(contacts: Sequence[Mapping[str, str]], kind: str) -> str:
    for contact in contacts:
        for word in _CONTACT_NAMES[kind]:
            for name, how in contact.items():
                if word in "".join(name.split()).lower() and how.strip():
                    return cut_inside(typeset(how), _LONGEST_CONTACT)
    return ""
