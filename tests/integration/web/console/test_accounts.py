"""One's own account, other people's, tokens: as forms and pages show them."""

import re
from typing import Any

import pyotp
import pytest
from pydantic import SecretStr
from sqlmodel import col, select
from tests.integration.web.console.conftest import PASSWORD, Desk, somebody
from tests.integration.web.readers_site import BROWSER, Site

from bdnews_dispatch.accounts.models import AuditEntry, User
from bdnews_dispatch.accounts.rights import Role
from bdnews_dispatch.accounts.second_factors import CODES
from bdnews_dispatch.accounts.users import make_link, named_user
from bdnews_dispatch.bulletins.models import BulletinDraft
from bdnews_dispatch.dispatch.models import Delivery, Dispatch, DispatchKind
from bdnews_dispatch.dispatch.states import DeliveryState, DispatchState
from bdnews_dispatch.settings import SignInSettings
from bdnews_dispatch.watched_feeds.models import WatchedFeed
from bdnews_dispatch.web.access import Permission
from bdnews_dispatch.web.keys import SETTINGS
from bdnews_dispatch.web.routes import ROUTES
from bdnews_dispatch.webhooks.models import Webhook

#: What the pages call is held on both in tests/integration/accounts.
pytestmark = pytest.mark.database("sqlite")

FACTOR = "/console/account/second-factor"


def filled(path: str) -> str:
    return re.sub(r"\{\w+\}", "1", path.replace("{file}", "report.csv"))


async def enrol(desk: Desk) -> tuple[pyotp.TOTP, list[str]]:
    """By the pages, as somebody with a telephone does."""
    page = await desk.done(FACTOR, {"do": "begin"})
    assert 'src="data:image/png;base64,' in page
    found = re.search(r"<code>([A-Z2-7 ]{32,})</code>", page)
    assert found is not None
    app = pyotp.TOTP(found[1].replace(" ", ""))
    answer = await desk.post(FACTOR, {"do": "confirm", "one_time_code": app.at(desk.site.clock.now)})
    assert answer.status == 200
    codes = re.findall(r"<code>([a-z2-7]{4}(?:-[a-z2-7]{4}){3})</code>", await answer.text())
    assert len(codes) == CODES
    desk.site.clock.move(minutes=1)
    return app, codes


async def password_given(desk: Desk, path: str = "/console/sign-in") -> Any:
    form = {"email": desk.email, "password": PASSWORD}
    headers = {"User-Agent": BROWSER}
    return await desk.client.post(path, data=form, headers=headers, allow_redirects=False)


async def test_a_second_factor_from_setting_it_up_to_turning_it_off(desk: Desk) -> None:
    assert "未开启" in await desk.page("/console/account")
    app, codes = await enrol(desk)
    assert codes[0] not in await desk.page(FACTOR), "shown once"
    await desk.post("/console/sign-out")
    given = await password_given(desk, "/console/sign-in?next=/console/lists")
    assert given.headers["Location"] == "/console/sign-in/code?next=%2Fconsole%2Flists"
    assert (await desk.get("/console/today")).status == 303, "half of a sign-in opens nothing"
    asked = await desk.page(given.headers["Location"])
    assert "六位数字" in asked
    english = await password_given(desk, "/console/sign-in?next=/console/lists&lang=en")
    assert english.headers["Location"].endswith("&lang=en")
    asked = await desk.page(english.headers["Location"])
    assert (
        "six digits" in asked,
        "lang=en" in re.findall(r'<form method="post" action="([^"]+)"', asked)[0],
    ) == (
        True,
        True,
    )
    given = await password_given(desk, "/console/sign-in?next=/console/lists")
    wrong = await desk.client.post(
        "/console/sign-in/code", data={"one_time_code": "000000"}, allow_redirects=False
    )
    assert wrong.status == 401
    assert "验证码不对" in await wrong.text()
    right = await desk.client.post(
        given.headers["Location"], data={"one_time_code": app.at(desk.site.clock.now)}, allow_redirects=False
    )
    assert (right.status, right.headers["Location"]) == (303, "/console/lists")
    assert "已开启" in await desk.page("/console/account")
    refused = await desk.post(FACTOR, {"do": "off", "one_time_code": "000000"})
    assert "验证码不对" in await refused.text()
    assert "验证码没有写对" in await desk.page("/console/audit")
    other = await desk.post(FACTOR, {"do": "codes", "one_time_code": codes[0]})
    assert codes[1] not in await other.text()
    desk.site.clock.move(minutes=1)
    assert "未开启" in await desk.done(FACTOR, {"do": "off", "one_time_code": app.at(desk.site.clock.now)})
    assert (await desk.post(FACTOR, {"do": "nonsense"})).status == 400


async def test_the_code_page_is_for_who_has_shown_a_password(site: Site) -> None:
    response = await site.client.get("/console/sign-in/code", allow_redirects=False)
    assert (response.status, response.headers["Location"]) == (303, "/console/sign-in")
    response = await site.client.post("/console/sign-in/code", data={"one_time_code": "123456"})
    assert response.status == 401
    assert "从密码开始" in await response.text()
    headers = {"Origin": "https://evil.example"}
    assert (await site.client.post("/console/sign-in/code", data={}, headers=headers)).status == 403


async def test_who_must_have_one_gets_no_further_without(site: Site) -> None:
    admin, editor = await somebody(site, Role.ADMIN), await somebody(site, Role.EDITOR)
    settings = site.app[SETTINGS]
    needs = SignInSettings(
        second_factor="admins", issuer="", client_id="", client_secret=SecretStr(""), provider_name=""
    )
    # The application is frozen by now; a setting is read anew with each request.
    site.app._state[SETTINGS] = settings.model_copy(update={"sign_in": needs})
    assert (await editor.get("/console/today")).status == 200
    for route in ROUTES:
        if route.permission is Permission.SESSION and route.method == "GET" and not route.unenrolled:
            response = await admin.get(path := filled(route.path))
            assert (response.status, response.headers.get("Location")) == (303, FACTOR), path
    page = await admin.page(FACTOR)
    assert "您的角色须有第二重验证" in page
    csrf = re.search(r'name="csrf" value="([^"]+)"', page)
    assert csrf is not None
    refused = await admin.client.post(
        "/console/lists", data={"csrf": csrf[1], "name": "名单"}, allow_redirects=False
    )
    assert refused.headers["Location"] == FACTOR


async def test_another_password_wants_the_one_before_and_ends_every_session(desk: Desk) -> None:
    form = {
        "old": "wrong password here",
        "password": "另一句足够长的、只有我知道的话",
        "again": "另一句足够长的、只有我知道的话",
    }
    answer = await desk.post("/console/account/password", form)
    assert answer.status == 422
    assert "现在的密码不对" in await answer.text()
    answer = await desk.post("/console/account/password", form | {"old": PASSWORD, "again": "不一样"})
    assert "两次写的不一样" in await answer.text()
    answer = await desk.post(
        "/console/account/password", form | {"old": PASSWORD, "password": "短", "again": "短"}
    )
    assert "密码应为" in await answer.text()
    answer = await desk.post("/console/account/password", form | {"old": PASSWORD})
    assert answer.headers["Location"].startswith("/console/sign-in")
    assert (await desk.get("/console/today")).status == 303
    assert (await password_given(desk)).status == 401
    async with desk.site.database.read() as session:
        told = list(await session.exec(select(AuditEntry.action).order_by(col(AuditEntry.id))))
    assert told[-3:] == ["password.refused", "password", "sign_in.failed"], "a wrong old password is told of"


@pytest.mark.parametrize("end", [False, True])
async def test_programs_go_on_with_another_password_or_end_with_it(desk: Desk, *, end: bool) -> None:
    site, new = desk.site, "另一句足够长的、只有我知道的话"
    assert 'name="programs"' not in await desk.page("/console/account"), "there are none yet"
    made = await desk.post("/console/tokens", {"name": "周报程序", "right": "issues.read", "days": "30"})
    token = re.search(r"bdn_[\w-]{43}", await made.text())
    assert token is not None
    calendar = await desk.done("/console/calendar", {"do": "renew"})
    address = re.search(r"/k/[^\s\"<]+", calendar)
    assert address is not None
    page = await desk.page("/console/account")
    assert "令牌：周报程序。日历的地址。" in page

    async def answers() -> tuple[int, int]:
        bearer = {"Authorization": f"Bearer {token[0]}"}
        return (
            (await site.client.get("/api/v1/issues", headers=bearer)).status,
            (await site.client.get(address[0])).status,
        )

    assert await answers() == (200, 200)
    if end:
        async with site.database.write() as session:
            link = await make_link(session, site.clock, await named_user(session, desk.email))
        assert "令牌：周报程序。" in await (await site.client.get(f"/console/password/{link}")).text()
        form = {"password": new, "again": new, "programs": "end"}
        chosen = await site.client.post(f"/console/password/{link}", data=form, allow_redirects=False)
        assert chosen.status == 303
    else:
        await desk.post("/console/account/password", {"old": PASSWORD, "password": new, "again": new})
    assert await answers() == ((401, 404) if end else (200, 200))
    async with site.database.read() as session:
        entries = list(await session.exec(select(AuditEntry).order_by(col(AuditEntry.id))))
    changes = [entry.change for entry in entries if entry.action == "password"]
    assert changes[-1] == ({"tokens_ended": 1, "calendar_ended": True} if end else {})


@pytest.mark.parametrize("headers", [{"X-Watching": "yes"}, {"Accept": "text/event-stream"}])
async def test_a_page_that_looks_by_itself_keeps_no_session_alive(
    desk: Desk, headers: dict[str, str]
) -> None:
    desk.site.clock.move(hours=5)
    assert (await desk.get("/console/today", headers=headers)).status == 200
    desk.site.clock.move(hours=4)
    assert (await desk.get("/console/today")).status == 303


async def test_somebody_at_an_open_desk_may_not_guess_on(desk: Desk) -> None:
    form = {
        "old": "wrong password here",
        "password": "另一句足够长的、只有我知道的话",
        "again": "另一句足够长的、只有我知道的话",
    }
    said = [await (await desk.post("/console/account/password", form)).text() for _ in range(10)]
    assert "现在的密码不对" in said[0]
    assert "试的次数太多了" in said[-1]


async def test_where_one_is_signed_in_and_out_again(site: Site, desk: Desk) -> None:
    second = await somebody(site, Role.EDITOR)
    await password_given(desk)
    page = await desk.page("/console/account")
    assert re.findall(r'name="end" value="(\d+)"', page) == [], (
        "the same browser again: the one before is over"
    )
    form = {"email": desk.email, "password": PASSWORD}
    await site.client.post(
        "/console/sign-in", data=form, headers={"User-Agent": BROWSER}, allow_redirects=False
    )
    page = await desk.page("/console/account")
    assert "WeChat" in page or "MicroMessenger" in page or "Mobile Safari" in page, "what the browser is"
    others = re.findall(r'name="end" value="(\d+)"', page)
    assert len(others) == 1
    page = await desk.done("/console/account/sessions", {"end": others[0]})
    assert re.findall(r'name="end" value="(\d+)"', page) == []
    await desk.post("/console/account/sessions", {"end": "2"})
    assert (await second.get("/console/today")).status == 200, "nobody else's is ended"


async def test_the_language_is_ones_own_and_stays(desk: Desk) -> None:
    assert '<html lang="zh-CN">' in await desk.page("/console/today")
    answer = await desk.post("/console/account/language", {"language": "en", "next": "/console/lists"})
    assert answer.headers["Location"] == "/console/lists"
    assert '<html lang="en">' in await desk.page("/console/today")
    answer = await desk.post("/console/account/language", {"language": "zh", "next": "//evil.example"})
    assert answer.headers["Location"] == "/console/today"
    assert (await desk.post("/console/account/language", {"language": "xx"})).status == 400


async def test_an_admin_invites_changes_and_disables(site: Site, desk: Desk) -> None:
    form = {"email": "wang@example.cn", "name": "王", "role": "editor", "publication": ["dsj"]}
    answer = await desk.post("/console/users", form)
    page = await answer.text()
    link = re.search(r"/console/password/([\w-]{43})", page)
    assert link is not None
    assert link[0] not in await desk.page("/console/users/2"), "shown once"
    chosen = await site.client.post(
        f"/console/password/{link[1]}", data={"password": PASSWORD, "again": PASSWORD}, allow_redirects=False
    )
    assert chosen.status == 303
    assert "大数据发展动态" in await desk.done(
        "/console/users/2", {"do": "role", "role": "analyst", "publication": ["dsj"]}
    )
    assert "王二" in await desk.done("/console/users/2", {"do": "name", "name": "王二"})
    assert "停用" in await desk.done("/console/users/2", {"do": "disable"})
    assert (
        await site.post("/console/sign-in", data={"email": "wang@example.cn", "password": PASSWORD})
    ).status == 401
    assert "有效" in await desk.done("/console/users/2", {"do": "enable"})
    answer = await desk.post("/console/users/2", {"do": "link"})
    assert re.search(r"/console/password/[\w-]{43}", await answer.text())
    for problem, values in (
        ("已有使用这个邮箱", form),
        ("不是一个邮箱地址", {**form, "email": "x"}),
        ("请选一个角色", {**form, "email": "b@example.cn", "role": "king"}),
        ("请选管哪些刊物", {"email": "b@example.cn", "role": "editor"}),
        ("没有这些刊物", {**form, "email": "b@example.cn", "publication": ["gone"]}),
        ("管理员总是管全部刊物", {**form, "email": "b@example.cn", "role": "admin"}),
    ):
        answer = await desk.post("/console/users", values)
        assert answer.status == 422
        assert problem in await answer.text()
    answer = await desk.post("/console/users/1", {"do": "disable"})
    assert "最后一位管理员" in await answer.text()
    assert (await desk.post("/console/users/2", {"do": "nonsense"})).status == 400
    assert (await desk.get("/console/users/99")).status == 404
    async with site.database.write() as session:
        gone = (await session.exec(select(User).where(User.email == "wang@example.cn"))).one()
        gone.publications = ["gone"]
        session.add(gone)
    page = await desk.page("/console/users/2")
    assert 'value="gone" checked' in page, "what the settings hold no more does not become everything"
    await desk.done("/console/users/2", {"do": "role", "role": "analyst", "publication": ["gone"]})
    async with site.database.read() as session:
        entries = (await session.exec(select(AuditEntry))).all()
    changes = [one.change for one in entries if one.action == "user.role"]
    assert changes[0] == {
        "before": {"role": "editor", "publications": ["dsj"]},
        "after": {"role": "analyst", "publications": ["dsj"]},
    }
    assert "wang@example.cn" not in str([(one.subject, one.change) for one in entries])


async def test_an_admin_helps_who_has_lost_their_telephone_and_not_oneself(site: Site, desk: Desk) -> None:
    editor = await somebody(site, Role.EDITOR)
    await enrol(editor)
    page = await desk.page("/console/users/2")
    assert "关闭此人的第二重验证" in page
    await desk.done("/console/users/2", {"do": "factor"})
    assert (await editor.get("/console/today")).status == 303, "signed out"
    assert (await password_given(editor)).headers["Location"] == "/console/today"
    await enrol(desk)
    answer = await desk.post("/console/users/1", {"do": "factor"})
    assert "自己的第二重验证" in await answer.text()


async def test_tokens_are_ones_own_shown_once_and_revoked(site: Site, desk: Desk) -> None:
    editor = await somebody(site, Role.EDITOR)
    answer = await editor.post(
        "/console/tokens", {"name": "推送各期", "days": "30", "right": ["issues.read", "issues.write"]}
    )
    token = re.search(r"bdn_[\w-]{43}", await answer.text())
    assert token is not None
    assert token[0] not in await editor.page("/console/tokens")
    headers = {"Authorization": f"Bearer {token[0]}"}
    assert (await site.get("/api/v1/issues", headers=headers)).status == 200
    answer = await editor.post("/console/tokens", {"name": "太多", "days": "30", "right": "users.write"})
    assert "您自己没有的权限" in await answer.text(), "not offered, not taken"
    for days in ("0", "x", "99999"):
        answer = await editor.post("/console/tokens", {"name": "t", "days": days, "right": "issues.read"})
        assert answer.status == 422
        assert 'value="t"' in await answer.text(), "what was typed is kept"
    await desk.post("/console/tokens", {"name": "管理员的", "days": "1", "right": "events.read"})
    assert "管理员的" not in await editor.page("/console/tokens")
    assert (await editor.post("/console/tokens/2")).status == 404, "not theirs"
    assert "推送各期" in await desk.page("/console/tokens")
    assert "已作废" in await desk.done("/console/tokens/1")
    assert (await site.get("/api/v1/issues", headers=headers)).status == 401


async def test_a_token_of_ones_own_is_no_second_person(site: Site, desk: Desk) -> None:
    rights = ["bulletins.write", "bulletins.approve", "dispatches.write"]
    answer = await desk.post("/console/tokens", {"name": "t", "days": "1", "right": rights})
    token = re.search(r"bdn_[\w-]{43}", await answer.text())
    assert token is not None
    body = {"title": "紧急", "body": "今晚停机", "urgent": True}
    response = await site.post(
        "/api/v1/bulletins", json=body, headers={"Authorization": f"Bearer {token[0]}"}
    )
    assert response.status == 403
    assert "另一个人批准" in await response.text()


@pytest.mark.parametrize("role", [Role.EDITOR, Role.REVIEWER, Role.ANALYST])
async def test_a_role_for_one_publication_reaches_nothing_of_the_others(site: Site, role: Role) -> None:
    desk = await somebody(site, role)
    issue = await site.publish()
    await site.send(issue)
    page = await desk.page("/console/today")
    csrf = re.search(r'name="csrf" value="([^"]+)"', page)
    assert csrf is not None
    title = "第104期" if "第104期" in await desk.page("/console/issues") else str(issue.total_number)
    now = site.clock()
    async with site.database.write() as session:
        session.add(
            BulletinDraft(publication="dsj", title="停机", body="今晚", created_at=now, changed_at=now)
        )
        for key in ("dsj", "weekly"):
            url = f"https://{key}.example/feed"
            session.add(WatchedFeed(url=url, publication=key, failures=1, next_at=now, created_at=now))
        session.add(Webhook(url="https://hooks.example/all", failures=1, next_at=now, created_at=now))
        user = (await session.exec(select(User))).one()
        user.publications = ["weekly"]
        session.add(user)
    for route in ROUTES:
        if route.permission is not Permission.SESSION or route.of is None:
            continue
        path = filled(route.path)
        data = {"csrf": csrf[1]} if route.method == "POST" else None
        response = await desk.client.request(route.method, path, data=data, allow_redirects=False)
        assert response.status == 403, (route.method, path)
    for path in ("/console/issues", "/console/dispatches", "/console/bulletins", "/console/today"):
        page = await desk.page(path)
        assert f'/{issue.id}"' not in page or path == "/console/today", path
        assert title not in page, path
    assert (await desk.get("/console/subscribers")).status == 403
    assert (await desk.get("/console/reports?publication=dsj")).status == 403
    assert (await desk.get("/console/dispatches/new?issue=1")).status == 403
    assert (await desk.get("/console/sources/2")).status == 200
    for path in ("/console/sources", "/console/today"):
        page = await desk.page(path)
        assert ("dsj.example" in page, "weekly.example" in page) == (False, True), path
        assert "hooks.example" not in page
    page = await desk.page("/console/webhooks")
    assert "hooks.example" not in page
    assert "您的角色只管几种刊物" in page
    page = await desk.page("/console/settings/publications")
    assert ('id="dsj"' in page, 'id="weekly"' in page) == (False, True)
    assert (await desk.get("/console/tokens")).status == 200
    assert "新建令牌" not in await desk.page("/console/tokens")


def test_every_object_of_a_publication_is_held_to_it() -> None:
    """A new route with a number in it says whose that is, or stands here with its reason."""
    of_all = ("subscribers", "imports", "users", "tokens")
    for route in ROUTES:
        if route.permission is Permission.SESSION and "{id}" in route.path and route.of is None:
            assert route.path.split("/")[2] in of_all, route.path


async def test_what_is_decided_is_of_the_dispatch_that_the_address_names(site: Site) -> None:
    """The form's delivery may be of a publication that they do not reach."""
    desk = await somebody(site, Role.EDITOR)
    issue = await site.publish()
    delivery = (await site.send(issue))[0]
    async with site.database.write() as session:
        found = await session.get(Delivery, delivery.id)
        assert found is not None
        found.state = DeliveryState.UNCERTAIN
        other = Dispatch(
            publication="weekly",
            kind=DispatchKind.ISSUE,
            cause="issue:weekly",
            state=DispatchState.FINISHED,
            due_at=site.clock(),
            created_at=site.clock(),
        )
        session.add_all([found, other])
        await session.flush()
        other_id = other.id
        user = (await session.exec(select(User))).one()
        user.publications = ["weekly"]
        session.add(user)
    for name in (str(delivery.id), delivery.key, "9" * 19):
        path = f"/console/dispatches/{other_id}/deliveries"
        page = await desk.get("/console/today")
        csrf = re.search(r'name="csrf" value="([^"]+)"', await page.text())
        assert csrf is not None
        form = {"csrf": csrf[1], "delivery": name, "decision": "resend"}
        answer = await desk.client.post(path, data=form, allow_redirects=False)
        assert answer.status in {404, 409}, name
    assert (await site.deliveries())[0].state is DeliveryState.UNCERTAIN


async def test_confirming_a_second_factor_ends_what_is_open_elsewhere(site: Site) -> None:
    desk = await somebody(site, Role.EDITOR)
    form = {"email": desk.email, "password": PASSWORD}
    thief = await site.client.post("/console/sign-in", data=form, allow_redirects=False)
    assert thief.status == 303
    assert (await site.get("/console/today")).status == 200
    await enrol(desk)
    assert (await site.get("/console/today")).status == 303
    assert (await desk.get("/console/today")).status == 200
