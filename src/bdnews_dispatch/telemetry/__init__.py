"""What a running service tells: logs (events with names), metrics (Prometheus), traces (OpenTelemetry, where set).

A low room: every stage may call it, it knows none of them. Nothing that it tells holds an address, an openid or a
token.
"""

from bdnews_dispatch.telemetry.logs import set_up_logs

__all__ = ["set_up_logs"]
