"""python -m tests.benchmarks [--readers N]: what parts of the main job cost on this machine, as one JSON object.

Times are of this machine and this moment; compare two versions side by side, as a ratio. No test asserts one.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.making import DSJ, START, open_station, readers

from bdnews_dispatch.digests.composition import IssueEdition, compose
from bdnews_dispatch.digests.message import Headers, Slots
from bdnews_dispatch.digests.rendering import render_digest
from bdnews_dispatch.issues.parsing import parse_issue
from bdnews_dispatch.links import Links, Signer, SigningKey, random_key
from bdnews_dispatch.shipped import shipped

SAMPLE = (shipped("config") / "samples" / "dsj-sample.md").read_bytes()


def microseconds(work: Callable[[], object], *, times: int, rounds: int = 5) -> float:
    """Median over rounds of the CPU time of one call."""
    rounds_us = []
    for _ in range(rounds):
        began = time.process_time()
        for _ in range(times):
            work()
        rounds_us.append((time.process_time() - began) / times * 1e6)
    return round(statistics.median(rounds_us), 1)


def composing() -> dict[str, Any]:
    document = parse_issue(SAMPLE, DSJ)
    links = Links("https://news.example.cn", Signer([SigningKey("a", b"x" * 32)]))
    edition = IssueEdition(issue_id=1, document=document, url=links.issue("dsj", 112))
    headers = Headers(
        "大数据发展动态", "digest@news.example.cn", "dsj.news.example.cn", "1:dsj:issue:news", START
    )

    def render() -> Any:
        digest = compose(DSJ, [edition], frozenset(DSJ.section_keys), article_url=lambda e, n: f"{e.url}/{n}")
        return render_digest(digest, headers, track=True)

    variant = render()

    def slots() -> Slots:
        key = random_key(START)
        unsubscribe = links.unsubscribe(key)
        return Slots(
            recipient_name="林致远",
            recipient_address="lin@readers.example",
            message_id=f"{key}.1@news.example.cn",
            click_url=links.click(key),
            pixel_url=links.pixel(key),
            web_url=links.web_copy(key),
            preferences_url=links.preferences(key),
            unsubscribe_url=unsubscribe,
            one_click_url=unsubscribe,
            unsubscribe_mailto=f"unsubscribe+{key}@news.example.cn",
            delivery_reference=key,
        )

    one = slots()
    return {
        "parse_issue_us": microseconds(lambda: parse_issue(SAMPLE, DSJ), times=20),
        "render_variant_us": microseconds(render, times=10),
        "message_bytes_8bit": len(variant.assemble(one, eight_bit=True)),
        "slots_and_links_us": microseconds(slots, times=2000),
        "assemble_8bit_us": microseconds(lambda: variant.assemble(one, eight_bit=True), times=2000),
        "assemble_base64_us": microseconds(lambda: variant.assemble(one, eight_bit=False), times=200),
    }


async def dispatching(number: int) -> dict[str, Any]:
    """Import, plan and send to so many readers through the sandbox, which shares the processor."""
    with tempfile.TemporaryDirectory() as folder:
        async with open_station(Path(folder), email={"connections": 10}) as station:
            began = time.perf_counter()
            await station.people(readers(number))
            imported = time.perf_counter()
            taken = await station.publish(parse_issue(SAMPLE, DSJ))
            dispatch = await station.start(taken)
            cpu = time.process_time()
            started = time.perf_counter()
            async with station.worker(email={"connections": 10}):
                shown = await station.until(dispatch, seconds=600)
            ended = time.perf_counter()
            cpu = time.process_time() - cpu
            sent = shown["counts"]["sent"]
            return {
                "readers": number,
                "sent": sent,
                "import_rows_per_s": round(number / (imported - began)),
                "dispatch_messages_per_s": round(sent / (ended - started)),
                "cpu_us_a_message_with_the_sandbox": round(cpu / sent * 1e6),
            }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--readers", type=int, default=1000)
    number = arguments.parse_args().readers
    print(json.dumps({"composing": composing(), "dispatching": asyncio.run(dispatching(number))}, indent=2))  # noqa: T201


if __name__ == "__main__":
    main()
