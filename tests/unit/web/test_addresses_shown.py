"""An address that may be a secret: where it leads to is said, the rest is not."""

import pytest

from bdnews_dispatch.web.addresses import beginning_of


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("https://hooks.example/services/T0/B0/secret", "https://hooks.example/services/…"),
        ("https://hooks.example:8443/send?key=secret", "https://hooks.example:8443/send…"),
        ("https://hooks.example/send", "https://hooks.example/send"),
        ("https://hooks.example/?access_token=secret", "https://hooks.example/…"),
        ("https://hooks.example/q8w7e6r5t4y3u2i1o0p9", "https://hooks.example/…"),
        ("https://me:secret@hooks.example/a", "https://hooks.example/a"),
        ("https://hooks.example", "https://hooks.example/"),
        ("https://[secret", "…"),
    ],
)
def test_the_beginning_of_an_address(url: str, seen: str) -> None:
    assert beginning_of(url) == seen
