"""Local stand-ins for the outside: an SMTP server that shows its mail, a strict WeChat platform, their pages.

In: mail and API calls of the service. Out: what was kept, on pages, as JSON and as objects. Called by `bdnews
sandbox`, `bdnews demo`, service/ and tests.
"""

from bdnews_dispatch.sandbox.faults import MailFault, PlatformFault
from bdnews_dispatch.sandbox.kept import KeptCard, KeptMail
from bdnews_dispatch.sandbox.sandbox import Sandbox
from bdnews_dispatch.sandbox.wechat_platform import (
    SANDBOX_AES_KEY,
    SANDBOX_APPID,
    SANDBOX_CALLBACK_TOKEN,
    SANDBOX_SECRET,
    SANDBOX_TEMPLATE_FIELDS,
    SANDBOX_TEMPLATE_ID,
)
from bdnews_dispatch.sandbox.wechat_push import Callback, Reply

__all__ = [
    "SANDBOX_AES_KEY",
    "SANDBOX_APPID",
    "SANDBOX_CALLBACK_TOKEN",
    "SANDBOX_SECRET",
    "SANDBOX_TEMPLATE_FIELDS",
    "SANDBOX_TEMPLATE_ID",
    "Callback",
    "KeptCard",
    "KeptMail",
    "MailFault",
    "PlatformFault",
    "Reply",
    "Sandbox",
]
