"""Settings: three places, later wins; what is wrong is named by its key, with the nearest known one."""

import tomllib
from pathlib import Path

import pytest

from bdnews_dispatch.errors import SettingsError
from bdnews_dispatch.settings import (
    Origin,
    Place,
    ReadSettings,
    Settings,
    load_settings,
    read_settings,
    variable_of,
)
from bdnews_dispatch.shipped import shipped


def test_the_shipped_file_holds_every_setting() -> None:
    written = tomllib.loads((shipped("config") / "bdnews.toml").read_text(encoding="utf-8"))
    wanted = {
        group: set(field.annotation.model_fields)  # type: ignore[union-attr]
        for group, field in Settings.model_fields.items()
    }
    assert {group: set(keys) for group, keys in written.items()} == wanted


def test_the_environment_wins_over_a_file(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text('[email]\nhost = "from.file"\nport = 26\n', encoding="utf-8")
    settings = load_settings({"BDNEWS_CONFIG": str(file), "BDNEWS_EMAIL__HOST": "from.environment"})
    assert settings.email.host == "from.environment"
    assert settings.email.port == 26


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("BDNEWS_EMAIL__HOTS", "BDNEWS_EMAIL__HOST"),
        ("BDNEWS_DELIVERY__ALOW", "BDNEWS_DELIVERY__ALLOW"),
        ("BDNEWS_DATABSE__URL", "BDNEWS_DATABASE"),
    ],
)
def test_an_unknown_key_names_the_nearest(variable: str, nearest: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({variable: "x"})
    assert nearest in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "[email", 'web = "8080"', "[web]\nprot = 1", "[web]\nport = 'x'", "\x00"]
)
def test_a_broken_file_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "broken.toml"
    file.write_text(text, encoding="utf-8")
    if not text:
        assert load_settings({}, file=file).web.port == 8080
        return
    with pytest.raises(SettingsError):
        load_settings({}, file=file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml"):
        load_settings({"BDNEWS_CONFIG": str(tmp_path / "nowhere.toml")})


def test_secrets_are_never_printed() -> None:
    secret = "a-very-secret-thing"
    settings = load_settings(
        {
            "BDNEWS_EMAIL__PASSWORD": secret,
            "BDNEWS_WECHAT__SECRET": secret,
            "BDNEWS_SECURITY__SIGNING_KEYS": f'["a:{secret * 2}"]',
        }
    )
    assert secret not in repr(settings)
    assert secret not in str(settings)
    assert settings.security.signing_keys[0].get_secret_value() == f"a:{secret * 2}"


def test_a_wrong_value_does_not_show_itself() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({"BDNEWS_SECURITY__SIGNING_KEYS": "a:not-a-list-but-secret"})
    assert "not-a-list-but-secret" not in str(caught.value)
    assert "security.signing_keys" in str(caught.value)


def test_each_value_says_where_it_came_from(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text('[email]\nhost = "from.file"\nport = 26\n[web]\nport = 81\n', encoding="utf-8")
    read = read_settings(
        {"BDNEWS_CONFIG": str(file), "BDNEWS_email__HOST": "from.environment"},
        overrides={"web": {"port": 82}},
    )
    assert (read.settings.email.host, read.settings.email.port, read.settings.web.port) == (
        "from.environment",
        26,
        82,
    )
    assert read.file == file
    assert read.origins["email.host"] == Origin(Place.ENVIRONMENT, "BDNEWS_email__HOST")
    assert read.origins["email.port"] == Origin(Place.FILE, str(file))
    assert read.origins["web.port"] == Origin(Place.GIVEN)
    assert read.origins["web.host"] == Origin(Place.SHIPPED)
    every = {f"{group}.{key}" for group, keys in read.settings.model_dump().items() for key in keys}
    assert set(read.origins) == every


def test_a_value_that_is_the_default_still_says_who_wrote_it() -> None:
    read = read_settings({"BDNEWS_WEB__PORT": "8080"})
    assert read.settings == load_settings({})
    assert read.origins["web.port"] == Origin(Place.ENVIRONMENT, "BDNEWS_WEB__PORT")
    assert variable_of("web", "port") == "BDNEWS_WEB__PORT"


def test_what_the_program_changes_is_said_to_be_its_own() -> None:
    read = read_settings({"BDNEWS_WEB__PORT": "81"})
    changed = read.changed({"web": {"port": 82}, "delivery": {"allow": "nobody"}})
    assert (changed.settings.web.port, read.settings.web.port) == (82, 81)
    assert changed.origins["web.port"] == changed.origins["delivery.allow"] == Origin(Place.GIVEN)
    assert changed.origins["web.host"] == Origin(Place.SHIPPED)
    assert read.origins["web.port"] == Origin(Place.ENVIRONMENT, "BDNEWS_WEB__PORT")


def test_settings_that_no_file_has_told_are_given() -> None:
    given = ReadSettings.given(load_settings({}))
    assert set(given.origins) == set(read_settings({}).origins)
    assert set(given.origins.values()) == {Origin(Place.GIVEN)}
