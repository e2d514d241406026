"""People: subscribers, their subscriptions, lists, suppressions; import and export."""
