"""What looks wrong with an address that is right by its form: a mistyped provider, nobody's own box, a throw-away one.

In: an address as read. Out: warnings, never refusals: only its owner knows. Callers: imports; whoever asks for an
address on a page can show the suggestion beside it.
"""

from dataclasses import dataclass
from functools import lru_cache

from bdnews_dispatch.subscribers.fields import Address

#: Providers whose names people mistype, the most used of China and of the world. What is one of them is never a slip,
#: however near it is to another one (163.com, 126.com).
PROVIDERS = (
    "qq.com",
    "163.com",
    "126.com",
    "foxmail.com",
    "vip.qq.com",
    "vip.163.com",
    "yeah.net",
    "sina.com",
    "sina.cn",
    "vip.sina.com",
    "sohu.com",
    "139.com",
    "189.cn",
    "wo.cn",
    "aliyun.com",
    "tom.com",
    "21cn.com",
    "188.com",
    "gmail.com",
    "googlemail.com",
    "outlook.com",
    "hotmail.com",
    "live.com",
    "live.cn",
    "msn.com",
    "icloud.com",
    "me.com",
    "yahoo.com",
    "yahoo.com.cn",
    "yahoo.cn",
    "aol.com",
    "gmx.com",
    "gmx.de",
    "mail.com",
    "mail.ru",
    "proton.me",
    "protonmail.com",
    "zoho.com",
    "yandex.com",
    "yandex.ru",
    "web.de",
)
#: Too near to a provider's name to be told from a slip, and yet there: one that is missing here costs one warning.
_REAL = frozenset(
    {
        "qq.cn",
        "163.cn",
        "126.net",
        "163.net",
        "tom.cn",
        "mail.cn",
        "gmail.de",
        "email.com",
        "wo.com.cn",
        "me.cn",
    }
)
_PROVIDERS = frozenset(PROVIDERS)
#: RFC 2142, and what stands at the front of many organisations' pages.
ROLES = frozenset(
    {
        "abuse",
        "admin",
        "administrator",
        "all",
        "bangongshi",
        "billing",
        "contact",
        "enquiries",
        "enquiry",
        "feedback",
        "help",
        "helpdesk",
        "hostmaster",
        "hr",
        "info",
        "it",
        "jobs",
        "list",
        "marketing",
        "master",
        "media",
        "news",
        "newsletter",
        "no-reply",
        "noreply",
        "office",
        "postmaster",
        "pr",
        "press",
        "recruit",
        "root",
        "sales",
        "security",
        "service",
        "services",
        "staff",
        "support",
        "sysadmin",
        "team",
        "test",
        "webmaster",
        "xinxi",
        "xuanchuan",
        "zhaopin",
        "zonghe",
        "办公室",
        "综合处",
        "综合科",
        "信箱",
        "收发室",
        "值班室",
        "宣传部",
        "信息中心",
    }
)


@dataclass(frozen=True, slots=True)
class Warning:  # noqa: A001  # the word for it; Python's own is not met here
    """Attributes: code: never changes. message: in words. suggestion: the address that was meant, or empty."""

    code: str
    message: str
    suggestion: str = ""


def address_warnings(address: Address) -> list[Warning]:
    """What its owner may want to look at again."""
    local, _, domain = address.email.rpartition("@")
    found = []
    told = _about_domain(domain)
    if told is not None:
        code, meant = told
        if meant:
            found.append(Warning(code, f"{domain} 多半是 {meant} 之误", f"{local}@{meant}"))
        else:
            found.append(Warning(code, f"{domain} 是一次性邮箱，多半很快失效"))
    if local.casefold() in ROLES:
        found.append(Warning("email.role", f"{local}@ 是公用信箱，不是个人的"))
    return found


@lru_cache(maxsize=16_384)
def _about_domain(domain: str) -> tuple[str, str] | None:
    if domain in _PROVIDERS or domain in _REAL:
        return None
    if meant := _meant(domain):  # first: somebody has registered gmial.com, and the list has it
        return "email.typo", meant
    from disposable_email_domains import blocklist  # noqa: PLC0415  # 8,000 names, needed here alone

    parts = domain.split(".")
    thrown_away = any(".".join(parts[start:]) in blocklist for start in range(len(parts) - 1))
    return ("email.disposable", "") if thrown_away else None


def _meant(domain: str) -> str:
    """The domain that is one slip away; of several the first."""
    for provider in PROVIDERS:
        if _one_slip(domain, provider):
            return provider
    front, _, end = domain.rpartition(".")
    return f"{front}.com" if end in _NO_ENDS else ""


def _one_slip(typed: str, meant: str) -> bool:
    """Whether one letter is missing, too many, wrong, or two have changed places, in the name or behind it.

    Short names are told by what follows them: `qq` has hundreds of real neighbours (q1.com, qa.com), `.con` has none.
    """
    name, _, end = meant.partition(".")
    typed_name, _, typed_end = typed.partition(".")
    if typed_name == name:
        return typed_end not in _ENDS and _differ_by_one(typed_end, end)
    return typed_end == end and len(name) >= 5 and _differ_by_one(typed_name, name)


#: What may stand behind a name by right, although it is near to `com`, `cn` or another one.
_ENDS = frozenset(
    {
        "com",
        "cn",
        "net",
        "org",
        "cc",
        "me",
        "io",
        "com.cn",
        "net.cn",
        "org.cn",
        "gov.cn",
        "edu.cn",
        "ru",
        "de",
        "de.com",
        "ca",
        "uk",
        "fr",
        "it",
        "jp",
        "kr",
        "tw",
        "hk",
        "sg",
    }
)
#: There is no such end, and it is `com` in a hurry.
_NO_ENDS = frozenset({"con", "cmo", "ocm", "comm", "cpm", "xom", "vom"})


def _differ_by_one(a: str, b: str) -> bool:
    """One insertion, deletion, substitution or exchange of neighbours (Damerau)."""
    if a == b:
        return False
    if len(a) == len(b):
        wrong = [place for place in range(len(a)) if a[place] != b[place]]
        if len(wrong) == 1:
            return True
        return (
            len(wrong) == 2
            and wrong[1] == wrong[0] + 1
            and a[wrong[0]] == b[wrong[1]]
            and a[wrong[1]] == b[wrong[0]]
        )
    longer, shorter = (a, b) if len(a) > len(b) else (b, a)
    return any(longer[:place] + longer[place + 1 :] == shorter for place in range(len(longer)))
