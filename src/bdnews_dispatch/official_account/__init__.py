"""The WeChat Official Account as the database knows it: its token, quotas, credits, QR scenes, tags, mass sends.

channels/wechat/ speaks to the platform and knows no database; what has to be remembered between two calls, by all
processes alike, is kept here.
"""
