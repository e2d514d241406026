"""Mail that came back, told apart: a table of what real servers write, and anything at all."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.returns.samples import Sample, dsn, plain, samples

from bdnews_dispatch.channels.email.replies import ReplyRules
from bdnews_dispatch.returns.free_form import FreeForm
from bdnews_dispatch.returns.reading import Kind, read_returned
from bdnews_dispatch.returns.verdicts import verdict_of

RULES, FREE_FORM = ReplyRules.load(), FreeForm.load()
ALL = list(samples())


def test_there_are_enough_of_them() -> None:
    assert len(ALL) >= 40
    assert len({name for name, *_ in ALL}) == len(ALL)


@pytest.mark.parametrize("sample", ALL, ids=[name for name, *_ in ALL])
def test_what_a_server_writes_is_understood(sample: Sample) -> None:
    _, raw, kind, verdict = sample
    returned = read_returned(raw, FREE_FORM)
    assert returned.kind.value == kind, returned
    found = verdict_of(returned, RULES)[0].value if returned.kind is Kind.BOUNCE else ""
    assert found == verdict, returned


def test_line_ends_do_not_matter() -> None:
    for name, raw, kind, _ in ALL:
        assert read_returned(raw.replace(b"\r\n", b"\n"), FREE_FORM).kind.value == kind, name


@given(st.binary(max_size=3000))
def test_any_bytes_are_read(raw: bytes) -> None:
    returned = read_returned(raw, FREE_FORM)
    if returned.kind is Kind.BOUNCE:
        verdict_of(returned, RULES)


@given(st.sampled_from(ALL), st.integers(0, 2000), st.binary(max_size=40))
def test_a_damaged_report_is_read(sample: Sample, place: int, damage: bytes) -> None:
    raw = sample[1]
    returned = read_returned(raw[:place] + damage + raw[place + len(damage) :], FREE_FORM)
    assert len(returned.text) < 10_000


def test_a_subject_that_can_not_be_decoded_is_read() -> None:
    broken = b"From: postmaster@x.example\r\nSubject: =?utf-8?b?6YCA5?=\r\n\r\n550 5.1.1 no such user\r\n"
    assert read_returned(broken, FREE_FORM).status == "5.1.1"


def _nested(depth: int) -> bytes:
    return b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(depth)
    )


#: 1–2 MB each; the worst took minutes.
COSTLY = {
    "deep": _nested(3000),
    "as deep as allowed, many lines": _nested(14) + b"\r\n" + b"\n" * 2_000_000,
    "letters within letters": b"Content-Type: message/rfc822\r\n\r\n" * 60_000,
    "wide": b'Content-Type: multipart/mixed; boundary="w"\r\n\r\n' + b"--w\r\n\r\nx\r\n" * 200_000,
    "long words": dsn("x@y.example", "550 " + "5.1.1 " * 300_000),
    "one long field": b'Content-Type: text/plain; x="' + b'\\";' * 600_000 + b"\r\n\r\nx",
    "a folded field": b"Content-Type: text/plain" + b';\r\n x="\\"' * 200_000 + b"\r\n\r\nx",
    "many fields": b"X: a\r\n" * 300_000 + b"\r\nx",
    "groups of a report": b"Content-Type: message/delivery-status\r\n\r\n" + b"A: b\r\n\r\n" * 200_000,
    "nothing but <": plain("a@b.example", "x", "<" * 1_000_000, html=True),
    "nothing but <script": plain("a@b.example", "x", "<script " * 120_000, html=True),
    "nothing but a word of a rule": plain("a@b.example", "x" * 1_000_000, "请点击" * 300_000),
}


@pytest.mark.parametrize("name", COSTLY)
def test_nothing_costs_much(name: str) -> None:
    began = time.process_time()
    read_returned(COSTLY[name], FREE_FORM)
    assert time.process_time() - began < 2


def test_what_a_page_runs_is_not_read() -> None:
    page = "<html><style>p{}</style><p>550 5.1.1</p><script>552 5.2.2</script> user <b>unknown</b></html>"
    returned = read_returned(plain("postmaster@x.example", "退信", page, html=True), FREE_FORM)
    assert (returned.code, returned.status, returned.text) == (550, "5.1.1", "550 5.1.1 user unknown")


def test_the_front_of_a_large_report_is_enough() -> None:
    report = dsn("MAILER-DAEMON@relay.example", "550 5.1.1 User unknown", status="5.1.1")
    original = b"--b1\r\nContent-Type: message/rfc822\r\n\r\n" + (b"x" * 70 + b"\r\n") * 40_000
    place = report.index(b"--b1\r\nContent-Type: message/rfc822")
    assert read_returned(report[:place] + original, FREE_FORM).status == "5.1.1"
