"""Who may do what: the table of roles, held as a table."""

import pytest

from bdnews_dispatch.accounts.rights import OF_A_PUBLICATION, RIGHTS, Right, Role, rights_of


def test_every_role_has_its_rights_and_an_admin_has_all() -> None:
    assert set(RIGHTS) == set(Role)
    assert RIGHTS[Role.ADMIN] == set(Right)


@pytest.mark.parametrize("role", [Role.REVIEWER, Role.ANALYST])
def test_who_only_reads_sees_no_addresses_and_changes_nothing(role: Role) -> None:
    held = RIGHTS[role] - {Right.BULLETINS_APPROVE}
    assert {right for right in held if not right.endswith(".read")} == set()
    assert Right.SUBSCRIBERS_READ not in RIGHTS[role]
    assert Right.AUDIT_READ not in RIGHTS[role]


def test_an_editor_never_approves_their_own_bulletins_nor_touches_lists() -> None:
    forbidden = {
        Right.BULLETINS_APPROVE,
        Right.SUBSCRIBERS_WRITE,
        Right.IMPORTS_WRITE,
        Right.SUPPRESSIONS_WRITE,
        Right.SETTINGS_WRITE,
        Right.USERS_WRITE,
    }
    assert not RIGHTS[Role.EDITOR] & forbidden


@pytest.mark.parametrize("role", list(Role))
def test_who_is_of_some_publications_reaches_nothing_that_is_of_all(role: Role) -> None:
    held = rights_of(role, {"dsj"})
    assert held == RIGHTS[role] & OF_A_PUBLICATION
    assert {right.partition(".")[0] for right in held} <= {
        "issues",
        "bulletins",
        "dispatches",
        "reports",
        "settings",
    }
    assert Right.SETTINGS_WRITE not in held
    assert rights_of(role, ()) == RIGHTS[role]
