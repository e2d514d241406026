"""The words of the letters, in Chinese and in English, in one place.

In: a letter's kind, a language, what it speaks of. Out: a `LetterText` without its addresses. Caller: composing. The
address to the reader is 您; what will happen is said before the button, and what happens if nothing is done, after it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bdnews_dispatch.letters.models import LetterKind


@dataclass(frozen=True, slots=True)
class Words:
    """One letter's sentences; `{…}` are filled.

    Attributes:
        second: of a second link, where there is one.
        unasked: what to do if the reader did not ask for this.
    """

    subject: str
    heading: str
    paragraphs: tuple[str, ...]
    button: str
    unasked: str
    second: str = ""


_K = LetterKind
_ZH: Mapping[LetterKind, Words] = {
    _K.SUBSCRIBE: Words(
        "请确认订阅《{name}》",
        "请确认订阅",
        (
            "有人（应该是您）在{at}用这个邮箱申请订阅《{name}》。点下面的按钮并在打开的页面上确认，订阅即生效。",
        ),
        "确认订阅",
        "如果不是您申请的，不必理会这封邮件：不确认就不会寄送任何内容。",
    ),
    _K.SUBSCRIBE_AGAIN: Words(
        "您已订阅《{name}》：要改成新的选择吗？",
        "您已经订阅了",
        (
            "有人（应该是您）在{at}用这个邮箱再次申请订阅《{name}》。您的订阅一直有效，没有因此改变。",
            "如果想改成这次填写的内容，请点下面的按钮并确认；否则不必理会，一切照旧。",
        ),
        "改成这次的选择",
        "如果不是您申请的，不必理会这封邮件，您的订阅照旧。",
        "查看或更改您现在的订阅",
    ),
    _K.NEW_ADDRESS: Words(
        "请确认新的收件邮箱（《{name}》）",
        "请确认新邮箱",
        (
            "您在{at}申请把《{name}》改寄到这个邮箱。请点下面的按钮并确认。",
            "{other}",
        ),
        "确认新邮箱",
        "如果不是您申请的，不必理会这封邮件：不确认就不会改寄。",
    ),
    _K.OLD_ADDRESS: Words(
        "有人申请改寄《{name}》，请您确认",
        "要改寄到另一个邮箱吗？",
        (
            "有人（应该是您）在{at}申请把您订阅的《{name}》改寄到 {address}。",
            "为防止他人代您更改，旧邮箱与新邮箱都确认之后才会改寄。请点下面的按钮并确认。",
        ),
        "同意改寄",
        "如果不是您申请的，不必理会这封邮件：不确认就不会改寄，订阅照旧。",
    ),
    _K.EXPORT: Words(
        "请确认：取得您在《{name}》的全部数据",
        "取得您的数据",
        ("您在{at}要求取得我们保存的、与您有关的全部数据。点下面的按钮，在打开的页面上查看或下载。",),
        "查看或下载",
        "如果不是您要求的，不必理会这封邮件。请不要转发它：打开链接的人可以看到这些数据。",
    ),
    _K.ERASE: Words(
        "请确认：删除您在《{name}》的全部数据",
        "删除您的全部数据",
        (
            "您在{at}要求删除我们保存的、与您有关的全部数据。点下面的按钮，在打开的页面上再确认一次，随即删除，无法恢复。",
            "删除后您不再收到任何内容。我们只留下一个不可还原的校验值，用来防止您的邮箱被误导入。",
        ),
        "打开确认页面",
        "如果不是您要求的，不必理会这封邮件：不确认就不会删除。请不要转发它。",
    ),
}
_EN: Mapping[LetterKind, Words] = {
    _K.SUBSCRIBE: Words(
        "Please confirm your subscription to {name}",
        "Please confirm",
        (
            (
                "Somebody, most likely you, asked on {at} to subscribe this address to {name}. Press the button and "
                "confirm on the page that opens; then it begins."
            ),
        ),
        "Confirm subscription",
        "If it was not you, do nothing: without your confirmation nothing is ever sent.",
    ),
    _K.SUBSCRIBE_AGAIN: Words(
        "You subscribe to {name} already: take the new choices?",
        "You subscribe already",
        (
            (
                "Somebody, most likely you, asked on {at} to subscribe this address to {name} once more. Your "
                "subscription goes on; nothing about it has changed."
            ),
            "To change it to what was filled in this time, press the button and confirm. Else do nothing.",
        ),
        "Take the new choices",
        "If it was not you, do nothing: your subscription stays as it is.",
        "See or change your subscription as it is now",
    ),
    _K.NEW_ADDRESS: Words(
        "Please confirm your new address ({name})",
        "Please confirm this address",
        ("You asked on {at} to have {name} sent to this address. Press the button and confirm.", "{other}"),
        "Confirm this address",
        "If it was not you, do nothing: without your confirmation nothing changes.",
    ),
    _K.OLD_ADDRESS: Words(
        "Somebody asked to send {name} elsewhere: do you agree?",
        "Send it to another address?",
        (
            "Somebody, most likely you, asked on {at} to have your subscription to {name} sent to {address}.",
            "So that nobody else can change it, both addresses have to agree. Press the button and confirm.",
        ),
        "Agree",
        "If it was not you, do nothing: without your confirmation nothing changes.",
    ),
    _K.EXPORT: Words(
        "Please confirm: a copy of all your data at {name}",
        "A copy of your data",
        ("You asked on {at} for all that we keep about you. Press the button to see or download it.",),
        "See or download",
        "If it was not you, do nothing. Please do not forward this mail: whoever opens the link can see the data.",
    ),
    _K.ERASE: Words(
        "Please confirm: erase all your data at {name}",
        "Erase all your data",
        (
            (
                "You asked on {at} to have all that we keep about you erased. Press the button and confirm once more "
                "on the page that opens; it then happens at once and can't be undone."
            ),
            (
                "You will get nothing more. We keep one value that can't be turned back into your address, so that no "
                "list brings you back by mistake."
            ),
        ),
        "Open the page",
        "If it was not you, do nothing: without your confirmation nothing is erased. Please do not forward this mail.",
    ),
}
LETTERS: Mapping[str, Mapping[LetterKind, Words]] = {"zh": _ZH, "en": _EN}

#: Around every letter.
AROUND: Mapping[str, Mapping[str, str]] = {
    "zh": {
        "language_tag": "zh-CN",
        "colon": "：",
        "if_broken": "按钮打不开时，请把这个地址复制到浏览器：",
        "until": "链接在 {until} 前有效。",
        "sections": "栏目",
        "whole": "整期",
        "listing": "、",
        "cadence": "频率",
        "issue": "每期一封",
        "weekly": "每周一封",
        "monthly": "每月一封",
        "bulletins": "只收快讯",
        "both": "旧邮箱也会收到一封确认信，两边都确认之后才会改寄。",
        "alone": "确认之后，下一次就寄到这里。",
    },
    "en": {
        "language_tag": "en",
        "colon": ": ",
        "if_broken": "If the button does not work, copy this address into a browser:",
        "until": "The link works until {until}.",
        "sections": "Sections",
        "whole": "The whole issue",
        "listing": ", ",
        "cadence": "How often",
        "issue": "Every issue",
        "weekly": "Once a week",
        "monthly": "Once a month",
        "bulletins": "Bulletins only",
        "both": "The old address gets a mail as well; both have to agree.",
        "alone": "Once you have, the next one comes here.",
    },
}


def language_of(language: str) -> str:
    """The language that a letter is written in."""
    return language if language in LETTERS else "zh"
