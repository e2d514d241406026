"""Events out: each event that an endpoint wants is posted to it, signed, in order, until it is taken.

In: rows of `Event`, endpoints that an admin has named. Out: requests to other programs, by Standard Webhooks; where an
endpoint is, and what it answered. Callers: the scheduler, cli/, web/api/.
"""
