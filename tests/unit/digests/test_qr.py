"""QR codes to whole texts."""

import struct

import pytest

from bdnews_dispatch.digests.qr import qr_png, qr_svg

URL = "https://water.example/issues/27/1"


def test_a_png_is_square_and_sharp_enough() -> None:
    png = qr_png(URL)
    assert png.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", png[16:24])
    assert width == height
    assert width >= 2 * 68


def test_an_svg_stands_in_a_page_without_a_size_of_its_own() -> None:
    svg = qr_svg(URL, title='扫码 "阅读" <b>')
    assert svg.startswith("<svg")
    assert "viewBox" in svg
    assert "<b>" not in svg


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "", "WIFI:T:WPA;S:x;P:y;;", "https://x.example/" + "a" * 2000]
)
def test_only_web_addresses_become_codes(url: str) -> None:
    with pytest.raises(ValueError, match="http"):
        qr_png(url)
