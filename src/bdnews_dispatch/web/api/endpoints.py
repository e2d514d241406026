"""Every operation of the API. Read by routes.py and by description.py; tests walk it."""

from bdnews_dispatch.web.api import (
    agenda,
    bulletins,
    deliveries,
    dispatches,
    events,
    feeds,
    imports,
    issues,
    lists,
    reports,
    segments,
    subscribers,
    suppressions,
    webhooks,
)
from bdnews_dispatch.web.api.calls import Endpoint

ENDPOINTS: tuple[Endpoint, ...] = (
    *subscribers.ENDPOINTS,
    *lists.ENDPOINTS,
    *segments.ENDPOINTS,
    *suppressions.ENDPOINTS,
    *imports.ENDPOINTS,
    *issues.ENDPOINTS,
    *bulletins.ENDPOINTS,
    *dispatches.ENDPOINTS,
    *deliveries.ENDPOINTS,
    *agenda.ENDPOINTS,
    *reports.ENDPOINTS,
    *events.ENDPOINTS,
    *webhooks.ENDPOINTS,
    *feeds.ENDPOINTS,
)
