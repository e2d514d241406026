"""The email channel against real servers: the sandbox's, and one that says what the test wants."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bdnews_dispatch.channels.email import EmailChannel, OutgoingMail, ReplyRules, on_the_wire
from bdnews_dispatch.channels.email import pool as pool_module
from bdnews_dispatch.channels.outcome import Outcome, OutcomeKind, Remedy
from bdnews_dispatch.clock import system_clock
from bdnews_dispatch.errors import ChannelError
from bdnews_dispatch.sandbox import MailFault, Sandbox, scripted_relay
from bdnews_dispatch.sandbox.scripted_relay import ScriptedRelay
from bdnews_dispatch.settings import EmailSettings, load_settings

RULES = ReplyRules.load()
BODY = (
    "Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n大数据发展动态\r\n.\r\n..第6期\r\n".encode()
)


def settings(address: tuple[str, int], **values: Any) -> EmailSettings:
    given = {"host": address[0], "port": address[1], "timeout_seconds": 5.0, "final_timeout_seconds": 5.0}
    return load_settings({}, overrides={"email": {**given, **values}}).email


def mail(number: int = 1, *, recipient: str = "reader@example.cn", content: bytes = BODY) -> OutgoingMail:
    def choose(eight_bit: bool) -> bytes:
        return on_the_wire(content) if eight_bit else b"Subject: x\r\n\r\nascii\r\n"

    return OutgoingMail(number, f"b+{number}@bounce.example", recipient, choose)


class Gate:
    """Counts how often it was asked."""

    def __init__(self, *answers: bool) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self) -> bool:
        self.asked += 1
        return self.answers.pop(0) if self.answers else True


@pytest.fixture(params=[True, False], ids=["pipelined", "stepwise"], autouse=True)
def pipelining(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Every test, with a relay that takes commands in groups and with one that does not."""
    offered = [name for name in scripted_relay.EXTENSIONS if request.param or name != "PIPELINING"]
    monkeypatch.setattr(scripted_relay, "EXTENSIONS", tuple(offered))
    return bool(request.param)


@pytest.fixture
async def box(tmp_path: Path, pipelining: bool) -> AsyncIterator[Sandbox]:
    async with Sandbox(
        smtp_host="127.0.0.1",
        smtp_port=0,
        http_host="127.0.0.1",
        http_port=0,
        folder=tmp_path,
        clock=system_clock,
    ) as sandbox:
        sandbox.faults.pipelining = pipelining
        yield sandbox


@pytest.fixture
async def channel(box: Sandbox) -> AsyncIterator[EmailChannel]:
    async with EmailChannel(settings(box.smtp_address), RULES) as email:
        yield email


async def test_a_mail_arrives_byte_for_byte(box: Sandbox, channel: EmailChannel) -> None:
    outcome = await channel.send(mail(7), Gate())
    assert (outcome.kind, outcome.code, outcome.mode) == (OutcomeKind.ACCEPTED, "250", "smtp")
    (kept,) = box.mails()
    assert kept.content == BODY
    assert (kept.sender, kept.recipients) == ("b+7@bounce.example", ("reader@example.cn",))
    assert outcome.reference == "00000001"


async def test_many_at_once_each_once(box: Sandbox, channel: EmailChannel) -> None:
    outcomes = await asyncio.gather(
        *(channel.send(mail(n, recipient=f"r{n}@example.cn"), Gate()) for n in range(200))
    )
    assert {outcome.kind for outcome in outcomes} == {OutcomeKind.ACCEPTED}
    assert sorted(kept.recipients[0] for kept in box.mails()) == sorted(
        f"r{n}@example.cn" for n in range(200)
    )


async def test_a_closed_gate_sends_no_dot_and_the_next_mail_goes_out(
    box: Sandbox, channel: EmailChannel
) -> None:
    assert (await channel.send(mail(1), Gate(False))).kind is OutcomeKind.GATE_CLOSED
    assert (await channel.send(mail(2), Gate())).kind is OutcomeKind.ACCEPTED
    assert [kept.sender for kept in box.mails()] == ["b+2@bounce.example"]


async def test_behind_a_closed_gate_the_connection_is_gone() -> None:
    async with ScriptedRelay() as relay, EmailChannel(settings(relay.address), RULES) as channel:
        await channel.send(mail(1), Gate(False))
        await channel.send(mail(2), Gate())
    assert [[command.split(" ")[0] for command in commands] for commands in relay.connections] == [
        ["EHLO", "MAIL", "RCPT", "DATA"],
        ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"],
    ]
    assert len(relay.bodies) == 1


async def test_behind_a_refusal_the_same_connection_goes_on_with_rset() -> None:
    answers = {"RCPT": ["550 5.1.1 no"]}
    async with (
        ScriptedRelay(answers=answers) as relay,
        EmailChannel(settings(relay.address), RULES) as channel,
    ):
        await channel.send(mail(1), Gate())
        await channel.send(mail(2), Gate())
    (commands,) = relay.connections
    verbs = [command.split(" ")[0] for command in commands]
    assert verbs[-5:] == ["RSET", "MAIL", "RCPT", "DATA", "QUIT"]
    assert len(relay.bodies) == 1


async def test_a_relay_that_says_354_without_a_recipient_gets_a_lone_dot() -> None:
    answers = {"RCPT": ["550 5.1.1 no"], "DATA": ["354 go"]}
    async with (
        ScriptedRelay(answers=answers) as relay,
        EmailChannel(settings(relay.address), RULES) as channel,
    ):
        first = await channel.send(mail(1), Gate())
        second = await channel.send(mail(2), Gate())
    assert (first.kind, second.kind) == (OutcomeKind.REFUSED, OutcomeKind.ACCEPTED)
    # RFC 2920 §3.1. A stepwise client has not said DATA at all.
    assert [body for body in relay.bodies if body != b".\r\n"] == relay.bodies[-1:]


async def test_the_dot_travels_with_the_next_envelope(pipelining: bool) -> None:
    """Two mails over one line: what the relay saw is the same, whatever went together."""
    async with (
        ScriptedRelay() as relay,
        EmailChannel(settings(relay.address), RULES) as channel,
        channel.line() as line,
    ):
        first, second = line.prepare(mail(1)), line.prepare(mail(2))
        assert not isinstance(first, Outcome)
        assert not isinstance(second, Outcome)
        assert await line.offer(first) is None
        assert (await line.finish(second)).kind is OutcomeKind.ACCEPTED
        seen = [command.split(" ")[0] for command in relay.connections[0]]
        assert await line.offer(second) is None
        assert (await line.finish()).kind is OutcomeKind.ACCEPTED
        (commands,) = relay.connections
    assert [c.split(" ")[0] for c in commands][:7] == ["EHLO", *["MAIL", "RCPT", "DATA"] * 2]
    assert (len(seen) > 4) == pipelining  # by then the next envelope had come, too
    assert len(relay.bodies) == 2


async def test_replies_out_of_order_send_one_command_at_a_time_from_then_on() -> None:
    answers = {"MAIL": ["354 what"]}
    async with (
        ScriptedRelay(answers=answers) as relay,
        EmailChannel(settings(relay.address), RULES) as channel,
    ):
        first = await channel.send(mail(1), Gate())
        second = await channel.send(mail(2), Gate())
        kind = await _line_kind(channel)
    assert (first.kind, first.code) == (OutcomeKind.DEFERRED, "reply.malformed")
    assert second.kind is OutcomeKind.ACCEPTED
    assert kind == "StepwiseLine"
    assert len(relay.bodies) == 1


async def _line_kind(channel: EmailChannel) -> str:
    async with channel.line() as line:
        return type(line).__name__


async def test_the_gate_is_asked_once_and_only_when_all_but_the_dot_is_out(
    box: Sandbox, channel: EmailChannel
) -> None:
    box.faults.on_mail(MailFault("gone@*", reply="550 5.1.1 User unknown"))
    refused, taken = Gate(), Gate()
    await channel.send(mail(1, recipient="gone@example.cn"), refused)
    await channel.send(mail(2), taken)
    assert (refused.asked, taken.asked) == (0, 1)


async def test_a_gate_that_fails_sends_nothing(box: Sandbox, channel: EmailChannel) -> None:
    async def broken() -> bool:
        raise RuntimeError("database away")

    with pytest.raises(RuntimeError):
        await channel.send(mail(1), broken)
    assert (await channel.send(mail(2), Gate())).kind is OutcomeKind.ACCEPTED
    assert len(box.mails()) == 1


@pytest.mark.parametrize(
    ("fault", "kind", "remedy"),
    [
        (MailFault("*", reply="450 4.2.1 later"), OutcomeKind.DEFERRED, Remedy.NONE),
        (MailFault("*", reply="550 5.1.1 reader@example.cn unknown"), OutcomeKind.REFUSED, Remedy.SUPPRESS),
        (MailFault("*", reply="550 Domain frequency limited"), OutcomeKind.DEFERRED, Remedy.NONE),
        (MailFault("*", at="data", reply="451 4.3.0 not now"), OutcomeKind.DEFERRED, Remedy.NONE),
        (MailFault("*", at="data", reply="554 no"), OutcomeKind.REFUSED, Remedy.NONE),
        (MailFault("*", at="body", reply="452 4.3.1 full"), OutcomeKind.DEFERRED, Remedy.NONE),
        (MailFault("*", at="body", reply="552 5.2.2 over quota"), OutcomeKind.REFUSED, Remedy.NONE),
        (MailFault("*", at="body", reply="554 5.7.1 spam"), OutcomeKind.REFUSED, Remedy.NONE),
        (MailFault("*", at="body", reply="421 4.3.2 going down"), OutcomeKind.DEFERRED, Remedy.NONE),
        (MailFault("*", at="rcpt", drop="command"), OutcomeKind.DEFERRED, Remedy.NONE),
        (MailFault("*", at="data", drop="command"), OutcomeKind.DEFERRED, Remedy.NONE),
        (MailFault("*", at="body", drop="dot", keep=False), OutcomeKind.UNCERTAIN, Remedy.NONE),
    ],
    ids=lambda value: f"{value.at}-{value.reply or value.drop}" if isinstance(value, MailFault) else None,
)
async def test_refusals_and_drops(
    box: Sandbox, channel: EmailChannel, fault: MailFault, kind: OutcomeKind, remedy: Remedy
) -> None:
    box.faults.on_mail(fault)
    outcome = await channel.send(mail(), Gate())
    assert (outcome.kind, outcome.remedy) == (kind, remedy)
    assert "reader@example.cn" not in outcome.text
    assert box.mails() == []
    box.faults.clear()
    assert (await channel.send(mail(), Gate())).kind is OutcomeKind.ACCEPTED


async def test_a_drop_behind_the_dot_is_in_doubt_and_the_mail_may_be_there(
    box: Sandbox, channel: EmailChannel
) -> None:
    box.faults.on_mail(MailFault("*", at="body", drop="dot", times=1))
    assert (await channel.send(mail(), Gate())).kind is OutcomeKind.UNCERTAIN
    assert len(box.mails()) == 1


async def test_a_fifth_refused_for_now_is_sent_in_the_end(box: Sandbox, channel: EmailChannel) -> None:
    box.faults.on_mail(MailFault("*", reply="451 4.7.1 Greylisted", every=5, times=20))
    waiting = list(range(100))
    for _ in range(10):
        outcomes = await asyncio.gather(
            *(channel.send(mail(n, recipient=f"r{n}@example.cn"), Gate()) for n in waiting)
        )
        waiting = [
            n for n, outcome in zip(waiting, outcomes, strict=True) if outcome.kind is OutcomeKind.DEFERRED
        ]
    assert waiting == []
    assert len(box.mails()) == len({kept.recipients for kept in box.mails()}) == 100


async def test_no_answer_behind_the_dot_is_in_doubt(box: Sandbox) -> None:
    box.faults.on_mail(MailFault("*", at="body", delay_seconds=30))
    async with EmailChannel(settings(box.smtp_address, final_timeout_seconds=0.1), RULES) as channel:
        outcome = await channel.send(mail(), Gate())
    assert (outcome.kind, outcome.code) == (OutcomeKind.UNCERTAIN, "timeout.final")


async def test_no_answer_before_the_message_is_not_in_doubt(box: Sandbox) -> None:
    box.faults.on_mail(MailFault("*", at="rcpt", delay_seconds=30))
    async with EmailChannel(settings(box.smtp_address, timeout_seconds=0.1), RULES) as channel:
        outcome = await channel.send(mail(), Gate())
    assert (outcome.kind, outcome.code) == (OutcomeKind.DEFERRED, "timeout.rcpt")


@pytest.mark.fault(12)
@pytest.mark.parametrize(
    ("verb", "drip", "kind"),
    [
        ("EHLO", "250-x", OutcomeKind.UNAVAILABLE),
        ("EHLO", "250-x\r\n", OutcomeKind.UNAVAILABLE),
        ("MAIL", "250-x", OutcomeKind.DEFERRED),
        ("RCPT", "250-x\r\n", OutcomeKind.DEFERRED),
        ("DATA", "354-x", OutcomeKind.DEFERRED),
        ("DOT", "250-x\r\n", OutcomeKind.UNCERTAIN),
    ],
)
async def test_a_relay_that_drips_holds_a_connection_no_longer_than_a_silent_one(
    verb: str, drip: str, kind: OutcomeKind
) -> None:
    """An octet now and then is no answer: the time for one is not begun again by it."""
    loop = asyncio.get_running_loop()
    async with (
        ScriptedRelay(answers={verb: [f"DRIP {drip}"]}) as relay,
        EmailChannel(
            settings(relay.address, timeout_seconds=0.3, final_timeout_seconds=0.3), RULES
        ) as channel,
    ):
        began = loop.time()
        async with asyncio.timeout(10):
            outcome = await channel.send(mail(), Gate())
        assert outcome.kind is kind
        assert loop.time() - began < 2
        assert (await channel.send(mail(2), Gate())).kind is OutcomeKind.ACCEPTED


async def test_a_relay_that_stops_reading_has_not_seen_the_dot() -> None:
    big = b"Subject: x\r\n\r\n" + b"x" * 900 + b"\r\n" + (b"y" * 900 + b"\r\n") * 20_000
    async with (
        ScriptedRelay(read_body=False, extensions=("8BITMIME", *scripted_relay.EXTENSIONS[:-2])) as relay,
        EmailChannel(
            settings(relay.address, timeout_seconds=0.3, final_timeout_seconds=0.3), RULES
        ) as channel,
    ):
        outcome = await channel.send(mail(content=big), Gate())
    assert outcome.kind is OutcomeKind.DEFERRED
    assert outcome.code in {"timeout.body", "timeout.final"}


async def test_an_answer_nobody_understands_behind_the_dot_is_in_doubt() -> None:
    async with (
        ScriptedRelay(answers={"DOT": ["garbage", "354 what"]}) as relay,
        EmailChannel(settings(relay.address), RULES) as channel,
    ):
        kinds = [(await channel.send(mail(n), Gate())).kind for n in range(3)]
    assert kinds == [OutcomeKind.UNCERTAIN, OutcomeKind.UNCERTAIN, OutcomeKind.ACCEPTED]


async def test_connections_are_shared_bounded_and_renewed() -> None:
    async with (
        ScriptedRelay() as relay,
        EmailChannel(settings(relay.address, connections=2, messages_per_connection=5), RULES) as channel,
    ):
        outcomes = await asyncio.gather(*(channel.send(mail(n), Gate()) for n in range(20)))
    assert {outcome.kind for outcome in outcomes} == {OutcomeKind.ACCEPTED}
    assert len(relay.connections) == 4
    assert all(sum(c.startswith("MAIL") for c in commands) == 5 for commands in relay.connections)
    assert all(commands[-1] == "QUIT" for commands in relay.connections)


async def test_a_connection_the_relay_closed_meanwhile_is_replaced_without_a_word() -> None:
    async with ScriptedRelay(close_after=1) as relay, EmailChannel(settings(relay.address), RULES) as channel:
        for number in range(3):
            gate = Gate()
            assert (await channel.send(mail(number), gate)).kind is OutcomeKind.ACCEPTED
            assert gate.asked == 1
    assert len(relay.bodies) == len(relay.connections) == 3


async def test_a_connection_that_stood_idle_is_asked_before_it_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool_module, "IDLE_CHECK_SECONDS", 0.0)
    async with (
        ScriptedRelay(answers={"RSET": ["250 ok", "421 too long"]}) as relay,
        EmailChannel(settings(relay.address), RULES) as channel,
    ):
        for number in range(3):
            assert (await channel.send(mail(number), Gate())).kind is OutcomeKind.ACCEPTED
    assert [
        [c.split(" ")[0] for c in commands if c.startswith(("RSET", "MAIL"))]
        for commands in relay.connections
    ] == [
        ["MAIL", "RSET", "MAIL", "RSET"],
        ["MAIL"],
    ]


async def test_cancelled_in_the_middle_the_connection_is_not_used_again() -> None:
    async with (
        ScriptedRelay(read_body=False) as relay,
        EmailChannel(settings(relay.address), RULES) as channel,
    ):
        reached = asyncio.Event()

        async def gate() -> bool:
            reached.set()
            return True

        task = asyncio.create_task(channel.send(mail(1), gate))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        relay.read_body = True
        assert (await channel.send(mail(2), Gate())).kind is OutcomeKind.ACCEPTED
    assert len(relay.connections) == 2
    assert len(relay.bodies) == 1


async def send_to(relay: ScriptedRelay, letter: OutgoingMail) -> Outcome:
    async with EmailChannel(settings(relay.address), RULES) as channel:
        return await channel.send(letter, Gate())


async def test_eight_bit_only_where_it_is_offered() -> None:
    async with ScriptedRelay(extensions=("8BITMIME",)) as modern, ScriptedRelay(extensions=("SIZE",)) as old:
        assert (await send_to(modern, mail())).kind is OutcomeKind.ACCEPTED
        assert (await send_to(old, mail())).kind is OutcomeKind.ACCEPTED
    assert any("BODY=8BITMIME" in command for command in modern.connections[0])
    assert "大数据".encode() in modern.bodies[0]
    assert not any("BODY=" in command for command in old.connections[0])
    assert old.bodies[0].isascii()


async def test_smtputf8_only_where_it_is_needed_and_offered() -> None:
    async with (
        ScriptedRelay(extensions=("8BITMIME",)) as old,
        ScriptedRelay(extensions=("8BITMIME", "SMTPUTF8")) as new,
    ):
        refused = await send_to(old, mail(recipient="读者@example.cn"))
        taken = await send_to(new, mail(recipient="读者@example.cn"))
        by_domain = await send_to(old, mail(recipient="reader@大数据.中国"))
    assert (refused.kind, refused.code) == (OutcomeKind.REFUSED, "address.smtputf8")
    assert taken.kind is by_domain.kind is OutcomeKind.ACCEPTED
    assert any(command.endswith("SMTPUTF8") for command in new.connections[0])
    assert any(command.startswith("RCPT TO:<reader@xn--") for command in old.connections[1])


@pytest.mark.parametrize("address", ["a@b.cn\r\nDATA", "a b@c.cn", "", "a@b.cn> SIZE=1", "x\x00@b.cn"])
async def test_a_bad_address_never_reaches_the_relay(address: str) -> None:
    async with ScriptedRelay() as relay:
        as_recipient = await send_to(relay, mail(recipient=address))
        as_sender = await send_to(relay, OutgoingMail(1, address, "reader@example.cn", lambda _: BODY))
    assert as_recipient.code == as_sender.code == "address.invalid"
    assert not any(command.startswith("MAIL") for commands in relay.connections for command in commands)


async def test_a_bare_line_feed_never_goes_out() -> None:
    async with ScriptedRelay() as relay:
        outcome = await send_to(relay, mail(content=b"Subject: x\r\n\r\na\n.\r\nMAIL FROM:<x@y>\r\n"))
    assert (outcome.kind, outcome.code) == (OutcomeKind.REFUSED, "message.line_ending")
    assert relay.bodies == []


async def test_a_relay_that_is_away_is_unavailable_not_the_mails_fault() -> None:
    async with ScriptedRelay() as relay:
        address = relay.address
    gate = Gate()
    async with EmailChannel(settings(address), RULES) as channel:
        outcome = await channel.send(mail(), gate)
        with pytest.raises(ChannelError, match="连不上邮件中继") as caught:
            await channel.check()
    assert (outcome.kind, outcome.code, outcome.remedy) == (
        OutcomeKind.UNAVAILABLE,
        "connect.refused",
        Remedy.NONE,
    )
    assert gate.asked == 0
    assert "email.port" in caught.value.hint


async def test_a_relay_that_does_not_want_us() -> None:
    async with ScriptedRelay(greeting="554 no thanks") as relay:
        outcome = await send_to(relay, mail())
    assert (outcome.kind, outcome.code) == (OutcomeKind.UNAVAILABLE, "554")


async def test_a_wrong_password_stops_the_channel() -> None:
    answers = {"AUTH": ["535 5.7.8 bad"]}
    async with (
        ScriptedRelay(extensions=("AUTH PLAIN",), answers=answers) as relay,
        EmailChannel(settings(relay.address, username="u", password="secret"), RULES) as channel,
    ):
        outcome = await channel.send(mail(), Gate())
    assert (outcome.kind, outcome.code, outcome.remedy) == (
        OutcomeKind.UNAVAILABLE,
        "auth.failed",
        Remedy.STOP_CHANNEL,
    )
    assert "secret" not in outcome.text


async def test_no_way_to_sign_in_is_said() -> None:
    async with (
        ScriptedRelay() as relay,
        EmailChannel(settings(relay.address, username="u", password="p"), RULES) as channel,
    ):
        outcome = await channel.send(mail(), Gate())
    assert (outcome.code, outcome.remedy) == ("auth.not_offered", Remedy.STOP_CHANNEL)
    assert not any(command.startswith("MAIL") for command in relay.connections[0])


async def test_check_tells_what_the_relay_is(box: Sandbox, channel: EmailChannel) -> None:
    said = await channel.check()
    assert "sandbox.bdnews.example" in said
    assert "8BITMIME" in said
    assert box.mails() == []
