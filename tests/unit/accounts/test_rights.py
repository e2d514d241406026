"""Who may do what: the table of roles, held as a table."""

import pytest

from bdnews_dispatch.accounts.rights import RIGHTS, Right, Role, allows


def test_every_role_has_its_rights_and_an_admin_has_all() -> None:
    assert set(RIGHTS) == set(Role)
    assert RIGHTS[Role.ADMIN] == set(Right)


@pytest.mark.parametrize("role", [Role.REVIEWER, Role.ANALYST])
def test_who_only_reads_sees_no_addresses_and_changes_nothing(role: Role) -> None:
    held = RIGHTS[role] - {Right.BULLETINS_APPROVE}
    assert {right for right in held if not right.endswith(".read")} == set()
    assert not allows(role, Right.SUBSCRIBERS_READ)
    assert not allows(role, Right.AUDIT_READ)


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
