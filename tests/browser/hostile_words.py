"""Words that mean harm, the doors by which strangers' words come in, and a judge of what a page makes of them.

In: a site. Out: every field that a page shows filled with every one of them; what is wrong with a page's markup.
Caller: test_hostile_words.py.
"""

import csv
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import ClientResponse, FormData
from sqlmodel import col, select
from tests.integration.web.api.conftest import token_for
from tests.integration.web.console.conftest import Desk
from tests.integration.web.following_site import AccountSite
from tests.making import document
from tests.unit.returns.samples import dsn

from bdnews_dispatch.accounts import audit
from bdnews_dispatch.accounts.rights import Right, Role
from bdnews_dispatch.accounts.users import add_user
from bdnews_dispatch.channels.email.replies import ReplyRules
from bdnews_dispatch.dispatch.models import Attempt, Delivery
from bdnews_dispatch.dispatch.states import DeliveryState
from bdnews_dispatch.issues.document import Article, Block, BlockType, IssueDocument, Section, Warning_
from bdnews_dispatch.issues.intake import take
from bdnews_dispatch.issues.models import Issue
from bdnews_dispatch.issues.publications import load_publications
from bdnews_dispatch.returns.free_form import FreeForm
from bdnews_dispatch.returns.recording import Returns
from bdnews_dispatch.subscribers.imports.running import Importer
from bdnews_dispatch.watched_feeds.models import FeedEntry, WatchedFeed
from bdnews_dispatch.web.keys import PUBLICATIONS
from bdnews_dispatch.webhooks.models import Webhook, WebhookTry

#: `hurt` is what the browser tells of: a page that calls it has run a stranger's words.
PAYLOADS = (
    "<script>hurt(1)</script>",
    '"><img src=x onerror=hurt(2)>',
    "'><svg onload=hurt(3)>",
    '" onfocus="hurt(4)" autofocus="',
    "' onmouseover='hurt(5)' x='",
    "javascript:hurt(6)//",
    "</textarea></title></script><script>hurt(7)</script>",
    "{{7007*7}}{%x%}${7007*7}<%=7007*7%>",
    "a\x00\u202eb\u2066c\u200b<b>d",
    "<iframe srcdoc='<script>parent.hurt(8)</script>'>",
    "<a href=\"javascript:hurt(9)\" style='x'>x</a>",
    "[x](javascript:hurt(10)) ![y](data:text/html,z) <javascript:hurt(11)>",
    '=HYPERLINK("javascript:hurt(12)","x")',
    "<base href=//evil.example><meta http-equiv=refresh content=0;url=//evil.example>",
    "<style>*{background:red}</style><form action=//evil.example><button>x",
    "<b>" + "长" * 4_000 + "<script>hurt(13)</script>",
)
#: Many of them at once, of a length that every field takes.
MANY = '\'"></textarea><script>hurt(15)</script><img src=x onerror=hurt(16)>{{7007*7}}" onfocus="hurt(17)'
#: What 7007 × 7 is: a template that was run.
RUN = "49049"
#: Half a character of three bytes.
HALF = b"\xe4\xb8<script>hurt(14)</script>"
_SCHEMES = re.compile(r"(javascript|vbscript|data):", re.IGNORECASE)
_ADDRESSES = {"href", "src", "action", "formaction", "data", "poster", "xlink:href", "srcset", "srcdoc"}
_NEVER = {"base", "object", "embed", "applet", "frame", "foreignobject", "animate", "set"}


class Judge(HTMLParser):
    """Reads a page as a browser would, roughly. `wrong` names everything that none of our pages holds."""

    def __init__(self, *, mail: bool) -> None:
        """Args: mail: it is a mail in a frame, which has styles of its own."""
        super().__init__()
        self.mail = mail
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        held = {name: value or "" for name, value in attrs}
        ours = held.get("src", "").startswith("/assets/")
        if tag in _NEVER or (tag == "script" and not ours) or (tag == "style" and not self.mail):
            self.wrong.append(f"<{tag}>")
        if tag == "iframe" and not held.get("src", "").startswith("/console/"):
            self.wrong.append("<iframe>")
        if tag == "form" and not re.match(r"/(?!/)|$", held.get("action", "")):
            self.wrong.append(f"<form action={held['action']}>")
        reloads = held.get("content", "").isdecimal()  # by itself, without a script: our own pages that move
        if tag == "meta" and "http-equiv" in held and not reloads and not self.mail:
            self.wrong.append("<meta http-equiv>")
        for name, value in held.items():
            if name.startswith("on") or (name == "style" and not self.mail):
                self.wrong.append(f"<{tag} {name}>")
            plain = re.sub(r"[\x00-\x20]", "", value)
            icon = tag == "link" and plain == "data:,"
            picture = tag == "img" and plain.startswith("data:image/")
            if name in _ADDRESSES and _SCHEMES.match(plain) and not icon and not picture:
                self.wrong.append(f"<{tag} {name}={plain[:40]}>")

    handle_startendtag = handle_starttag


def wrong_with(html: str, *, mail: bool = False) -> list[str]:
    """What a stranger has brought into the page; empty: nothing."""
    judge = Judge(mail=mail)
    judge.feed(html)
    judge.close()
    found = [payload[:40] for payload in (*PAYLOADS, MANY) if "<" in payload and payload in html]
    return judge.wrong + found + ([RUN] if RUN in html else [])


def issue(total: int, front: str = "") -> IssueDocument:
    """Harm in every field that an issue has. Args: front: of addresses."""
    kinds = (BlockType.PARAGRAPH, BlockType.HEADING, BlockType.QUOTE, BlockType.CODE)
    articles = []
    for payload in PAYLOADS:
        address = front + quote(payload) if front else payload
        body = [Block(type=kind, text=payload, level=2, line=1) for kind in kinds]
        body += [
            Block(type=BlockType.LIST, text=payload, items=(payload, payload), line=1),
            Block(type=BlockType.TABLE, text="", rows=((payload, payload), (payload, "1")), line=1),
            Block(type=BlockType.IMAGE, text=payload, url=address, line=1),
            Block(type=BlockType.PARAGRAPH, text=f"[{payload}]({address})", line=1),
        ]
        articles.append(
            Article(
                title=payload,
                url=address,
                source=payload,
                editor_note=payload,
                page=1,
                body=tuple(body),
                line=1,
            )
        )
    half = len(articles) // 2
    sections = (
        Section(key="policy", name=PAYLOADS[0], articles=tuple(articles[:half])),
        Section(key="local", name=PAYLOADS[1], articles=tuple(articles[half:])),
    )
    return document(total).model_copy(
        update={
            "title": PAYLOADS[0],
            "notice": PAYLOADS[1],
            "masthead": dict.fromkeys(PAYLOADS[:4], PAYLOADS[:4]),
            "contact": dict(zip(PAYLOADS, PAYLOADS, strict=True)),
            "sections": sections,
            "warnings": tuple(Warning_(line=1, code="x", message=payload) for payload in PAYLOADS),
        }
    )


def table_file() -> bytes:
    """A table with harm in its titles and in every cell, people of these names, and an address that is none."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["email", "name", "tags", "attr:单位", *PAYLOADS[:8]])
    for number, payload in enumerate(PAYLOADS):
        short = payload[:40].replace("\x00", "")
        cells = [payload.replace("\x00", "")[:300]] * 8
        writer.writerow([f"r{number}@readers.example", short, short, short, *cells])
        writer.writerow([payload.replace("\x00", "")[:100], short, short, short, *cells])
    writer.writerow(["'or'1'='1@readers.example", "x", "x", "x", *[""] * 8])
    return file.getvalue().encode()


class Forms:
    """Posts the console's forms with the word of one page."""

    def __init__(self, desk: Desk, csrf: str) -> None:
        self.desk, self.csrf = desk, csrf

    async def post(self, path: str, data: dict[str, Any]) -> ClientResponse:
        response = await self.desk.client.post(path, data={"csrf": self.csrf, **data}, allow_redirects=False)
        await response.read()
        assert response.status < 500, (path, data)
        return response


async def bring(site: AccountSite, desk: Desk) -> list[str]:
    """By every door. Returns: addresses of readers' pages that show it."""
    forms = Forms(desk, await desk.csrf())
    await _people(site, forms)
    await _groups(forms)
    await _issues(site)
    await _bulletins(forms)
    await _from_outside(site)
    return await _readers(site)


async def _people(site: AccountSite, forms: Forms) -> None:
    upload = FormData(quote_fields=False)
    upload.add_field("csrf", forms.csrf)
    upload.add_field("file", table_file(), filename=PAYLOADS[0].replace("/", "") + ".csv")
    brought = await forms.desk.client.post("/console/imports", data=upload, allow_redirects=False)
    path = brought.headers["Location"]
    form = {
        "column:email": "email",
        "column:name": "name",
        "column:tags": "tags",
        "column:attr:单位": "attr:单位",
        "mode": "update",
    }
    begun = await forms.post(
        f"{path}/start", {**form, "do": "start", "basis": PAYLOADS[1], "list": PAYLOADS[1]}
    )
    assert begun.status == 303, await begun.text()
    importer = Importer(site.database, site.clock, site.app[PUBLICATIONS], site.links.signer)
    while await importer.run_slice(1):
        pass
    for payload in PAYLOADS:
        await forms.post(
            "/console/subscribers/new",
            {
                "email": f"n{len(payload)}@readers.example",
                "name": payload,
                "evidence": payload,
                "section": ["policy"],
            },
        )
        for act, form in (
            ("tag", {"tag": payload}),
            ("join", {"list": payload}),
            ("suppress", {"channel": "email", "note": payload}),
            ("unsubscribe", {"publication": "dsj", "reason": payload}),
        ):
            await forms.post(
                f"/console/subscribers/{2 if act in {'suppress', 'unsubscribe'} else 1}/{act}", form
            )
        await forms.post(
            "/console/suppressions", {"target": "x@readers.example", "note": payload, "do": "add"}
        )
        async with site.database.write() as session:
            user = await add_user(
                session,
                site.clock,
                email=f"u{PAYLOADS.index(payload)}@example.cn",
                name=payload.replace("\x00", ""),
                role=Role.ANALYST,
            )
            await audit.record(
                session,
                site.clock,
                actor=f"user:{user.id}",
                action="list.save",
                subject=payload.replace("\x00", "")[:40],
                change={"before": payload.replace("\x00", "")},
            )


async def _groups(forms: Forms) -> None:
    for payload in PAYLOADS:
        await forms.post("/console/lists", {"name": payload, "description": payload, "public": "1"})
        await forms.post(
            "/console/lists", {"name": payload.replace("/", ""), "description": payload, "public": "1"}
        )
        word = payload.replace("\x00", "")[:40].replace("\\", "\\\\").replace('"', '\\"')
        rule = f'{{"any": [{{"field": "tag", "any_of": ["{word}"]}}, {{"field": "list", "any_of": ["{word}"]}}]}}'
        await forms.post("/console/segments", {"name": payload[:100], "rule": rule, "do": "save"})
        await forms.post(
            "/console/webhooks",
            {"url": f"https://hooks.example/?{payload}", "names": "issue.*", "description": payload},
        )
        await forms.post("/console/sources", {"url": f"https://news.example/?{payload}"})


async def _issues(site: AccountSite) -> None:
    async with site.database.write() as session:
        await take(
            session,
            site.clock,
            issue(112),
            source_name=PAYLOADS[1],
            source="\n".join(PAYLOADS).encode(),
            publish_now=True,
        )
    token = await token_for(site, list(Right))
    bearer = {"Authorization": f"Bearer {token}"}
    sample = (Path(__file__).parents[2] / "config" / "samples" / "dsj-sample.md").read_text("utf-8")
    lines = sample.splitlines()
    for number, line in enumerate(lines[100:], 100):
        if line and not line.startswith("#"):
            lines[number] = line + PAYLOADS[number % (len(PAYLOADS) - 1)]
    markdown = "\n".join(lines).replace("112", "113").encode() + HALF
    for kind, data in (
        ("text/markdown", markdown),
        ("application/json", issue(114, "https://news.example/?").model_dump_json().encode()),
    ):
        answer = await site.client.post(
            "/api/v1/issues",
            params={"file_name": PAYLOADS[0]},
            data=data,
            headers={**bearer, "Content-Type": kind, "Idempotency-Key": kind},
        )
        assert answer.status == 201, await answer.text()
    for total in (113, 114):
        await site.client.post(f"/api/v1/issues/dsj/{total}/publish", headers=bearer)


async def _bulletins(forms: Forms) -> None:
    body = "\n\n".join(
        f"{one}\n\n**{one}** [{one}]({one})\n\n> {one}\n\n- {one}\n\n`{one}`" for one in PAYLOADS[:-1]
    )
    for payload in PAYLOADS[:4]:
        written = {"title": payload, "body": body, "section": ["policy"], "list": PAYLOADS[1]}
        made = await forms.post("/console/bulletins/new", written)
        assert made.status == 303, await made.text()
    sent = await forms.post("/console/bulletins/2/send", {})
    assert sent.status == 303, await sent.text()


async def _from_outside(site: AccountSite) -> None:
    """What relays, the platform, webhooks' and feeds' ends have answered; the mail that came back."""
    found = await site.send((await _issue_of(site)), csv=table_file())
    returns = Returns(site.clock, load_publications(), ReplyRules.load(), FreeForm.load(), soft_bounces=5)
    now = site.clock()
    async with site.database.write() as session:
        session.add(
            Webhook(url="https://h.example/", disabled_at=now, why=PAYLOADS[1], next_at=now, created_at=now)
        )
        session.add(
            WatchedFeed(
                url="https://f.example/",
                publication="dsj",
                failures=1,
                problem=PAYLOADS[1],
                next_at=now,
                created_at=now,
            )
        )
        await session.flush()
        for number, payload in enumerate(PAYLOADS):
            words = payload.replace("\x00", "")[:200]
            session.add(WebhookTry(webhook_id=1, event_id=1, at=now, status=500, error=words, seconds=1.0))
            session.add(
                FeedEntry(feed_id=1, key=str(number), mark="m", title=words, problem=words, seen_at=now)
            )
            delivery = await session.get(Delivery, found[number % len(found)].id)
            assert delivery is not None
            assert delivery.id is not None
            session.add(
                Attempt(
                    delivery_id=delivery.id,
                    at=now,
                    outcome="refused",
                    code=words[:20],
                    text=words,
                    mode="smtp",
                    reference=words[:40],
                )
            )
    for number, payload in enumerate(PAYLOADS[:-1]):
        one = found[number % len(found)]
        raw = dsn(
            "MAILER-DAEMON@relay.example",
            f"550 5.1.1 {payload}",
            status="5.1.1",
            subject=payload.replace("\x00", ""),
            words=payload,
        )
        async with site.database.write() as session:
            await returns.take(session, one.key, raw, returns.read(raw), way="x", leave=False)
    async with site.database.write() as session:
        for delivery in (await session.exec(select(Delivery).order_by(col(Delivery.id)))).all()[1::3]:
            delivery.state, delivery.reason = DeliveryState.FAILED, PAYLOADS[1][:40]
            session.add(delivery)
    for payload in PAYLOADS[:-1]:
        agents = {"User-Agent": payload.replace("\x00", ""), "Referer": payload.replace("\x00", "")}
        for url in (site.links.pixel(found[0].key), site.links.web_copy(found[0].key)):
            await site.get(
                url, headers={name: value.encode().decode("latin-1") for name, value in agents.items()}
            )


async def _issue_of(site: AccountSite) -> Any:
    async with site.database.read() as session:
        return (await session.exec(select(Issue).order_by(col(Issue.id)))).first()


async def _readers(site: AccountSite) -> list[str]:
    """Theirs, on the phone and by mail."""
    for payload in PAYLOADS:
        await site.sandbox.follow("oStranger")
        await site.sandbox.say("oStranger", payload.replace("\x00", ""))
    found = await site.deliveries()
    key = found[0].key
    request = await site.asks(email="chen.wei@readers.example", name=PAYLOADS[1])
    pages = [
        "/",
        "/issues/dsj",
        *(f"/issues/dsj/{total}" for total in (112, 113, 114)),
        *(f"/issues/dsj/112/{place}" for place in range(1, len(PAYLOADS) + 1)),
        *(f"/issues/dsj/114/{place}" for place in (1, 2)),
        *(f"/issues/dsj/113/{place}" for place in (1, 2)),
        "/subscribe/dsj",
        "/subscribe/dsj?embed=1",
        "/demo",
        "/api/v1",
        "/console/sign-in",
    ]
    pages += [
        site.path(url)
        for url in (site.links.web_copy(key), site.links.preferences(key), site.links.unsubscribe(key))
    ]
    pages.append(site.path(site.links.confirm(request.key)))
    return pages
