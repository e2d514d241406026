"""Logs: every line inside the work on a delivery names it, and no line names a person."""

import asyncio
import json
import logging
import sys

import pytest
from aiohttp.http_exceptions import LineTooLong

from bdnews_dispatch.telemetry import set_up_logs
from bdnews_dispatch.telemetry.logs import OfDispatch, carried, carry

log = logging.getLogger("bdnews_dispatch.test")


@pytest.fixture(autouse=True)
def _root_as_before() -> object:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    carry(None)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


async def test_lines_carry_what_their_own_task_works_on(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("debug", "json")
    met = asyncio.Barrier(2)

    async def lane(delivery: int) -> None:
        carry(OfDispatch(7, delivery))
        await met.wait()  # both are in the middle of theirs
        log.info("lane.works")
        await asyncio.create_task(aside())

    async def aside() -> None:
        log.info("lane.aside")

    async with asyncio.TaskGroup() as group:
        group.create_task(lane(1))
        group.create_task(lane(2))
    log.info("outside")
    found = lines(capsys)
    for event in ("lane.works", "lane.aside"):
        assert {(line["dispatch"], line["delivery"]) for line in found if line["event"] == event} == {
            (7, 1),
            (7, 2),
        }
    assert "dispatch" not in found[-1]


def test_a_dispatch_as_a_whole_has_no_delivery_and_a_lines_own_field_wins(
    capsys: pytest.CaptureFixture[str],
) -> None:
    set_up_logs("info", "json")
    carry(OfDispatch(7))
    assert carried() == {"dispatch": 7}
    log.info("planning")
    log.info("other", extra={"dispatch": 8})
    first, second = lines(capsys)
    assert (first["dispatch"], "delivery" in first, second["dispatch"]) == (7, False, 8)


@pytest.mark.parametrize("form", ["text", "json"])
def test_somebody_elses_words_are_masked(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("info", form)
    words = (
        '550 \n"a@b.example"\n<lin@readers.example>: unknown; 何静@读者.example oReaderHeJing000000000000001'
    )

    def fails() -> None:
        raise ValueError(words)

    try:
        fails()
    except ValueError as error:
        log.exception("relay.said", extra={"error": str(error), "delivery": 12})
    text = capsys.readouterr().err
    assert "b.example" not in text
    assert "readers.example" not in text
    assert "读者.example" not in text
    assert "oReader" not in text
    assert "unknown" in text
    assert "12" in text
    if form == "json":
        assert set(json.loads(text)) >= {"event", "error", "traceback"}


def test_the_text_form_names_them_too(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("info", "text")
    carry(OfDispatch(7, 3))
    log.info("lane.works")
    assert capsys.readouterr().err.rstrip().endswith("lane.works dispatch=7 delivery=3")
    assert sys.stderr is not None


def test_what_a_stranger_sends_that_is_no_http_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logs("info", "json")
    server = logging.getLogger("aiohttp.server")

    def told(error: Exception) -> str:
        server.error("Error handling request from %s", "192.0.2.7", exc_info=error)
        return capsys.readouterr().err

    theirs = LineTooLong("x" * 9000, 8190)
    assert told(theirs) == ""
    assert "ValueError" in told(ValueError("ours"))
    server.setLevel("INFO")
    try:
        line = told(theirs)
    finally:
        server.setLevel("NOTSET")
    assert "LineTooLong" in line
    assert "xxx" not in line
    assert "Traceback" not in line
