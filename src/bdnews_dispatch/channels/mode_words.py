"""Words of WeChat's modes for people; the keys are what the ledger keeps. Loads nothing: `bdnews --help` is near."""

from collections.abc import Mapping

MODE_WORDS: Mapping[str, str] = {
    "custom": "客服消息",
    "subscribe_long": "长期订阅通知",
    "subscribe_once": "一次性订阅通知",
    "template": "模板消息",
    "mass": "群发",
}
