"""The words of a WeChat card for a digest.

In: a `Digest`. Out: `CardText`, plain text. Caller: the WeChat channel's payloads, which cut to the
platform's lengths.
"""

from dataclasses import dataclass

from bdnews_dispatch.digests.digest import Digest
from bdnews_dispatch.digests.labels import labels_for
from bdnews_dispatch.digests.markdown_body import body_words
from bdnews_dispatch.digests.typography import cut

#: Longest summary that is worth sending to a card, in characters.
_SUMMARY = 120


@dataclass(frozen=True, slots=True)
class CardText:
    """A card. `fields` fill the template's: title, number, date, sections, summary."""

    title: str
    description: str
    fields: dict[str, str]


def card_for(digest: Digest) -> CardText:
    """The card of a digest or a bulletin."""
    labels = labels_for(digest.language)
    if digest.bulletin:
        kind = labels["urgent"] if digest.bulletin.urgent else labels["bulletin"]
        fields = {
            "title": digest.bulletin.title,
            "number": kind,
            "date": digest.bulletin.date,
            "sections": kind,
            "summary": cut(body_words(digest.bulletin.body), _SUMMARY),
        }
    else:
        titles = [a.title for issue in digest.issues for section in issue.sections for a in section.articles]
        newest = digest.issues[-1] if digest.issues else None
        fields = {
            "title": digest.publication.name,
            "number": labels["listing"].join(issue.number for issue in digest.issues),
            "date": newest.date if newest else "",
            "sections": labels["listing"].join(entry.name for entry in digest.contents),
            "summary": labels["clause"].join(titles),
        }
    return CardText(title=digest.subject, description=fields["summary"], fields=fields)
