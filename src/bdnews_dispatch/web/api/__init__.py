"""The JSON API, `/api/v1`: what the commands do, by the same functions, for other programs.

A request goes: bearers (who) → access (may they) → calls (read, checked, in one transaction) → a resource's function →
calls (written). What goes wrong on the way is a problem (RFC 9457). description.py tells all of it as OpenAPI 3.1, from
the same models that check.
"""
