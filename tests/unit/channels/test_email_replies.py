"""What refusals mean, by the rules that ship."""

from pathlib import Path

import pytest

from bdnews_dispatch.channels.email.replies import ReplyRules, Stage, redact
from bdnews_dispatch.channels.outcome import OutcomeKind, Remedy
from bdnews_dispatch.errors import SettingsError

RULES = ReplyRules.load()
DEFERRED, REFUSED, UNAVAILABLE = OutcomeKind.DEFERRED, OutcomeKind.REFUSED, OutcomeKind.UNAVAILABLE
NONE, SUPPRESS, STOP = Remedy.NONE, Remedy.SUPPRESS, Remedy.STOP_CHANNEL


@pytest.mark.parametrize(
    ("code", "text", "stage", "kind", "remedy"),
    [
        # QQ says 550 where it means "slower".
        (550, "Domain frequency limited. http://service.mail.qq.com/cgi-bin/help", "rcpt", DEFERRED, NONE),
        (550, "Sender frequency limited", "body", DEFERRED, NONE),
        (550, "Ip frequency limited", "mail", DEFERRED, NONE),
        (550, "Connection frequency limited", "mail", DEFERRED, NONE),
        (550, "Connection denied", "mail", DEFERRED, NONE),
        (550, "Mailbox unavailable or access denied", "rcpt", DEFERRED, NONE),
        (550, "Mailbox not found. http://service.mail.qq.com/cgi-bin/help", "rcpt", REFUSED, SUPPRESS),
        (550, "Mail content denied", "body", REFUSED, NONE),
        (550, "Mail is rejected by recipients", "body", REFUSED, NONE),
        (550, "Suspected spam ip", "mail", REFUSED, NONE),
        # NetEase.
        (421, "HL:REP 163 smtp5,xxx", "mail", DEFERRED, NONE),
        (450, "MI:CEL 163 smtp5", "mail", DEFERRED, NONE),
        (450, "RP:DRC 163 smtp5", "rcpt", DEFERRED, NONE),
        (451, "DT:SPM 163 smtp5, please try again", "body", DEFERRED, NONE),
        (451, "MI:SFQ 163 smtp5", "mail", DEFERRED, NONE),
        (
            554,
            "DT:SPM 163 smtp5,xx, please see http://mail.163.com/help/help_spam_16.htm",
            "body",
            REFUSED,
            NONE,
        ),
        (554, "MI:STC 163 smtp5", "mail", DEFERRED, NONE),
        (554, "HL:IPB 163", "mail", REFUSED, NONE),
        (550, "User not found: zhangsan@163.com", "rcpt", REFUSED, SUPPRESS),
        # Everybody.
        (450, "4.2.0 Greylisted, try again in 300 seconds", "rcpt", DEFERRED, NONE),
        (452, "4.2.2 Mailbox full", "rcpt", DEFERRED, NONE),
        (552, "5.2.2 Over quota", "rcpt", REFUSED, NONE),
        (552, "5.3.4 Message size exceeds fixed limit", "mail", REFUSED, NONE),
        (550, "5.1.1 <a@b.example>: Recipient address rejected: User unknown", "rcpt", REFUSED, SUPPRESS),
        (550, "No such user here", "body", REFUSED, SUPPRESS),
        (550, "", "rcpt", REFUSED, SUPPRESS),
        (550, "5.7.1 Message rejected as spam", "body", REFUSED, NONE),
        (554, "5.7.1 Client host blocked using zen.spamhaus.org", "rcpt", REFUSED, NONE),
        (421, "4.7.28 Our system has detected an unusual rate of unsolicited mail", "body", DEFERRED, NONE),
        (499, "what is this", "rcpt", DEFERRED, NONE),
        (599, "what is this", "mail", REFUSED, NONE),
        # Our own relay refuses us: nobody's address is at fault.
        (553, "Mail from must equal authorized user", "mail", UNAVAILABLE, STOP),
        (501, "mail from address must be same as authorization user", "mail", UNAVAILABLE, STOP),
        (530, "5.7.0 Authentication required", "mail", UNAVAILABLE, STOP),
        (554, "5.7.1 <a@b.example>: Relay access denied", "rcpt", UNAVAILABLE, STOP),
    ],
)
def test_meaning(code: int, text: str, stage: str, kind: OutcomeKind, remedy: Remedy) -> None:
    outcome = RULES.classify(code, text, Stage(stage))
    assert (outcome.kind, outcome.remedy, outcome.code) == (kind, remedy, str(code))


def test_a_rate_says_how_long_and_for_whom() -> None:
    outcome = RULES.classify(550, "Domain frequency limited", Stage.RCPT)
    assert (outcome.retry_after, outcome.scope, outcome.rule) == (3600, "domain", "qq.frequency")


def test_accepted_names_the_queue() -> None:
    outcome = RULES.classify(250, "2.0.0 Ok: queued as 4XyZ12", Stage.BODY)
    assert (outcome.kind, outcome.reference) == (OutcomeKind.ACCEPTED, "4XyZ12")
    assert RULES.classify(250, "OK id=1rABC-0001-XY", Stage.BODY).reference == "1rABC-0001-XY"
    assert RULES.classify(250, "Mail OK queued as smtp5,EMCow 170000", Stage.BODY).reference == "smtp5"


def test_no_address_stays_in_the_text() -> None:
    text = "5.1.1 <Zhang.San@163.com>: user zhang.san (ZHANG.SAN@163.com) unknown"
    assert redact(text, "zhang.san@163.com") == "5.1.1 <…>: user … (<…>) unknown"


def test_what_no_database_takes_is_mended() -> None:
    gb = "用户不存在".encode("gb18030").decode("utf-8", "surrogateescape")
    assert redact(gb) == "用户不存在"
    assert redact("a\x00b\r\nc\u2028d") == "a b c d"
    assert len(redact("x" * 2000)) == 500
    redact("\udcff\udc80 broken").encode()


def test_every_rule_names_its_source() -> None:
    assert all(rule.source and rule.name for rule in RULES.rules)
    assert len({rule.name for rule in RULES.rules}) == len(RULES.rules)


@pytest.mark.parametrize(
    "wrong",
    [
        '[[rule]]\nname = "bad"\ncodes = ["550"]\nmeans = "nonsense"\nscope = "x"\nsource = "s"\n',
        '[[rule]]\nname = "bad"\ncodes = ["550"]\ntext = "("\nmeans = "rate"\nscope = "x"\nsource = "s"\n',
        '[[rule]]\nname = "bad"\nmeans = "rate"\nscope = "x"\nsource = "s"\n',
        '[[rule]]\nname = "bad"\ncodes = ["550"]\nmeans = "rate"\nscope = "x"\nsource = "s"\nstage = "rcpt"\n',
    ],
)
def test_a_wrong_rule_is_named(tmp_path: Path, wrong: str) -> None:
    file = tmp_path / "providers.toml"
    file.write_text(wrong, encoding="utf-8")
    with pytest.raises(SettingsError, match="bad"):
        ReplyRules.load(file)
