"""Segments: every kind of condition finds whom it says, on both databases; nothing else gets in."""

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import col, update
from tests.making import DSJ, HandClock, import_csv, readers

from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.errors import NotFoundError
from bdnews_dispatch.subscribers import lists, segments
from bdnews_dispatch.subscribers.agreements import Proof
from bdnews_dispatch.subscribers.audience import slice_of
from bdnews_dispatch.subscribers.models import Subscriber, SubscriberAttribute, SubscriberTag
from bdnews_dispatch.subscribers.segments import SegmentError, read_rule
from bdnews_dispatch.subscribers.targeting import Target, read_target

PEOPLE = """email,name,openid,sections,channel,cadence
a@gz.gov.cn,甲,,policy,email,issue
b@dept.gz.gov.cn,乙,,local|frontier,email,weekly
c@notgz.gov.cn,丙,,*,email,bulletins
,丁,oDing000000000000000000001,industry,wechat,issue
e@qq.com,戊,oWu0000000000000000000001,policy|industry,either,monthly
"""


@pytest.fixture
async def five(database: Database, clock: HandClock) -> Database:
    await import_csv(database, clock, DSJ, PEOPLE.encode(), list_name=None, origin_name="t.csv")
    async with database.write() as session:
        session.add_all(
            [SubscriberTag(subscriber_id=1, tag="专家"), SubscriberTag(subscriber_id=4, tag="专家")]
        )
        session.add(SubscriberAttribute(subscriber_id=2, name="地区", value="贵阳"))
        session.add(SubscriberAttribute(subscriber_id=3, name="地区", value="遵义"))
        for who, days in ((1, 3), (5, 200)):
            opened = clock() - dt.timedelta(days=days)
            await session.exec(
                update(Subscriber).where(col(Subscriber.id) == who).values(last_opened_at=opened)
            )
        await session.exec(
            update(Subscriber)
            .where(col(Subscriber.id) == 5)
            .values(created_at=clock() - dt.timedelta(days=400))
        )
    return database


async def who(database: Database, clock: HandClock, target: Target) -> set[int]:
    async with database.read() as session:
        found = await slice_of(session, "dsj", after_id=0, limit=100, target=target, now=clock())
    return {person.subscriber_id for person in found}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"field": "tag", "any_of": ["专家"]}, {1, 4}),
        ({"field": "sections", "any_of": ["policy"]}, {1, 3, 5}),
        ({"field": "domain", "any_of": ["gz.gov.cn"]}, {1, 2}),
        ({"field": "domain", "any_of": ["@QQ.com", "%"]}, {5}),
        ({"field": "channel", "any_of": ["wechat", "either"]}, {4, 5}),
        ({"field": "cadence", "any_of": ["bulletins", "weekly"]}, {2, 3}),
        ({"field": "language", "any_of": ["en"]}, set()),
        ({"field": "attribute", "name": "地区", "any_of": ["贵阳"]}, {2}),
        ({"field": "attribute", "name": "地区"}, {2, 3}),
        ({"field": "joined", "within_days": 30}, {1, 2, 3, 4}),
        ({"field": "joined", "before": "2026-01-01"}, {5}),
        ({"field": "joined", "after": "2026-01-01"}, {1, 2, 3, 4}),
        ({"field": "joined", "after": "0001-01-01", "before": "9999-12-31"}, {1, 2, 3, 4, 5}),
        ({"field": "last_opened", "within_days": 30}, {1}),
        ({"field": "last_opened", "not_within_days": 30}, {2, 3, 4, 5}),
        ({"field": "last_opened", "never": True}, {2, 3, 4}),
        ({"none": [{"field": "domain", "any_of": ["gz.gov.cn"]}]}, {3, 4, 5}),
        (
            {
                "all": [
                    {"field": "sections", "any_of": ["policy"]},
                    {"any": [{"field": "tag", "any_of": ["专家"]}]},
                ]
            },
            {1},
        ),
        (
            {"any": [{"field": "tag", "any_of": ["专家"]}, {"field": "cadence", "any_of": ["monthly"]}]},
            {1, 4, 5},
        ),
    ],
)
async def test_every_condition(
    five: Database, clock: HandClock, rule: dict[str, Any], expected: set[int]
) -> None:
    assert await who(five, clock, Target(segments=[{"name": "x", "rule": rule}])) == expected
    left_out = await who(five, clock, Target(excluded_segments=[{"name": "x", "rule": rule}]))
    assert left_out == {1, 2, 3, 4, 5} - expected  # nobody is in neither: no condition is ever unknown
    async with five.read() as session:
        assert await segments.count_of(session, clock, "dsj", rule) == len(expected)


@pytest.mark.parametrize(
    "rule",
    [
        None,
        [],
        {},
        {"field": "email", "any_of": ["a"]},
        {"field": "tag", "any_of": []},
        {"field": "tag", "any_of": ["a"], "sql": "1=1"},
        {"field": "joined"},
        {"field": "sections", "any_of": ["nichts"]},
        {"all": []},
        {"all": [{"field": "tag"}]},
        {"all": [{"all": [{"all": [{"all": [{"all": [{"all": [{"field": "tag", "any_of": ["a"]}]}]}]}]}]}]},
        {"any": [{"field": "tag", "any_of": ["a"]}] * 51},
        {"field": "attribute", "any_of": ["a"]},
        {"field": "last_opened", "within_days": 0},
    ],
)
def test_what_is_no_rule_is_refused_in_words(rule: object) -> None:
    with pytest.raises(SegmentError) as error:
        read_rule(rule, DSJ)
    assert str(error.value)


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["field", "any_of", "all", "any", "none", "name", "x"]), inner, max_size=3
        )
    ),
    max_leaves=20,
)


@given(json)
def test_anything_is_a_rule_or_refused(rule: object) -> None:
    try:
        read_rule(rule, DSJ)
    except SegmentError:
        return


async def test_segments_are_kept_by_name_and_copied_into_targets(five: Database, clock: HandClock) -> None:
    rule = {"field": "tag", "any_of": ["专家"]}
    async with five.write() as session:
        await segments.save_segment(session, clock, DSJ, " 专家组 ", rule)
        target = await read_target(session, segments=["专家组"])
        await segments.save_segment(session, clock, DSJ, "专家组", {"field": "tag", "any_of": ["无人"]})
        sizes = await segments.segment_sizes(session, clock, "dsj")
    assert [(size.name, size.people) for size in sizes] == [("专家组", 0)]
    assert await who(five, clock, target) == {1, 4}
    async with five.write() as session:
        await segments.remove_segment(session, "专家组")
        with pytest.raises(NotFoundError, match="专家组"):
            await read_target(session, segments=["专家组"])
        with pytest.raises(SegmentError):
            await segments.save_segment(session, clock, DSJ, "", rule)
    assert await who(five, clock, target) == {1, 4}


async def test_lists_and_segments_add_up_and_exclusion_wins(five: Database, clock: HandClock) -> None:
    extra = readers(1)
    await import_csv(five, clock, DSJ, extra, list_name="部委", origin_name="t.csv")
    named = [{"name": "专家", "rule": {"field": "tag", "any_of": ["专家"]}}]
    assert await who(five, clock, Target(lists=["部委"], segments=named)) == {1, 4, 6}
    assert await who(five, clock, Target(lists=["部委"], segments=named, excluded_lists=["部委"])) == {1, 4}
    wechat = [{"name": "微信", "rule": {"field": "channel", "any_of": ["wechat"]}}]
    assert await who(five, clock, Target(segments=named, excluded_segments=wechat)) == {1}


async def test_who_left_a_list_is_known_and_not_reached(five: Database, clock: HandClock) -> None:
    await import_csv(five, clock, DSJ, readers(2), list_name="部委", origin_name="t.csv")
    async with five.write() as session:
        found = await lists.find_list(session, "部委")
        assert found.id is not None
        clock.move(hours=1)
        assert await lists.leave_list(session, clock, found.id, [6], reason="page:too_often") == 1
        assert await lists.leave_list(session, clock, found.id, [6], reason="page") == 0
    assert await who(five, clock, Target(lists=["部委"])) == {7}
    async with five.write() as session:
        assert [size.members for size in await lists.list_sizes(session)] == [1]
        clock.move(hours=1)
        await lists.join_list(session, clock, found.id, [6], Proof("admin", "again"))
        rows = [membership for _, membership in await lists.memberships(session, 6)]
    assert [(row.leave_reason, row.left_at is None) for row in rows] == [
        ("page:too_often", False),
        ("", True),
    ]
    assert await who(five, clock, Target(lists=["部委"])) == {6, 7}


def test_a_targets_name_is_the_same_for_the_same_target() -> None:
    assert Target().name == ""
    assert Target(lists=["乙", "甲"]).name == Target(lists=["甲", "乙"]).name
    one = Target(lists=["甲"], excluded_lists=["乙"])
    assert one.name != Target(lists=["乙"], excluded_lists=["甲"]).name
    assert len(Target(lists=["名" * 100]).name) <= 64
