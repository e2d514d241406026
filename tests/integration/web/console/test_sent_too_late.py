"""What was typed is not lost with the session: it is given back, and sent once more with a click; to nobody else."""

import html
import re
from datetime import timedelta

import pytest
from aiohttp import FormData
from sqlmodel import select
from tests.integration.web.console.conftest import PASSWORD, Desk, somebody
from tests.integration.web.readers_site import Site

from bdnews_dispatch.accounts.rights import Role
from bdnews_dispatch.accounts.sessions import LASTS
from bdnews_dispatch.bulletins.models import BulletinDraft

NEW = "/console/bulletins/new"
WORDS = {"title": "停机“公告”", "body": '第一行\r\n<b>第二行</b> "引号"', "section": ["policy", "local"]}


def of_our_page(desk: Desk) -> dict[str, str]:
    """What a browser says of a form of a page of ours."""
    origin = str(desk.client.make_url("/")).rstrip("/")
    return {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Origin": origin}


def held(page: str) -> list[tuple[str, str]]:
    """The hidden fields, as a browser would send them."""
    fields = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page)
    return [(html.unescape(name), html.unescape(value)) for name, value in fields]


async def drafts(site: Site) -> list[BulletinDraft]:
    async with site.database.read() as session:
        return list(await session.exec(select(BulletinDraft)))


async def sign_in(desk: Desk) -> None:
    form = {"email": desk.email, "password": PASSWORD}
    assert (await desk.client.post("/console/sign-in", data=form, allow_redirects=False)).status == 303


async def test_a_bulletin_after_seven_days_is_sent_with_one_click_more(site: Site) -> None:
    editor = await somebody(site, Role.EDITOR)
    csrf = await editor.csrf()
    site.clock.move(seconds=int((LASTS + timedelta(hours=1)).total_seconds()))
    headers = of_our_page(editor)
    form = {"csrf": csrf, **WORDS}
    late = await editor.client.post(NEW, data=form, headers=headers, allow_redirects=False)
    page = await late.text()
    assert late.status == 401
    assert "您已退出" in page
    assert "在新标签页登录" in page
    assert csrf not in page
    typed = [(name, one) for name, of in WORDS.items() for one in ([of] if isinstance(of, str) else of)]
    assert [(name, value) for name, value in held(page)] == typed
    again = await editor.client.post(NEW, data=FormData(held(page)), headers=headers, allow_redirects=False)
    assert again.status == 401, "the same while nobody has signed in"
    await sign_in(editor)
    asked = await editor.client.post(NEW, data=FormData(held(page)), headers=headers, allow_redirects=False)
    page = await asked.text()
    assert asked.status == 409
    assert await drafts(site) == [], "nothing without a click on a page with this session's word"
    assert dict(held(page))["csrf"] == await editor.csrf()
    sent = await editor.client.post(NEW, data=FormData(held(page)), headers=headers, allow_redirects=False)
    assert sent.status == 303
    (draft,) = await drafts(site)
    assert (draft.title, draft.body.splitlines()) == (WORDS["title"], ["第一行", '<b>第二行</b> "引号"'])


async def test_the_page_before_may_be_sent_as_well(site: Site) -> None:
    """Signed in beside it, and back: the browser has the form, with the word of the session that was."""
    editor = await somebody(site, Role.EDITOR)
    form = {"csrf": await editor.csrf(), **WORDS}
    await sign_in(editor)
    late = await editor.client.post(NEW, data=form, headers=of_our_page(editor), allow_redirects=False)
    assert late.status == 409
    assert "还没有提交" in await late.text()
    assert await drafts(site) == []


@pytest.mark.parametrize("signed_in", [False, True])
@pytest.mark.parametrize(
    "other",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Mode": "cors"},
    ],
)
async def test_what_another_site_wrote_is_in_no_page_of_ours(
    site: Site, other: dict[str, str], *, signed_in: bool
) -> None:
    editor = await somebody(site, Role.EDITOR)
    if not signed_in:
        site.clock.move(seconds=int(LASTS.total_seconds()))
    headers = {**of_our_page(editor), **other}
    answer = await editor.client.post(NEW, data={**WORDS, "csrf": "x"}, headers=headers)
    page = await answer.text()
    assert answer.status == (403 if signed_in else 401)
    assert "第一行" not in page
    assert held(page) == []


async def test_a_warning_that_was_checked_is_given_back(site: Site) -> None:
    editor = await somebody(site, Role.EDITOR)
    await sign_in(editor)
    form = {"csrf": "of-before", "revision": "1", "line": "3", "code": "contents.not_found"}
    late = await editor.client.post("/console/issues/1/check", data=form, headers=of_our_page(editor))
    assert late.status == 409
    assert ("code", "contents.not_found") in held(await late.text())


async def test_a_password_is_given_back_to_nobody(site: Site) -> None:
    editor = await somebody(site, Role.EDITOR)
    site.clock.move(seconds=int(LASTS.total_seconds()))
    form = {"old": PASSWORD, "password": "neu neu neu neu", "again": "neu neu neu neu"}
    answer = await editor.client.post("/console/account/password", data=form, headers=of_our_page(editor))
    page = await answer.text()
    assert answer.status == 401
    assert held(page) == []
    assert "neu" not in page
    assert PASSWORD not in page
