"""Mass messages of a dispatch: who is reached by no single mode, grouped by their exact set of sections.

Deliveries wait as `deferred` under `wechat.mass`; the job makes one draft and one send a set; the platform's report
settles them.
"""
