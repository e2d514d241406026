"""The sandbox's mail server, by a client that knows nothing of it, and by raw sockets where that is too polite."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import aiosmtplib
import pytest

from bdnews_dispatch.errors import BdnewsError
from bdnews_dispatch.sandbox import MailFault, Sandbox

AT = datetime(2022, 11, 11, 1, 0, tzinfo=UTC)
MESSAGE = "Subject: =?utf-8?b?5aSn5pWw5o2u?=\r\nTo: a@example.cn\r\n\r\n正文\r\n.\r\n..\r\n".encode()


def sandbox(folder: Path, *, smtp_port: int = 0, http_port: int = 0) -> Sandbox:
    return Sandbox(
        smtp_host="127.0.0.1",
        smtp_port=smtp_port,
        http_host="127.0.0.1",
        http_port=http_port,
        folder=folder,
        clock=lambda: AT,
    )


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Sandbox]:
    async with sandbox(tmp_path) as running:
        yield running


def client(box: Sandbox) -> aiosmtplib.SMTP:
    host, port = box.smtp_address
    return aiosmtplib.SMTP(
        hostname=host, port=port, start_tls=False, local_hostname="test.example", timeout=5
    )


async def test_a_mail_is_kept_as_it_came(box: Sandbox, tmp_path: Path) -> None:
    async with client(box) as smtp:
        await smtp.sendmail(
            "b+1@bounce.example", ["a@example.cn", "b@example.cn"], MESSAGE, mail_options=["BODY=8BITMIME"]
        )
    (kept,) = box.mails()
    assert kept.content == MESSAGE
    assert (kept.sender, kept.recipients) == ("b+1@bounce.example", ("a@example.cn", "b@example.cn"))
    assert (kept.subject, kept.at, kept.size) == ("大数据", AT, len(MESSAGE))
    assert sorted(file.name for file in (tmp_path / "mail").iterdir()) == ["00000001.eml", "00000001.json"]


async def test_what_is_offered(box: Sandbox) -> None:
    async with client(box) as smtp:
        await smtp.ehlo()
        assert smtp.supports_extension("8bitmime")
        assert smtp.supports_extension("smtputf8")
        assert smtp.esmtp_extensions["size"] == str(30 * 1024 * 1024)
        with pytest.raises(aiosmtplib.SMTPSenderRefused, match="552"):
            await smtp.mail("a@example.cn", options=[f"SIZE={31 * 1024 * 1024}"])
        await smtp.mail("发信@example.cn", options=["SMTPUTF8"], encoding="utf-8")
        await smtp.rcpt("读者@example.cn", encoding="utf-8")
        await smtp.rset()


async def test_mails_are_there_after_a_restart_and_ids_go_on(tmp_path: Path) -> None:
    async with sandbox(tmp_path) as first, client(first) as smtp:
        await smtp.sendmail("s@example.cn", ["a@example.cn"], MESSAGE)
    (tmp_path / "mail" / "00000002.json").write_text("{broken", encoding="utf-8")
    async with sandbox(tmp_path) as second:
        assert [mail.content for mail in second.mails()] == [MESSAGE]
        async with client(second) as smtp:
            await smtp.sendmail("s@example.cn", ["b@example.cn"], MESSAGE)
        assert [mail.id for mail in second.mails()] == [1, 2]
        second.clear()
        assert second.mails() == []
        async with client(second) as smtp:
            await smtp.sendmail("s@example.cn", ["c@example.cn"], MESSAGE)
        assert [mail.id for mail in second.mails()] == [3]


async def test_only_crlf_dot_crlf_ends_a_message(box: Sandbox) -> None:
    """SMTP smuggling (CVE-2024-27305): LF.LF, LF.CRLF and CR.CR in a message must not start another."""
    reader, writer = await asyncio.open_connection(*box.smtp_address)
    for line in (b"EHLO x", b"MAIL FROM:<s@example.cn>", b"RCPT TO:<a@example.cn>", b"DATA"):
        writer.write(line + b"\r\n")
    smuggled = b"MAIL FROM:<evil@example.cn>\r\nRCPT TO:<b@example.cn>\r\nDATA\r\nx"
    for end in (b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\r\n.\r"):
        writer.write(b"text" + end + smuggled)
    writer.write(b"\r\n.\r\nQUIT\r\n")
    async with asyncio.timeout(5):
        await reader.read()
    writer.close()
    await writer.wait_closed()
    assert [mail.recipients for mail in box.mails()] == [("a@example.cn",)]


async def test_a_client_can_wait_for_mail(box: Sandbox) -> None:
    waiting = asyncio.create_task(box.arrived(mails=1))
    async with client(box) as smtp:
        await smtp.sendmail("s@example.cn", ["a@example.cn"], MESSAGE)
    await waiting
    with pytest.raises(TimeoutError):
        await box.arrived(mails=2, timeout_seconds=0.01)


async def test_faults_at_the_recipient(box: Sandbox) -> None:
    fault = box.faults.on_mail(MailFault("*@qq.com", reply="550 Domain frequency limited", times=1))
    async with client(box) as smtp:
        await smtp.mail("s@example.cn")
        await smtp.rcpt("other@example.cn")
        with pytest.raises(aiosmtplib.SMTPRecipientRefused, match="frequency"):
            await smtp.rcpt("A@QQ.com")
        await smtp.rcpt("a@qq.com")
        await smtp.rset()
    assert fault.hits == 1


@pytest.mark.parametrize(
    ("fault", "kept"),
    [
        (MailFault("*", at="rcpt", drop="command"), 0),
        (MailFault("*", at="data", drop="command"), 0),
        (MailFault("*", at="body", drop="body"), 0),
        (MailFault("*", at="body", drop="dot", keep=False), 0),
        (MailFault("*", at="body", drop="dot"), 1),
    ],
    ids=["rcpt", "data", "body", "dot-lost", "dot-kept"],
)
async def test_dropped_connections(box: Sandbox, fault: MailFault, kept: int) -> None:
    box.faults.on_mail(fault)
    smtp = client(box)
    await smtp.connect()
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await smtp.sendmail("s@example.cn", ["a@example.cn"], MESSAGE)
    smtp.close()
    assert fault.hits == 1
    assert len(box.mails()) == kept


async def test_every_nth(box: Sandbox) -> None:
    box.faults.on_mail(MailFault("*", at="body", reply="451 4.3.0 later", every=5))
    refused = 0
    async with client(box) as smtp:
        for _ in range(20):
            try:
                await smtp.sendmail("s@example.cn", ["a@example.cn"], MESSAGE)
            except aiosmtplib.SMTPDataError:
                refused += 1
    assert (refused, len(box.mails())) == (4, 16)


async def test_a_taken_port_is_said_with_what_to_do(box: Sandbox, tmp_path: Path) -> None:
    with pytest.raises(BdnewsError, match=str(box.smtp_address[1])) as caught:
        async with sandbox(tmp_path / "b", smtp_port=box.smtp_address[1]):
            pass
    assert "sandbox.smtp_port" in caught.value.hint
    with pytest.raises(BdnewsError) as caught:
        async with sandbox(tmp_path / "c", http_port=int(box.http_url.rpartition(":")[2])):
            pass
    assert "sandbox.http_port" in caught.value.hint


async def test_it_stops_with_clients_connected(tmp_path: Path) -> None:
    async with asyncio.timeout(5):
        async with sandbox(tmp_path) as running:
            reader, writer = await asyncio.open_connection(*running.smtp_address)
            await reader.readline()
        assert await reader.read() == b""
        writer.close()
