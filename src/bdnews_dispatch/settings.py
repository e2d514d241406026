"""One frozen settings object, read once: config/bdnews.toml as shipped, your own file over it, then the environment.

In: TOML files and BDNEWS_… variables. Out: `Settings`, and beside them where each value came from (`ReadSettings`).
Callers: cli/, tests. The defaults stand in config/bdnews.toml alone, so the file that people read can't disagree with
the code.
"""

import difflib
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, IPvAnyNetwork, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails

from bdnews_dispatch.errors import SettingsError
from bdnews_dispatch.shipped import shipped

PREFIX = "BDNEWS_"
CONFIG_VARIABLE = "BDNEWS_CONFIG"
_NOT_SETTINGS = {CONFIG_VARIABLE}
#: Variables that tests and tools read for themselves.
_FOREIGN_PREFIXES = ("BDNEWS_TEST_",)

Port = Field(ge=0, le=65535)


#: The order of wechat.md: channels/wechat/modes.py says what each needs.
WeChatMode = Literal["custom", "subscribe_long", "subscribe_once", "template", "mass"]
TemplateValue = Literal["title", "number", "date", "sections", "summary"]


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ServiceSettings(_Group):
    data_folder: Path
    timezone: ZoneInfo
    log_level: Literal["debug", "info", "warning", "error"]
    log_format: Literal["text", "json"]


class DatabaseSettings(_Group):
    url: str


class SecuritySettings(_Group):
    signing_keys: tuple[SecretStr, ...]


class WebSettings(_Group):
    host: str
    port: int = Port
    base_url: str
    proxies: tuple[IPvAnyNetwork, ...]
    api_requests_a_minute: int = Field(ge=1)


class PublicationsSettings(_Group):
    folder: str
    default: str


class IssuesSettings(_Group):
    folder: Path
    review: bool
    settle_seconds: float = Field(ge=0)
    max_bytes: int = Field(gt=0)


class DeliverySettings(_Group):
    allow: str
    uncertain: Literal["hold", "resend", "assume_sent"]
    batch: int = Field(ge=1, le=10_000)
    lease_seconds: float = Field(gt=0)
    retry_first_seconds: float = Field(gt=0)
    retry_limit_hours: float = Field(gt=0)
    breaker_after: int = Field(ge=1)


class EmailSettings(_Group):
    host: str
    port: int = Port
    security: Literal["none", "starttls", "tls"]
    username: str
    password: SecretStr
    from_name: str
    from_address: str
    letter_address: str
    bounce_domain: str
    unsubscribe_mailbox: str
    dkim_domain: str
    dkim_selector: str
    dkim_key: str
    dkim_ed25519_selector: str
    dkim_ed25519_key: str
    connections: int = Field(ge=1, le=1000)
    messages_per_connection: int = Field(ge=1)
    timeout_seconds: float = Field(gt=0)
    final_timeout_seconds: float = Field(gt=0)
    providers: str


class MenuEntry(_Group):
    """A button of the account's menu: of exactly one kind, or with entries below it.

    Attributes:
        name: at most 5 Hanzi on the bar, 20 below (16 and 60 octets).
        keyword: what a tap says: 订阅, 最新, a section's name …
        page: one of ours: `mine` (the reader's own, by WeChat's sign-in) or `archive`.
        url: any other page.
        sections: the publication's sections, one entry each, five at most.
        below: entries that open from it, five at most.
    """

    name: str = Field(min_length=1)
    keyword: str = ""
    page: Literal["", "mine", "archive"] = ""
    url: str = ""
    sections: bool = False
    below: "tuple[MenuEntry, ...]" = ()

    @model_validator(mode="after")
    def _one_kind(self) -> "MenuEntry":
        kinds = [bool(value) for value in (self.keyword, self.page, self.url, self.sections, self.below)]
        if sum(kinds) != 1:
            raise ValueError(f"“{self.name}”须在 keyword、page、url、sections、below 中恰好写一项")
        if any(entry.below or entry.sections for entry in self.below):
            raise ValueError(f"“{self.name}”下面的按钮不能再展开")
        return self


class WeChatSettings(_Group):
    api_base: str
    authorize_base: str
    page_script: str
    menu: tuple[MenuEntry, ...] = Field(max_length=3)
    tags: bool
    appid: str
    secret: SecretStr
    token: SecretStr
    aes_key: SecretStr
    aes_key_previous: SecretStr
    modes: tuple[WeChatMode, ...]
    template_id: str
    template_fields: dict[str, TemplateValue]
    long_term_template_id: str
    long_term_fields: dict[str, TemplateValue]
    one_time_template_id: str
    one_time_fields: dict[str, TemplateValue]
    mass_author: str = Field(max_length=16)
    mass_cover: str
    templates_a_day: int = Field(ge=1)
    masses_a_month: int = Field(ge=1)
    mass_calls_a_minute: int = Field(ge=1)
    mass_calls_a_day: int = Field(ge=1)
    connections: int = Field(ge=1, le=100)
    timeout_seconds: float = Field(gt=0)


class WebhooksSettings(_Group):
    inside: tuple[str, ...]


class FeedsSettings(_Group):
    every_seconds: float = Field(ge=60)
    inside: tuple[str, ...]


class ReturnsSettings(_Group):
    host: str
    port: int = Port
    protocol: Literal["smtp", "lmtp"]
    max_bytes: int = Field(ge=10_000)
    soft_bounces: int = Field(ge=1)


class MailboxSettings(_Group):
    host: str
    port: int = Field(ge=1, le=65_535)
    security: Literal["tls", "starttls", "none"]
    username: str
    password: SecretStr
    ca_file: str
    folder: str = Field(min_length=1)
    done: str
    every_seconds: int = Field(ge=5)
    timeout_seconds: float = Field(gt=0)


class SandboxSettings(_Group):
    smtp_host: str
    smtp_port: int = Port
    http_host: str
    http_port: int = Port


class ScheduleSettings(_Group):
    weekly: str
    monthly: str
    tick_seconds: float = Field(gt=0)
    catch_up_days: int = Field(ge=0)


class RetentionSettings(_Group):
    at: str
    hits: int = Field(ge=0)
    attempts: int = Field(ge=0)
    returns: int = Field(ge=0)
    requests: int = Field(ge=0)
    letters: int = Field(ge=0)
    events: int = Field(ge=0)
    sandbox: int = Field(ge=0)


class ImportsSettings(_Group):
    max_bytes: int = Field(gt=0)
    max_rows: int = Field(gt=0)
    keep_days: int = Field(ge=1)


class ConsoleSettings(_Group):
    undo_seconds: int = Field(ge=0, le=600)


class SignInSettings(_Group):
    second_factor: Literal["optional", "admins", "everybody"]
    issuer: str
    client_id: str
    client_secret: SecretStr
    provider_name: str

    @model_validator(mode="after")
    def _whole(self) -> "SignInSettings":
        if not self.issuer:
            return self
        parts = urlsplit(self.issuer)
        if parts.scheme != "https" and parts.hostname not in {"localhost", "127.0.0.1", "::1"}:
            raise ValueError("issuer 须是 https:// 地址")
        if not self.client_id:
            raise ValueError("写了 issuer，也要写 client_id")
        return self


class OperationsSettings(_Group):
    host: str
    port: int = Port
    traces: str
    traces_mail_ratio: float = Field(ge=0, le=1)


class Settings(_Group):
    """All settings. Secrets are `SecretStr`: printing them shows asterisks."""

    service: ServiceSettings
    database: DatabaseSettings
    security: SecuritySettings
    web: WebSettings
    publications: PublicationsSettings
    issues: IssuesSettings
    delivery: DeliverySettings
    email: EmailSettings
    wechat: WeChatSettings
    webhooks: WebhooksSettings
    feeds: FeedsSettings
    returns: ReturnsSettings
    mailbox: MailboxSettings
    sandbox: SandboxSettings
    schedule: ScheduleSettings
    retention: RetentionSettings
    imports: ImportsSettings
    console: ConsoleSettings
    sign_in: SignInSettings
    operations: OperationsSettings

    @property
    def base_url(self) -> str:
        """What readers see, without a slash at the end."""
        return (self.web.base_url or f"http://{self.web.host}:{self.web.port}").rstrip("/")

    @property
    def letter_address(self) -> str:
        """Who letters come from: another sender than the digests', whose reputation is not theirs."""
        email = self.email
        return email.letter_address or f"notice@{email.from_address.rpartition('@')[2]}"

    @property
    def dkim_domain(self) -> str:
        return self.email.dkim_domain or self.email.from_address.rpartition("@")[2]

    @property
    def dkim_files(self) -> list[tuple[str, str, Path]]:
        """Domain, selector and file of each key that is named."""
        email = self.email
        named = ((email.dkim_selector, email.dkim_key), (email.dkim_ed25519_selector, email.dkim_ed25519_key))
        return [(self.dkim_domain, selector, Path(file)) for selector, file in named if file]

    @property
    def bounce_domain(self) -> str:
        return self.email.bounce_domain or self.email.from_address.rpartition("@")[2]


class Place(StrEnum):
    """Where a value can stand; of two places the later one here wins."""

    SHIPPED = "shipped"
    FILE = "file"
    ENVIRONMENT = "environment"
    #: By the program that started the service: `bdnews demo`, a test.
    GIVEN = "given"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from. `name`: the file's path, or the variable's name; empty otherwise."""

    place: Place
    name: str = ""


@dataclass(frozen=True, slots=True)
class ReadSettings:
    """Settings as they were read.

    Attributes:
        origins: of every setting, by `group.key`.
        file: your own file; None where there is none.
    """

    settings: Settings
    origins: Mapping[str, Origin]
    file: Path | None = None

    @classmethod
    def given(cls, settings: Settings) -> Self:
        """Of settings that no file has told."""
        names = (
            f"{group}.{key}"
            for group in type(settings).model_fields
            for key in getattr(settings, group).model_fields_set
        )
        return cls(settings, MappingProxyType(dict.fromkeys(names, Origin(Place.GIVEN))))

    def changed(self, changes: Mapping[str, Mapping[str, Any]]) -> Self:
        """The same, but for some values that the program gives. Args: changes: by group and key, not checked."""
        groups = {
            group: getattr(self.settings, group).model_copy(update=values)
            for group, values in changes.items()
        }
        given = {f"{group}.{key}": Origin(Place.GIVEN) for group, values in changes.items() for key in values}
        settings = self.settings.model_copy(update=groups)
        return type(self)(settings, MappingProxyType({**self.origins, **given}), self.file)


def variable_of(group: str, key: str) -> str:
    """The environment's name of a setting."""
    return f"{PREFIX}{group}__{key}".upper()


def load_settings(
    environment: Mapping[str, str] | None = None,
    *,
    file: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """The settings alone. For arguments and errors see `read_settings`."""
    return read_settings(environment, file=file, overrides=overrides).settings


def read_settings(
    environment: Mapping[str, str] | None = None,
    *,
    file: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> ReadSettings:
    """Read the settings.

    Args:
        environment: instead of the process's own.
        file: your own file; by default what BDNEWS_CONFIG names, else ./bdnews.toml if there is one.
        overrides: {"group": {"key": value}} over all else; for tests and for `bdnews demo`.

    Raises:
        SettingsError: a file can't be read, a key is unknown (the nearest known one is named), a value is wrong.
    """
    environment = os.environ if environment is None else environment
    merged = _read_toml(shipped("config") / "bdnews.toml")
    known = {group: set(keys) for group, keys in merged.items()}
    origins = dict.fromkeys(_all_names(known), Origin(Place.SHIPPED))
    own = file or _own_file(environment)
    if own is not None:
        of_file = Origin(Place.FILE, str(own))
        _overlay(merged, origins, _read_toml(own), known, where=str(own), origin=lambda _: of_file)
    values, variables = _from_environment(environment, known)
    of_variable = {name: Origin(Place.ENVIRONMENT, variable) for name, variable in variables.items()}
    _overlay(merged, origins, values, known, where="environment", origin=of_variable.__getitem__)
    if overrides:
        of_program = Origin(Place.GIVEN)
        _overlay(merged, origins, overrides, known, where="overrides", origin=lambda _: of_program)
    try:
        return ReadSettings(Settings.model_validate(merged), MappingProxyType(origins), own)
    except ValidationError as error:
        raise SettingsError(
            "\n".join(
                f"设置 {_dotted(problem['loc'])}：{_told(problem)}（收到的值类型为 {type(problem['input']).__name__}）"
                for problem in error.errors()
            ),
            hint=f"每项设置的含义与默认值见 {shipped('config') / 'bdnews.toml'}。",
        ) from None


#: Of pydantic's kinds of problem, those that a slip of the pen makes; the others are told as it tells them.
_WRONG: Mapping[str, str] = {
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), "应为整数"),
    **dict.fromkeys(("float_parsing", "float_type"), "应为数字"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "应为 true 或 false"),
    "string_type": "应为文字，写在引号里",
    **dict.fromkeys(("list_type", "tuple_type"), "应为列表，写在方括号里"),
    "greater_than": "应大于 {gt}",
    "greater_than_equal": "应不小于 {ge}",
    "less_than": "应小于 {lt}",
    "less_than_equal": "应不大于 {le}",
    "literal_error": "应为其中之一：{expected}",
    "missing": "没有写",
}


def _told(problem: ErrorDetails) -> str:
    words = _WRONG.get(problem["type"])
    if words is None:
        return problem["msg"]
    told = {name: str(value) for name, value in problem.get("ctx", {}).items()}
    return words.format(**told).replace(" or ", "、").replace(", ", "、")


def _own_file(environment: Mapping[str, str]) -> Path | None:
    if named := environment.get(CONFIG_VARIABLE):
        return Path(named)
    local = Path("bdnews.toml")
    return local if local.is_file() else None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"读不到设置文件 {path}：{error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"设置文件 {path} 不是正确的 TOML：{error}") from error


def _from_environment(
    environment: Mapping[str, str], known: Mapping[str, set[str]]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The values by group and key; and, by `group.key`, the variable that holds each."""
    found: dict[str, Any] = {}
    variables: dict[str, str] = {}
    for name, text in environment.items():
        if not name.startswith(PREFIX) or name in _NOT_SETTINGS or name.startswith(_FOREIGN_PREFIXES):
            continue
        group, separator, key = name.removeprefix(PREFIX).lower().partition("__")
        if not separator:
            raise SettingsError(f"环境变量 {name} 不是一项设置", hint=_nearest(group, _all_names(known)))
        found.setdefault(group, {})[key] = _environment_value(text)
        variables[f"{group}.{key}"] = name
    return found, variables


def _environment_value(text: str) -> Any:
    """A list or table is written as in TOML; anything else is the text itself, which pydantic reads by its kind."""
    if text[:1] in "[{" and text:
        try:
            return tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            return text
    return text


def _overlay(
    target: dict[str, Any],
    origins: dict[str, Origin],
    source: Mapping[str, Any],
    known: Mapping[str, set[str]],
    *,
    where: str,
    origin: Callable[[str], Origin],
) -> None:
    """Args: origin: of a setting of this source, by `group.key`."""
    for group, values in source.items():
        if group not in known:
            raise SettingsError(f"没有名为 {group} 的设置组（来自 {where}）", hint=_nearest(group, known))
        if not isinstance(values, Mapping):
            raise SettingsError(f"设置 {group} 应当是一组键值（来自 {where}）")
        for key, value in values.items():
            if key not in known[group]:
                nearest = _nearest(f"{group}.{key}", _all_names(known))
                raise SettingsError(f"没有名为 {group}.{key} 的设置（来自 {where}）", hint=nearest)
            target[group][key] = value
            origins[f"{group}.{key}"] = origin(f"{group}.{key}")


def _all_names(known: Mapping[str, set[str]]) -> Iterator[str]:
    return (f"{group}.{key}" for group, keys in known.items() for key in keys)


def _nearest(name: str, names: Any) -> str:
    close = difflib.get_close_matches(name, sorted(names), n=1, cutoff=0.0)
    if not close:
        return ""
    variable = variable_of(*close[0].split(".", 1)) if "." in close[0] else PREFIX + close[0].upper()
    return f"最接近的是 {close[0]}（环境变量 {variable}）。"


def _dotted(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location)
