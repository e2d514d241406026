"""The benchmark of pages asks for every page that there is."""

from tests.benchmarks.crowd import Crowd
from tests.benchmarks.pages import STREAMS, pages

from bdnews_dispatch.web.access import Permission
from bdnews_dispatch.web.routes import ROUTES


def test_every_page_of_the_console_is_asked_for_with_real_numbers() -> None:
    found = pages(Crowd(subscribers=500_000))
    wanted = {
        route.path
        for route in ROUTES
        if route.method == "GET" and route.permission is Permission.SESSION and route.path not in STREAMS
    }
    assert wanted <= set(found)
    assert not [address for address in found.values() if "{" in address]
