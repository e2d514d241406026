"""A browser on one machine follows a dispatch that runs on another: two processes, one PostgreSQL."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect, sync_playwright
from tests.acceptance.conftest import Machine
from tests.acceptance.test_crashes import World, started
from tests.browser.conftest import ARGUMENTS, find_chromium
from tests.ports import free_port
from tests.postgres import database_url

NUMBER = 300


@pytest.fixture
def world(machine: Machine) -> Iterator[World]:
    machine.environment |= {
        "BDNEWS_DATABASE__URL": database_url(str(machine.folder)),
        "BDNEWS_SECURITY__SIGNING_KEYS": '["test:only-for-tests-and-long-enough-for-a-key"]',
    }
    world = World(machine, connections=2)
    world.answers_after(0.05)
    yield world
    machine.stop_all()
    world.process.kill()
    world.process.wait()


@pytest.mark.skipif(find_chromium() is None, reason="no Chromium found")
def test_a_page_of_node_a_follows_what_node_b_sends(machine: Machine, world: World) -> None:
    port = free_port()
    dispatch = started(machine, NUMBER)
    machine.environment["BDNEWS_OPERATIONS__PORT"] = str(port)
    machine.start("web")  # node A shows and sends nothing
    machine.environment["BDNEWS_OPERATIONS__PORT"] = "0"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        page = browser.new_page()
        failures: list[str] = []
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.on("console", lambda said: failures.append(said.text) if said.type == "error" else None)
        page.goto(f"http://127.0.0.1:{port}/dispatches")
        page.get_by_role("link", name=dispatch, exact=True).click()
        state, done = page.locator("[data-show=state]"), page.locator("[data-show=done]")
        expect(state).to_have_text("待开始")
        worker = machine.start("worker")  # node B
        expect(state).to_have_text("发送中", timeout=30_000)
        expect(page.locator("[data-show=speed]")).to_contain_text("每秒", timeout=20_000)
        expect(done).not_to_have_text("0", timeout=20_000)
        half = int(done.inner_text())
        machine.stop(worker)
        machine.start("worker")  # B ends, and C goes on
        expect(state).to_have_text("已结束", timeout=60_000)
        assert 0 < half < NUMBER
        expect(done).to_have_text(str(NUMBER))
        browser.close()
    assert failures == []
