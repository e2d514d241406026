"""Pages for readers: preferences, unsubscribing, web copies, the archive; links that count; WeChat's callback.

In: HTTP. Out: server-rendered pages that need no script, redirects, hits and events in the database. Called by
service/ (`make_web_app`).
"""
