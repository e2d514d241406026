"""Recipients behind whom the relay falls silent: each holds its own connection; the others keep their rate."""

import asyncio
import socket
from pathlib import Path

import pytest
from tests.making import open_station

from bdnews_dispatch.channels.email.limits import Limit, Limits
from bdnews_dispatch.sandbox import MailFault

CONNECTIONS = 10
#: The relay takes so long for each mail: the rate is a matter of connections, not of this machine.
SECONDS_A_MAIL = 0.1
OTHERS = 110


async def rate(folder: Path, silent: int) -> float:
    """Mails a second of the readers elsewhere, while so many of one domain hang. Once the first has arrived."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    email = {"port": port, "connections": CONNECTIONS, "timeout_seconds": 60}
    sandbox = {"smtp_port": port}
    hanging = [f"h{n}@silent.example" for n in range(silent)]
    people = [f"r{n}@d{n}.example" for n in range(OTHERS)]
    rows = [f"{address},policy,email,issue" for address in [*hanging, *people]]
    async with open_station(folder, email=email, sandbox=sandbox, delivery={"allow": "everybody"}) as station:
        hangs = station.sandbox.faults.on_mail(MailFault("*@silent.example", delay_seconds=600))
        station.sandbox.faults.on_mail(MailFault("*", at="body", delay_seconds=SECONDS_A_MAIL))
        await station.people("\n".join(["email,sections,channel,cadence", *rows]).encode())
        await station.start(await station.publish())
        loop = asyncio.get_running_loop()
        async with station.worker() as worker:
            await station.sandbox.arrived(mails=CONNECTIONS)
            began = loop.time()
            await station.sandbox.arrived(mails=OTHERS, timeout_seconds=30)
            seconds = loop.time() - began
            assert hangs.hits == min(silent, 1), "so many connections hang, and no more"
            assert set(station.received()) == set(people)
            worker.stop()
            await station.sandbox.__aexit__(None, None, None)  # nobody waits a minute for those that hang
    return (OTHERS - CONNECTIONS) / seconds


async def keeps_its_rate(folder: Path, silent: int) -> bool:
    """Beside those who hang, four fifths of what it is alone just before: a connection that is held is held each time,
    what else this machine does is not.
    """
    for turn in range(3):
        alone = await rate(folder / f"alone{turn}", 0)
        if await rate(folder / f"beside{turn}", silent) >= 0.8 * alone:
            return True
    return False


@pytest.mark.fault(12)
async def test_who_hangs_holds_a_connection_and_the_others_keep_their_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One reader; and thirty of one provider, who have as many connections as its limit says."""
    assert await keeps_its_rate(tmp_path / "one", 1)
    one = Limits(providers={"silent.example": Limit("silent", connections=1)})
    monkeypatch.setattr(Limits, "load", lambda _file=None: one)
    assert await keeps_its_rate(tmp_path / "many", 30)
