"""The words of the mails that are not the editors' own, in Chinese and in English, in one place.

In: a language. Out: a mapping from name to text; `{…}` are filled with `str.format`. Callers: composition,
rendering, card. The address to the reader is 您; one word stands for one thing.
"""

import datetime as dt
from collections.abc import Mapping
from types import MappingProxyType

_ZH = {
    "language_tag": "zh-CN",
    "number": "第{number}期",
    "numbers": "第{first}—{last}期",
    "total": "总第{number}期",
    "totals": "总第{first}—{last}期",
    "issue_count": "共{count}期",
    "number_and_total": "{number}（{total}）",
    "subject": "《{name}》{number}：{title}{others}",
    "bulletin_subject": "{title}（《{name}》快讯）",
    "listing": "、",
    "clause": "；",
    "dot": " · ",
    "others": "等{count}篇",
    "ad_prefix": "广告：",
    "urgent_prefix": "【紧急】",
    "urgent": "紧急快讯",
    "bulletin": "快讯",
    "contents": "本期要目",
    "contents_many": "各期要目",
    "preheader": "{sections}，共{count}篇{others}",
    "other_titles": "，另有：{titles}",
    "count": "{count}篇",
    "editor_note": "编者按",
    "source": "来源",
    "page": "第{page}页",
    "read": "阅读全文",
    "whole_issue": "阅读整期",
    "qr_alt": "扫码阅读",
    "picture": "图",
    "web": "在网页中查看",
    "reason": "您订阅了《{name}》，因此收到这封邮件。",
    "reason_bulletin": "您订阅了《{name}》的快讯，因此收到这封邮件。",
    "your_sections": "本期您的栏目",
    "preferences": "更改",
    "unsubscribe": "退订",
    "sent_to": "收件人",
    "address": "地址",
    "telephone": "电话",
    "email": "邮箱",
    "notice": "声明",
}

_EN = {
    "language_tag": "en",
    "number": "No. {number}",
    "numbers": "Nos. {first}–{last}",
    "total": "issue {number} overall",
    "totals": "issues {first}–{last} overall",
    "issue_count": "{count} issues",
    "number_and_total": "{number} ({total})",
    "subject": "{name}, {number}: {title}{others}",
    "bulletin_subject": "{title} ({name} bulletin)",
    "listing": ", ",
    "clause": "; ",
    "dot": " · ",
    "others": " and {others} more",
    "ad_prefix": "AD: ",
    "urgent_prefix": "[Urgent] ",
    "urgent": "Urgent bulletin",
    "bulletin": "Bulletin",
    "contents": "In this issue",
    "contents_many": "In these issues",
    "preheader": "{count} articles from {sections}{others}",
    "other_titles": ". Also: {titles}",
    "count": "{count}",
    "editor_note": "Editor’s note",
    "source": "Source",
    "page": "p. {page}",
    "read": "Read the article",
    "whole_issue": "Read the whole issue",
    "qr_alt": "Scan to read",
    "picture": "Picture",
    "web": "View in a browser",
    "reason": "You get this mail because you subscribe to {name}.",
    "reason_bulletin": "You get this mail because you subscribe to bulletins of {name}.",
    "your_sections": "Your sections in this mail",
    "preferences": "Change",
    "unsubscribe": "Unsubscribe",
    "sent_to": "Sent to",
    "address": "Address",
    "telephone": "Telephone",
    "email": "Email",
    "notice": "Notice",
}

LABELS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {"zh": MappingProxyType(_ZH), "en": MappingProxyType(_EN)}
)

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip


def labels_for(language: str) -> Mapping[str, str]:
    """The words in this language ("zh", "en", also "zh-CN"); Chinese where we have none."""
    return LABELS.get(language.partition("-")[0].lower(), LABELS["zh"])


def date_text(date: dt.date, language: str) -> str:
    """The day as people write it: 2022年11月11日, or 11 November 2022."""
    if labels_for(language) is LABELS["en"]:
        return f"{date.day} {_MONTHS[date.month - 1]} {date.year}"
    return f"{date.year}年{date.month}月{date.day}日"
