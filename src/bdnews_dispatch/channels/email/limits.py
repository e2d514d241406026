"""How much a relay and a recipient's provider may be given: config/providers.toml, `[relay]` and `[[provider]]`.

In: the file. Out: a `Limit` for each recipient domain. Caller: dispatch/ (pacing).
"""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from bdnews_dispatch.channels.email.replies import FILE
from bdnews_dispatch.errors import SettingsError
from bdnews_dispatch.shipped import shipped


@dataclass(frozen=True, slots=True)
class Limit:
    """What one provider, or the relay, may be given; 0 is no limit.

    Attributes:
        name: the provider's, or the domain's where it has none.
        messages_per_second: on average; a tenth of a second's worth may go at once.
        connections: messages under way at the same time.
        messages_per_connection: to this provider, over one connection of ours.
    """

    name: str
    messages_per_second: float = 0.0
    connections: int = 0
    messages_per_connection: int = 0


class Limits:
    """Limits by domain."""

    def __init__(
        self,
        relay: Limit | None = None,
        providers: Mapping[str, Limit] | None = None,
        others: Limit | None = None,
    ) -> None:
        """Args: providers: by domain. others: for a domain of no known provider; each such domain has its own."""
        self.relay = relay or Limit("relay")
        self._providers = dict(providers or {})
        self._others = others or Limit("")

    @classmethod
    def load(cls, file: Path | None = None) -> Self:
        """Read the limits.

        Args:
            file: by default the one that ships.

        Raises:
            SettingsError: the file can't be read, or a limit in it is wrong; names it.
        """
        file = file or shipped("config") / FILE
        try:
            content = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SettingsError(f"读不到服务商限额 {file}：{error}") from error
        providers: dict[str, Limit] = {}
        rows = content.get("provider", [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise SettingsError(f"服务商应各写作一段 [[provider]]，双层方括号（{file}）")
        names: set[str] = {"relay", "others"}
        for row in rows:
            domains = row.pop("domains", [])
            name = str(row.get("name", ""))
            if not isinstance(domains, list) or not domains:
                raise SettingsError(f"服务商 {name or '?'} 没有 domains（{file}）")
            if not name or name in names:
                raise SettingsError(
                    f"服务商名称 {name!r} 缺失、重复或已有他用（{file}）", hint="每个服务商须有自己的 name。"
                )
            names.add(name)
            limit = _limit(row, file)
            for domain in domains:
                known = providers.setdefault(str(domain).lower(), limit)
                if known is not limit:
                    raise SettingsError(f"域名 {domain} 同时属于 {known.name} 与 {name}（{file}）")
        return cls(
            _limit({**_table(content, "relay", file), "name": "relay"}, file),
            providers,
            _limit({**_table(content, "others", file), "name": "others"}, file),
        )

    @property
    def providers(self) -> dict[Limit, tuple[str, ...]]:
        """Each provider that the file names, with its domains; in the file's order."""
        found: dict[Limit, tuple[str, ...]] = {}
        for domain, limit in self._providers.items():
            found[limit] = (*found.get(limit, ()), domain)
        return found

    @property
    def others(self) -> Limit:
        """Of each domain that the file does not name."""
        return self._others

    @property
    def names(self) -> frozenset[str]:
        """Of the providers that the file names."""
        return frozenset(limit.name for limit in self._providers.values())

    def of(self, domain: str) -> Limit:
        """The limit for a recipient's domain, in lower case."""
        known = self._providers.get(domain)
        if known is not None:
            return known
        o = self._others
        return Limit(domain, o.messages_per_second, o.connections, o.messages_per_connection)


def _table(content: Mapping[str, Any], name: str, file: Path) -> dict[str, Any]:
    table = content.get(name, {})
    if not isinstance(table, dict):
        raise SettingsError(f"{name} 应写作一段 [{name}]（{file}）")
    return table


def _limit(row: Mapping[str, Any], file: Path) -> Limit:
    name = str(row.get("name", "?"))
    known = {field.name for field in fields(Limit)}
    for key, value in row.items():
        if key in {"name", "source"}:
            continue
        if key not in known:
            raise SettingsError(
                f"服务商 {name} 没有名为 {key} 的限额（{file}）", hint=f"可用：{'、'.join(sorted(known))}。"
            )
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            raise SettingsError(f"服务商 {name} 的 {key} 应为不小于 0 的数（{file}）")
        if key != "messages_per_second" and not isinstance(value, int):
            raise SettingsError(f"服务商 {name} 的 {key} 应为整数（{file}）")
    return Limit(
        name,
        float(row.get("messages_per_second", 0)),
        int(row.get("connections", 0)),
        int(row.get("messages_per_connection", 0)),
    )
