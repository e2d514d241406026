"""A fault at every step of the SMTP dialogue, and what the ledger says of the delivery then.

With a relay that takes commands in groups and with one that does not. What failed before the final dot is never in
doubt; what got no answer behind it always is; and no byte of a mail leaves in the clear where TLS is asked for.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests.making import Station, document, open_station, readers

from bdnews_dispatch.db.engine import Backend
from bdnews_dispatch.dispatch.ledger import Ledger
from bdnews_dispatch.dispatch.ledger_store import CardGate, Claim
from bdnews_dispatch.sandbox.scripted_relay import EXTENSIONS, ScriptedRelay, certificate, server_context

REFUSALS = ["421", "450", "451", "452", "550", "552", "554"]
STEPS = ["MAIL", "RCPT", "DATA", "DOT"]


def expected(code: str) -> str:
    return "deferred" if code.startswith("4") else "failed"


CASES: list[tuple[Mapping[str, Sequence[str]], str]] = [
    *(({step: [f"{code} 4.0.0 x"]}, expected(code)) for code in REFUSALS for step in STEPS),
    *(({step: ["DROP"]}, "deferred") for step in STEPS[:3]),
    ({"BODY": ["DROP"]}, "deferred"),
    ({"DOT": ["DROP"]}, "uncertain"),
    *(({step: ["HALF 25"]}, "deferred") for step in STEPS[:3]),
    ({"DOT": ["HALF 250 2.0"]}, "uncertain"),
    *(({step: ["SILENCE"]}, "deferred") for step in STEPS[:3]),
    ({"DOT": ["SILENCE"]}, "uncertain"),
    ({"MAIL": ["354 go"]}, "deferred"),
    ({"RCPT": ["354 go"]}, "deferred"),
    ({"DATA": ["250 ok"]}, "deferred"),
    ({"DOT": ["354 go"]}, "uncertain"),
    ({"DOT": ["nonsense"]}, "uncertain"),
]


@asynccontextmanager
async def sending_to(folder: Path, relay: ScriptedRelay, **email: Any) -> AsyncIterator[tuple[Station, int]]:
    """One reader, one mail, a worker that sends it to the relay and tries nothing again."""
    settings = {
        "host": relay.address[0],
        "port": relay.address[1],
        "timeout_seconds": 0.5,
        "final_timeout_seconds": 0.5,
        **email,
    }
    delivery = {"allow": "everybody", "retry_first_seconds": 3600}
    async with open_station(folder, email=settings, delivery=delivery) as station:
        await station.people(readers(1))
        dispatch = await station.start(await station.publish())
        async with station.worker():
            yield station, dispatch


async def ended(station: Station, dispatch: int) -> str:
    """The state of its only delivery once it is neither waiting nor under way."""
    async with asyncio.timeout(20):
        while True:
            found = await station.deliveries(dispatch)
            if found and found[0].state not in {"planned", "claimed", "in_flight"}:
                return str(found[0].state)
            await asyncio.sleep(0.01)


def behind(relay: ScriptedRelay, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate opens once the relay has hung up: a dot that crosses with the end of the connection is in doubt."""
    gate = Ledger.gate

    async def late(ledger: Ledger, claim: Claim, card: CardGate | None = None) -> bool:
        may = await gate(ledger, claim, card)
        await relay.closed_by_us.wait()
        await asyncio.sleep(0.05)  # until the worker's own end has seen it
        return may

    monkeypatch.setattr(Ledger, "gate", late)


@pytest.mark.fault(8, 9, 10, 11)
@pytest.mark.database("sqlite")
@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelined", "stepwise"])
@pytest.mark.parametrize(
    ("answers", "state"), CASES, ids=lambda value: str(dict(value)) if isinstance(value, Mapping) else None
)
async def test_a_fault_at_a_step(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answers: Mapping[str, Sequence[str]],
    state: str,
    pipelining: bool,
) -> None:
    extensions = [name for name in EXTENSIONS if pipelining or name != "PIPELINING"]
    async with (
        ScriptedRelay(extensions=extensions, answers=answers) as relay,
        sending_to(tmp_path, relay) as (station, dispatch),
    ):
        if "BODY" in answers:
            behind(relay, monkeypatch)
        assert await ended(station, dispatch) == state
    whole = [body for body in relay.bodies if len(body) > 3]  # a lone dot is no mail
    # In doubt, the relay has the whole mail or an answer was lost behind it; else it never had more than one try.
    assert len(whole) == ("DOT" in answers)


@pytest.mark.fault(13)
@pytest.mark.database("sqlite")
@pytest.mark.parametrize(
    ("email", "relay"),
    [
        ({"security": "starttls"}, {"extensions": ["PIPELINING", "8BITMIME"]}),
        ({"security": "starttls"}, {"extensions": ["STARTTLS"], "answers": {"STARTTLS": ["554 no"]}}),
        ({"username": "u", "password": "p"}, {"extensions": ["AUTH PLAIN"], "answers": {"AUTH": ["535 no"]}}),
        ({"security": "tls", "host": "127.0.0.1"}, {"tls_at_once": True}),
        ({"security": "starttls"}, {"extensions": ["STARTTLS"]}),
    ],
    ids=["stripped", "refused", "auth", "certificate", "certificate behind starttls"],
)
async def test_where_the_relay_cannot_be_trusted_nothing_is_said(
    tmp_path: Path, email: dict[str, Any], relay: dict[str, Any]
) -> None:
    """The certificate is nobody's that this machine knows. The dispatch is paused, with words, and nothing is lost."""
    relay |= {"tls": server_context(certificate(tmp_path))}
    async with (
        ScriptedRelay(**relay) as scripted,
        sending_to(tmp_path, scripted, **email) as (station, dispatch),
    ):
        shown = await station.until(dispatch, "paused", seconds=20)
        assert shown["note"]
        async with asyncio.timeout(5):
            while (shown := await station.show(dispatch))["counts"]["planned"] != 1:
                await asyncio.sleep(0.01)
        assert b"MAIL" not in scripted.plaintext
        assert scripted.bodies == []


@pytest.mark.fault(19)
@pytest.mark.parametrize("pipelining", [True, False])
async def test_a_poisoned_reader_fails_alone(tmp_path: Path, pipelining: bool, backend: Backend) -> None:
    """Names and addresses that no mail can hold, and one that the relay refuses: the others get theirs."""
    names = [
        "a\r\nBcc: v@x.example\r\n\r\nbody",
        "\x07" if backend is Backend.POSTGRESQL else "\x00\x07",  # PostgreSQL itself takes no NUL
        "长" * (100 if backend is Backend.POSTGRESQL else 10_000),  # and nothing longer than the column
        "👨‍👩‍👧‍👦🇨🇳",
        "\u202egnp.exe\u2066",
        "<script>alert(1)</script>",
        "",
    ]
    extensions = [name for name in EXTENSIONS if pipelining or name != "PIPELINING"]
    refused = "refused@readers.example"
    async with (
        ScriptedRelay(extensions=extensions) as relay,
        sending_to(tmp_path, relay) as (station, dispatch),
    ):
        await station.until(dispatch)
        await station.people(readers(len(names) + 3, start=2))
        async with station.parts.database.write() as session:
            for number, name in enumerate(names, start=2):
                await session.execute(
                    text("UPDATE subscriber SET name = :n WHERE id = :i"), {"n": name, "i": number}
                )
            bad = {"bad": "x@y\r\nDATA.example", "i": 9}
            await session.execute(text("UPDATE subscriber SET email = :bad WHERE id = :i"), bad)
            await session.execute(text("UPDATE subscriber SET email = :e WHERE id = 10"), {"e": refused})
        relay.refused_recipients = {refused}
        again = await station.start(await station.publish(document(113)))
        counts = (await station.until(again, seconds=30))["counts"]
        states = {d.subscriber_id: (str(d.state), d.reason) for d in await station.deliveries(again)}
    assert states[9] == ("failed", "address.invalid") or states[9][1] == "content.invalid"
    assert states[10] == ("failed", "550")
    assert counts["sent"] == len(states) - 2
    assert all(b"\r\nBcc:" not in body for body in relay.bodies)
