"""Every operation of the API. Read by routes.py and by description.py; tests walk it."""

from bdnews_dispatch.web.api import (
    agenda,
    audit,
    bulletins,
    deliveries,
    dispatches,
    drafts,
    events,
    feeds,
    imports,
    issues,
    lists,
    quotas,
    reports,
    returns,
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
    *drafts.ENDPOINTS,
    *dispatches.ENDPOINTS,
    *deliveries.ENDPOINTS,
    *returns.ENDPOINTS,
    *quotas.ENDPOINTS,
    *agenda.ENDPOINTS,
    *reports.ENDPOINTS,
    *events.ENDPOINTS,
    *webhooks.ENDPOINTS,
    *feeds.ENDPOINTS,
    *audit.ENDPOINTS,
)
