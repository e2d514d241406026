"""The way in: a form, a mail that asks, a page with one button. Nobody learns who is known; nothing happens unasked."""

from typing import Any

import pytest
from sqlmodel import col, select
from tests.integration.web.readers_site import Site, words

from bdnews_dispatch.dispatch.models import Delivery
from bdnews_dispatch.letters.models import Letter, LetterKind
from bdnews_dispatch.subscribers import agreements, lists, people, requests
from bdnews_dispatch.subscribers.models import Cadence, ChannelChoice, ConsentText, RequestKind, Subscription

FORM: dict[str, Any] = {
    "email": "Chen.Wei@readers.example",
    "name": "陈薇",
    "section": ["policy", "industry"],
    "cadence": "weekly",
    "agree": "1",
}
CHEN = "chen.wei@readers.example"


async def agreed(site: Site, email: str = CHEN) -> Subscription | None:
    async with site.database.read() as session:
        person = await people.find_by_email(session, email)
        if person is None or person.id is None:
            return None
        return await agreements.current(session, person.id, "dsj")


async def letters(site: Site) -> list[Letter]:
    await site.handle_events()
    async with site.database.read() as session:
        return list((await session.exec(select(Letter).order_by(col(Letter.id)))).all())


async def test_the_form_asks_by_mail_and_the_button_subscribes(site: Site) -> None:
    page = words(await (await site.get("/subscribe/dsj")).text())
    for said in ("国策要论", "每周一封", "我同意", "随时"):
        assert said in page
    answer = await site.post("/subscribe/dsj", data=FORM, headers={"X-Forwarded-For": "203.0.113.77"})
    assert answer.status == 303
    assert "七天内有效" in words(await (await site.get(answer.headers["Location"])).text())
    assert site.woken
    assert await agreed(site) is None
    (letter,) = await letters(site)
    assert (letter.kind, letter.email) == (LetterKind.SUBSCRIBE, "Chen.Wei@readers.example")
    (request,) = await site.requests()
    link = site.links.confirm(request.key)
    shown = words(await (await site.get(link)).text())
    assert "确认订阅《大数据发展动态》？" in shown
    assert "C***@readers.example" in shown
    assert "国策要论、产业镜像" in shown
    assert await agreed(site) is None, "a GET changes nothing"
    for _ in range(2):
        assert "订阅已生效" in words(await (await site.post(link)).text())
    row = await agreed(site)
    assert row is not None
    assert (row.sections, row.cadence, row.channel) == (
        ["policy", "industry"],
        Cadence.WEEKLY,
        ChannelChoice.EMAIL,
    )
    assert (row.origin, row.network, row.evidence) == ("form", "203.0.113.0/24", f"request:{request.id}")
    async with site.database.read() as session:
        text = await session.get(ConsentText, row.consent)
        person = await people.find_by_email(session, CHEN)
    assert text is not None
    assert "我同意" in text.text
    assert person is not None
    assert person.name == "陈薇"
    preferences = await site.get(site.links.preferences(request.key))
    assert "C***@readers.example" in words(await preferences.text())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"email": ""}, "请填写邮箱"),
        ({"email": "keine adresse"}, "邮箱写得不对"),
        ({"email": "a" * 300 + "@x.example"}, "邮箱太长"),
        ({"agree": None}, "请先阅读并勾选同意"),
        ({"section": []}, "请至少选一个栏目"),
        ({"name": "名" * 101}, "称呼太长"),
    ],
)
async def test_what_is_missing_is_said_and_what_was_typed_stays(
    site: Site, changes: dict[str, Any], said: str
) -> None:
    data = {name: value for name, value in (FORM | changes).items() if value is not None}
    answer = await site.post("/subscribe/dsj", data=data)
    page = await answer.text()
    assert answer.status == 422
    assert said in words(page)
    assert 'value="industry" checked' in page or not data["section"]
    assert await site.requests() == []
    english = await (await site.post("/subscribe/dsj?lang=en", data=data)).text()
    assert "Not sent yet" in english


async def test_nobody_learns_who_is_known(site: Site, sent: list[Delivery]) -> None:
    """Known, unknown, unsubscribed, asked too often, a robot: one answer."""
    async with site.database.write() as session:
        await agreements.unsubscribe(session, site.clock, 2, "dsj", reason="", origin="page")
    answers = []
    addresses = [
        "lin.zhiyuan@readers.example",
        "he.jing@readers.example",
        "new@readers.example",
        *["new@readers.example"] * 5,
    ]
    for email in addresses:
        answer = await site.post("/subscribe/dsj", data=FORM | {"email": email})
        answers.append((answer.status, answer.headers["Location"]))
    robot = await site.post("/subscribe/dsj", data=FORM | {"email": "robot@readers.example", "website": "x"})
    answers.append((robot.status, robot.headers["Location"]))
    assert set(answers) == {(303, "/subscribe/dsj?sent=1")}
    asked = [request.email for request in await site.requests()]
    assert asked.count("new@readers.example") == requests.MOST_FOR_ADDRESS_A_DAY
    assert "robot@readers.example" not in asked
    kinds = [letter.kind for letter in await letters(site)]
    assert kinds[:2] == [LetterKind.SUBSCRIBE_AGAIN, LetterKind.SUBSCRIBE]


async def test_asking_again_changes_nothing_until_it_is_confirmed(site: Site, sent: list[Delivery]) -> None:
    lin, jing = "lin.zhiyuan@readers.example", "he.jing@readers.example"
    await site.asks(lin)
    row = await agreed(site, lin)
    assert row is not None
    assert row.sections == ["policy", "local"]
    (request,) = await site.requests()
    await site.post(site.links.confirm(request.key))
    changed = await agreed(site, lin)
    assert changed is not None
    assert (changed.sections, changed.cadence) == (["policy", "industry"], Cadence.WEEKLY)
    again = await site.asks(jing)
    await site.post(site.links.confirm(again.key))
    both = await agreed(site, jing)
    assert both is not None
    assert both.channel is ChannelChoice.BOTH, "the form speaks of mail alone; WeChat stays"


async def test_a_link_ends_after_seven_days(site: Site) -> None:
    request = await site.asks()
    site.clock.move(days=7, seconds=1)
    answer = await site.post(site.links.confirm(request.key))
    assert answer.status == 410
    assert "已过期" in words(await answer.text())
    assert await agreed(site) is None


async def test_a_flood_from_one_network_is_told_to_wait(site: Site) -> None:
    for number in range(requests.MOST_FROM_NETWORK_AN_HOUR):
        headers = {"X-Forwarded-For": f"198.51.100.{number}"}
        answer = await site.post(
            "/subscribe/dsj", data=FORM | {"email": f"r{number}@x.example"}, headers=headers
        )
        assert answer.status == 303
    one_more = FORM | {"email": "more@x.example"}
    refused = await site.post("/subscribe/dsj", data=one_more, headers={"X-Forwarded-For": "198.51.100.250"})
    assert refused.status == 429
    assert "没有更改任何内容" in words(await refused.text())
    forged = {"X-Forwarded-For": "203.0.113.1, 198.51.100.9"}
    assert (await site.post("/subscribe/dsj", data=one_more, headers=forged)).status == 429
    assert (
        await site.post("/subscribe/dsj", data=one_more, headers={"X-Forwarded-For": "203.0.113.1"})
    ).status == 303
    site.clock.move(hours=1, minutes=1)
    assert (await site.post("/subscribe/dsj", data=one_more, headers=forged)).status == 303


async def test_public_lists_are_offered_and_joined(site: Site) -> None:
    async with site.database.write() as session:
        await lists.find_or_make_list(session, site.clock, "研讨会通知")
        await lists.find_or_make_list(session, site.clock, "内部名单")
        shown = await lists.describe_list(session, "研讨会通知", description="每季一次的研讨会", public=True)
        hidden = await lists.find_list(session, "内部名单")
    page = words(await (await site.get("/subscribe/dsj")).text())
    assert "研讨会通知" in page
    assert "内部名单" not in page
    request = await site.asks(CHEN, list=[str(shown.id), str(hidden.id), "99", "x"])
    await site.post(site.links.confirm(request.key))
    async with site.database.read() as session:
        person = await people.find_by_email(session, CHEN)
        assert person is not None
        assert person.id is not None
        on = await lists.memberships(session, person.id)
    assert [(found.name, row.origin) for found, row in on] == [("研讨会通知", "form")]


async def test_the_form_stands_in_other_peoples_pages(site: Site) -> None:
    embedded = await site.get("/subscribe/dsj?embed=1")
    assert "frame-ancestors *" in embedded.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in (await site.get("/subscribe/dsj")).headers["Content-Security-Policy"]
    answer = await site.post("/subscribe/dsj?embed=1", data=FORM)
    assert answer.headers["Location"] == "/subscribe/dsj?sent=1&embed=1"
    sent = await site.get(answer.headers["Location"])
    assert "frame-ancestors *" in sent.headers["Content-Security-Policy"]


async def test_another_address_needs_both(site: Site, sent: list[Delivery]) -> None:
    page = site.links.preferences(sent[0].key)
    answer = await site.post(f"{page}/address", data={"email": "Lin@new.example"})
    assert answer.status == 303
    assert "请查收邮件" in words(await (await site.get(answer.headers["Location"])).text())
    written = await letters(site)
    assert [(letter.kind, letter.email) for letter in written] == [
        (LetterKind.NEW_ADDRESS, "Lin@new.example"),
        (LetterKind.OLD_ADDRESS, "lin.zhiyuan@readers.example"),
    ]
    (request,) = await site.requests()
    assert request.kind is RequestKind.CHANGE_ADDRESS
    assert request.other_key is not None
    first = words(await (await site.post(site.links.confirm(request.key))).text())
    assert "还差另一个邮箱的确认" in first
    async with site.database.read() as session:
        assert (await people.find_by_id(session, 1)).email == "lin.zhiyuan@readers.example"
    second = words(await (await site.post(site.links.confirm(request.other_key))).text())
    assert "已改寄到 L***@new.example" in second
    async with site.database.read() as session:
        person = await people.find_by_id(session, 1)
    assert (person.email, person.email_key) == ("Lin@new.example", "lin@new.example")
    assert "subscriber.address_changed" in await site.events()


async def test_an_address_of_somebody_else_is_not_taken(site: Site, sent: list[Delivery]) -> None:
    page = site.links.preferences(sent[0].key)
    for email, said in (("lin.zhiyuan@READERS.example", "就是您现在的邮箱"), ("x@", "邮箱写得不对")):
        answer = await site.post(f"{page}/address", data={"email": email})
        assert answer.status == 422
        assert said in words(await answer.text())
    await site.post(f"{page}/address", data={"email": "he.jing@readers.example"})
    (request,) = await site.requests()
    assert request.other_key is not None
    await site.post(site.links.confirm(request.other_key))
    answer = await site.post(site.links.confirm(request.key))
    assert answer.status == 409
    assert "已经有自己的订阅" in words(await answer.text())
    async with site.database.read() as session:
        assert (await people.find_by_id(session, 1)).email == "lin.zhiyuan@readers.example"


async def test_a_pause_a_language_and_lists_are_kept_and_undone(site: Site, sent: list[Delivery]) -> None:
    async with site.database.write() as session:
        await lists.find_or_make_list(session, site.clock, "研讨会通知")
        shown = await lists.describe_list(session, "研讨会通知", public=True)
    url = site.links.preferences(sent[0].key)
    same = [("section", "policy"), ("section", "local"), ("cadence", "issue")]
    for pause, said in (("2028-12-01", "最多可以暂停一年"), ("morgen", "应写成")):
        refused = await site.post(url, data=[*same, ("pause", pause)])
        assert refused.status == 422
        assert said in words(await refused.text())
    saved = await site.post(
        url, data=[*same, ("pause", "2027-01-15"), ("language", "en"), ("list", str(shown.id))]
    )
    assert saved.status == 303
    page = await (await site.get(saved.headers["Location"])).text()
    assert "已暂停，2027年1月15日起恢复寄送" in words(page)
    row = await agreed(site, "lin.zhiyuan@readers.example")
    assert row is not None
    assert row.paused_until is not None
    assert row.paused_until.isoformat() == "2027-01-14T16:00:00+00:00"
    async with site.database.read() as session:
        assert (await people.find_by_id(session, 1)).language == "en"
        assert [row.left_at for _, row in await lists.memberships(session, 1)] == [None]
    await site.post(url, data={"undo": "1", "was": '[false,"zh",[]]'})
    row = await agreed(site, "lin.zhiyuan@readers.example")
    assert row is not None
    assert row.paused_until is None
    async with site.database.read() as session:
        assert (await people.find_by_id(session, 1)).language == "zh"
        assert [row.left_at is not None for _, row in await lists.memberships(session, 1)] == [True]


async def test_a_slip_of_a_provider_is_asked_about_once(site: Site) -> None:
    slip = {**FORM, "email": "chen.wei@qq.con"}
    answer = await site.post("/subscribe/dsj", data=slip)
    page = await answer.text()
    assert answer.status == 422
    assert "是不是想写 chen.wei@qq.com" in words(page)
    assert "陈薇" in page, "nothing that was typed is lost"
    assert await site.requests() == []

    taken = await site.post("/subscribe/dsj", data={**slip, "meant": "chen.wei@qq.con chen.wei@qq.com"})
    assert taken.status == 303
    kept = await site.post("/subscribe/dsj", data={**slip, "as_written": "chen.wei@qq.con"})
    assert kept.status == 303
    assert [request.email for request in await site.requests()] == ["chen.wei@qq.com", "chen.wei@qq.con"]


async def test_a_suggestion_counts_only_for_what_it_was_made_for(site: Site) -> None:
    """The field was changed after the suggestion, and Enter presses the first button."""
    edited = {**FORM, "email": "other@readers.example", "meant": "chen.wei@qq.con chen.wei@qq.com"}
    assert (await site.post("/subscribe/dsj", data=edited)).status == 303
    assert [request.email for request in await site.requests()] == ["other@readers.example"]
