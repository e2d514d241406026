"""The calendar of what is to be sent, by a token: what it may not see is not in it; nothing changed is 304."""

import datetime as dt

from icalendar import Calendar
from tests.integration.web.api.conftest import Api

from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.bulletins.models import BulletinDraft
from bdnews_dispatch.dispatch.starting import start_issue


async def titles(api: Api) -> list[str]:
    response = await api.ask("GET", "/calendar.ics")
    assert response.status == 200
    assert response.content_type == "text/calendar"
    calendar = Calendar.from_ical(await response.read())
    assert isinstance(calendar, Calendar)
    return [str(event["SUMMARY"]) for event in calendar.events]


async def test_a_program_reads_what_its_token_may(api: Api) -> None:
    site, now = api.site, api.site.clock()
    issue = await site.publish()
    async with site.database.write() as session:
        await start_issue(session, site.clock, issue, at=now + dt.timedelta(days=2))
        session.add(
            BulletinDraft(
                publication="dsj",
                title="停电",
                body="x",
                at=now + dt.timedelta(days=1),
                created_at=now,
                changed_at=now,
            )
        )
    everything = await titles(api)
    assert "快讯草稿：停电" in everything
    assert "总第112期《大数据发展动态》（待开始）" in everything
    assert sum("每周一封的读者" in title for title in everything) == 26, "half a year"
    small = await api.may(Right.DISPATCHES_READ)
    assert set(everything) - set(await titles(small)) == {"快讯草稿：停电"}
    assert (await (await api.may(Right.BULLETINS_READ)).ask("GET", "/calendar.ics")).status == 403


async def test_what_has_not_changed_is_not_sent_again(api: Api) -> None:
    first = await api.ask("GET", "/calendar.ics")
    tag = first.headers["ETag"]
    assert (await api.ask("GET", "/calendar.ics", headers={"If-None-Match": tag})).status == 304
    await api.site.send(await api.site.publish())
    again = await api.ask("GET", "/calendar.ics", headers={"If-None-Match": tag})
    assert again.status == 200
    assert again.headers["ETag"] != tag
    assert (await api.ask("GET", "/calendar.ics?x=1")).status == 422
