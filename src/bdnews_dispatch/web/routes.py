"""Every address that is answered, and what asking for it needs. Read by app.py and access.py; a test walks it."""

from bdnews_dispatch.links import Purpose
from bdnews_dispatch.web import (
    archive,
    asking,
    assets,
    confirming,
    demo,
    digest_links,
    operations,
    preferences,
    progress,
    subscribing,
    unsubscribing,
    wechat_callback,
)
from bdnews_dispatch.web.access import Permission, Route
from bdnews_dispatch.web.api import description
from bdnews_dispatch.web.api.calls import handler_of
from bdnews_dispatch.web.api.endpoints import ENDPOINTS

_PUBLIC, _SIGNED = Permission.PUBLIC, Permission.SIGNED

ROUTES: tuple[Route, ...] = (
    # Links in mails and cards; see links.py.
    Route("GET", "/o/{token}", digest_links.pixel, _SIGNED, Purpose.OPEN, bad_token_passes=True),
    Route("GET", "/c/{token}/{number}", digest_links.click, _SIGNED, Purpose.CLICK),
    Route("GET", "/w/{token}", digest_links.web_copy, _SIGNED, Purpose.WEB),
    Route("GET", "/p/{token}", preferences.show, _SIGNED, Purpose.PREFERENCES),
    Route("POST", "/p/{token}", preferences.save, _SIGNED, Purpose.PREFERENCES),
    Route("POST", "/p/{token}/address", asking.new_address, _SIGNED, Purpose.PREFERENCES),
    Route("POST", "/p/{token}/data", asking.own_data, _SIGNED, Purpose.PREFERENCES),
    Route("GET", "/u/{token}", unsubscribing.show, _SIGNED, Purpose.UNSUBSCRIBE),
    Route("POST", "/u/{token}", unsubscribing.act, _SIGNED, Purpose.UNSUBSCRIBE),
    # Links in letters.
    Route("GET", "/s/{token}", confirming.show, _SIGNED, Purpose.CONFIRM),
    Route("POST", "/s/{token}", confirming.act, _SIGNED, Purpose.CONFIRM),
    # For everybody.
    Route("GET", "/subscribe/{publication}", subscribing.show, _PUBLIC),
    Route("POST", "/subscribe/{publication}", subscribing.take, _PUBLIC),
    Route("GET", "/", archive.home, _PUBLIC),
    Route("GET", "/issues/{publication}", archive.issues, _PUBLIC),
    Route("GET", "/issues/{publication}/{total}", archive.issue, _PUBLIC),
    Route("GET", "/issues/{publication}/{total}/{place}", archive.article, _PUBLIC),
    Route("GET", "/issues/{publication}/{total}/{place}/qr.png", archive.qr, _PUBLIC),
    Route("GET", "/assets/{name}", assets.asset, _PUBLIC),
    Route("GET", "/live", operations.live, _PUBLIC),
    Route("GET", "/ready", operations.ready_word, _PUBLIC),
    # Other programs.
    Route("GET", "/api/v1", description.page, _PUBLIC),
    Route("GET", "/api/v1/openapi.json", description.document, _PUBLIC),
    *(
        Route(one.method, f"/api/v1{one.path}", handler_of(one), Permission.TOKEN, right=one.right)
        for one in ENDPOINTS
    ),
    # The WeChat platform.
    Route("GET", "/wechat/callback", wechat_callback.echo, Permission.PLATFORM),
    Route("POST", "/wechat/callback", wechat_callback.take_push, Permission.PLATFORM),
    # A demo on this machine.
    Route("GET", "/demo", demo.show, Permission.DEMO),
    Route("GET", "/demo/news", demo.news, Permission.DEMO),
)

#: Of the operations listener; see operations.py.
OPERATIONS_ROUTES: tuple[Route, ...] = (
    Route("GET", "/live", operations.live, _PUBLIC),
    Route("GET", "/ready", operations.ready, Permission.OPERATIONS),
    Route("GET", "/metrics", operations.read_metrics, Permission.OPERATIONS),
    Route("GET", "/dispatches", progress.dispatches, Permission.OPERATIONS),
    Route("GET", "/dispatches/{id}", progress.dispatch, Permission.OPERATIONS),
    Route("GET", "/dispatches/{id}/events", progress.follow, Permission.OPERATIONS),
    Route("GET", "/assets/{name}", assets.asset, _PUBLIC),
)
