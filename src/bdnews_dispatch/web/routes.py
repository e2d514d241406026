"""Every address that is answered, and what asking for it needs. Read by app.py and access.py; a test walks it."""

from bdnews_dispatch.accounts.rights import Right
from bdnews_dispatch.links import Purpose
from bdnews_dispatch.web import (
    archive,
    asking,
    assets,
    calendar_feed,
    confirming,
    demo,
    digest_links,
    feeds,
    following,
    inside_wechat,
    operations,
    preferences,
    progress,
    scanning,
    subscribing,
    unsubscribing,
    wechat_callback,
)
from bdnews_dispatch.web.access import Handler, Permission, Route
from bdnews_dispatch.web.api import description
from bdnews_dispatch.web.api.endpoints import ENDPOINTS
from bdnews_dispatch.web.api.handling import handler_of
from bdnews_dispatch.web.console import (
    account,
    door,
    groups,
    imports,
    log,
    month,
    provider,
    receivers,
    report_charts,
    section_reports,
    sources,
    suppressions,
    today,
    tokens,
    users,
)
from bdnews_dispatch.web.console import reports as report_room
from bdnews_dispatch.web.console import subscribers as people_room
from bdnews_dispatch.web.console.bulletins import deciding, writing
from bdnews_dispatch.web.console.dispatches import starting, steering, watching
from bdnews_dispatch.web.console.issues import changing, looking, reading
from bdnews_dispatch.web.console.reach import Of
from bdnews_dispatch.web.console.settings import listing, overview, publications, retention, templates
from bdnews_dispatch.web.console.settings import mail as mail_room
from bdnews_dispatch.web.console.settings import wechat as wechat_room

_PUBLIC, _SIGNED = Permission.PUBLIC, Permission.SIGNED


def _desk(method: str, path: str, handler: Handler, right: Right, of: Of | None = None) -> Route:
    return Route(method, path, handler, Permission.SESSION, right=right, of=of)


def _own(method: str, path: str, handler: Handler) -> Route:
    """For everybody who has signed in, also before they have the second factor that they must have."""
    return Route(method, path, handler, Permission.SESSION, right=Right.SETTINGS_READ, unenrolled=True)


ROUTES: tuple[Route, ...] = (
    # Links in mails and cards; see links.py.
    Route("GET", "/o/{token}", digest_links.pixel, _SIGNED, Purpose.OPEN, bad_token_passes=True),
    Route("GET", "/c/{token}/{number}", digest_links.click, _SIGNED, Purpose.CLICK),
    Route("GET", "/w/{token}", digest_links.web_copy, _SIGNED, Purpose.WEB),
    Route("GET", "/p/{token}", preferences.show, _SIGNED, Purpose.PREFERENCES),
    Route("POST", "/p/{token}", preferences.save, _SIGNED, Purpose.PREFERENCES),
    Route("POST", "/p/{token}/address", asking.new_address, _SIGNED, Purpose.PREFERENCES),
    Route("POST", "/p/{token}/data", asking.own_data, _SIGNED, Purpose.PREFERENCES),
    Route("POST", "/p/{token}/wechat", scanning.bind, _SIGNED, Purpose.PREFERENCES),
    Route("GET", "/u/{token}", unsubscribing.show, _SIGNED, Purpose.UNSUBSCRIBE),
    Route("POST", "/u/{token}", unsubscribing.act, _SIGNED, Purpose.UNSUBSCRIBE),
    # Links in letters.
    Route("GET", "/s/{token}", confirming.show, _SIGNED, Purpose.CONFIRM),
    Route("POST", "/s/{token}", confirming.act, _SIGNED, Purpose.CONFIRM),
    # Links in WeChat's chats, and codes to scan.
    Route("GET", "/f/{token}", following.show, _SIGNED, Purpose.FOLLOWER),
    Route("POST", "/f/{token}", following.choose, _SIGNED, Purpose.FOLLOWER),
    Route("GET", "/q/{token}", scanning.show, _SIGNED, Purpose.SCAN),
    Route("GET", "/q/{token}/qr.png", scanning.picture, _SIGNED, Purpose.SCAN),
    # In calendar programs of the console's users.
    Route("GET", "/k/{token}/calendar.ics", calendar_feed.feed, _SIGNED, Purpose.CALENDAR),
    # For everybody.
    Route("GET", "/subscribe/{publication}", subscribing.show, _PUBLIC),
    Route("POST", "/subscribe/{publication}", subscribing.take, _PUBLIC),
    Route("GET", "/", archive.home, _PUBLIC),
    Route("GET", "/issues/{publication}", archive.issues, _PUBLIC),
    Route("GET", "/issues/{publication}/{total}", archive.issue, _PUBLIC),
    Route("GET", "/issues/{publication}/{total}/{place}", archive.article, _PUBLIC),
    Route("GET", "/feeds/{file}", feeds.feed, _PUBLIC),
    Route("GET", "/feeds/{publication}/{file}", feeds.feed, _PUBLIC),
    Route("GET", "/issues/{publication}/{total}/{place}/qr.png", archive.qr, _PUBLIC),
    Route("GET", "/pictures/{digest}", archive.picture, _PUBLIC),
    Route("GET", "/assets/{name}", assets.asset, _PUBLIC),
    Route("GET", "/live", operations.live, _PUBLIC),
    Route("GET", "/ready", operations.ready_word, _PUBLIC),
    # Other programs.
    Route("GET", "/api/v1", description.page, _PUBLIC),
    Route("GET", "/api/v1/", description.page, _PUBLIC),
    Route("GET", "/api/v1/openapi.json", description.document, _PUBLIC),
    Route("GET", "/api/v1/issue.schema.json", description.schema_of_issues, _PUBLIC),
    *(
        Route(one.method, f"/api/v1{one.path}", handler_of(one), Permission.TOKEN, right=one.right)
        for one in ENDPOINTS
    ),
    # The console.
    Route("GET", "/console", door.front, _PUBLIC),
    Route("GET", "/console/sign-in", door.show, _PUBLIC),
    Route("POST", "/console/sign-in", door.enter, _PUBLIC),
    Route("GET", "/console/sign-in/code", door.show_code_form, _PUBLIC),
    Route("POST", "/console/sign-in/code", door.take_code, _PUBLIC),
    Route("GET", "/console/sign-in/provider", provider.leave_for, _PUBLIC),
    Route("GET", "/console/sign-in/provider/back", provider.return_from, _PUBLIC),
    Route("GET", "/console/password/{link}", door.show_password, _PUBLIC),
    Route("POST", "/console/password/{link}", door.set_password, _PUBLIC),
    _own("POST", "/console/sign-out", door.leave),
    _own("GET", "/console/account", account.show),
    _own("POST", "/console/account/password", account.password),
    _own("POST", "/console/account/language", account.language),
    _own("POST", "/console/account/sessions", account.sessions),
    _own("GET", "/console/account/second-factor", account.second_factor),
    _own("POST", "/console/account/second-factor", account.change_factor),
    # Everybody who has signed in may read settings.
    _desk("GET", "/console/today", today.show, Right.SETTINGS_READ),
    _desk("GET", "/console/calendar", month.show, Right.DISPATCHES_READ),
    _desk("POST", "/console/calendar", month.change_address, Right.DISPATCHES_READ),
    _desk("GET", "/console/issues", reading.index, Right.ISSUES_READ),
    _desk("GET", "/console/issues/{id}", reading.show, Right.ISSUES_READ, Of.ISSUE),
    _desk("GET", "/console/issues/{id}/preview", looking.preview, Right.ISSUES_READ, Of.ISSUE),
    _desk("GET", "/console/issues/{id}/frame", looking.mail, Right.ISSUES_READ, Of.ISSUE),
    _desk("POST", "/console/issues/{id}/test", looking.test, Right.ISSUES_WRITE, Of.ISSUE),
    _desk("POST", "/console/issues/{id}/articles/{place}", changing.article, Right.ISSUES_WRITE, Of.ISSUE),
    _desk("POST", "/console/issues/{id}/check", changing.check, Right.ISSUES_WRITE, Of.ISSUE),
    _desk("POST", "/console/issues/{id}/undo", changing.take_back, Right.ISSUES_WRITE, Of.ISSUE),
    _desk("POST", "/console/issues/{id}/state", changing.show_or_hide, Right.ISSUES_WRITE, Of.ISSUE),
    _desk("GET", "/console/dispatches", watching.index, Right.DISPATCHES_READ),
    _desk("GET", "/console/dispatches/new", starting.prepare, Right.DISPATCHES_WRITE),
    _desk("GET", "/console/dispatches/new/audience", starting.audience, Right.DISPATCHES_WRITE),
    _desk("POST", "/console/dispatches/new", starting.start, Right.DISPATCHES_WRITE),
    _desk("GET", "/console/dispatches/{id}", watching.show, Right.DISPATCHES_READ, Of.DISPATCH),
    _desk("GET", "/console/dispatches/{id}/tables", watching.tables, Right.DISPATCHES_READ, Of.DISPATCH),
    _desk("GET", "/console/dispatches/{id}/events", progress.follow, Right.DISPATCHES_READ, Of.DISPATCH),
    _desk(
        "GET", "/console/dispatches/{id}/deliveries", steering.deliveries, Right.DISPATCHES_READ, Of.DISPATCH
    ),
    _desk(
        "POST", "/console/dispatches/{id}/deliveries", steering.decide, Right.DISPATCHES_WRITE, Of.DISPATCH
    ),
    _desk("POST", "/console/dispatches/{id}/retry", steering.retry, Right.DISPATCHES_WRITE, Of.DISPATCH),
    *(
        _desk(
            "POST",
            f"/console/dispatches/{{id}}/{action}",
            steering.acting(action),
            Right.DISPATCHES_WRITE,
            Of.DISPATCH,
        )
        for action in steering.ACTIONS
    ),
    _desk("GET", "/console/bulletins", writing.index, Right.BULLETINS_READ),
    _desk("GET", "/console/bulletins/new", writing.new, Right.BULLETINS_WRITE),
    _desk("POST", "/console/bulletins/new", writing.create, Right.BULLETINS_WRITE),
    _desk("POST", "/console/bulletins/live", writing.live, Right.BULLETINS_WRITE),
    _desk("GET", "/console/bulletins/{id}", writing.show, Right.BULLETINS_READ, Of.DRAFT),
    _desk("POST", "/console/bulletins/{id}", writing.save, Right.BULLETINS_WRITE, Of.DRAFT),
    _desk("GET", "/console/bulletins/{id}/audience", writing.audience, Right.BULLETINS_READ, Of.DRAFT),
    _desk("GET", "/console/bulletins/{id}/preview", writing.preview, Right.BULLETINS_READ, Of.DRAFT),
    _desk("GET", "/console/bulletins/{id}/frame", writing.mail, Right.BULLETINS_READ, Of.DRAFT),
    _desk("POST", "/console/bulletins/{id}/test", writing.test, Right.BULLETINS_WRITE, Of.DRAFT),
    _desk("POST", "/console/bulletins/{id}/ask", deciding.ask, Right.BULLETINS_WRITE, Of.DRAFT),
    _desk("POST", "/console/bulletins/{id}/send", deciding.send, Right.BULLETINS_WRITE, Of.DRAFT),
    _desk("POST", "/console/bulletins/{id}/discard", deciding.discard, Right.BULLETINS_WRITE, Of.DRAFT),
    _desk("POST", "/console/bulletins/{id}/approve", deciding.approve, Right.BULLETINS_APPROVE, Of.DRAFT),
    _desk("POST", "/console/bulletins/{id}/undo", deciding.undo, Right.BULLETINS_APPROVE, Of.DRAFT),
    _desk("POST", "/console/bulletins/{id}/return", deciding.give_back, Right.BULLETINS_APPROVE, Of.DRAFT),
    _desk("GET", "/console/reports", report_room.index, Right.REPORTS_READ),
    _desk("GET", "/console/reports/charts/{file}", report_charts.of_days, Right.REPORTS_READ),
    _desk("GET", "/console/reports/sections", section_reports.show, Right.REPORTS_READ),
    _desk("GET", "/console/reports/sections/{file}", section_reports.export, Right.REPORTS_READ),
    _desk("GET", "/console/reports/sections/{section}/{file}", report_charts.of_section, Right.REPORTS_READ),
    _desk("GET", "/console/reports/{id}", report_room.show, Right.REPORTS_READ, Of.DISPATCH),
    _desk("GET", "/console/reports/{id}/chart.svg", report_charts.pace, Right.REPORTS_READ, Of.DISPATCH),
    _desk("GET", "/console/reports/{id}/{file}", report_room.export, Right.REPORTS_READ, Of.DISPATCH),
    _desk("GET", "/console/subscribers", people_room.index, Right.SUBSCRIBERS_READ),
    _desk("GET", "/console/subscribers/new", people_room.new, Right.SUBSCRIBERS_WRITE),
    _desk("POST", "/console/subscribers/new", people_room.add, Right.SUBSCRIBERS_WRITE),
    _desk("GET", "/console/subscribers/find", people_room.find, Right.SUBSCRIBERS_READ),
    _desk("GET", "/console/subscribers/{id}", people_room.show, Right.SUBSCRIBERS_READ),
    _desk("POST", "/console/subscribers/{id}/copy", people_room.copy, Right.SUBSCRIBERS_WRITE),
    *(
        _desk("POST", f"/console/subscribers/{{id}}/{action}", people_room.acting(action), right)
        for action, (right, _) in people_room.ACTIONS.items()
    ),
    _desk("GET", "/console/lists", groups.lists, Right.SUBSCRIBERS_READ),
    _desk("POST", "/console/lists", groups.save_list, Right.SUBSCRIBERS_WRITE),
    _desk("GET", "/console/segments", groups.segments, Right.SUBSCRIBERS_READ),
    _desk("POST", "/console/segments", groups.save_segment, Right.SUBSCRIBERS_WRITE),
    _desk("POST", "/console/segments/count", groups.count_segment, Right.SUBSCRIBERS_WRITE),
    _desk("POST", "/console/segments/remove", groups.remove_segment, Right.SUBSCRIBERS_WRITE),
    _desk("GET", "/console/imports", imports.index, Right.SUBSCRIBERS_READ),
    Route(
        "POST", "/console/imports", imports.bring, Permission.SESSION, right=Right.IMPORTS_WRITE, upload=True
    ),
    _desk("GET", "/console/imports/{id}", imports.show, Right.SUBSCRIBERS_READ),
    _desk("POST", "/console/imports/{id}/start", imports.start, Right.IMPORTS_WRITE),
    _desk("POST", "/console/imports/{id}/cancel", imports.stop, Right.IMPORTS_WRITE),
    _desk("GET", "/console/imports/{id}/result", imports.result, Right.SUBSCRIBERS_READ),
    _desk("GET", "/console/settings", overview.show, Right.SETTINGS_READ),
    _desk("GET", "/console/settings/all", listing.show, Right.SETTINGS_READ),
    _desk("GET", "/console/settings/publications", publications.show, Right.SETTINGS_READ),
    _desk("GET", "/console/settings/mail", mail_room.show, Right.SETTINGS_READ),
    _desk("POST", "/console/settings/mail/test", mail_room.test, Right.SETTINGS_WRITE),
    _desk("POST", "/console/settings/mail/letter", mail_room.letter, Right.SETTINGS_WRITE),
    _desk("GET", "/console/settings/wechat", wechat_room.show, Right.SETTINGS_READ),
    _desk("POST", "/console/settings/wechat/test", wechat_room.test, Right.SETTINGS_WRITE),
    _desk("GET", "/console/settings/templates", templates.show, Right.SETTINGS_READ),
    _desk("GET", "/console/settings/templates/frame", templates.frame, Right.SETTINGS_READ),
    _desk("GET", "/console/settings/retention", retention.show, Right.SETTINGS_READ),
    _desk("GET", "/console/webhooks", receivers.index, Right.SETTINGS_READ),
    _desk("POST", "/console/webhooks", receivers.add, Right.SETTINGS_WRITE),
    _desk("GET", "/console/webhooks/{id}", receivers.show, Right.SETTINGS_READ, Of.ALL),
    _desk("POST", "/console/webhooks/{id}", receivers.act, Right.SETTINGS_WRITE, Of.ALL),
    _desk("GET", "/console/sources", sources.index, Right.SETTINGS_READ),
    _desk("POST", "/console/sources", sources.add, Right.SETTINGS_WRITE),
    _desk("GET", "/console/sources/{id}", sources.show, Right.SETTINGS_READ, Of.FEED),
    _desk("POST", "/console/sources/{id}", sources.act, Right.SETTINGS_WRITE, Of.FEED),
    _desk("GET", "/console/users", users.index, Right.USERS_WRITE),
    _desk("POST", "/console/users", users.invite, Right.USERS_WRITE),
    _desk("GET", "/console/users/{id}", users.show, Right.USERS_WRITE),
    _desk("POST", "/console/users/{id}", users.act, Right.USERS_WRITE),
    _desk("GET", "/console/tokens", tokens.index, Right.SETTINGS_READ),
    _desk("POST", "/console/tokens", tokens.add, Right.SETTINGS_READ),
    _desk("POST", "/console/tokens/{id}", tokens.revoke, Right.SETTINGS_READ),
    _desk("GET", "/console/suppressions", suppressions.index, Right.SUPPRESSIONS_READ),
    _desk("POST", "/console/suppressions", suppressions.change, Right.SUPPRESSIONS_WRITE),
    _desk("GET", "/console/audit", log.show, Right.AUDIT_READ),
    # The WeChat platform.
    Route("GET", "/wechat/callback", wechat_callback.echo, Permission.PLATFORM),
    Route("POST", "/wechat/callback", wechat_callback.take_push, Permission.PLATFORM),
    Route("GET", "/wechat/mine", inside_wechat.mine, _PUBLIC),
    Route("GET", "/wechat/back", inside_wechat.back, _PUBLIC),
    # A demo on this machine.
    Route("GET", "/demo", demo.show, Permission.DEMO),
    Route("GET", "/demo/news", demo.news, Permission.DEMO),
    Route("GET", "/demo/console/{link}", demo.door, Permission.DEMO),
    Route("POST", "/demo/console/{link}", demo.enter, Permission.DEMO),
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
