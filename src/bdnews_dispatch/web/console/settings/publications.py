"""The room of publications: their sections and who reads them, how their pages are laid out, how the sample is read."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.subscribers.audience import readers_by_section
from bdnews_dispatch.web.console.desk import page
from bdnews_dispatch.web.console.reach import publications_of
from bdnews_dispatch.web.console.settings.samples import Sample, sample_of
from bdnews_dispatch.web.console.settings.values import toml
from bdnews_dispatch.web.keys import DATABASE, PUBLICATIONS, SETTINGS


@dataclass(frozen=True, slots=True)
class Described:
    """A publication, and what is known of it.

    Attributes:
        whole: how many read the whole issue; `readers`: of the others, how many each section.
        layout: names and values of its [layout] tables, as the file has them.
    """

    publication: Publication
    whole: int
    readers: Mapping[str, int]
    layout: list[tuple[str, str]]
    sample: Sample


async def show(request: web.Request) -> web.Response:
    """Those that the one who looks reaches."""
    app = request.app
    found = []
    for publication in publications_of(request):
        async with app[DATABASE].read() as session:
            whole, readers = await readers_by_section(session, publication.key)
        sample = await asyncio.to_thread(sample_of, publication)
        found.append(Described(publication, whole, readers, list(_flat(publication.layout)), sample))
    return page(
        request,
        "settings_publications.html",
        found=found,
        default=app[PUBLICATIONS].default_key,
        folder=app[SETTINGS].publications.folder,
    )


def _flat(layout: Mapping[str, Any], before: str = "layout") -> Iterator[tuple[str, str]]:
    for key, value in layout.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}.{key}")
        else:
            yield f"{before}.{key}", value if isinstance(value, str) else toml(value)
