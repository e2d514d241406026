"""Who may do what: users of the console, their roles and sessions, tokens of the JSON API, the audit log."""
