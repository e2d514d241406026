# ruff: noqa: E501  # other servers' words stand as they wrote them
"""Mails that came back, shaped as real ones are, written for this project: who says what in which words.

Each is (name, message, kind, verdict). Addresses and hosts are made up.
"""

import base64
from collections.abc import Iterator

OURS = "b+6b03901081973c0cac70e842.65d7a263d63f0f369e06@digest.example"
READER = "reader@mail.example"


def dsn(
    who: str,
    diagnostic: str,
    *,
    status: str = "5.0.0",
    action: str = "failed",
    subject: str = "Undelivered Mail Returned to Sender",
    words: str = "I'm sorry to have to inform you that your message could not be delivered.",
) -> bytes:
    """RFC 3464, as Postfix, Exim ≥ 4.88, Exchange and Gmail write it."""
    return (
        f"From: {who}\r\nTo: {OURS}\r\nSubject: {subject}\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b1"\r\n\r\n'
        f"--b1\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{words}\r\n\r\n"
        "--b1\r\nContent-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; relay.example\r\nArrival-Date: Mon, 23 Nov 2026 09:00:00 +0800\r\n\r\n"
        f"Final-Recipient: rfc822; {READER}\r\nAction: {action}\r\nStatus: {status}\r\n"
        f"Diagnostic-Code: smtp; {diagnostic}\r\n\r\n"
        "--b1\r\nContent-Type: message/rfc822\r\n\r\n"
        f"From: digest@bdnews.example\r\nTo: {READER}\r\nSubject: =?utf-8?b?6Ieq5Yqo5Zue5aSN?=\r\n\r\nhello\r\n--b1--\r\n"
    ).encode()


def plain(
    who: str, subject: str, text: str, *, charset: str = "utf-8", more: str = "", html: bool = False
) -> bytes:
    """No report: words alone."""
    coded = base64.encodebytes(text.encode(charset)).decode().replace("\n", "\r\n")
    head = subject
    if not subject.isascii():
        head = f"=?{charset}?b?{base64.b64encode(subject.encode(charset)).decode()}?="
    kind = "html" if html else "plain"
    return (
        f"From: {who}\r\nTo: {OURS}\r\nSubject: {head}\r\n{more}MIME-Version: 1.0\r\n"
        f"Content-Type: text/{kind}; charset={charset}\r\nContent-Transfer-Encoding: base64\r\n\r\n{coded}"
    ).encode()


def arf(feedback: str, who: str = "abuse@provider.example") -> bytes:
    """RFC 5965."""
    return (
        f"From: {who}\r\nTo: {OURS}\r\nSubject: FW: issue\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=feedback-report; boundary="f"\r\n\r\n'
        "--f\r\nContent-Type: text/plain\r\n\r\nThis is an email abuse report.\r\n"
        f"--f\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: {feedback}\r\n"
        "User-Agent: SomeGenerator/1.0\r\nVersion: 1\r\n\r\n"
        "--f\r\nContent-Type: message/rfc822\r\n\r\nFrom: digest@bdnews.example\r\nSubject: x\r\n\r\ny\r\n--f--\r\n"
    ).encode()


_POSTFIX = "MAILER-DAEMON@relay.example (Mail Delivery System)"
_QQ = "QQMail <postmaster@qq.example>"
_163 = "Postmaster@163.example"
_EXCHANGE = "Microsoft Outlook <MicrosoftExchange329@corp.example>"
_GMAIL = "Mail Delivery Subsystem <mailer-daemon@googlemail.example>"

Sample = tuple[str, bytes, str, str]


def samples() -> Iterator[Sample]:
    """All of them."""
    # Postfix and what it quotes.
    yield (
        "postfix.unknown",
        dsn(_POSTFIX, "550 5.1.1 <r@x>: Recipient address rejected: User unknown", status="5.1.1"),
        "bounce",
        "hard",
    )
    yield "postfix.full", dsn(_POSTFIX, "552 5.2.2 mailbox full", status="5.2.2"), "bounce", "soft"
    yield (
        "postfix.host",
        dsn(_POSTFIX, "Host or domain name not found. Name service error", status="5.4.4"),
        "bounce",
        "soft",
    )
    yield (
        "postfix.expired",
        dsn(_POSTFIX, "connect to mx.example[192.0.2.1]:25: Connection timed out", status="4.4.1"),
        "bounce",
        "soft",
    )
    yield (
        "postfix.delay",
        dsn(
            _POSTFIX,
            "451 4.3.0 try later",
            status="4.3.0",
            action="delayed",
            subject="Delayed Mail (still being retried)",
        ),
        "delayed",
        "",
    )
    yield (
        "postfix.delivered",
        dsn(
            _POSTFIX,
            "250 2.0.0 ok",
            status="2.0.0",
            action="relayed",
            subject="Successful Mail Delivery Report",
        ),
        "delivered",
        "",
    )
    yield (
        "postfix.spf",
        dsn(_POSTFIX, "550 5.7.23 SPF validation failed", status="5.7.23"),
        "bounce",
        "blocked",
    )
    yield (
        "postfix.spam",
        dsn(_POSTFIX, "554 5.7.1 Message rejected as spam", status="5.7.1"),
        "bounce",
        "blocked",
    )
    yield (
        "postfix.null_mx",
        dsn(_POSTFIX, "Domain does not accept mail (nullMX)", status="5.1.10"),
        "bounce",
        "hard",
    )
    # QQ.
    yield (
        "qq.dsn.unknown",
        dsn(
            _QQ,
            "550 Mailbox not found. http://service.mail.qq.com/cgi-bin/help?id=169",
            status="5.0.0",
            subject="系统退信",
        ),
        "bounce",
        "hard",
    )
    yield (
        "qq.frequency",
        dsn(_QQ, "550 Domain frequency limited [x]. https://service.mail.qq.com/detail/122/172"),
        "bounce",
        "blocked",
    )
    yield "qq.ip", dsn(_QQ, "550 Ip frequency limited [192.0.2.9 IP: 192.0.2.9]"), "bounce", "blocked"
    yield (
        "qq.words.unknown",
        plain(
            _QQ,
            "系统退信",
            "很抱歉，您的邮件被退回。\n收件人：reader@qq.example\n退信原因：收件人邮箱地址不存在\n550 Mailbox not found. https://service.mail.qq.com",
        ),
        "bounce",
        "hard",
    )
    yield (
        "qq.words.gbk",
        plain(
            _QQ,
            "系统退信",
            "您的邮件无法送达。远程主机回应：550 Mail content denied. http://service.mail.qq.com",
            charset="gb18030",
        ),
        "bounce",
        "blocked",
    )
    yield (
        "qq.rejected",
        dsn(_QQ, "550 Mail is rejected by recipients. https://service.mail.qq.com/detail/122/162"),
        "bounce",
        "blocked",
    )
    yield (
        "qq.html",
        plain(
            _QQ,
            "退信通知",
            "<style>p{}</style><p>该邮箱已停用</p><p>550 The mailbox is a deactivated mailbox</p>",
            html=True,
        ),
        "bounce",
        "hard",
    )
    # NetEase.
    yield (
        "163.unknown",
        plain(
            _163,
            "系统退信/Systems bounce",
            "以下收件人不存在：reader@163.example\nUser not found: reader@163.example\nSMTP error, RCPT TO: 550 User not found: reader@163.example",
        ),
        "bounce",
        "hard",
    )
    yield (
        "163.spm",
        plain(_163, "系统退信", "对方服务器拒绝：554 DT:SPM 163 smtp12,abc 邮件内容包含未被许可的信息"),
        "bounce",
        "blocked",
    )
    yield (
        "163.quota",
        plain(_163, "系统退信", "退信原因：554 5.2.2 对方邮箱容量已满 mailbox full"),
        "bounce",
        "soft",
    )
    yield "163.ip", dsn(_163, "554 HL:IPB 163 mx9 192.0.2.1 http://mail.163.com/help"), "bounce", "blocked"
    yield "163.delay", plain(_163, "投递延迟通知", "您的邮件尚未送达，系统正在重试。", more=""), "delayed", ""
    # Exchange and Outlook.
    yield (
        "exchange.unknown",
        dsn(
            _EXCHANGE,
            "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
            status="5.1.10",
            subject="Undeliverable: issue",
        ),
        "bounce",
        "hard",
    )
    yield (
        "exchange.full",
        dsn(
            _EXCHANGE,
            "554 5.2.2 STOREDRV.Deliver; mailbox full",
            status="5.2.2",
            subject="Undeliverable: issue",
        ),
        "bounce",
        "soft",
    )
    yield (
        "exchange.disabled",
        dsn(_EXCHANGE, "550 5.2.1 Mailbox disabled, not accepting messages", status="5.2.1"),
        "bounce",
        "hard",
    )
    yield (
        "exchange.restricted",
        dsn(_EXCHANGE, "550 5.7.124 RESOLVER.RST.SenderNotAuthenticatedForGroup", status="5.7.124"),
        "bounce",
        "blocked",
    )
    yield (
        "exchange.chinese",
        plain(
            _EXCHANGE,
            "未送达: 本周动态",
            "找不到您输入的电子邮件地址。请检查收件人。\n#550 5.1.1 RESOLVER.ADR.RecipNotFound; not found ##",
        ),
        "bounce",
        "hard",
    )
    yield (
        "exchange.ooo",
        plain(
            "李老师 <li@corp.example>",
            "自动回复: 本周动态",
            "我在出差，12 月 1 日返回。",
            more="Auto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\n",
        ),
        "auto_reply",
        "",
    )
    # Gmail.
    yield (
        "gmail.unknown",
        dsn(
            _GMAIL,
            "550-5.1.1 The email account that you tried to reach does not exist.",
            status="5.1.1",
            subject="Delivery Status Notification (Failure)",
        ),
        "bounce",
        "hard",
    )
    yield (
        "gmail.over_quota",
        dsn(_GMAIL, "552-5.2.2 The email account that you tried to reach is over quota", status="5.2.2"),
        "bounce",
        "soft",
    )
    yield (
        "gmail.rate",
        dsn(_GMAIL, "421-4.7.28 Gmail has detected an unusual rate of mail", status="4.7.28"),
        "bounce",
        "blocked",
    )
    yield (
        "gmail.policy",
        dsn(_GMAIL, "550-5.7.26 This mail is unauthenticated, which poses a security risk", status="5.7.26"),
        "bounce",
        "blocked",
    )
    yield (
        "gmail.delay",
        dsn(
            _GMAIL,
            "The recipient server did not accept our requests to connect",
            status="4.4.1",
            action="delayed",
            subject="Delivery Status Notification (Delay)",
        ),
        "delayed",
        "",
    )
    yield (
        "gmail.words",
        plain(
            _GMAIL,
            "Delivery Status Notification (Failure)",
            "Delivery to the following recipient failed permanently:\n\n  r@gmail.example\n\nThe error that the other server returned was: 550 5.1.1 no such user",
        ),
        "bounce",
        "hard",
    )
    # Others.
    yield (
        "qmail",
        plain(
            "MAILER-DAEMON@old.example",
            "failure notice",
            "Hi. This is the qmail-send program at old.example.\n<r@old.example>:\nSorry, no mailbox here by that name. (#5.1.1)",
        ),
        "bounce",
        "hard",
    )
    yield (
        "exim",
        plain(
            "Mail Delivery System <Mailer-Daemon@exim.example>",
            "Mail delivery failed: returning message to sender",
            "A message that you sent could not be delivered.\n  r@exim.example\n    SMTP error from remote mail server after RCPT TO: 550 unknown user",
        ),
        "bounce",
        "hard",
    )
    yield (
        "exim.by_its_own_headers",
        plain(
            "Mail Delivery System <Mailer-Daemon@exim.example>",
            "Mail delivery failed: returning message to sender",
            "A message that you sent could not be delivered.\n  r@exim.example\n    SMTP error from remote mail server after RCPT TO: 550 5.1.1 unknown user",
            more="Auto-Submitted: auto-replied\r\nX-Failed-Recipients: r@exim.example\r\n",
        ),
        "bounce",
        "hard",
    )
    yield (
        "sina.words",
        plain(
            "系统退信 <postmaster@sina.example>",
            "退信：本周动态",
            "收件人拒收。554 5.7.1 blocked by blacklist",
        ),
        "bounce",
        "blocked",
    )
    yield (
        "no_words",
        plain(
            "postmaster@corp.example",
            "Returned mail: see transcript for details",
            "The message could not be delivered.",
        ),
        "bounce",
        "soft",
    )
    # Complaints.
    yield "arf.abuse", arf("abuse"), "complaint", ""
    yield "arf.fraud", arf("fraud"), "complaint", ""
    yield "arf.opt_out", arf("opt-out"), "unsubscribe", ""
    yield "arf.not_spam", arf("not-spam"), "unknown", ""
    # Machines of readers.
    yield (
        "vacation.rfc3834",
        plain("r@x.example", "Re: issue", "I am away.", more="Auto-Submitted: auto-replied\r\n"),
        "auto_reply",
        "",
    )
    yield (
        "vacation.gmail",
        plain(
            "r@x.example",
            "Out of office Re: issue",
            "Back on Monday.",
            more="Precedence: bulk\r\nX-Autoreply: yes\r\n",
        ),
        "auto_reply",
        "",
    )
    yield (
        "vacation.foxmail",
        plain("王 <w@x.example>", "自动回复：本周动态", "您好，来信已收到，我会尽快回复您。"),
        "auto_reply",
        "",
    )
    yield (
        "vacation.about_bounces",
        plain("Postmaster <postmaster@x.example>", "自动回复：系统退信说明", "550 5.1.1"),
        "auto_reply",
        "",
    )
    yield (
        "receipt",
        (
            f"From: r@x.example\r\nTo: {OURS}\r\nSubject: Read: issue\r\nMIME-Version: 1.0\r\n"
            'Content-Type: multipart/report; report-type=disposition-notification; boundary="m"\r\n\r\n'
            "--m\r\nContent-Type: text/plain\r\n\r\nread\r\n--m\r\nContent-Type: message/disposition-notification\r\n\r\n"
            "Disposition: manual-action/MDN-sent-manually; displayed\r\n\r\n--m--\r\n"
        ).encode(),
        "auto_reply",
        "",
    )
    yield (
        "challenge.boxbe",
        plain(
            "r@x.example", "Re: issue (verify your address)", "Please visit boxbe.com to deliver this message"
        ),
        "challenge",
        "",
    )
    yield (
        "challenge.chinese",
        plain("r@corp.example", "请点击链接放行您的邮件", "点击以下链接完成验证"),
        "challenge",
        "",
    )
    yield (
        "a_person",
        plain("r@x.example", "Re: 本周动态", "编辑部你好，第 550 期的附件能再发一次吗？"),
        "unknown",
        "",
    )
