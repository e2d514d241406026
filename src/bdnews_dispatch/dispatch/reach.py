"""Who may really be reached: until `delivery.allow` says otherwise, nobody; all else goes to the sandbox."""

import difflib
import re
from dataclasses import dataclass

from bdnews_dispatch.errors import SettingsError

#: As the platform gives them: an o and more of the same alphabet.
OPENID = re.compile(r"o[A-Za-z0-9_-]{5,63}")
_NOBODY = {"", "nobody", "none"}
_EVERYBODY = {"everybody", "everyone", "all", "*"}


@dataclass(frozen=True, slots=True)
class Reach:
    """Read from `delivery.allow`.

    Attributes:
        addresses: folded addresses and openids.
        domains: of addresses, without the @.
    """

    everybody: bool
    addresses: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()

    @classmethod
    def read(cls, allow: str) -> "Reach":
        """Raises: SettingsError: the text is none of the forms that config/bdnews.toml names."""
        text = allow.strip()
        if text.lower() in _NOBODY:
            return cls(everybody=False)
        if text.lower() in _EVERYBODY:
            return cls(everybody=True)
        addresses, domains = set(), set()
        for part in text.replace(";", ",").split(","):
            entry = part.strip().removeprefix("*")
            if not entry:
                continue
            if entry.lower() in _NOBODY | _EVERYBODY or any(character.isspace() for character in entry):
                raise SettingsError(
                    f"设置 delivery.allow 中的“{entry}”不能与其他值并列",
                    hint="写 nobody、everybody，或以逗号分隔的地址、@域名、openid。",
                )
            if "@" not in entry and not OPENID.fullmatch(entry):
                nearest = difflib.get_close_matches(entry.lower(), ["nobody", "everybody"], n=1)
                raise SettingsError(
                    f"设置 delivery.allow 中的“{entry}”既不是地址、@域名，也不是 openid",
                    hint=f"最接近的是 {nearest[0]}。"
                    if nearest
                    else "写 nobody、everybody，或以逗号分隔的地址。",
                )
            if entry.startswith("@"):
                domains.add(entry[1:].casefold())
            else:
                addresses.add(entry.casefold())
        return cls(everybody=False, addresses=frozenset(addresses), domains=frozenset(domains))

    @property
    def nobody(self) -> bool:
        """Everything goes to the sandbox."""
        return not (self.everybody or self.addresses or self.domains)

    def allows(self, target: str) -> bool:
        """Args: target: an address or an openid."""
        folded = target.casefold()
        return self.everybody or folded in self.addresses or folded.rpartition("@")[2] in self.domains
