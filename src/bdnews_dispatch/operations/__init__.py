"""Seeing how a running service is: what is left to do (backlog), and whether it can do it (readiness)."""
