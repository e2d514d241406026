"""A reader of whom every table knows something."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.integration.privacy.keeping import Keep
from tests.integration.privacy.searching import JING, OPENID
from tests.integration.web.readers_site import BROWSER, PEOPLE, RunningClock, Site, open_site
from tests.making import test_settings as settings_of

from bdnews_dispatch.channels.outcome import OutcomeKind
from bdnews_dispatch.db.engine import Database
from bdnews_dispatch.dispatch.models import Attempt
from bdnews_dispatch.messaging.outbox import record
from bdnews_dispatch.privacy.retention import RULES, Retention
from bdnews_dispatch.returns.models import ReturnedMail
from bdnews_dispatch.returns.reading import Kind
from bdnews_dispatch.subscribers import lists, suppressions
from bdnews_dispatch.subscribers.agreements import Proof
from bdnews_dispatch.subscribers.models import (
    Channel,
    Follower,
    SubscriberAttribute,
    SubscriberTag,
)


@pytest.fixture
async def site(database: Database, tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(database, RunningClock(), tmp_path) as site:
        yield site


@pytest.fixture
async def jing(site: Site) -> int:
    """A reader of whom every table knows something."""
    sent = await site.send(await site.publish(), PEOPLE)
    own = [delivery for delivery in sent if delivery.subscriber_id == 2]
    await site.get(site.links.pixel(own[0].key), headers={"User-Agent": f"{BROWSER} Trace/1.0"})
    await site.get(site.links.web_copy(own[0].key), headers={"User-Agent": BROWSER})
    async with site.database.write() as session:
        session.add(SubscriberTag(subscriber_id=2, tag="密级联系人"))
        session.add(SubscriberAttribute(subscriber_id=2, name="城市", value="贵阳"))
        session.add(Follower(openid=OPENID, updated_at=site.clock()))
        assert own[0].id is not None
        session.add(
            Attempt(
                delivery_id=own[0].id,
                at=site.clock(),
                outcome=OutcomeKind.ACCEPTED,
                code="250",
                text=f"2.1.5 <{JING}> ok",
                reference="he.jing-42",
            )
        )
        session.add(
            ReturnedMail(
                fingerprint="f",
                way="smtp",
                kind=Kind.AUTO_REPLY,
                delivery_id=own[0].id,
                text="何静 is away",
                raw=f"From: {JING}".encode(),
                received_at=site.clock(),
            )
        )
        await suppressions.suppress(session, site.clock, Channel.EMAIL, JING, reason="bounce", source="admin")
        await suppressions.lift(session, site.clock, Channel.EMAIL, JING, note="何静 rang")
        await suppressions.suppress(session, site.clock, Channel.EMAIL, JING, reason="bounce", source="admin")
        list_id = await lists.find_or_make_list(session, site.clock, "专家")
        await lists.join_list(session, site.clock, list_id, [2], Proof("admin", f"{JING} asked"))
        await record(session, site.clock, "wechat.pushed", "w1", kind="text", openid=OPENID, text="密")
    await site.asks(JING)
    await site.handle_events()
    return 2


@pytest.fixture
def keep(site: Site, tmp_path: Path) -> Keep:
    """Retention by these days alone; everything else is kept for ever."""

    def made(**days: int) -> Retention:
        settings = settings_of(tmp_path)
        wanted = dict.fromkeys([*RULES, "sandbox"], 0) | days
        kept = settings.retention.model_copy(update=wanted)
        return Retention(site.database, site.clock, settings.model_copy(update={"retention": kept}))

    return made
