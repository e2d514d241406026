"""Reports in the console: what people did, machines apart; files; who may look."""

import csv
from io import BytesIO

import pytest
from python_calamine import CalamineWorkbook
from sqlmodel import col, select
from tests.integration.reports.test_reading import keeper, touch
from tests.integration.web.console.conftest import Desk, somebody
from tests.integration.web.readers_site import Site, words

from bdnews_dispatch.accounts.rights import Role
from bdnews_dispatch.dispatch.models import Delivery
from bdnews_dispatch.dispatch.states import DeliveryState
from bdnews_dispatch.tracking.models import HitKind

ROOM = "/console/reports"


@pytest.fixture
async def counted(site: Site, sent: list[Delivery]) -> Delivery:
    """One reader opened and clicked; it is counted."""
    async with site.database.read() as session:
        statement = select(Delivery).where(Delivery.state == DeliveryState.SENT).order_by(col(Delivery.id))
        one = (await session.exec(statement)).first()
    assert one is not None
    site.clock.move(hours=1)
    await touch(site, one.key, HitKind.OPEN)
    await touch(site, one.key, HitKind.CLICK, 1)
    await keeper(site).count(one.dispatch_id)
    return one


async def test_a_dispatch_with_all_its_sides(desk: Desk, counted: Delivery) -> None:
    text = words(await desk.page(f"{ROOM}/{counted.dispatch_id}"))
    for said in (
        "打开率",
        "点击率",
        "渠道",
        "栏目",
        "国策要论",
        "点击最多的链接",
        "首次打开",
    ):
        assert said in text, said
    index = words(await desk.page(ROOM))
    assert "各次发送" in index
    assert "订阅者的增减" in index
    assert "这段时间没有发送过" in words(await desk.page(f"{ROOM}?since=2001-01-01&until=2001-02-01"))
    for nonsense in ("?since=x&until=9999-99-99", "?publication=none", "?since=0001-01-01"):
        await desk.page(f"{ROOM}{nonsense}")


async def test_files(desk: Desk, counted: Delivery) -> None:
    text = await desk.get(f"{ROOM}/{counted.dispatch_id}/report.csv")
    rows = list(csv.reader((await text.text()).lstrip("\ufeff").splitlines()))
    assert rows[0][:3] == ["按", "值", "计划"]
    book = await desk.get(f"{ROOM}/{counted.dispatch_id}/report.xlsx")
    sheet = CalamineWorkbook.from_filelike(BytesIO(await book.read())).get_sheet_by_index(0).to_python()
    assert len(sheet) == len(rows)
    for path in ("report.exe", "x.csv", "reportcsv"):
        assert (await desk.get(f"{ROOM}/{counted.dispatch_id}/{path}")).status == 404
    assert (await desk.get(f"{ROOM}/999")).status == 404


@pytest.mark.parametrize("role", list(Role))
async def test_everybody_with_a_role_may_read_reports(site: Site, counted: Delivery, role: Role) -> None:
    desk = await somebody(site, role)
    assert (await desk.get(f"{ROOM}/{counted.dispatch_id}")).status == 200
    assert (await desk.get(f"{ROOM}/{counted.dispatch_id}/report.csv")).status == 200


async def test_nobody_else_may(site: Site, counted: Delivery) -> None:
    for path in (ROOM, f"{ROOM}/{counted.dispatch_id}", f"{ROOM}/{counted.dispatch_id}/report.csv"):
        answer = await site.client.get(path, allow_redirects=False)
        assert (answer.status, answer.headers["Location"].startswith("/console/sign-in")) == (303, True)
