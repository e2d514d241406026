"""A reader's own choices."""

from typing import Any

import pytest
from sqlmodel import col, select
from tests.integration.web.readers_site import Site, words

from bdnews_dispatch.dispatch.models import Delivery
from bdnews_dispatch.subscribers import agreements, people
from bdnews_dispatch.subscribers.models import Cadence, ChannelChoice, Subscriber, Subscription


async def now(site: Site, subscriber_id: int = 1) -> Subscription:
    async with site.database.read() as session:
        row = await agreements.current(session, subscriber_id, "dsj")
        assert row is not None
        return row


async def test_the_page_shows_what_is_true_and_no_more_than_the_reader_knows(
    site: Site, sent: list[Delivery]
) -> None:
    text = await (await site.get(site.links.preferences(sent[0].key))).text()
    assert "l***@readers.example" in text
    assert "lin.zhiyuan" not in text
    assert "林致远" not in text
    assert 'value="policy" checked' in text
    assert 'value="industry">' in text
    assert "国家层面的讲话" in text
    assert 'name="channel"' not in text, "who has one way is not asked for it"
    jing = await (await site.get(site.links.preferences(sent[1].key))).text()
    assert 'name="channel" value="both" checked' in jing
    assert "oReaderHeJing" not in jing


async def test_saving_and_undoing(site: Site, sent: list[Delivery]) -> None:
    url = site.links.preferences(sent[0].key)
    saved = await site.post(
        url, data=[("section", "frontier"), ("section", "company"), ("cadence", "weekly")]
    )
    assert saved.status == 303
    assert saved.headers["Location"].endswith("?saved=1")
    row = await now(site)
    assert (row.sections, row.cadence, row.origin) == (["frontier", "company"], Cadence.WEEKLY, "preferences")
    page = words(await (await site.get(saved.headers["Location"])).text())
    assert "已保存" in page
    assert "撤销这次更改" in page
    site.clock.move(minutes=1)
    undone = await site.post(url, data={"undo": "1"})
    assert undone.headers["Location"].endswith("?undone=1")
    assert (await now(site)).sections == ["policy", "local"]
    assert "已撤销" in words(await (await site.get(undone.headers["Location"])).text())
    again = await site.post(url, data={"undo": "1"})
    assert again.status == 303
    assert (await now(site)).sections == ["policy", "local"], "undoing twice does not swing back"


async def test_nothing_chosen_is_said_and_kept_on_the_form(site: Site, sent: list[Delivery]) -> None:
    answer = await site.post(site.links.preferences(sent[0].key), data={"cadence": "monthly"})
    assert answer.status == 422
    text = await answer.text()
    assert "请至少选一个栏目" in text
    assert 'value="monthly" checked' in text
    assert (await now(site)).sections == ["policy", "local"]


async def test_the_same_again_says_so(site: Site, sent: list[Delivery]) -> None:
    answer = await site.post(
        site.links.preferences(sent[0].key),
        data=[("section", "policy"), ("section", "local"), ("cadence", "issue")],
    )
    assert answer.headers["Location"].endswith("?same=1")


async def test_no_tracking_is_kept_and_undone(site: Site, sent: list[Delivery]) -> None:
    url = site.links.preferences(sent[0].key)
    data = [("section", "policy"), ("section", "local"), ("cadence", "issue"), ("no_tracking", "1")]
    saved = await site.post(url, data=data)
    assert saved.headers["Location"].endswith("?saved=1&was=%5Bfalse,%22zh%22,%5B%5D%5D")
    async with site.database.read() as session:
        assert (await people.find_by_id(session, 1)).no_tracking
    page = await (await site.get(saved.headers["Location"])).text()
    assert 'name="was" value="[false,&#34;zh&#34;,[]]"' in page
    await site.post(url, data={"undo": "1", "was": '[false,"zh",[]]'})
    async with site.database.read() as session:
        assert not (await people.find_by_id(session, 1)).no_tracking


@pytest.mark.parametrize(
    "data",
    [
        [("section", "no_such")],
        [("section", "'; drop table subscriber; --")],
        [("whole_issue", "1"), ("channel", "wechat")],  # 林致远 has no openid
        [("whole_issue", "1"), ("channel", "pigeon"), ("cadence", "hourly")],
    ],
)
async def test_what_the_form_does_not_offer_breaks_nothing(
    site: Site, sent: list[Delivery], data: list[tuple[str, str]]
) -> None:
    answer = await site.post(site.links.preferences(sent[0].key), data=data)
    assert answer.status in {303, 422}
    row = await now(site)
    assert row.channel is ChannelChoice.EMAIL
    assert row.cadence is Cadence.ISSUE


async def test_who_has_left_can_come_back_here(site: Site, sent: list[Delivery]) -> None:
    await site.post(site.links.unsubscribe(sent[0].key), data={"confirm": "1"})
    url = site.links.preferences(sent[0].key)
    assert "您已退订" in await (await site.get(url)).text()
    await site.post(url, data={"whole_issue": "1"})
    assert (await now(site)).whole_issue


async def test_english(site: Site, sent: list[Delivery]) -> None:
    url = site.links.preferences(sent[0].key)
    text = await (await site.get(url + "?lang=en")).text()
    assert '<html lang="en">' in text
    assert "Your subscription" in text
    assert "National Policy" in text
    unasked = await (await site.get(url, headers={"Accept-Language": "en"})).text()
    assert '<html lang="zh-CN">' in unasked
    saved = await site.post(url + "?lang=en", data={"whole_issue": "1"})
    assert saved.headers["Location"].endswith("?saved=1&lang=en")


async def test_a_link_opens_its_own_purpose_only(site: Site, sent: list[Delivery]) -> None:
    token = site.links.unsubscribe(sent[0].key).rpartition("/")[2]
    answer = await site.get(f"/p/{token}")
    assert answer.status == 404
    assert "链接" in await answer.text()
    assert (await site.post(f"/p/{token}", data={"whole_issue": "1"})).status == 404
    assert not (await now(site)).whole_issue


async def rows(site: Site) -> list[Any]:
    async with site.database.read() as session:
        return [
            (await session.exec(select(Subscription).order_by(col(Subscription.id)))).all(),
            (await session.exec(select(Subscriber))).all(),
        ]


async def test_looking_changes_nothing(site: Site, sent: list[Delivery]) -> None:
    before = str(await rows(site))
    for query in ("", "?saved=1", "?saved=1&was=1", "?undone=1", "?undo=1", "?whole_issue=1"):
        await site.get(site.links.preferences(sent[0].key) + query)
        await site.get(site.links.unsubscribe(sent[0].key) + query)
    assert str(await rows(site)) == before
