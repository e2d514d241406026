"""What a person's fields may hold, read from text: address, openid, name, sections, channel, cadence.

In: text as people type it or a table file has it. Out: checked values, or a `FieldError` that says in Chinese what is
wrong. Callers: people, importing, the preference page.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from email_validator import EmailNotValidError, validate_email

from bdnews_dispatch.errors import BdnewsError, Phrase
from bdnews_dispatch.issues.publications import Publication
from bdnews_dispatch.subscribers.models import Cadence, ChannelChoice

LONGEST_NAME = 100
LONGEST_TAG = 40
#: Of an attribute.
LONGEST_VALUE = 200
#: An address has at most 254 octets (RFC 5321 §4.5.3.1.3, less the angle brackets).
LONGEST_ADDRESS = 254

#: What stands before the @ (RFC 5321 §4.5.3.1.1).
LONGEST_LOCAL = 64
#: dot-atom of RFC 5322 §3.2.3, and a host name: nearly every address is so.
_PLAIN_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_PLAIN_DOMAIN = re.compile(r"[A-Za-z0-9.-]{1,253}")
_OPENID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_BETWEEN_SECTIONS = re.compile(r"[|｜;；、,，\n]")
_WHOLE = {"*", "all", "whole", "全部", "整期", "全部栏目"}
_CHANNELS = {
    "email": ChannelChoice.EMAIL,
    "mail": ChannelChoice.EMAIL,
    "邮件": ChannelChoice.EMAIL,
    "邮箱": ChannelChoice.EMAIL,
    "电子邮件": ChannelChoice.EMAIL,
    "wechat": ChannelChoice.WECHAT,
    "微信": ChannelChoice.WECHAT,
    "both": ChannelChoice.BOTH,
    "邮件和微信": ChannelChoice.BOTH,
    "邮件与微信": ChannelChoice.BOTH,
    "两者": ChannelChoice.BOTH,
    "都要": ChannelChoice.BOTH,
    "either": ChannelChoice.EITHER,
    "邮件或微信": ChannelChoice.EITHER,
    "微信优先": ChannelChoice.EITHER,
}
_CADENCES = {
    "issue": Cadence.ISSUE,
    "每期": Cadence.ISSUE,
    "逐期": Cadence.ISSUE,
    "weekly": Cadence.WEEKLY,
    "每周": Cadence.WEEKLY,
    "monthly": Cadence.MONTHLY,
    "每月": Cadence.MONTHLY,
    "bulletins": Cadence.BULLETINS,
    "快讯": Cadence.BULLETINS,
    "只收快讯": Cadence.BULLETINS,
}
_LANGUAGES = {
    "zh": "zh",
    "zh-cn": "zh",
    "zh_cn": "zh",
    "中文": "zh",
    "汉语": "zh",
    "简体中文": "zh",
    "chinese": "zh",
    "en": "en",
    "en-us": "en",
    "en_us": "en",
    "英文": "en",
    "英语": "en",
    "english": "en",
}


class FieldError(BdnewsError):
    """A value can't be taken.

    Attributes:
        column: which field, as import files name it.
        code: a dotted name that never changes.
    """

    def __init__(self, column: str, code: str, message: str) -> None:
        super().__init__(message)
        self.column = column
        self.code = code


class Address(NamedTuple):
    """`email` as we send to it (domain in lower case), `key` with its case folded: who it is."""

    email: str
    key: str


@dataclass(frozen=True, slots=True)
class Wish:
    """Which sections: `whole` is the whole issue, not personalised; `sections` then is empty."""

    whole: bool
    sections: tuple[str, ...] = ()


def read_address(text: str) -> Address:
    """Raises: FieldError: it is no address that mail can be sent to."""
    text = text.strip()
    if len(text) > LONGEST_ADDRESS:
        raise FieldError(
            "email", "email.too_long", Phrase("邮箱地址过长，最多 %(most)s 个字符", most=LONGEST_ADDRESS)
        )
    local, _, domain = text.partition("@")
    if len(local) <= LONGEST_LOCAL and _PLAIN_LOCAL.fullmatch(local):
        # What stands before the @ is right by its form alone; what follows is asked once for each domain.
        known = _plain_domain(domain)
        if known is not None:
            email = f"{local}@{known}"
            if len(email) <= LONGEST_ADDRESS:
                return Address(email, email.casefold())
    try:
        # `test_environment` takes the reserved .test; nothing is looked up, nothing is sent here.
        checked = validate_email(text, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        problem = Phrase("缺少 @") if "@" not in text else Phrase("请检查是否有空格、漏字或多余的符号")
        raise FieldError(
            "email", "email.invalid", Phrase("不是正确的邮箱地址：%(problem)s", problem=problem)
        ) from None
    return Address(checked.normalized, checked.normalized.casefold())


def address_key(text: str) -> str:
    """The key of an address in whatever case, its domain in either form; of what is no address, itself folded."""
    try:
        return read_address(text).key
    except FieldError:
        return text.strip().casefold()


@lru_cache(maxsize=16_384)
def _plain_domain(domain: str) -> str | None:
    """A domain of plain letters as email-validator writes it; None: it is another one, or takes no address."""
    if not _PLAIN_DOMAIN.fullmatch(domain):
        return None
    try:
        checked = validate_email(f"a@{domain}", check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return None
    return checked.domain


def read_openid(text: str) -> str:
    """Raises: FieldError: it can't be an openid."""
    openid = text.strip()
    if not _OPENID.fullmatch(openid):
        raise FieldError("openid", "openid.invalid", "不是正确的 openid：只含字母、数字、- 和 _，最多 64 位")
    return openid


def read_name(text: str) -> str:
    """Raises: FieldError: it is too long or holds control characters."""
    name = " ".join(text.split())
    if len(name) > LONGEST_NAME:
        raise FieldError("name", "name.too_long", Phrase("姓名过长，最多 %(most)s 个字", most=LONGEST_NAME))
    if _has_control(name):
        raise FieldError("name", "name.control", "姓名里有看不见的控制字符，请删去后重试")
    return name


class SectionNames:
    """Reads a publication's sections by key, name, English name or alias."""

    def __init__(self, publication: Publication) -> None:
        self._order = {key: place for place, key in enumerate(publication.section_keys)}
        self._by_name = {
            _folded(name): section.key
            for section in publication.sections
            for name in (section.key, section.name, section.name_en, *section.aliases)
            if name
        }
        self._names = [section.name for section in publication.sections]

    def read(self, text: str) -> Wish:
        """Args: text: names between | ; 、 or commas; empty, * or 全部 is the whole issue.

        Raises:
            FieldError: a section is not one of the publication's; names it and those there are.
        """
        if (whole := self._by_name.get(_folded(text))) is not None:
            return Wish(whole=False, sections=(whole,))
        names = [name for part in _BETWEEN_SECTIONS.split(text) if (name := part.strip())]
        if not names or any(_folded(name) in _WHOLE for name in names):
            return Wish(whole=True)
        keys = []
        for name in names:
            key = self._by_name.get(_folded(name))
            if key is None:
                raise FieldError(
                    "sections",
                    "sections.unknown",
                    Phrase("没有名为“%(name)s”的栏目；现有：%(names)s", name=_short(name), names=self._names),
                )
            keys.append(key)
        return Wish(whole=False, sections=self.ordered(keys))

    def ordered(self, keys: Iterable[str]) -> tuple[str, ...]:
        """Each once, in the publication's order; keys that it does not have (any more) go."""
        return tuple(sorted({key for key in keys if key in self._order}, key=self._order.__getitem__))


def read_channel(text: str) -> ChannelChoice:
    """Raises: FieldError: it is none of the ways."""
    found = _CHANNELS.get(_folded(text))
    if found is None:
        raise FieldError(
            "channel",
            "channel.unknown",
            Phrase(
                "渠道“%(text)s”不认识；可填 email（邮件）、wechat（微信）、both（各一份）、either（一份，微信优先）",
                text=_short(text),
            ),
        )
    return found


def read_cadence(text: str) -> Cadence:
    """Raises: FieldError: it is none of the cadences."""
    found = _CADENCES.get(_folded(text))
    if found is None:
        raise FieldError(
            "cadence",
            "cadence.unknown",
            Phrase(
                "频率“%(text)s”不认识；可填 issue（每期）、weekly（每周）、monthly（每月）、bulletins（只收快讯）",
                text=_short(text),
            ),
        )
    return found


def read_language(text: str) -> str:
    """Raises: FieldError: mails are not written in it."""
    found = _LANGUAGES.get(_folded(text))
    if found is None:
        raise FieldError(
            "language",
            "language.unknown",
            Phrase("语言“%(text)s”不认识；可填 zh（中文）或 en（英文）", text=_short(text)),
        )
    return found


def read_tags(text: str) -> tuple[str, ...]:
    """Tags between | ; 、 or commas, each once. Raises: FieldError: one is too long."""
    tags = dict.fromkeys(tag for part in _BETWEEN_SECTIONS.split(text) if (tag := " ".join(part.split())))
    for tag in tags:
        if len(tag) > LONGEST_TAG or not tag.isprintable():
            raise FieldError(
                "tags",
                "tags.invalid",
                Phrase(
                    "标签“%(tag)s”不能用：最多 %(most)s 个字，不含控制字符", tag=_short(tag), most=LONGEST_TAG
                ),
            )
    return tuple(tags)


def read_attribute(name: str, text: str) -> str:
    """The value of an attribute. Raises: FieldError: it is too long or holds control characters."""
    value = " ".join(text.split())
    if _has_control(value):
        raise FieldError(
            f"attr:{name}",
            "attribute.control",
            Phrase("“%(name)s”里有看不见的控制字符，请删去后重试", name=_short(name)),
        )
    if len(value) > LONGEST_VALUE:
        raise FieldError(
            f"attr:{name}",
            "attribute.too_long",
            Phrase("“%(name)s”过长，最多 %(most)s 个字", name=_short(name), most=LONGEST_VALUE),
        )
    return value


def natural_channel(*, has_email: bool, has_openid: bool) -> ChannelChoice:
    """The way by what is there."""
    if has_email and has_openid:
        return ChannelChoice.BOTH
    return ChannelChoice.WECHAT if has_openid else ChannelChoice.EMAIL


def check_reachable(channel: ChannelChoice, *, has_email: bool, has_openid: bool) -> None:
    """Raises: FieldError: the way needs an address or openid that is not there."""
    there = {"email": has_email, "wechat": has_openid}
    words = {"email": (Phrase("邮件"), Phrase("邮箱")), "wechat": (Phrase("微信"), "openid")}
    for way in channel.channels:
        if not there[way]:
            raise FieldError(
                "channel",
                "channel.unreachable",
                Phrase("渠道选了%(way)s，但没有%(place)s", way=words[way][0], place=words[way][1]),
            )


def masked(email: str) -> str:
    """An address that its owner recognises and nobody else learns: z***@example.cn."""
    local, _, domain = email.rpartition("@")
    return f"{local[:1]}***@{domain}"


def known_sections(publication: Publication, keys: Collection[str]) -> list[str]:
    """The keys that the publication has, in its order."""
    return [key for key in publication.section_keys if key in keys]


def _has_control(text: str) -> bool:
    return not text.isprintable() and any(
        unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in text
    )


def _folded(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def _short(text: str) -> str:
    return text if len(text) <= 20 else text[:20] + "…"
