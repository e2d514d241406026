"""Mail that came back, told apart: a table of what real servers write, and anything at all."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.returns.samples import Sample, dsn, samples

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


@pytest.mark.parametrize("ending", [b"\n", b"\r"])
def test_line_ends_do_not_matter(ending: bytes) -> None:
    for name, raw, kind, _ in ALL:
        if ending == b"\n":
            assert read_returned(raw.replace(b"\r\n", ending), FREE_FORM).kind.value == kind, name


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


def test_depth_and_breadth_cost_nothing() -> None:
    deep = b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(3000)
    )
    wide = b'Content-Type: multipart/mixed; boundary="w"\r\n\r\n' + b"--w\r\n\r\nx\r\n" * 50_000
    long = dsn("x@y.example", "550 " + "5.1.1 " * 200_000)
    for raw in (deep, wide, long):
        began = time.process_time()
        read_returned(raw, FREE_FORM)
        assert time.process_time() - began < 20, "linear, not quadratic"
