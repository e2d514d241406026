"""Addresses that no page of ours leads to: characters that a database can't hold, numbers beyond all rows, no words.

On both databases: PostgreSQL takes no NUL in a text, and no number beyond its type.
"""

import re
from urllib.parse import quote

import pytest
from tests.integration.web.console.conftest import Desk
from tests.integration.web.readers_site import PEOPLE, Site
from tests.making import DSJ, document, import_csv

from bdnews_dispatch.dispatch.models import Delivery
from bdnews_dispatch.web.access import Permission
from bdnews_dispatch.web.routes import ROUTES

#: It refuses more: NUL, numbers beyond its types.
pytestmark = pytest.mark.database("postgresql")

NAMES = (
    "q", "name", "list", "tag", "segment", "state", "after", "before", "issue", "section", "subscriber", "language",
    "form", "width", "scheme", "done", "lifted", "from", "to", "sort", "by", "publication", "lang", "channel", "id",
    "except_list", "except_segment", "at", "month", "unit", "days", "kind", "role", "actor", "action", "domain",
)  # fmt: skip
STANDING = {"{file}": "report.csv", "{publication}": "dsj"}
VALUES = ("a%00b", "%ED%A0%80", "99999999999999999999")
FIELDS = (
    "name", "description", "email", "evidence", "tag", "list", "note", "reason", "target", "url", "names", "title",
    "body", "words", "basis", "openid", "source", "confirm", "at", "publication", "value", "segment", "column:x",
)  # fmt: skip


@pytest.mark.parametrize("value", VALUES)
async def test_no_question_breaks_a_page(site: Site, desk: Desk, sent: list[Delivery], value: str) -> None:
    await site.publish(document(113))
    await import_csv(site.database, site.clock, DSJ, PEOPLE, list_name="名单", origin_name="t.csv")
    broken = []
    for route in ROUTES:
        inside = route.permission is Permission.SESSION or route.path.startswith(("/console", "/subscribe"))
        if route.method != "GET" or not inside or "events" in route.path:
            continue
        path = re.sub(r"\{\w+\}", lambda found: STANDING.get(found[0], "1"), route.path)
        for asked in (
            "&".join(f"{name}={value}" for name in NAMES),
            *(f"{name}={value}" for name in ("q", "tag")),
        ):
            answer = await desk.get(f"{path}?{asked}")
            if answer.status >= 500:
                broken.append(f"{path}?{asked[:20]}")
        if "{" in route.path:
            odd = re.sub(r"\{\w+\}", quote(value, safe="%") or "0", route.path)
            answer = await desk.get(odd)
            if answer.status >= 500:
                broken.append(odd)
    assert broken == []


async def test_no_form_breaks_a_page(site: Site, desk: Desk, sent: list[Delivery]) -> None:
    csrf = await desk.csrf()
    rule = (
        '{"any": [{"field": "tag", "any_of": ["a\\u0000b"]}, {"field": "domain", "any_of": ["a\\u0000b"]}]}'
    )
    for route in ROUTES:
        if route.permission is not Permission.SESSION or route.method != "POST" or "sign-out" in route.path:
            continue
        for do in ("save", "count", "add", "check"):
            form = {**dict.fromkeys(FIELDS, "a\0b"), "rule": rule, "csrf": csrf, "do": do}
            answer = await desk.client.post(
                re.sub(r"\{\w+\}", "1", route.path), data=form, allow_redirects=False
            )
            assert answer.status < 500, (route.path, do, await answer.text())
