"""What has to stand in DNS so that our mail is believed, worked out from the settings: SPF, DKIM, DMARC, MX.

In: the settings. Out: `Record`s to be published as they are. Caller: mail.py. Nobody's DNS is asked.
Sources: RFC 7208 (SPF), RFC 6376 and 8463 (DKIM), RFC 7489 (DMARC), RFC 5321 §5 (MX).
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from bdnews_dispatch.digests.dkim import load_keys
from bdnews_dispatch.errors import SettingsError
from bdnews_dispatch.settings import Settings

#: In the place of an address that only people of the network know.
_UNKNOWN = "A.B.C.D"


@dataclass(frozen=True, slots=True)
class Record:
    """One record.

    Attributes:
        sort: `spf`, `dkim`, `dmarc`, `mx`.
        type: as DNS calls it.
        to_fill: what of the value a person has to put another in the place of.
    """

    sort: str
    name: str
    type: str
    value: str
    to_fill: str = ""


@dataclass(frozen=True, slots=True)
class Records:
    """All of them. `problem`: why the keys can't be read by this process; the others are there all the same."""

    found: Sequence[Record]
    signed: bool
    problem: SettingsError | None = None


def records_of(settings: Settings) -> Records:
    """Reads the files of the keys: call it in a thread."""
    domain = settings.email.from_address.rpartition("@")[2]
    relay = _relay(settings.email.host)
    to_fill = _UNKNOWN if _UNKNOWN in relay else ""
    found = [Record("spf", settings.bounce_domain, "TXT", f"v=spf1 {relay} ~all", to_fill)]
    problem = None
    try:
        keys = load_keys(settings.dkim_files)
    except SettingsError as error:
        keys, problem = [], error
    found += [Record("dkim", key.name, "TXT", key.record) for key in keys]
    reports = f"; rua=mailto:postmaster@{domain}"
    found.append(Record("dmarc", f"_dmarc.{domain}", "TXT", f"v=DMARC1; p=none{reports}"))
    if settings.returns.port:
        host = settings.base_url.partition("://")[2].partition("/")[0].partition(":")[0]
        found.append(Record("mx", settings.bounce_domain, "MX", f"10 {host}."))
    return Records(found, bool(keys), problem)


def _relay(host: str) -> str:
    """Who may send: the relay's own address or name. A provider's relay sends from others, which its pages name."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f"a:{host}" if "." in host else f"ip4:{_UNKNOWN}"
    return f"ip{address.version}:{host}" if address.is_global else f"ip4:{_UNKNOWN}"
