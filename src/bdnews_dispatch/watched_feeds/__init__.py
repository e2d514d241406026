"""Feeds of others that issues come from: asked again and again, each entry taken as a file would be.

In: addresses that an admin has named. Out: issues, by the same intake as the watched folder's. Callers: the scheduler,
cli/, web/.
"""
