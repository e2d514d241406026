"""What looks wrong with an address: slips are told, neighbours are left in peace."""

import pytest

from bdnews_dispatch.subscribers.addresses import PROVIDERS, address_warnings
from bdnews_dispatch.subscribers.fields import read_address


def told(text: str) -> list[tuple[str, str]]:
    return [(one.code, one.suggestion) for one in address_warnings(read_address(text))]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("qq.con", "qq.com"),
        ("qq.cmo", "qq.com"),
        ("qq.om", "qq.com"),
        ("qq.comm", "qq.com"),
        ("vip.qq.con", "vip.qq.com"),
        ("163.con", "163.com"),
        ("163.cm", "163.com"),
        ("126.cm", "126.com"),
        ("126.co", "126.com"),
        ("gmial.com", "gmail.com"),
        ("gmai.com", "gmail.com"),
        ("gmaill.com", "gmail.com"),
        ("gmail.con", "gmail.com"),
        ("foxmial.com", "foxmail.com"),
        ("outlok.com", "outlook.com"),
        ("hotmai.com", "hotmail.com"),
        ("sina.con", "sina.com"),
        ("guizhou-data.con", "guizhou-data.com"),
    ],
)
def test_a_slip_is_told_with_what_was_meant(typed: str, meant: str) -> None:
    assert told(f"Li.Si@{typed}") == [("email.typo", f"Li.Si@{meant}")]


@pytest.mark.parametrize(
    "domain", [*PROVIDERS, "qa.com", "q1.com", "gov.cn", "guizhou.gov.cn", "yahoo.co.jp", "qq.cn"]
)
def test_who_is_somebody_is_no_slip_of_somebody_else(domain: str) -> None:
    assert told(f"li.si@{domain}") == []


@pytest.mark.parametrize("local", ["info", "Admin", "postmaster", "办公室"])
def test_a_box_of_nobody_in_particular(local: str) -> None:
    assert told(f"{local}@dept.gov.cn") == [("email.role", "")]


@pytest.mark.parametrize("domain", ["mailinator.com", "box.mailinator.com", "10minutemail.com"])
def test_a_box_that_is_thrown_away(domain: str) -> None:
    assert told(f"li.si@{domain}") == [("email.disposable", "")]
