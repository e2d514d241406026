"""Settings as pages show them: each one is explained, no secret is there, what is said to change one works."""

import re
from pathlib import Path

import pytest

from bdnews_dispatch.settings import Place, Settings, load_settings, read_settings
from bdnews_dispatch.shipped import shipped
from bdnews_dispatch.web.console.settings.explanations import explanations, read_comments
from bdnews_dispatch.web.console.settings.overview import GROUPS
from bdnews_dispatch.web.console.settings.values import shown, toml, without_passwords

SAMPLE = """# A file of settings.
#
# This is about all of it.

[first]                 # of the first
plain = "a # b"         # behind it
longer = 1              # begins here
                        # and goes on
bare = true
# Above it,
# on two lines.
many = [
  { name = "x" },  # not about the key
]
both = ""               # beside

[second]
# Of what follows, not of the group.
one = 1
"""


def test_comments_are_read_where_they_stand() -> None:
    found = read_comments(SAMPLE)
    assert found.groups == {"first": "of the first"}
    assert found.keys == {
        "first.plain": "behind it",
        "first.longer": "begins here and goes on",
        "first.many": "Above it, on two lines.",
        "first.both": "beside",
        "second.one": "Of what follows, not of the group.",
    }


@pytest.mark.parametrize(("language", "file"), [("zh", "explanations.zh-CN.toml"), ("en", "bdnews.toml")])
def test_every_setting_is_explained_in_both_languages(language: str, file: str) -> None:
    """What is missing is written into that file of config/; words about a setting that is gone are taken out."""
    names = {
        f"{group}.{key}"
        for group, field in Settings.model_fields.items()
        if field.annotation is not None
        for key in field.annotation.model_fields
    }
    told = explanations(language)
    assert {name for name in names if not told.keys.get(name, "").strip()} == set(), file
    assert set(told.keys) - names == set(), file
    assert set(told.groups) == set(explanations("en").groups), file


def test_explanations_are_in_their_language() -> None:
    chinese = re.compile(r"[\u4e00-\u9fff]")
    assert [name for name, words in explanations("zh").keys.items() if not chinese.search(words)] == []
    # Words of the platform's own may stand in the English ones; never a sentence.
    assert [name for name, words in explanations("en").keys.items() if re.search(r"[。；，]", words)] == []


def test_every_group_has_words_in_the_order_of_the_file() -> None:
    assert list(GROUPS) == list(Settings.model_fields)
    text = (shipped("config") / "bdnews.toml").read_text(encoding="utf-8")
    assert [line[1:].partition("]")[0] for line in text.splitlines() if line.startswith("[")] == list(GROUPS)


def test_secrets_are_only_said_to_be_there() -> None:
    read = read_settings(
        {
            "BDNEWS_EMAIL__PASSWORD": "hush-mail",
            "BDNEWS_SECURITY__SIGNING_KEYS": '["a:hush-key-hush-key-hush-key", "b:hush-key-hush-key-hush-key"]',
            "BDNEWS_DATABASE__URL": "postgresql://me:hush%40db@db.example/news?sslpassword=hush-tls&x=1",
            "BDNEWS_OPERATIONS__TRACES": "http://hush-token@collector.example:4318",
        }
    )
    found = {one.name: one for one in shown(read, sees_people=True)}
    assert "hush" not in repr(found)
    assert [found["email.password"].is_set, found["mailbox.password"].is_set] == [True, False]
    assert (found["security.signing_keys"].is_set, found["security.signing_keys"].number) == (True, 2)
    assert found["database.url"].value == "postgresql://me:***@db.example/news?sslpassword=***&x=1"
    assert found["operations.traces"].value == "http://***@collector.example:4318"
    assert found["email.password"].origin.place is Place.ENVIRONMENT


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("postgresql://u:p@ss@h/d", "postgresql://u:***@h/d"),
        ("postgresql://u:p/w@h:5432/d", "postgresql://u:***@h:5432/d"),
        ("postgresql://u@h/d?password=p", "postgresql://u@h/d?password=***"),
        ("sqlite:///var/bdnews.db", "sqlite:///var/bdnews.db"),
        ("https://h/x?api_key=k&sig=s&author=a", "https://h/x?api_key=***&sig=***&author=a"),
        (
            "https://h/x?SubscriptionKey=k&auth=a&keyword=w",
            "https://h/x?SubscriptionKey=***&auth=***&keyword=w",
        ),
    ],
)
def test_a_database_keeps_its_password(text: str, seen: str) -> None:
    assert without_passwords(text, database=True) == seen


def test_who_may_not_see_people_sees_no_address() -> None:
    read = read_settings(
        {"BDNEWS_DELIVERY__ALLOW": "li.si@gz.gov.cn, @bdnews.example, oReaderHeJing0000000000001"}
    )

    def allow(*, sees_people: bool) -> str:
        (one,) = [one for one in shown(read, sees_people=sees_people) if one.name == "delivery.allow"]
        return f"{one.value} {one.lines} {one.variable}"

    assert "li.si@gz.gov.cn" in allow(sees_people=True)
    hidden = allow(sees_people=False)
    assert "li.si" not in hidden
    assert "HeJing" not in hidden
    assert "l***@gz.gov.cn, @bdnews.example, o***" in hidden


def test_the_lines_that_a_page_names_mean_the_value_that_is_there(tmp_path: Path) -> None:
    read = read_settings({})
    for one in shown(read, sees_people=True):
        if one.secret:
            continue
        file = tmp_path / "own.toml"
        file.write_text(one.lines, encoding="utf-8")
        assert load_settings({}, file=file) == read.settings, one.lines
        name, _, value = one.variable.partition("=")
        assert load_settings({name: value}) == read.settings, one.variable


def test_values_are_written_as_toml_reads_them() -> None:
    assert (
        toml((True, 1, 0.5, 'a"b\\c\n深', {"k": ("x",)}))
        == '[true, 1, 0.5, "a\\"b\\\\c\\n深", { k = ["x"] }]'
    )
