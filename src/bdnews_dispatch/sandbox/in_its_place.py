"""The settings with the sandbox's account in the real one's place. Callers: service/, forecasts in cli/ and web/."""

from pydantic import SecretStr

from bdnews_dispatch.sandbox.wechat.consents import LONG_TERM_TEMPLATE_ID, ONE_TIME_TEMPLATE_ID
from bdnews_dispatch.sandbox.wechat_platform import (
    SANDBOX_AES_KEY,
    SANDBOX_APPID,
    SANDBOX_CALLBACK_TOKEN,
    SANDBOX_SECRET,
    SANDBOX_TEMPLATE_ID,
)
from bdnews_dispatch.settings import Settings

#: What fills the fields of the sandbox's templates.
_FIELDS = {"thing1": "title", "character_string2": "number", "date3": "date", "thing4": "sections"}


def with_sandbox_account(settings: Settings) -> Settings:
    """The settings with the sandbox's WeChat account, for everybody who may not really be reached."""
    changed = {
        "api_base": f"http://{settings.sandbox.http_host}:{settings.sandbox.http_port}/wechat",
        "authorize_base": f"http://{settings.sandbox.http_host}:{settings.sandbox.http_port}/wechat",
        "page_script": f"http://{settings.sandbox.http_host}:{settings.sandbox.http_port}/wechat/jweixin.js",
        "appid": SANDBOX_APPID,
        "secret": SecretStr(SANDBOX_SECRET),
        "token": SecretStr(SANDBOX_CALLBACK_TOKEN),
        "aes_key": SecretStr(SANDBOX_AES_KEY),
        "template_id": SANDBOX_TEMPLATE_ID,
        "long_term_template_id": LONG_TERM_TEMPLATE_ID,
        "one_time_template_id": ONE_TIME_TEMPLATE_ID,
        **{f"{name}_fields": _FIELDS for name in ("template", "long_term", "one_time")},
    }
    return settings.model_copy(update={"wechat": settings.wechat.model_copy(update=changed)})
