"""Passwords with low costs, but where a test is of the costs themselves."""

import pytest
from argon2 import PasswordHasher

from bdnews_dispatch.accounts import passwords


@pytest.fixture(autouse=True)
def _cheap_hashes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some tests try hundreds of passwords, each of which would take 64 MiB and a tenth of a second."""
    if "full_cost" in request.fixturenames:
        return
    monkeypatch.setattr(passwords, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    passwords._nobody.cache_clear()


@pytest.fixture
def full_cost() -> None:
    """The real hash, as a service makes it."""
