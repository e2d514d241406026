"""Signed links: bound to a purpose and a key, constant over rotation, never openable by a changed character."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdnews_dispatch.errors import SettingsError, TokenError
from bdnews_dispatch.links import (
    Links,
    Purpose,
    Signer,
    SigningKey,
    kept_key,
    random_key,
    random_keys,
    read_keys,
)

NOW = datetime(2026, 11, 23, tzinfo=UTC)
OLD = SigningKey("a1", b"x" * 32)
NEW = SigningKey("b2", b"y" * 32)


def test_a_token_opens_its_own_purpose_only() -> None:
    signer = Signer([OLD])
    key = random_key(NOW)
    for purpose in Purpose:
        token = signer.token(purpose, key)
        assert signer.read(purpose, token, NOW) == key
        for other in set(Purpose) - {purpose}:
            with pytest.raises(TokenError):
                signer.read(other, token, NOW)


@pytest.mark.fault(23)
def test_old_links_stay_valid_after_a_rotation() -> None:
    token = Signer([OLD]).token(Purpose.UNSUBSCRIBE, "abc")
    assert Signer([NEW, OLD]).read(Purpose.UNSUBSCRIBE, token, NOW) == "abc"
    with pytest.raises(TokenError):
        Signer([NEW]).read(Purpose.UNSUBSCRIBE, token, NOW)


def test_a_token_with_an_end_ends() -> None:
    signer = Signer([OLD])
    token = signer.token(Purpose.PREFERENCES, "abc", ends=NOW + timedelta(days=7))
    assert signer.read(Purpose.PREFERENCES, token, NOW) == "abc"
    with pytest.raises(TokenError):
        signer.read(Purpose.PREFERENCES, token, NOW + timedelta(days=8))


def test_all_of_a_deliverys_addresses_are_those_made_one_by_one() -> None:
    links = Links("https://news.example.cn", Signer([NEW, OLD]))
    key = random_key(NOW)
    assert links.of_delivery(key) == (
        links.pixel(key),
        links.click(key),
        links.web_copy(key),
        links.preferences(key),
        links.unsubscribe(key),
        links.signer.verp(key),
        f"unsubscribe+{key}.{NEW.mac(Purpose.LEAVE, key)}",
    )


def test_an_address_that_mail_comes_back_to_is_for_one_purpose() -> None:
    key = random_key(NOW)
    links = Links("https://news.example.cn", Signer([OLD])).of_delivery(key)
    signer = Signer([NEW, OLD])
    assert signer.read_returned(links.verp.upper()) == (Purpose.BOUNCE, key)
    assert signer.read_returned(links.leave) == (Purpose.LEAVE, key)
    bounce, leave = links.verp.partition("+")[2], links.leave.partition("+")[2]
    for local in (
        f"b+{leave}",
        f"unsubscribe+{bounce}",
        bounce,
        f"x+{bounce}",
        f"x+b+{bounce}",
        "b+",
        "b+é.é",
        "",
    ):
        with pytest.raises(TokenError):
            signer.read_returned(local)


def test_keys_made_together_lie_together_and_are_never_the_same() -> None:
    keys = random_keys(NOW, 1000)
    assert len(set(keys)) == 1000
    assert {key[:8] for key in keys} == {random_key(NOW)[:8]}
    assert random_key(NOW + timedelta(seconds=1)) > max(keys)


@given(st.text(max_size=200))
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(TokenError):
        Signer([OLD]).read(Purpose.CLICK, text, NOW)


@given(st.data())
def test_no_character_may_change(data: st.DataObject) -> None:
    signer = Signer([OLD])
    token = signer.token(Purpose.CLICK, "abcdefghijklmnopqrstuvwx")
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters().filter(lambda character: character != token[place]))
    with pytest.raises(TokenError):
        signer.read(Purpose.CLICK, token[:place] + other + token[place + 1 :], NOW)


def test_an_envelope_sender_fits_into_a_local_part() -> None:
    links = Links("", Signer([OLD])).of_delivery(random_key(NOW))
    for local in (links.verp, links.leave):
        assert len(local) <= 64
        assert local == local.lower()


def test_the_kept_key_is_made_once_and_for_its_owner(tmp_path: Path) -> None:
    first = kept_key(tmp_path / "data")
    again = kept_key(tmp_path / "data")
    assert (again.id, again.mac(Purpose.OPEN, "abc")) == (first.id, first.mac(Purpose.OPEN, "abc"))
    assert (tmp_path / "data" / "signing.key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["", "short:abc", "no-separator", "bad id:" + "x" * 40])
def test_a_weak_key_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        read_keys([text])
