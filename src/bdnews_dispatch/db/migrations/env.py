"""Alembic's entry: gets a connection from db/migrate.py; knows every table."""

from alembic import context

import bdnews_dispatch.accounts.models
import bdnews_dispatch.bulletins.models
import bdnews_dispatch.dispatch.mass.models
import bdnews_dispatch.dispatch.models
import bdnews_dispatch.issues.models
import bdnews_dispatch.letters.models
import bdnews_dispatch.messaging.models
import bdnews_dispatch.official_account.follower_tables
import bdnews_dispatch.official_account.models
import bdnews_dispatch.reports.models
import bdnews_dispatch.returns.models
import bdnews_dispatch.scheduling.models
import bdnews_dispatch.subscribers.imports.models
import bdnews_dispatch.subscribers.models
import bdnews_dispatch.tracking.models  # imported for their tables
import bdnews_dispatch.watched_feeds.models
import bdnews_dispatch.webhooks.models
from bdnews_dispatch.db.types import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection, target_metadata=metadata, render_as_batch=True, transaction_per_migration=False
)
context.run_migrations()
