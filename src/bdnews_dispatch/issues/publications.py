"""What a publication is called and how its pages are laid out: config/publications/*.toml, read once.

In: TOML. Out: `Publication`. Callers: parsing, digests, subscribers, web. A second publication is a second file.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bdnews_dispatch.errors import NotFoundError, SettingsError
from bdnews_dispatch.shipped import shipped


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SectionInfo(_Frozen):
    """A section that readers can choose.

    Attributes:
        key: in links, files and the database; never changes.
        name: as printed.
        aliases: other headings that mean it, matched whole after folding widths, spaces and punctuation.
        description: one sentence of what it holds, for the preference page.
    """

    key: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    name: str
    name_en: str = ""
    aliases: tuple[str, ...] = ()
    description: str = ""


class Publication(_Frozen):
    """A publication.

    Attributes:
        layout: what parsing needs to know of its pages; read by issues/parsing alone.
    """

    key: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    name: str
    name_en: str = ""
    tagline: str = ""
    publisher: str
    address: str = ""
    telephone: str = ""
    email: str = ""
    notice: str = ""
    sections: tuple[SectionInfo, ...]
    layout: dict[str, Any] = {}

    def section(self, key: str) -> SectionInfo | None:
        return next((section for section in self.sections if section.key == key), None)

    @property
    def section_keys(self) -> tuple[str, ...]:
        return tuple(section.key for section in self.sections)


class Publications(Mapping[str, Publication]):
    """Every publication by its key, in the order of their files' names."""

    def __init__(self, publications: Mapping[str, Publication], default: str) -> None:
        self._by_key = dict(publications)
        self.default_key = default

    def __getitem__(self, key: str) -> Publication:
        return self._by_key[key]

    def __iter__(self) -> Any:
        return iter(self._by_key)

    def __len__(self) -> int:
        return len(self._by_key)

    def named(self, key: str | None) -> Publication:
        """The publication with this key, or the default one for None.

        Raises:
            NotFoundError: there is none; the message lists what there is.
        """
        found = self._by_key.get(key or self.default_key)
        if found is None:
            raise NotFoundError(
                f"没有名为 {key or self.default_key} 的刊物", hint=f"现有：{'、'.join(self._by_key)}。"
            )
        return found


def load_publications(folder: str = "", default: str = "dsj") -> Publications:
    """Read every *.toml of the folder.

    Raises:
        SettingsError: a file is not right; names the file and the key.
    """
    path = Path(folder) if folder else shipped("config") / "publications"
    found: dict[str, Publication] = {}
    for file in sorted(path.glob("*.toml")):
        try:
            publication = Publication.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
            check_patterns(publication.layout)
        except ValidationError as error:
            wrong = "；".join(
                f"{'.'.join(str(part) for part in problem['loc'])}：{problem['msg']}"
                for problem in error.errors()
            )
            raise SettingsError(f"刊物设置 {file} 不正确：{wrong}") from error
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError, re.error) as error:
            raise SettingsError(f"刊物设置 {file} 不正确：{error}") from error
        found[publication.key] = publication
    if not found:
        raise SettingsError(
            f"{path} 里没有刊物设置（*.toml）", hint="请检查设置 publications.folder；留空则用随程序提供的。"
        )
    if default not in found:
        raise SettingsError(
            f"设置 publications.default：没有名为 {default} 的刊物", hint=f"现有：{'、'.join(found)}。"
        )
    return Publications(found, default)


def check_patterns(layout: Mapping[str, Any]) -> None:
    """Compile every value whose key ends in `pattern`, so that a wrong one is named at the start."""
    for key, value in layout.items():
        if isinstance(value, Mapping):
            check_patterns(value)
        elif key.endswith("pattern") and isinstance(value, str):
            re.compile(value)
