"""Every setting as a page may show it: its value without secrets, where it comes from, what to write to change it.

In: the settings as they were read. Out: `Shown`, plain data. Callers: listing.py, overview.py. Pure.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, SecretStr

from bdnews_dispatch.dispatch.reach import OPENID
from bdnews_dispatch.settings import Origin, Place, ReadSettings, Settings, variable_of
from bdnews_dispatch.subscribers.fields import masked
from bdnews_dispatch.web.console.settings.explanations import explanations

#: Stands for what nobody is shown.
HIDDEN = "***"
#: A password in an address, up to the last @, and one in its query.
_PASSWORD = re.compile(r"(://[^:/?#@\s]*:)\S*@")
_USER = re.compile(r"(://)[^/?#\s]*@")
_IN_QUERY = re.compile(
    r"([?&][^=&\s]*(?:(?:pass|secret|token)[^=&\s]*|key|sig|signature|auth|authorization)=)[^&\s]*",
    re.IGNORECASE,
)
#: What to write in a secret's place.
_TO_FILL = "……"


@dataclass(frozen=True, slots=True)
class Shown:
    """One setting.

    Attributes:
        value: as a text; of a secret empty.
        number: of a secret that is a list: how many there are.
        is_set: of a secret: whether there is one.
        words: its explanation, in the page's language.
        lines: what to put into bdnews.toml.
        variable: what to put into the environment: `NAME=value`.
    """

    group: str
    key: str
    secret: bool
    is_set: bool
    number: int
    value: str
    origin: Origin
    words: str
    lines: str
    variable: str

    @property
    def name(self) -> str:
        return f"{self.group}.{self.key}"

    @property
    def changed(self) -> bool:
        """Whether anybody has said something about it."""
        return self.origin.place is not Place.SHIPPED


def shown(read: ReadSettings, *, sees_people: bool, language: str = "zh") -> Iterator[Shown]:
    """All of them, in the file's order. Args: sees_people: may see addresses. language: of the explanations."""
    told = explanations(language)
    for group, of_group in Settings.model_fields.items():
        values = getattr(read.settings, group)
        assert of_group.annotation is not None  # noqa: S101  # every group is a model
        for key, field in of_group.annotation.model_fields.items():
            value = getattr(values, key)
            secret = field.annotation is SecretStr or SecretStr in get_args(field.annotation)
            if (group, key) == ("delivery", "allow") and not sees_people:
                value = _without_people(value)
            name = f"{group}.{key}"
            yield Shown(
                group=group,
                key=key,
                secret=secret,
                is_set=secret and bool(_held(value)),
                number=len(value) if isinstance(value, tuple) else 1,
                value="" if secret else _text(name, value),
                origin=read.origins.get(name, Origin(Place.SHIPPED)),
                words=told.keys.get(name, ""),
                lines=f"[{group}]\n{key} = {_example(name, value, secret=secret)}",
                variable=f"{variable_of(group, key)}={_in_environment(name, value, secret=secret)}",
            )


def without_passwords(text: str, *, database: bool = False) -> str:
    """An address, or any text, without what signs somebody in. Args: database: who signs in may be seen there."""
    text = _PASSWORD.sub(rf"\1{HIDDEN}@", text)
    if not database:
        text = _USER.sub(rf"\1{HIDDEN}@", text)
    return _IN_QUERY.sub(rf"\1{HIDDEN}", text)


def toml(value: Any) -> str:
    """As a file of settings has it, on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, BaseModel):
        return toml(value.model_dump(exclude_defaults=True))
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {toml(each)}' for key, each in value.items())} }}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(toml(each) for each in value)}]"
    return json.dumps(str(value), ensure_ascii=False)


def _held(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _plain(name: str, value: Any) -> Any:
    """Without passwords, whatever it is."""
    if isinstance(value, str):
        return without_passwords(value, database=name == "database.url")
    if isinstance(value, tuple):
        return [_plain(name, each) for each in value]
    return value


def _text(name: str, value: Any) -> str:
    plain = _plain(name, value)
    if isinstance(plain, str):
        return plain
    return toml(plain) if isinstance(plain, bool | list | Mapping | BaseModel) else str(plain)


def _example(name: str, value: Any, *, secret: bool) -> str:
    if secret:
        return f'["2026a:{_TO_FILL}"]' if isinstance(value, tuple) else f'"{_TO_FILL}"'
    return toml(_plain(name, value))


def _in_environment(name: str, value: Any, *, secret: bool) -> str:
    if secret:
        return _example(name, value, secret=True) if isinstance(value, tuple) else _TO_FILL
    plain = _plain(name, value)
    return toml(plain) if isinstance(plain, list | Mapping | bool) else str(plain)


def _without_people(allow: str) -> str:
    """Domains, and what means everybody or nobody, as they are; of whom one address or openid is, nothing is said."""
    return ", ".join(_without_person(part.strip()) for part in allow.replace(";", ",").split(","))


def _without_person(part: str) -> str:
    if "@" in part.lstrip("*@"):
        return masked(part)
    return f"{part[:1]}{HIDDEN}" if OPENID.fullmatch(part) else part
