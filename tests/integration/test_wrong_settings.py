"""A configuration that is not right: the service does not start, and names the file and the key.

That this is an exit code and a sentence: tests/acceptance/test_wrong_configuration.py.
"""

import re
from pathlib import Path
from typing import Any

import pytest
from tests.making import test_settings

from bdnews_dispatch.channels.email.limits import Limits
from bdnews_dispatch.channels.email.replies import ReplyRules
from bdnews_dispatch.errors import SettingsError
from bdnews_dispatch.service.roles import Role
from bdnews_dispatch.service.running import running
from bdnews_dispatch.settings import load_settings
from bdnews_dispatch.shipped import shipped

WHOLE = '[delivery]\nbatch = 100\nuncertain = "hold"\n'
PUBLICATION = (shipped("config") / "publications" / "dsj.toml").read_text(encoding="utf-8")
PROVIDERS = (shipped("config") / "providers.toml").read_text(encoding="utf-8")


@pytest.mark.fault(22)
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (WHOLE[: WHOLE.index("hold")], "own.toml"),
        (WHOLE.replace("batch", "bacth"), "delivery.bacth"),
        (WHOLE.replace("[delivery]", "[delivry]"), "delivry"),
        (WHOLE.replace("100", '"many"'), "delivery.batch：应为整数"),
        (WHOLE.replace("100", "0"), "delivery.batch：应不小于 1"),
        (
            WHOLE.replace("hold", "perhaps"),
            "delivery.uncertain：应为其中之一：'hold'、'resend'、'assume_sent'",
        ),
        ("delivery = 3\n", "delivery"),
    ],
)
def test_a_file_of_settings(tmp_path: Path, text: str, words: str) -> None:
    own = tmp_path / "own.toml"
    own.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=re.escape(words)):
        load_settings({}, file=own)


async def does_not_start(folder: Path, **changed: dict[str, Any]) -> str:
    with pytest.raises(SettingsError) as caught:
        async with running(test_settings(folder, **changed), list(Role)):
            pass
    return str(caught.value)


@pytest.mark.fault(22)
@pytest.mark.parametrize(
    ("group", "key", "value"),
    [
        ("schedule", "weekly", "someday"),
        ("schedule", "monthly", "32 09:00"),
        ("publications", "default", "nope"),
        ("publications", "folder", "nowhere"),
        ("database", "url", "mysql://x/y"),
        ("email", "dkim_key", "nowhere.pem"),
        ("security", "signing_keys", ["short"]),
        ("delivery", "allow", "nobody,everybody"),
    ],
)
async def test_a_value_that_only_its_user_understands(
    tmp_path: Path, group: str, key: str, value: object
) -> None:
    assert f"{group}.{key}" in await does_not_start(tmp_path, **{group: {key: value}})


@pytest.mark.fault(22)
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (PUBLICATION[: PUBLICATION.index("[[sections]]") + 20], "dsj.toml"),
        (PUBLICATION.replace("publisher", "publsiher", 1), "publsiher"),
        (re.sub(r"(?m)^name = .*$", "name = 5", PUBLICATION, count=1), "name"),
    ],
    ids=["truncated", "unknown key", "wrong type"],
)
async def test_a_publication(tmp_path: Path, text: str, words: str) -> None:
    folder = tmp_path / "publications"
    folder.mkdir()
    (folder / "dsj.toml").write_text(text, encoding="utf-8")
    said = await does_not_start(tmp_path, publications={"folder": str(folder)})
    assert words in said
    assert str(folder / "dsj.toml") in said


@pytest.mark.fault(22)
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (PROVIDERS[: PROVIDERS.index('"netease"') + 5], "providers.toml"),
        (PROVIDERS.replace("messages_per_second = 10", "mesages_per_second = 10", 1), "mesages_per_second"),
        (PROVIDERS.replace("connections = 4", 'connections = "four"', 1), "connections"),
        (PROVIDERS.replace('means = "rate"', 'means = "rat"', 1), "qq.frequency"),
    ],
    ids=["truncated", "unknown key", "wrong type", "wrong word"],
)
def test_the_providers(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "providers.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as caught:
        ReplyRules.load(file)
        Limits.load(file)
    assert words in str(caught.value)
    assert str(file) in str(caught.value)
