"""Limits by provider hold on the way to a real relay, and hold nobody else up."""

from collections import Counter
from pathlib import Path

import pytest
from tests.making import open_station

from bdnews_dispatch.channels.email.limits import Limit, Limits
from bdnews_dispatch.sandbox.scripted_relay import EXTENSIONS, ScriptedRelay


@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelined", "stepwise"])
async def test_so_many_messages_over_one_connection(
    tmp_path: Path, pipelining: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = Limits(providers={"few.example": Limit("few", messages_per_connection=3, connections=2)})
    monkeypatch.setattr(Limits, "load", lambda _file=None: few)
    people = [f"r{n}@{'few' if n % 2 else 'free'}.example" for n in range(60)]
    rows = "email,sections,channel,cadence\n" + "".join(f"{p},policy,email,issue\n" for p in people)
    extensions = [name for name in EXTENSIONS if pipelining or name != "PIPELINING"]
    async with ScriptedRelay(extensions=extensions) as relay:
        email = {"host": relay.address[0], "port": relay.address[1], "connections": 3, "timeout_seconds": 5}
        async with open_station(tmp_path, email=email, delivery={"allow": "everybody"}) as station:
            await station.people(rows.encode())
            dispatch = await station.start(await station.publish())
            async with station.worker():
                counts = (await station.until(dispatch, seconds=30))["counts"]
    assert counts["sent"] == counts["sent"] + counts["failed"] + counts["uncertain"] == 60
    assert len(relay.bodies) == 60
    for commands in relay.connections:
        to = Counter(command.partition("@")[2] for command in commands if command.startswith("RCPT"))
        assert to["few.example>"] <= 3
        assert sum(command.startswith("MAIL") for command in commands) == to.total()
    assert not any(b"QUIT" in body for body in relay.bodies)
    received = [
        command for commands in relay.connections for command in commands if command.startswith("RCPT")
    ]
    assert len(set(received)) == len(received) == 60
