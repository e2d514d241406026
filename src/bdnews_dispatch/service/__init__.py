"""Settings → a running service. The only place that chooses concrete parts. Callers: cli/, demo/, tests.

`bdnews serve` runs every role in one process; `web`, `worker` and `scheduler` run one each, on the same database.

`running` puts together what the rooms beside it open: `worker` with its `channels`, `letters`, `scheduler`, `returns`,
`web`, and the `sandbox` in the place of the outside.
"""
