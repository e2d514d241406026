"""The rooms of settings: what is set, where each value comes from, whether it works, and what to write to change it.

Nothing here changes a setting: settings are files and variables (ADR 0025). What is tried, is tried within
`trying.PATIENCE_SECONDS`.
"""
